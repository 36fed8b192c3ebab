/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the auditor share. All of it is under audit_lock, which is
 * taken before s2_lock. README.md says what is judged, by which rule, and what
 * can't be seen.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "model.h"

#define MAX_ROOTS	16
#define MAX_TABLES	32768
#define MAX_PLACES	65536
#define MAX_STALE	65536
#define MAX_LEVEL	3
#define NONE		0xffffffffU	/* no index */

/* The rules; their names are in audit-report.c. */
enum rule {
	RULE_OA, RULE_TYPE, RULE_SHARE, RULE_GLOBAL, RULE_RESIZE, RULE_CONT, RULE_HOLE, RULE_STALE,
	RULE_WALK, RULE_REUSE, RULE_ORDER, RULE_WX, RULE_GRANT, RULE_GAP, RULE_NOTHING,
	RULE_FILL,	/* rule order, of tables that are linked */
	RULE_NOTED,	/* rule gap, of one that is legal: it fails nothing */
	RULES
};

/* Exceptions that el2.audit.allow= names. */
#define ALLOW_TAGGED	BIT(0)
#define ALLOW_EARLY	BIT(1)
#define ALLOW_WX	BIT(2)

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

/**
 * struct regime - what else decides what a descriptor means; of the CPU whose
 * event is looked at
 */
struct regime {
	u64 mair, pir;
	bool pie;
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

extern struct lock audit_lock;
extern struct geometry geo;
extern struct regime regime;
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

static inline u64 read_entry(u64 pa)
{
	return __atomic_load_n((u64 *)pa, __ATOMIC_RELAXED);
}

/* audit.c */
void who_init(struct who *who, const struct regs *regs);
extern u64 audit_stored[MAX_CPUS];	/* where each CPU stored to a table last */
void audit_word(struct table *table, u64 pa, u64 new, const struct who *who);
struct table *table_find(u64 pa);
u64 lookup(u64 va, int last, int *level, u8 *limits, bool *live);
void table_walk_done(u32 index);
u32 cpus_active(void);
u32 table_index(const struct table *table);
struct table *table_at(u32 index);
u8 rights(u64 desc, u8 limits);
u8 table_limits(u64 desc);
const char *content_differs(u64 old, int old_level, u64 old_va, u64 new, int new_level, u64 new_va,
			    enum rule *rule);
bool is_long_ago(const struct who *who);
void groups_settled(u64 start, u64 end, const struct who *who);
void roots_forget(u32 cpus);

/* audit-tlb.c */
void stale_init(void);
void stale_leaf(u64 va, u64 size, u64 unit, u64 old, int level, u8 limits, u32 cpus, u8 why,
		const struct who *who);
void stale_table(u64 va, u64 old, int level, u8 limits, u32 cpus, u8 why, struct table *table,
		 const struct who *who);
void stale_each(u64 va, u64 size, void (*fn)(struct stale *s, void *context), void *context);
void stale_forget_cpus(u32 cpus);
bool in_linear_map(u64 va);
void stale_moved_on(const struct who *who);
const struct stale *stale_of_table(const struct table *table);
void stale_check(bool at_end);

/* audit-insn.c */
bool store_emulate(struct regs *regs, u64 esr, struct table *table, u64 ipa, const struct who *who);
bool fetch_insn(u64 pc, u32 *insn);
const char *barrier_missing(u64 pc, u64 stored, u64 lr, bool before, bool local);
const char *fill_unordered(u64 pc);

/* audit-report.c */
struct text {
	char at[120];
	u32 len;
};
void violation(enum rule rule, u64 va, int level, u64 old, int new_level, u64 new, u32 cpus,
	       const struct who *who, const char *what, const char *expected);
void audit_summary(void);
#endif
