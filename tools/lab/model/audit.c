// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: judges every store of a running guest to the tables behind
 * TTBR1_EL1, by the rules for changing live ones (DDI 0487). README.md has the
 * rules, and what can't be seen from here.
 *
 * A write of TTBR1_EL1 traps and makes a root. What it leads to is found by
 * walking it, and made read-only at stage 2: from then on each store to it
 * comes here, is judged against what CPUs may hold, and is done. So memory is
 * the auditor's only copy of the tables.
 */
#include "audit.h"

#define TABLE_BUCKETS	8192
#define GAPS		4096
#define THREADS		1024
#define BREAKS		1024
#define HALF_SET	256
#define HALF_SET_WAYS	8
/* A table that is linked at more places than that is the zero shadow of KASAN: all its uses are alike. */
#define PLACES_FOLLOWED	4
/*
 * How often what is left over is looked for, and how much its thread must have done
 * since: a range of changes may be that long before its TLBI (.text and .rodata in
 * 4K pages are less). Others may do a lot meanwhile, for it may be preempted.
 */
#define CHECK_EVERY	8192
#define PATIENCE	16384
#define MOST_PATIENCE	(64 * PATIENCE)
#define REGIME_EVERY	64

struct lock audit_lock;
struct geometry geo;
struct regime regime;
struct audit_counts counts;

/**
 * struct root - what was written to TTBR1_EL1
 * @pa: the table, 0 if free
 * @cpus: who may hold entries from it: those that use it, and those that did and have not dropped them
 */
static struct root {
	u64 pa;
	u32 cpus;
} roots[MAX_ROOTS];
u64 audit_stored[MAX_CPUS];
static u64 ttbr1[MAX_CPUS];	/* what each CPU has; 0: nothing that translates */

static struct table tables[MAX_TABLES] __attribute__((section(".noinit")));
static struct place places[MAX_PLACES] __attribute__((section(".noinit")));
static u32 table_buckets[TABLE_BUCKETS], free_table = NONE, fresh_table, free_place = NONE, fresh_place;

/* What each thread did, by its number: of two with one slot together, which is only sooner. */
static struct {
	u64 thread, events;
} threads[THREADS];

/* The last output address of what was made invalid, by address: to see a gap when it comes back. */
static struct {
	u64 va, address;
} broken[GAPS];

/**
 * struct break_made - an entry of the linear map was made invalid
 * @va: where the first leaf was that it was, or led to
 * @leaf: that; 0: forget it
 * @leaf_level: its level
 * @level: the entry's
 * @thread: whose store it was,
 * @event: and when
 */
static struct break_made {
	u64 va, leaf, thread, event;
	int leaf_level, level;
} breaks[BREAKS];	/* a ring */
static u32 next_break;

/* Contiguous groups that are not as they must be when they are looked at next. */
static struct half_set {
	u64 va, first;		/* the address, and where its first entry is; 0: free */
	int level;
	u32 cpus;
	struct who who;
} half_sets[HALF_SET];

static u32 bucket_of(u64 pa)
{
	return (pa >> geo.page_shift) % TABLE_BUCKETS;
}

struct table *table_find(u64 pa)
{
	u64 page = pa & ~(BIT(geo.page_shift) - 1);

	if (!geo.tcr)
		return NULL;
	for (u32 i = table_buckets[bucket_of(page)]; i != NONE; i = tables[i].next) {
		if (tables[i].pa == page)
			return &tables[i];
	}
	return NULL;
}

u32 table_index(const struct table *table)
{
	return table - tables;
}

struct table *table_at(u32 index)
{
	return &tables[index];
}

/* The page that @first is in, watched from now on. */
static struct table *table_get(u64 first, u32 entries)
{
	u64 page = first & ~(BIT(geo.page_shift) - 1);
	struct table *t = table_find(page);
	u32 index = free_table;

	if (t)
		return t;
	if (index != NONE)
		free_table = tables[index].next;
	else if (fresh_table < MAX_TABLES)
		index = fresh_table++;
	else
		fail("audit: there are more than %u tables", MAX_TABLES);
	t = &tables[index];
	*t = (struct table){ .pa = page, .first = first, .entries = entries, .places = NONE,
			     .next = table_buckets[bucket_of(page)] };
	table_buckets[bucket_of(page)] = index;
	if (++counts.tables > counts.peak_tables)
		counts.peak_tables = counts.tables;
	s2_watch(page, BIT(geo.page_shift), true);
	return t;
}

/* Watched as long as it is linked, or a walk cache may point to it. */
void table_walk_done(u32 index)
{
	struct table *t = &tables[index];
	u32 *link = &table_buckets[bucket_of(t->pa)];

	if (t->places != NONE || t->walked)
		return;
	while (*link != index)
		link = &tables[*link].next;
	*link = t->next;
	t->next = free_table;
	free_table = index;
	counts.tables--;
	s2_watch(t->pa, BIT(geo.page_shift), false);
}

static u32 cpus_of(u16 from)
{
	u32 cpus = 0;

	for (u32 i = 0; i < MAX_ROOTS; i++) {
		if (from & BIT(i))
			cpus |= roots[i].cpus;
	}
	return cpus;
}

u32 cpus_active(void)
{
	return cpus_of(~0);
}

/* Those whose EL2 shows them to have BBML3; see words.c. */
static u32 cpus_without_bbml3(u32 cpus)
{
	for (u32 i = 0; i < machine.ncpus; i++) {
		if (machine.cpu[i].bbml3)
			cpus &= ~BIT(i);
	}
	return cpus;
}

u8 table_limits(u64 desc)
{
	return (desc & S1_PXN_TABLE ? RIGHT_X : 0) | (desc & S1_UXN_TABLE ? RIGHT_UX : 0) |
	       (desc & S1_AP_TABLE_RO ? RIGHT_W : 0) | (desc & S1_AP_TABLE_EL0 ? RIGHT_U | RIGHT_UX : 0);
}

/*
 * What a leaf permits. With indirect permissions (FEAT_S1PIE) EL1's come from
 * PIR_EL1, and are taken as if no page were clean: hardware may make it dirty.
 */
