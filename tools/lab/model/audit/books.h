/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The auditor's books: what its own files share. Each floor calls those below
 * it alone:
 *
 *	audit.c			an event
 *	tlbi.c	link.c		what a TLBI drops; where tables are linked
 *	judge.c			the rules of a store
 *	group.c	gap.c	order.c	contiguous groups; the kernel's own mapping; barriers
 *	stale.c			what may be cached that the tables do not say any more
 *	tables.c  who.c		tables and roots; threads
 *	say.c			lines
 *	desc.c			descriptors
 */
#ifndef BOOKS_H
#define BOOKS_H

#include "audit.h"
#include "regs.h"

#define MAX_ROOTS	16
#define MAX_LEVEL	3
/* A table that is linked at more places than that is the zero shadow of KASAN: all its uses are alike. */
#define PLACES_FOLLOWED	4
#define NONE		0xffffffffU	/* no index */

/* The rules; say.c has what they are called. */
enum rule {
	RULE_OA, RULE_TYPE, RULE_SHARE, RULE_GLOBAL, RULE_RESIZE, RULE_CONT, RULE_HOLE, RULE_STALE,
	RULE_WALK, RULE_REUSE, RULE_ORDER, RULE_WX, RULE_GRANT, RULE_GAP, RULE_NOTHING,
	RULE_FILL,	/* rule order, of tables that are linked */
	RULE_NOTED,	/* rule gap, of one that is legal: it fails nothing */
	RULES
};

/**
 * struct geometry - the shape of the tables behind TTBR1, from TCR_EL1
 * @tcr: the fields that it follows from
 * @page_shift: log2 of the page size
 * @bits: log2 of the entries of a table
 * @va_bits: of the kernel's half
 * @start: the root's level
 * @lpa: 52 bits of output address, with 4K or 16K pages
 */
struct geometry {
	u64 tcr;
	u32 page_shift, bits, va_bits;
	int start;
	bool lpa;
};

/* What an entry permits, as bits; hierarchical limits are the same ones taken away. */
#define RIGHT_W		BIT(0)	/* EL1 writes */
#define RIGHT_X		BIT(1)	/* EL1 executes */
#define RIGHT_U		BIT(2)	/* EL0 accesses */
#define RIGHT_UX	BIT(3)	/* EL0 executes */

/**
 * struct place - where a table is linked
 * @va: the first address that it translates there
 * @level: its entries'
 * @limits: rights that the table entries above it take away
 * @roots: from which roots, as bits
 * @next: index of the next place of the same table
 */
struct place {
	u64 va;
	int level;
	u8 limits;
	u16 roots;
	u32 next;
};

/**
 * struct table - a page that is watched because walks may read it
 * @pa: the page
 * @first: address of the entry for @place's va; a root may begin inside its page
 * @entries: how many are used
 * @places: index of the first place; NONE when it is linked nowhere
 * @walked: how many stale pointers to it may still be cached
 * @seq: stores to it, for exclusives
 * @next: the next of its hash bucket
 */
struct table {
	u64 pa, first;
	u32 entries, places, walked, next;
	u64 seq;
};

/**
 * struct who - whose event this is
 * @pc: where
 * @lr: from where, perhaps
 * @thread: which stack: a sequence may be preempted, or go on on another CPU
 * @event: its number
 * @own: its number among those of the thread
 * @cpu: on which CPU
 */
struct who {
	u64 pc, lr, thread, event, own;
	u32 cpu;
};

/* Why an entry that may still be cached is not in the tables any more. */
#define WHY_BREAK	BIT(0)	/* made invalid */
#define WHY_TIGHTER	BIT(1)	/* it permits more than what took its place */
#define WHY_LARGER	BIT(2)	/* what took its place is larger, or contiguous; or a table went */
#define WHY_SMALLER	BIT(3)	/* what took its place is smaller, or not contiguous */

enum stale_kind { STALE_LEAF, STALE_TABLE };

