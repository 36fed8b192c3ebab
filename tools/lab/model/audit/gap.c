// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: gaps, which break-before-make of the kernel's own mapping makes.
 */
#include "books.h"

#define GAPS		4096
#define BREAKS		1024

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

/* An entry is made invalid. */
void note_break(struct change *c)
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
bool break_was_made(struct change *c)
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
		while (desc_leads(desc, level)) {
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
void count_gap(struct change *c)
{
	u64 slot = (c->va >> geo.page_shift) % GAPS;

	if ((!was_kept_invalid(c) && break_was_made(c)) || broken[slot].va != c->va ||
	    broken[slot].address != leaf_address(c->new, c->level))
		return;
	broken[slot].va = 0;
	if (!in_linear_map(c->va))
		return;
	counts.gaps++;
	if (setup.gaps && !cpus_without_bbml3(c->cpus))
		violation(RULE_NOTED, c->va, c->level, c->old, c->level, c->new, c->cpus, c->who,
			  "it was valid, invalid, and is valid again", "no gap where all CPUs have BBML3");
}