u8 rights(u64 desc, u8 limits)
{
	u8 may = (desc & S1_AP_EL0 ? RIGHT_U : 0) | (desc & S1_UXN ? 0 : RIGHT_UX);

	if (regime.pie) {
		u32 permission = BITS(regime.pir, 4 * S1_PIINDEX(desc) + 3, 4 * S1_PIINDEX(desc));

		/* 5: RW, 6: RWX with WXN, 7: RWX, 12: RW, 14: RWX; 2: X, 3: RX, 10: RX */
		if (BIT(permission) & (BIT(5) | BIT(6) | BIT(7) | BIT(12) | BIT(14)))
			may |= RIGHT_W;
		if (BIT(permission) & (BIT(2) | BIT(3) | BIT(7) | BIT(10) | BIT(14)))
			may |= RIGHT_X;
	} else {
		if (!(desc & S1_AP_RO))
			may |= RIGHT_W;
		if (!(desc & S1_PXN))
			may |= RIGHT_X;
	}
	return may & ~limits;
}

static u8 memory_type(u64 desc)
{
	return regime.mair >> 8 * S1_ATTRINDX(desc);
}

static bool is_tagged_pair(u8 a, u8 b)
{
	return (a == 0xff && b == 0xf0) || (a == 0xf0 && b == 0xff);
}

/**
 * content_differs() - may a leaf be used while another of the same address is cached?
 * @old: the cached one
 * @old_level: its level
 * @old_va: where it begins
 * @new: the other one
 * @new_level: its level
 * @new_va: where it begins
 * @rule: filled in
 *
 * Return: what is different, or NULL. Permissions may be.
 */
const char *content_differs(u64 old, int old_level, u64 old_va, u64 new, int new_level, u64 new_va,
			    enum rule *rule)
{
	if (leaf_address(old, old_level) - old_va != leaf_address(new, new_level) - new_va) {
		*rule = RULE_OA;
		return "the output address changes while the old one may be cached";
	}
	if (memory_type(old) != memory_type(new) &&
	    !((machine.audit_allow & ALLOW_TAGGED) && is_tagged_pair(memory_type(old), memory_type(new)))) {
		*rule = RULE_TYPE;
		return "the memory type changes while the old one may be cached";
	}
	if (!geo.lpa && S1_SH(old) != S1_SH(new)) {
		*rule = RULE_SHARE;
		return "the shareability changes while the old one may be cached";
	}
	if ((old & S1_NG) && !(new & S1_NG)) {
		*rule = RULE_GLOBAL;
		return "it becomes global while one that is not may be cached";
	}
	return NULL;
}

/* A store that is being judged, for one place of its table. */
struct change {
	u64 va, size, old, new, page;
	int level;
	u8 limits;
	u32 cpus;
	const struct who *who;
	bool said;
};

static void report(struct change *c, enum rule rule, u64 va, u64 old, int old_level, u64 new,
		   int new_level, u32 cpus, const char *what)
{
	if (c->said)
		return;
	c->said = true;
	violation(rule, va, old_level, old, new_level, new, cpus, c->who, what,
		  rule == RULE_WX || rule == RULE_GRANT ? "neither at any time" :
							  "break-before-make: invalid, TLBI, DSB, and then this");
}

/* A live change of size is for CPUs with BBML3 alone. */
static void resize(struct change *c, u64 va, u64 old, int old_level, u64 new, int new_level, u32 cpus)
{
	counts.resizes++;
	if (cpus_without_bbml3(cpus))
		report(c, RULE_RESIZE, va, old, old_level, new, new_level, cpus_without_bbml3(cpus),
		       "the size of a live mapping changes, and these CPUs do not have BBML3");
}

/* A leaf, against what may still be cached of its addresses. */
struct against {
	struct change *c;
	u64 va, size, new;
	int level;
};

/* What one TLB entry may cover. */
static u64 tlb_unit(u64 desc, int level)
{
	return level_span(level) * (desc & S1_CONT ? level_cont(level) : 1);
}

static void compare_stale(struct stale *s, void *context)
{
	struct against *a = context;
	const char *what;
	enum rule rule;

	if (s->kind == STALE_TABLE) {
		/* What only became tighter is to a leaf as what it is now. */
		if (s->level == a->level && !(s->why & WHY_TIGHTER))
			report(a->c, RULE_WALK, a->va, s->old, s->level, a->new, a->level, s->cpus,
			       "a leaf takes the place of a table that walk caches may still point to");
		return;
	}
	what = content_differs(s->old, s->level, s->start, a->new, a->level, a->va, &rule);
	if (what)
		report(a->c, rule, a->va, s->old, s->level, a->new, a->level, s->cpus, what);
	else if ((s->why & WHY_BREAK) && tlb_unit(s->old, s->level) != tlb_unit(a->new, a->level) &&
		 cpus_without_bbml3(s->cpus))
		resize(a->c, a->va, s->old, s->level, a->new, a->level, s->cpus);
}

/* A leaf that is in the tables from now on. */
static void leaf_appears(struct change *c, u64 va, u64 new, int level, u8 limits)
{
	struct against a = { .c = c, .va = va, .size = level_span(level), .new = new, .level = level };
	u8 may = rights(new, regime.pie ? 0 : limits);

	stale_each(a.va, a.size, compare_stale, &a);
	if (!(machine.audit_allow & ALLOW_WX) && (may & RIGHT_W) && (may & RIGHT_X) &&
	    !(desc_is_leaf(c->old, c->level) &&
	      !(~rights(c->old, regime.pie ? 0 : c->limits) & (RIGHT_W | RIGHT_X))))
		report(c, RULE_WX, va, c->old, c->level, new, level, c->cpus,
		       "EL1 may both write and execute it");
}

/*
 * The first leaf that @page holds, or leads to; 0 if there is none. @level and
 * @va are those of its first entry, and then of the leaf.
 */
static u64 first_leaf(u64 page, int *level, u64 *va)
{
	int own = *level;
	u64 at = *va;

	for (u32 i = 0; i < BIT(geo.bits); i++, at += level_span(own)) {
		u64 desc = read_entry(page + 8 * i);

		*level = own;
		*va = at;
		if (desc_is_leaf(desc, own))
			return desc;
		if (!desc_is_table(desc, own) || !in_guest_ram(table_address(desc)))
			continue;
		++*level;
		desc = first_leaf(table_address(desc), level, va);
		if (desc)
			return desc;
	}
	return 0;
}