/**
 * struct stale - what TLBs may hold and the tables do not say any more
 * @start: the addresses,
 * @end: exclusive; of a table all that it translated
 * @unit: one TLB entry covers so much, aligned: an invalidation of any address in it drops it
 * @old: the descriptor for @start; those behind go on from there
 * @kind: leaves, or a table entry in a walk cache
 * @level: of the entry
 * @limits: what the tables above it took away; of a table entry, with what it takes away itself
 * @cpus: who may hold it
 * @why: WHY_ bits
 * @passed: who stored that has done a TLBI since, and it was not enough
 * @who: who stored what took its place
 * @table: index of the page that @old points to
 * @bucket: its hash bucket
 * @next: there; also links free records
 * @newer: all records,
 * @older: by age
 */
struct stale {
	u64 start, end, unit, old;
	enum stale_kind kind;
	int level;
	u8 limits, cpus, why;
	bool passed;
	struct who who;
	u32 table, bucket, next, newer, older;
};
/**
 * struct change - a store that is being judged, for one place of its table
 * @va: the first address that the entry translates there
 * @size: bytes
 * @old: what it said
 * @new: what it is to say
 * @level: its
 * @limits: what the tables above it take away
 * @cpus: who may hold it
 * @who: whose store it is
 * @said: a violation was reported: one is enough
 */
struct change {
	u64 va, size, old, new;
	int level;
	u8 limits;
	u32 cpus;
	const struct who *who;
	bool said;
};

extern struct audit_setup setup;
extern struct audit_calls calls;
extern struct geometry geo;
extern struct audit_registers regime;	/* of the CPU whose event is looked at */
extern struct audit_counts {
	u64 events, stores, changes, tlbis, user_tlbis, ttbr1, linked, resizes, breaks, gaps, lazy;
	u64 decoded, unfollowed, peak_stale, exclusives_failed;
	u64 violations, by_rule[RULES], recent;
	u64 splits[MAX_LEVEL + 1][2], collapses[MAX_LEVEL + 1][2]; /* of the linear map; [1]: of groups */
	u32 tables, peak_tables;
} counts;

static inline u32 level_shift(int level)
{
	return geo.page_shift + (MAX_LEVEL - level) * geo.bits;
}

static inline u64 level_span(int level)
{
	return BIT(level_shift(level));
}

/* How many entries make a contiguous group; 1 where there is none. */
static inline u32 level_cont(int level)
{
	if (geo.page_shift == 12)
		return level >= 1 ? 16 : 1;
	if (geo.page_shift == 14)
		return level == 3 ? 128 : level == 2 ? 32 : 1;
	return level >= 2 ? 32 : 1;
}

static inline bool desc_is_table(u64 desc, int level)
{
	return level < MAX_LEVEL && (desc & DESC_VALID) && (desc & DESC_TABLE);
}

static inline bool desc_is_leaf(u64 desc, int level)
{
	return (desc & DESC_VALID) && (level == MAX_LEVEL) == !!(desc & DESC_TABLE);
}

static inline bool desc_cont(u64 desc, int level)
{
	return desc_is_leaf(desc, level) && (desc & S1_CONT);
}

static inline u64 desc_address(u64 desc, u32 shift)
{
	u64 address = desc & (BIT(geo.lpa ? 50 : 48) - BIT(shift));

	if (geo.lpa)
		address |= BITS(desc, 9, 8) << 50;
	else if (geo.page_shift == 16)
		address |= BITS(desc, 15, 12) << 48;
	return address;
}

static inline u64 table_address(u64 desc)
{
	return desc_address(desc, geo.page_shift);
}

static inline u64 leaf_address(u64 desc, int level)
{
	return desc_address(desc, level_shift(level));
}
/* The model and the host both have them. */
void *memset(void *to, int byte, size_t len);
void *memcpy(void *to, const void *from, size_t len);

static inline u64 read_entry(u64 pa)
{
	return calls.read(pa);
}

static inline bool is_ram(u64 pa)
{
	return pa >= setup.ram_start && pa < setup.ram_end;
}

/* Does it lead to a table that can be looked at? */
static inline bool desc_leads(u64 desc, int level)
{
	return desc_is_table(desc, level) && is_ram(table_address(desc));
}

