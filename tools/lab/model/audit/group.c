// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: contiguous groups. What is half-set for a moment must be whole
 * when it is looked at next.
 */
#include "books.h"

#define HALF_SET	256
#define HALF_SET_WAYS	8

/* Contiguous groups that are not as they must be when they are looked at next. */
static struct half_set {
	u64 va, first;		/* the address, and where its first entry is; 0: free */
	int level;
	u32 cpus;
	struct who who;
} half_sets[HALF_SET];

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
void group_changed(struct change *c, u64 pa)
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
			half_set_report(h, "a group that is whole before eight others are begun");
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
		half_set_report(h, "a group that is whole when it is invalidated");
	}
}

void groups_check(bool at_end)
{
	for (u32 i = 0; i < HALF_SET; i++) {
		struct half_set *h = &half_sets[i];

		if (h->first && (at_end || is_long_ago(&h->who)))
			half_set_report(h, "a group that is not left half-set");
	}
}

/* Each group of a table that is linked now. */
void groups_of_table(struct change *c, u64 page, int level, u64 va)
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