static bool has_leaf(u64 page, int level)
{
	u64 va = 0;

	return first_leaf(page, &level, &va);
}

/* An entry is made invalid. */
static void note_break(struct change *c)
{
	struct break_made b = { .va = c->va, .leaf = c->old, .thread = c->who->thread, .event = c->who->event,
				.leaf_level = c->level, .level = c->level };

	if (desc_is_leaf(c->old, c->level)) {
		u64 slot = (c->va >> geo.page_shift) % GAPS;

		counts.breaks++;
		broken[slot].va = c->va;
		broken[slot].address = leaf_address(c->old, c->level);
	}
	if (!in_linear_map(c->va))
		return;
	if (desc_is_table(c->old, c->level)) {
		b.leaf_level++;
		b.leaf = first_leaf(table_address(c->old), &b.leaf_level, &b.va);
	}
	if (b.leaf)
		breaks[next_break++ % BREAKS] = b;
}

/* How many events break-before-make takes: a group, entry by entry, with a TLBI for each, and then again. */
static u64 break_events(int level)
{
	return 2 * level_cont(level) + 16;
}

/*
 * What is valid from now on, was so a moment ago, and in between was not: what
 * is mapped is the same, but of another size. For that the kernel's own mapping
 * must not go. Memory that is removed and comes back takes longer.
 *
 * Return: was it so?
 */
static bool break_was_made(struct change *c)
{
	bool any = false;

	for (u32 n = 1; n <= BREAKS; n++) {
		struct break_made *b = &breaks[(next_break - n) % BREAKS];
		u64 since = c->who->event - b->event, at = b->va > c->va ? b->va : c->va, desc = c->new;
		int level = c->level;

		if (!b->event || since > break_events(MAX_LEVEL))
			break;
		if (!b->leaf || b->thread != c->who->thread || since > break_events(b->level) ||
		    at - b->va >= level_span(b->leaf_level) || at - c->va >= c->size)
			continue;
		while (desc_is_table(desc, level) && in_guest_ram(table_address(desc))) {
			level++;
			desc = read_entry(table_address(desc) +
					  8 * ((at >> level_shift(level)) & (BIT(geo.bits) - 1)));
		}
		if (!desc_is_leaf(desc, level) || memory_type(desc) != memory_type(b->leaf) ||
		    leaf_address(desc, level) - (at & ~(level_span(level) - 1)) !=
			    leaf_address(b->leaf, b->leaf_level) - b->va ||
		    (level == b->leaf_level && !((desc ^ b->leaf) & S1_CONT)))
			continue;
		violation(RULE_GAP, at, b->leaf_level, b->leaf, level, desc, c->cpus, c->who,
			  "a live kernel address had no valid mapping for a while: "
			  "break-before-make of the kernel's own mapping",
			  "one store that changes the size, where all CPUs have BBML3, or none");
		b->leaf = 0;
		any = true;
	}
	return any;
}

/*
 * Invalid, the entry said what it says now: somebody split or folded what is to
 * stay invalid, for one page of it. Break-before-make leaves nothing of that kind.
 */
static bool was_kept_invalid(const struct change *c)
{
	return c->old && leaf_address(c->old, c->level) == leaf_address(c->new, c->level) &&
	       !((c->old ^ c->new) & S1_CONT);
}

/* A leaf is valid that was not. */
static void count_gap(struct change *c)
{
	u64 slot = (c->va >> geo.page_shift) % GAPS;

	if ((!was_kept_invalid(c) && break_was_made(c)) || broken[slot].va != c->va ||
	    broken[slot].address != leaf_address(c->new, c->level))
		return;
	broken[slot].va = 0;
	if (!in_linear_map(c->va))
		return;
	counts.gaps++;
	if (machine.audit_gaps && !cpus_without_bbml3(c->cpus))
		violation(RULE_NOTED, c->va, c->level, c->old, c->level, c->new, c->cpus, c->who,
			  "it was valid, invalid, and is valid again", "no gap where all CPUs have BBML3");
}

/* What the group of an entry says of itself: NULL if it may stay so. */
static const char *group_fault(u64 first, int level)
{
	u64 desc = read_entry(first), span = level_span(level), mask = ~S1_SOFTWARE;
	u32 n = level_cont(level), with = 0;

	for (u32 i = 0; i < n; i++)
		with += desc_cont(read_entry(first + 8 * i), level);
	if (!with)
		return NULL;
	if (with != n)
		return "the contiguous bit is set on a part of its group";
	if (leaf_address(desc, level) & (n * span - 1))
		return "a contiguous group's output address is not aligned";
	for (u32 i = 1; i < n; i++) {
		u64 other = read_entry(first + 8 * i);

		if (leaf_address(other, level) != leaf_address(desc, level) + i * span)
			return "the output addresses of a contiguous group are not contiguous";
		if ((other ^ (desc + i * span)) & mask)
			return "a contiguous group's attributes differ";
	}
	return NULL;
}

static void half_set_report(struct half_set *h, const char *when)
{
	struct table *t = table_find(h->first);
	const char *why = t && t->places != NONE ? group_fault(h->first, h->level) : NULL;

	if (!why) { /* the table is none any more */
		h->first = 0;
		return;
	}
	violation(RULE_CONT, h->va, h->level, read_entry(h->first), h->level,
		  read_entry(h->first + 8 * (level_cont(h->level) - 1)), h->cpus, &h->who, why, when);
	h->first = 0;
}

