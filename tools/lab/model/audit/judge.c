// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: the rules of a store, by what the entry said and is to say.
 */
#include "books.h"

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
	if (!(setup.allow & AUDIT_ALLOW_WX) && (may & RIGHT_W) && (may & RIGHT_X) &&
	    !(desc_is_leaf(c->old, c->level) &&
	      !(~rights(c->old, regime.pie ? 0 : c->limits) & (RIGHT_W | RIGHT_X))))
		report(c, RULE_WX, va, c->old, c->level, new, level, c->cpus,
		       "EL1 may both write and execute it");
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

		if (desc_leads(desc, level)) {
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

		if (desc_leads(desc, level)) {
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

		if (desc_leads(desc, level))
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

		if (desc_leads(desc, level))
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
 * Leaves of the linear map that become smaller or larger, as the kernel counts
 * its own: valid or not, and a group as a whole, by its first entry.
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
void judge(struct change *c)
{
	bool was_leaf = desc_is_leaf(c->old, c->level), is_leaf = desc_is_leaf(c->new, c->level);
	bool was_table = desc_is_table(c->old, c->level), is_table = desc_is_table(c->new, c->level);
	u64 page = is_table ? table_address(c->new) : was_table ? table_address(c->old) : 0;
	int below = c->level + 1;
	u8 is = c->limits | (is_table ? table_limits(c->new) : 0);
	u8 was = c->limits | (was_table ? table_limits(c->old) : 0);
	const char *what;
	enum rule rule;

	if ((is_table || was_table) && !is_ram(page)) {
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

/* A table that says something is linked: a walker that sees the pointer must see what it points to. */
void judge_fill(const struct change *c, u64 page)
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

/* All that a table that is no longer linked said. */
void table_leaves(struct change *c, u64 page, int level, u64 va, u8 limits, u8 why)
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
void tighter(struct change *c, u64 desc, int level, u64 va, u8 limits)
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
void leaf_stale(struct change *c)
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