/* desc.c */
u32 cpus_without_bbml3(u32 cpus);
u8 table_limits(u64 desc);
u8 rights(u64 desc, u8 limits);
u8 memory_type(u64 desc);
const char *content_differs(u64 old, int old_level, u64 old_va, u64 new, int new_level, u64 new_va,
			    enum rule *rule);
u64 tlb_unit(u64 desc, int level);
bool in_linear_map(u64 va);

/* say.c */
void violation(enum rule rule, u64 va, int level, u64 old, int new_level, u64 new, u32 cpus,
	       const struct who *who, const char *what, const char *expected);
void report(struct change *c, enum rule rule, u64 va, u64 old, int old_level, u64 new, int new_level,
	    u32 cpus, const char *what);
void audit_summary(u64 vbar);
void audit_fail(const char *what, u64 number, const char *of) __attribute__((noreturn));

/* who.c */
void who_init(struct who *who, const struct audit_event *event);
bool is_long_ago(const struct who *who);

/* tables.c */
struct table *table_find(u64 pa);
struct table *table_get(u64 first, u32 entries);
struct table *table_at(u32 index);
u32 table_index(const struct table *table);
void table_walk_done(u32 index);
struct place *place_at(u32 index);
struct place *place_of(struct table *t, u64 va, int level);
struct place *place_new(struct table *t, u64 va, int level);
void place_free(struct table *t, struct place *p);
u64 first_leaf(u64 page, int *level, u64 *va);
bool has_leaf(u64 page, int level);
u64 root_va(void);
u64 lookup(u64 va, int last, int *level, u8 *limits, bool *live);
void tables_init(void);

/**
 * struct root - what was written to TTBR1_EL1
 * @pa: the table, 0 if free
 * @cpus: who may hold entries from it: those that use it, and those that did and have not dropped them
 */
struct root {
	u64 pa;
	u32 cpus;
};

extern struct root roots[MAX_ROOTS];
extern u64 ttbr1[AUDIT_CPUS];	/* what each CPU has; 0: nothing that translates */
u32 cpus_of(u16 from);
u32 cpus_active(void);
void roots_forget(u32 cpus);

/* stale.c */
void stale_init(void);
struct stale *stale_new(const struct stale *like);
void stale_free(struct stale *s);
void stale_leaf(u64 va, u64 size, u64 unit, u64 old, int level, u8 limits, u32 cpus, u8 why,
		const struct who *who);
void stale_table(u64 va, u64 old, int level, u8 limits, u32 cpus, u8 why, struct table *table,
		 const struct who *who);
void stale_each(u64 va, u64 size, void (*fn)(struct stale *s, void *context), void *context);
void stale_forget_cpus(u32 cpus);
void stale_passed(const struct who *who);
void stale_moved_on(const struct who *who);
const struct stale *stale_of_table(const struct table *table);
void stale_check(bool at_end);

/* group.c */
void group_changed(struct change *c, u64 pa);
void groups_settled(u64 start, u64 end, const struct who *who);
void groups_check(bool at_end);
void groups_of_table(struct change *c, u64 page, int level, u64 va);

/* gap.c */
void note_break(struct change *c);
bool break_was_made(struct change *c);
void count_gap(struct change *c);

/* order.c */
const char *barrier_missing(u64 pc, u64 stored, u64 lr, bool before, bool local);
const char *fill_unordered(u64 pc);

/* judge.c */
void judge(struct change *c);
void judge_fill(const struct change *c, u64 page);
void tighter(struct change *c, u64 desc, int level, u64 va, u8 limits);
void leaf_stale(struct change *c);
void table_leaves(struct change *c, u64 page, int level, u64 va, u8 limits, u8 why);

/* link.c */
void table_link(struct table *t, u64 va, int level, u16 from, u8 limits);
void table_unlink(struct table *t, u64 va, int level, u16 from, u64 pointer, struct change *c, u8 why);
bool geometry_read(void);
void root_use(u32 cpu, u64 pa);
bool roots_drop_unused(void);

/* tlbi.c */
void tlbi_done(const struct audit_event *event, u64 stored);
#endif