/* A store to an entry of a group. */
static void group_changed(struct change *c, u64 pa)
{
	u32 n = level_cont(c->level);
	u64 size = n * level_span(c->level), va = c->va & ~(size - 1);
	u64 first = pa - 8 * ((c->va - va) >> level_shift(c->level));
	u32 at = (va >> level_shift(c->level)) / n * HALF_SET_WAYS;
	struct half_set *h = NULL, *room = NULL;
	const char *why = group_fault(first, c->level);

	for (u32 i = 0; i < HALF_SET_WAYS; i++) {
		struct half_set *way = &half_sets[(at + i) % HALF_SET];

		if (way->first == first && way->va == va)
			h = way;
		else if (!room || (room->first && (!way->first || way->who.event < room->who.event)))
			room = way;
	}
	if (!why) {
		if (h)
			h->first = 0;
		return;
	}
	if (!h) {
		h = room;
		if (h->first)
			half_set_report(h,
					"a group that is whole before eight others are begun");
	}
	*h = (struct half_set){ .va = va, .first = first, .level = c->level, .cpus = c->cpus, .who = *c->who };
}

/*
 * A TLBI: what its own thread changed in the range must be whole. Another one on
 * that CPU may have been preempted half-way, and what vfree() purges is a range
 * that spans areas of others.
 */
void groups_settled(u64 start, u64 end, const struct who *who)
{
	for (u32 i = 0; i < HALF_SET; i++) {
		struct half_set *h = &half_sets[i];
		u64 size;

		if (!h->first || h->who.thread != who->thread)
			continue;
		size = level_cont(h->level) * level_span(h->level);
		if (h->va + size - 1 < start || h->va > end - 1)
			continue;
		half_set_report(h,
				"a group that is whole when it is invalidated");
	}
}

static void groups_check(bool at_end)
{
	for (u32 i = 0; i < HALF_SET; i++) {
		struct half_set *h = &half_sets[i];

		if (h->first && (at_end || is_long_ago(&h->who)))
			half_set_report(h,
					"a group that is not left half-set");
	}
}

/* Each group of a table that is linked now. */
static void groups_of_table(struct change *c, u64 page, int level, u64 va)
{
	u32 n = level_cont(level);
	const char *why;

	for (u32 i = 0; n > 1 && i < BIT(geo.bits); i += n) {
		u64 first = page + 8 * i;

		why = group_fault(first, level);
		if (why)
			violation(RULE_CONT, va + i * level_span(level), level, read_entry(first), level,
				  read_entry(first + 8 * (n - 1)), c->cpus, c->who, why,
				  "whole groups in a table that is linked");
	}
}

/*
 * A table takes the place of a leaf: all that the leaf said must be in it.
 */
static void table_for_leaf(struct change *c, u64 page, int level, u64 va, u8 limits)
{
	for (u32 i = 0; i < BIT(geo.bits); i++, va += level_span(level)) {
		u64 desc = read_entry(page + 8 * i);
		const char *what;
		enum rule rule;

		if (desc_is_table(desc, level) && in_guest_ram(table_address(desc))) {
			table_for_leaf(c, table_address(desc), level + 1, va, limits | table_limits(desc));
			continue;
		}
		if (!desc_is_leaf(desc, level)) {
			report(c, RULE_HOLE, va, c->old, c->level, desc, level, c->cpus,
			       "the table that takes the place of a live block does not map all of it");
			continue;
		}
		what = content_differs(c->old, c->level, c->va, desc, level, va, &rule);
		if (what)
			report(c, rule, va, c->old, c->level, desc, level, c->cpus, what);
		if (rights(desc, limits) & ~rights(c->old, c->limits) & RIGHT_X)
			report(c, RULE_GRANT, va, c->old, c->level, desc, level, c->cpus,
			       "a table permits to execute what the block did not");
	}
}

/*
 * A leaf takes the place of a table: all that the table says must be in the
 * leaf, or else walks with the old pointer disagree with it.
 */
static void leaf_for_table(struct change *c, u64 page, int level, u64 va, u8 limits)
{
	for (u32 i = 0; i < BIT(geo.bits); i++, va += level_span(level)) {
		u64 desc = read_entry(page + 8 * i);
		const char *what;
		enum rule rule;

		if (desc_is_table(desc, level) && in_guest_ram(table_address(desc))) {
			leaf_for_table(c, table_address(desc), level + 1, va, limits | table_limits(desc));
			continue;
		}
		if (!desc_is_leaf(desc, level)) {
			report(c, RULE_HOLE, va, desc, level, c->new, c->level, c->cpus,
			       "a leaf takes the place of a live table that has no mapping here");
			continue;
		}
		what = content_differs(desc, level, va, c->new, c->level, c->va, &rule);
		if (what)
			report(c, rule, va, desc, level, c->new, c->level, c->cpus, what);
		if (rights(c->new, c->limits) & ~rights(desc, limits) & RIGHT_X)
			report(c, RULE_GRANT, va, desc, level, c->new, c->level, c->cpus,
			       "the leaf permits to execute what the table, or its PXNTable, did not");
	}
}

/* Leaves below a table entry that restricts less than before. */
static void table_for_table(struct change *c, u64 page, int level, u64 va, u8 was, u8 is)
{
	for (u32 i = 0; i < BIT(geo.bits); i++, va += level_span(level)) {
		u64 desc = read_entry(page + 8 * i);

		if (desc_is_table(desc, level) && in_guest_ram(table_address(desc)))
			table_for_table(c, table_address(desc), level + 1, va, was | table_limits(desc),
					is | table_limits(desc));
		else if (desc_is_leaf(desc, level) && (rights(desc, is) & ~rights(desc, was) & RIGHT_X))
			report(c, RULE_GRANT, va, c->old, c->level, c->new, c->level, c->cpus,
			       "the table entry no longer forbids to execute what is below");
	}
}

/* Leaves of a table that is linked: something else may be cached, or they may permit too much. */
static void leaves_appear(struct change *c, u64 page, int level, u64 va, u8 limits)
{
	for (u32 i = 0; i < BIT(geo.bits); i++, va += level_span(level)) {
		u64 desc = read_entry(page + 8 * i);

		if (desc_is_table(desc, level) && in_guest_ram(table_address(desc)))
			leaves_appear(c, table_address(desc), level + 1, va, limits | table_limits(desc));
		else if (desc_is_leaf(desc, level))
			leaf_appears(c, va, desc, level, limits);
	}
}

static void compare_pointer(struct stale *s, void *context)
{
	struct change *c = context;

	if (s->kind == STALE_TABLE && s->level == c->level && table_address(s->old) != table_address(c->new))
		report(c, RULE_WALK, c->va, s->old, s->level, c->new, c->level, s->cpus,
		       "another table is linked while walk caches may still point to the one before");
}

/* A table is linked where there was none, or another. */
static void table_appears(struct change *c, u64 page, u8 limits)
{
	int below = c->level + 1;

	stale_each(c->va, c->size, compare_pointer, c);
	leaves_appear(c, page, below, c->va, limits);
	groups_of_table(c, page, below, c->va);
	break_was_made(c);
}

/*
 * Leaves of the linear map that become smaller or larger, as the kernel counts its own: valid or not, and a group
 * as a whole, by its first entry.
 */
static void count_size(const struct change *c, bool was_table, bool is_table)
{
	if (!c->old || !c->new || !in_linear_map(c->va))
		return;
	if (!was_table && is_table)
		counts.splits[c->level][0]++;
	else if (was_table && !is_table)
		counts.collapses[c->level][0]++;
	else if (!is_table && ((c->old ^ c->new) & S1_CONT) &&
		 !(c->va & (level_cont(c->level) * level_span(c->level) - 1)))
		(c->old & S1_CONT ? counts.splits : counts.collapses)[c->level][1]++;
}

/* Before the store. */
static void judge(struct change *c)
{
	bool was_leaf = desc_is_leaf(c->old, c->level), is_leaf = desc_is_leaf(c->new, c->level);
	bool was_table = desc_is_table(c->old, c->level), is_table = desc_is_table(c->new, c->level);
	u64 page = is_table ? table_address(c->new) : was_table ? table_address(c->old) : 0;
	int below = c->level + 1;
	u8 is = c->limits | (is_table ? table_limits(c->new) : 0);
	u8 was = c->limits | (was_table ? table_limits(c->old) : 0);
	const char *what;
	enum rule rule;

	if ((is_table || was_table) && !in_guest_ram(page)) {
		counts.unfollowed++;
		return;
	}
	count_size(c, was_table, is_table);
	if (was_leaf && is_leaf) {
		what = content_differs(c->old, c->level, c->va, c->new, c->level, c->va, &rule);
		if (what)
			report(c, rule, c->va, c->old, c->level, c->new, c->level, c->cpus, what);
		if ((c->old ^ c->new) & S1_CONT)
			resize(c, c->va, c->old, c->level, c->new, c->level, c->cpus);
		leaf_appears(c, c->va, c->new, c->level, c->limits);
	} else if (was_leaf && is_table) {
		resize(c, c->va, c->old, c->level, c->new, c->level, c->cpus);
		table_for_leaf(c, page, below, c->va, is);
		groups_of_table(c, page, below, c->va);
		leaves_appear(c, page, below, c->va, is);
	} else if (was_table && is_leaf) {
		/* A table that has never had a leaf translates nothing that could be cached. */
		resize(c, c->va, c->old, c->level, c->new, c->level, c->cpus);
		leaf_for_table(c, page, below, c->va, was);
		leaf_appears(c, c->va, c->new, c->level, c->limits);
	} else if (was_table && is_table) {
		if (table_address(c->old) == page) {
			table_for_table(c, page, below, c->va, was, is);
			return;
		}
		if (has_leaf(table_address(c->old), below))
			report(c, RULE_WALK, c->va, c->old, c->level, c->new, c->level, c->cpus,
			       "another table takes the place of a live one");
		/* What the old one said before it had none may be cached. */
		table_appears(c, page, is);
	} else if (is_leaf) {
		leaf_appears(c, c->va, c->new, c->level, c->limits);
		count_gap(c);
	} else if (is_table) {
		table_appears(c, page, is);
	} else if (was_leaf || was_table) {
		note_break(c);
	}
}

/* All that a table that is no longer linked said. */
static void table_leaves(struct change *c, u64 page, int level, u64 va, u8 limits, u8 why)
{
	for (u32 i = 0; i < BIT(geo.bits); i++, va += level_span(level)) {
		u64 desc = read_entry(page + 8 * i), span = level_span(level);

		if (!desc_is_leaf(desc, level))
			continue;
		stale_leaf(va, span, span, desc, level, limits, c->cpus, why, c->who);
		if ((desc & S1_CONT) && !(i % level_cont(level)))
			stale_leaf(va, span * level_cont(level), span * level_cont(level), desc, level,
				   limits, c->cpus, why, c->who);
	}
}

/*
 * A table entry forbids more than before, by itself or by what is above it: walk
 * caches may hold it and those below with the old limits, and TLBs the leaves.
 */
static void tighter(struct change *c, u64 desc, int level, u64 va, u8 limits)
{
	u64 page = table_address(desc);
	struct table *t = table_find(page);
	int below = level + 1;

	if (!t)
		return;
	limits |= table_limits(desc);
	stale_table(va, desc, level, limits, c->cpus, WHY_TIGHTER, t, c->who);
	table_leaves(c, page, below, va, limits, WHY_TIGHTER);
	for (u32 i = 0; below < MAX_LEVEL && i < BIT(geo.bits); i++, va += level_span(below)) {
		u64 entry = read_entry(page + 8 * i);

		if (desc_is_table(entry, below))
			tighter(c, entry, below, va, limits);
	}
}

/* A leaf changed: what of it may be cached from now on. */
static void leaf_stale(struct change *c)
{
	bool is_leaf = desc_is_leaf(c->new, c->level);
	u64 group = level_cont(c->level) * c->size, va = c->va & ~(group - 1);
	u8 why = 0;

	if (is_leaf) {
		if (!((c->old ^ c->new) & ~S1_SOFTWARE))
			return;
		if (rights(c->old, c->limits) & ~rights(c->new, c->limits))
			why |= WHY_TIGHTER;
		if (c->new & ~c->old & S1_CONT)
			why |= WHY_LARGER;
		if (c->old & ~c->new & S1_CONT)
			why |= WHY_SMALLER;
	} else {
		why = desc_is_table(c->new, c->level) ? WHY_SMALLER : WHY_BREAK;
	}
	/* Of a group, each entry may be cached for itself, or all of it as one. */
	if (c->old & S1_CONT)
		stale_leaf(va, group, group, c->old - (c->va - va), c->level, c->limits, c->cpus, why,
			   c->who);
	if (why != WHY_SMALLER || !(c->old & S1_CONT) || !is_leaf)
		stale_leaf(c->va, c->size, c->size, c->old, c->level, c->limits, c->cpus, why, c->who);
}

static struct place *place_of(struct table *t, u64 va, int level)
{
	for (u32 i = t->places; i != NONE; i = places[i].next) {
		if (places[i].va == va && places[i].level == level)
			return &places[i];
	}
	return NULL;
}

/* @t is linked there, and with it what its entries lead to. */
static void link(struct table *t, u64 va, int level, u16 from, u8 limits)
{
	struct place *p = place_of(t, va, level);
	u32 index = free_place;

	if (p && (p->roots & from) == from && p->limits == limits)
		return;
	if (!p) {
		u32 n = 0;

		for (u32 i = t->places; i != NONE; i = places[i].next)
			n++;
		if (n >= PLACES_FOLLOWED) {
			counts.unfollowed++;
			return;
		}
		if (index != NONE)
			free_place = places[index].next;
		else if (fresh_place < MAX_PLACES)
			index = fresh_place++;
		else
			fail("audit: tables are linked at more than %u places", MAX_PLACES);
		p = &places[index];
		*p = (struct place){ .va = va, .level = level, .next = t->places };
		t->places = index;
		counts.linked++;
	}
	p->roots |= from;
	p->limits = limits;
	if (level == MAX_LEVEL)
		return;
	for (u32 i = 0; i < t->entries; i++, va += level_span(level)) {
		u64 desc = read_entry(t->first + 8 * i);

		if (desc_is_table(desc, level) && in_guest_ram(table_address(desc)))
			link(table_get(table_address(desc), BIT(geo.bits)), va, level + 1, from,
			     limits | table_limits(desc));
	}
}

/*
 * @t is no longer linked there. With @c it was live: CPUs may hold the pointer
 * to it, those in it, and its leaves.
 */
static void unlink(struct table *t, u64 va, int level, u16 from, u64 pointer, struct change *c, u8 why)
{
	struct place *p = place_of(t, va, level);
	u8 limits;

	if (!p)
		return;
	limits = p->limits;
	if (c && c->cpus) {
		stale_table(va, pointer, level - 1, limits, c->cpus, WHY_LARGER, t, c->who);
		table_leaves(c, t->first, level, va, limits, why);
	}
	if (level < MAX_LEVEL) {
		u64 at = va;

		for (u32 i = 0; i < t->entries; i++, at += level_span(level)) {
			u64 desc = read_entry(t->first + 8 * i);
			struct table *below = desc_is_table(desc, level) ? table_find(table_address(desc)) : NULL;

			if (below)
				unlink(below, at, level + 1, from, desc, c, why);
		}
	}
	p->roots &= ~from;
	if (!p->roots) {
		u32 *index = &t->places, old;

		while (&places[*index] != p)
			index = &places[*index].next;
		old = *index;
		*index = p->next;
		places[old].next = free_place;
		free_place = old;
	}
	table_walk_done(table_index(t));
}

static u64 root_va(void)
{
	return -BIT(geo.va_bits);
}

static void root_drop(u32 slot)
{
	struct table *t = table_find(roots[slot].pa);

	if (t)
		unlink(t, root_va(), geo.start, BIT(slot), 0, NULL, 0);
	roots[slot] = (struct root){ 0 };
}

/* Those that no CPU may hold anything of: their memory may become something else. */
static bool roots_drop_unused(void)
{
	bool any = false;

	for (u32 i = 0; i < MAX_ROOTS; i++) {
		if (roots[i].pa && !roots[i].cpus) {
			root_drop(i);
			any = true;
		}
	}
	return any;
}

/* These CPUs have dropped all that they do not use. */
void roots_forget(u32 cpus)
{
	for (u32 cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!(cpus & BIT(cpu)))
			continue;
		for (u32 i = 0; i < MAX_ROOTS; i++) {
			if (roots[i].pa != ttbr1[cpu])
				roots[i].cpus &= ~BIT(cpu);
		}
	}
}

/*
 * TCR_EL1 decides what the tables look like. It does not trap: each write of
 * TTBR1_EL1, and some stores, look whether it is as before. A guest changes it with one CPU up, and with
 * its MMU off; what was known is then worth nothing.
 *
 * Return: false if nothing is translated by TTBR1.
 */
static bool geometry_read(void)
{
	static const u32 shifts[] = { 0, 14, 12, 16 };
	u64 all = read_sysreg(tcr_el1), tcr = all & (FIELD(0x3f, 16) | FIELD(3, 30) | TCR_DS);
	u32 shift = shifts[TCR_TG1(all)], t1sz = TCR_T1SZ(all), levels;

	if (!shift || (all & TCR_EPD1) || t1sz < 12 || t1sz > 42)
		return false;
	if (tcr == geo.tcr)
		return true;
	for (u32 i = 0; i < MAX_ROOTS; i++)
		roots[i].cpus = 0;
	if (geo.tcr) {
		stale_forget_cpus(0xff);
		roots_drop_unused();
	}
	geo.tcr = tcr;
	geo.page_shift = shift;
	geo.bits = shift - 3;
	geo.va_bits = 64 - t1sz;
	geo.lpa = (tcr & TCR_DS) && shift != 16;
	levels = (geo.va_bits - shift + geo.bits - 1) / geo.bits;
	geo.start = MAX_LEVEL + 1 - levels;
	return true;
}

static bool has_pie;

static void regime_read(void)
{
	regime.mair = read_sysreg(mair_el1);
	regime.pie = has_pie && (read_sysreg(TCR2_EL1) & TCR2_PIE);
	if (regime.pie)
		regime.pir = read_sysreg(PIR_EL1);
}

static void root_use(u32 cpu, u64 pa)
{
	u32 slot, free = MAX_ROOTS;

	ttbr1[cpu] = pa;
	for (slot = 0; slot < MAX_ROOTS; slot++) {
		if (roots[slot].pa == pa)
			break;
		if (!roots[slot].pa)
			free = slot;
	}
	if (slot == MAX_ROOTS) {
		slot = free;
		if (slot == MAX_ROOTS) {
			roots_drop_unused();
			for (slot = 0; slot < MAX_ROOTS && roots[slot].pa; slot++)
				;
			if (slot == MAX_ROOTS)
				fail("audit: CPUs may hold entries from more than %u roots", MAX_ROOTS);
		}
		roots[slot].pa = pa;
		/* Linked before it is used: nothing of it is stored to unseen. */
		link(table_get(pa, BIT(geo.va_bits - level_shift(geo.start))), root_va(), geo.start,
		     BIT(slot), 0);
	}
	roots[slot].cpus |= BIT(cpu);
}

/* Of the event that was counted last. */
void who_init(struct who *who, const struct regs *regs)
{
	/* A stack of Linux is 16 KiB at least, and aligned so. */
	const u64 thread = read_sysreg(sp_el1) >> 14;
	const u32 slot = thread % THREADS;

	/* That of one whose slot was another's meanwhile begins anew, beyond what it was. */
	if (threads[slot].thread != thread)
		threads[slot].thread = thread;
	*who = (struct who){ .pc = regs->pc, .lr = regs->x[30], .thread = thread, .event = counts.events,
			     .own = ++threads[slot].events, .cpu = this_cpu()->index };
}

/**
 * is_long_ago() - could it have been put right since?
 * @who: whose doing it was, and when
 *
 * Return: true after PATIENCE events of the thread, or MOST_PATIENCE of all.
 */
bool is_long_ago(const struct who *who)
{
	const u32 slot = who->thread % THREADS;

	return counts.events - who->event > MOST_PATIENCE ||
	       (threads[slot].thread == who->thread && threads[slot].events - who->own > PATIENCE);
}

static void periodic(void)
{
	counts.events++;
	if (counts.events % CHECK_EVERY)
		return;
	stale_check(false);
	groups_check(false);
}

/**
 * audit_ttbr1() - the guest writes TTBR1_EL1
 * @ttbr: the value
 */
void audit_ttbr1(u64 ttbr)
{
	u32 cpu = this_cpu()->index;

	lock(&audit_lock);
	periodic();
	counts.ttbr1++;
	regime_read();
	write_sysreg(ttbr1_el1, ttbr);
	isb();
	translate_forget();
	if (geometry_read() && in_guest_ram(TTBR_BADDR(ttbr)))
		root_use(cpu, TTBR_BADDR(ttbr));
	else
		ttbr1[cpu] = 0;
	unlock(&audit_lock);
}

/* A table that says something is linked: a walker that sees the pointer must see what it points to. */
static void judge_fill(const struct change *c, u64 page)
{
	const char *why;

	if (desc_is_table(c->old, c->level) && table_address(c->old) == page)
		return;
	for (u32 i = 0; i < BIT(geo.bits); i++) {
		if (!read_entry(page + 8 * i))
			continue;
		why = fill_unordered(c->who->pc);
		if (why)
			violation(RULE_FILL, c->va, c->level, c->old, c->level, c->new, c->cpus, c->who, why,
				  "DSB or DMB ISHST between filling a table and linking it");
		return;
	}
}

/**
 * audit_word() - one entry is stored to
 * @t: its table
 * @pa: where it is
 * @new: what is stored
 * @who: whose store it is
 *
 * Does the store.
 */
void audit_word(struct table *t, u64 pa, u64 new, const struct who *who)
{
	u64 old = read_entry(pa), page = table_address(new);
	struct change changes[PLACES_FOLLOWED];
	u16 from[PLACES_FOLLOWED];
	u32 n = 0, index = (pa - t->first) / 8;

	t->seq++;
	if (old == new)
		return;
	counts.changes++;
	stale_moved_on(who);
	if (pa < t->first || index >= t->entries) {
		__atomic_store_n((u64 *)pa, new, __ATOMIC_RELAXED);
		return;
	}
	for (u32 i = t->places; i != NONE; i = places[i].next) {
		struct place *p = &places[i];

		changes[n] = (struct change){
			.va = p->va + ((u64)index << level_shift(p->level)), .size = level_span(p->level),
			.old = old, .new = new, .level = p->level, .limits = p->limits,
			.cpus = cpus_of(p->roots), .who = who,
		};
		from[n++] = p->roots;
	}
	if (t->walked && t->places == NONE) {
		const struct stale *s = stale_of_table(t);

		violation(RULE_REUSE, s->start, s->level, s->old, MAX_LEVEL, new, s->cpus, who,
			  "a page is written that was this table, and walk caches may still point to it",
			  "a TLBI that is not the last-level form, and a DSB, before the page is given away");
	}
	for (u32 i = 0; i < n; i++) {
		struct change *c = &changes[i];

		if (!c->cpus)
			continue;
		judge(c);
		if (desc_is_table(new, c->level) && in_guest_ram(page)) {
			judge_fill(c, page);
			link(table_get(page, BIT(geo.bits)), c->va, c->level + 1, from[i],
			     c->limits | table_limits(new));
		}
	}
	__atomic_store_n((u64 *)pa, new, __ATOMIC_RELAXED);
	for (u32 i = 0; i < n; i++) {
		struct change *c = &changes[i];

		if (!c->cpus)
			continue;
		if (desc_is_table(old, c->level) && desc_is_table(new, c->level) && page == table_address(old)) {
			if (table_limits(new) & ~(table_limits(old) | c->limits))
				tighter(c, old, c->level, c->va, c->limits);
		} else if (desc_is_table(old, c->level)) {
			struct table *below = table_find(table_address(old));

			if (below)
				unlink(below, c->va, c->level + 1, from[i], old, c,
				       desc_is_leaf(new, c->level) ? WHY_LARGER : WHY_BREAK);
		} else if (desc_is_leaf(old, c->level)) {
			leaf_stale(c);
		}
		if (desc_cont(old, c->level) || desc_cont(new, c->level))
			group_changed(c, pa);
	}
}

/**
 * audit_store() - the guest stores to a page that is watched
 * @regs: its registers
 * @esr: ESR_EL2
 * @ipa: where to
 *
 * Returns without having done anything if it is not watched any more, or if
 * somebody took the code away: then the guest does it again.
 */
void audit_store(struct regs *regs, u64 esr, u64 ipa)
{
	struct who who;
	struct table *t;
	bool live = false;

	lock(&audit_lock);
	/* They were read when TTBR1_EL1 was written; nobody changes them often, and reading them takes long. */
	if (!(counts.events % REGIME_EVERY)) {
		regime_read();
		geometry_read();
	}
	t = table_find(ipa);
	for (u32 i = t ? t->places : NONE; i != NONE; i = places[i].next)
		live |= cpus_of(places[i].roots);
	/* No CPU may hold anything of it: it may be no table any more. */
	if (t && !live && !t->walked) {
		roots_drop_unused();
		t = table_find(ipa);
	}
	if (t) {
		periodic();
		who_init(&who, regs);
		if (store_emulate(regs, esr, t, ipa, &who)) {
			counts.stores++;
			audit_stored[who.cpu] = who.pc;
		}
	}
	unlock(&audit_lock);
}

/**
 * lookup() - what the tables say of an address now
 * @va: the address
 * @last: the level at which to stop, though there is a table
 * @level: filled in, of what is returned
 * @limits: filled in, by the entries above it
 * @live: filled in: is there a root at all?
 *
 * By the first root of a CPU that has a leaf for it, or a table at @last.
 */
u64 lookup(u64 va, int last, int *level, u8 *limits, bool *live)
{
	u64 desc = 0;

	*live = false;
	*level = geo.start;
	*limits = 0;
	for (u32 i = 0; i < MAX_ROOTS; i++) {
		u64 table = roots[i].pa, offset = va - root_va();

		if (!table || !roots[i].cpus)
			continue;
		*live = true;
		*level = geo.start;
		*limits = 0;
		desc = read_entry(table + 8 * (offset >> level_shift(*level)));
		while (*level < last && desc_is_table(desc, *level) && in_guest_ram(table_address(desc))) {
			*limits |= table_limits(desc);
			++*level;
			desc = read_entry(table_address(desc) +
					  8 * ((va >> level_shift(*level)) & (BIT(geo.bits) - 1)));
		}
		if (desc_is_leaf(desc, *level) || (*level == last && desc_is_table(desc, *level)))
			return desc;
	}
	return desc;
}

/* audit_cpu_off() - this CPU turns itself off, and its TLB with it */
void audit_cpu_off(void)
{
	u32 cpu = this_cpu()->index;

	lock(&audit_lock);
	ttbr1[cpu] = 0;
	stale_forget_cpus(BIT(cpu));
	for (u32 i = 0; i < MAX_ROOTS; i++)
		roots[i].cpus &= ~BIT(cpu);
	unlock(&audit_lock);
}

static void check_all(void)
{
	counts.lazy = 0;
	stale_check(true);
	groups_check(true);
}

/* audit_end() - the guest turns the machine off */
void audit_end(void)
{
	lock(&audit_lock);
	counts.events++;
	if (geo.tcr)
		check_all();
	audit_summary();
	unlock(&audit_lock);
}

/*
 * A vendor's call, for guests that know that they are audited: looks now for
 * what is left to be invalidated, and says in X1 how many violations there
 * were, in X2 of which rules since the last call (a bit for each), in X3 and
 * X4 how many stores and TLBIs were audited, in X5 how many entries were left to
 * be invalidated lazily.
 */
#define AUDIT_CHECK	0xc600a0d1

/*
 * Another: in X1 to X8 how often leaves of the linear map became smaller and larger, from the smallest up: splits and
 * collapses of groups of pages, of blocks above them, of groups of these, and of blocks above.
 */
#define AUDIT_SIZES	0xc600a0d2

static void audit_sizes(struct regs *regs)
{
	u32 x = 1;

	lock(&audit_lock);
	for (int level = MAX_LEVEL; level >= MAX_LEVEL - 2; level--) {
		for (int cont = 0; cont <= 1; cont++) {
			/* A page has nothing below it, and there is no larger group. */
			if ((level == MAX_LEVEL && !cont) || (level == MAX_LEVEL - 2 && cont))
				continue;
			regs->x[x++] = counts.splits[level][cont];
			regs->x[x++] = counts.collapses[level][cont];
		}
	}
	unlock(&audit_lock);
	regs->x[0] = 0;
}

bool audit_call(struct regs *regs)
{
	if (machine.audit && (u32)regs->x[0] == AUDIT_SIZES) {
		audit_sizes(regs);
		return true;
	}
	if (!machine.audit || (u32)regs->x[0] != AUDIT_CHECK)
		return false;
	lock(&audit_lock);
	counts.events++;
	if (geo.tcr)
		check_all();
	regs->x[0] = 0;
	regs->x[1] = counts.violations;
	regs->x[2] = counts.recent;
	regs->x[3] = counts.stores;
	regs->x[4] = counts.tlbis;
	regs->x[5] = counts.lazy;
	counts.recent = 0;
	unlock(&audit_lock);
	return true;
}

/* el2.audit.allow=NAME[,NAME...] */
bool audit_allow(const char *name)
{
	while (*name) {
		if (begins(name, "tagged")) {
			machine.audit_allow |= ALLOW_TAGGED;
			name += 6;
		} else if (begins(name, "early")) {
			machine.audit_allow |= ALLOW_EARLY;
			name += 5;
		} else if (begins(name, "wx")) {
			machine.audit_allow |= ALLOW_WX;
			name += 2;
		} else {
			return false;
		}
		if (*name == ',' && name[1])
			name++;
		else if (*name)
			return false;
	}
	return machine.audit_allow;
}

void audit_init(void)
{
	if (!id_field(ID_AA64MMFR0_EL1, ID_AA64MMFR0_FGT))
		fail("el2.audit needs a CPU with FEAT_FGT: start QEMU with -cpu max");
	has_pie = id_field(ID_AA64MMFR3_EL1, ID_AA64MMFR3_S1PIE);
	for (u32 i = 0; i < TABLE_BUCKETS; i++)
		table_buckets[i] = NONE;
	stale_init();
}
