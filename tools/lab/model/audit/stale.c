// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: what TLBs and walk caches may still hold.
 *
 * Whatever the tables say now may be cached by every CPU that may walk them,
 * without a record of it. A record here is of what they said before: it is made
 * when an entry changes, and goes when the last CPU that may hold it has been
 * told by a TLBI that is sure to drop it.
 *
 * Records are hashed by what one last-level table translates, and cut at its
 * borders, so that a store looks at those around its address alone. Larger
 * entries, of which there are few, are in one list of their own.
 */
#include "books.h"

#define MAX_STALE	65536
#define BUCKETS		4096
#define LARGE		BUCKETS
#define FEW_REGIONS	64

static struct stale pool[MAX_STALE] __attribute__((section(".noinit")));
static u32 buckets[BUCKETS + 1], free_list, fresh, oldest = NONE, newest = NONE, last = NONE;
static u32 stale_live, growing;	/* records; those with WHY_LARGER */

static u32 region_shift(void)
{
	return level_shift(MAX_LEVEL - 1);
}

static u32 bucket_of(u64 va)
{
	u64 region = va >> region_shift();

	return (region ^ region >> 12) % BUCKETS;
}

void stale_init(void)
{
	for (u32 i = 0; i <= BUCKETS; i++)
		buckets[i] = NONE;
	free_list = NONE;
}

struct stale *stale_new(const struct stale *like)
{
	u32 index = free_list;
	struct stale *s;

	if (index != NONE)
		free_list = pool[index].next;
	else if (fresh < MAX_STALE)
		index = fresh++;
	else
		audit_fail("more than", MAX_STALE, "entries wait for a TLBI");
	s = &pool[index];
	*s = *like;
	s->bucket = s->unit > BIT(region_shift()) ? LARGE : bucket_of(s->start);
	s->next = buckets[s->bucket];
	buckets[s->bucket] = index;
	s->older = newest;
	s->newer = NONE;
	if (newest != NONE)
		pool[newest].newer = index;
	else
		oldest = index;
	newest = index;
	if (++stale_live > counts.peak_stale)
		counts.peak_stale = stale_live;
	growing += !!(s->why & WHY_LARGER);
	if (s->kind == STALE_TABLE)
		table_at(s->table)->walked++;
	return s;
}

void stale_free(struct stale *s)
{
	u32 index = s - pool, *link = &buckets[s->bucket];

	while (*link != index)
		link = &pool[*link].next;
	*link = s->next;
	if (s->older != NONE)
		pool[s->older].newer = s->newer;
	else
		oldest = s->newer;
	if (s->newer != NONE)
		pool[s->newer].older = s->older;
	else
		newest = s->older;
	if (last == index)
		last = NONE;
	stale_live--;
	growing -= !!(s->why & WHY_LARGER);
	s->next = free_list;
	free_list = index;
	if (s->kind == STALE_TABLE) {
		table_at(s->table)->walked--;
		table_walk_done(s->table);
	}
}

/* Does a new piece go on where the last record ends? */
static bool extends(const struct stale *s, const struct stale *piece)
{
	return s->end == piece->start && s->unit == piece->unit && s->kind == piece->kind &&
	       s->level == piece->level && s->limits == piece->limits && s->cpus == piece->cpus &&
	       s->why == piece->why && !s->passed && s->who.thread == piece->who.thread &&
	       s->start >> region_shift() == piece->start >> region_shift() &&
	       s->old + (s->end - s->start) == piece->old;
}

/* Does @s say this already? */
static bool says_already(struct stale *s, const struct stale *piece)
{
	return s->kind == piece->kind && s->start == piece->start && s->end == piece->end &&
	       s->unit == piece->unit && s->level == piece->level;
}

static void stale_add(struct stale *piece)
{
	/* A group, once for each of its entries that change. */
	if (piece->kind == STALE_LEAF && piece->unit > level_span(piece->level)) {
		u32 index = buckets[piece->unit > BIT(region_shift()) ? LARGE : bucket_of(piece->start)];

		for (; index != NONE; index = pool[index].next) {
			if (says_already(&pool[index], piece)) {
				pool[index].cpus |= piece->cpus;
				growing += !!(piece->why & ~pool[index].why & WHY_LARGER);
				pool[index].why |= piece->why;
				pool[index].who = piece->who;
				return;
			}
		}
	} else if (piece->kind == STALE_LEAF && last != NONE && extends(&pool[last], piece)) {
		pool[last].end = piece->end;
		pool[last].who = piece->who;
		return;
	}
	last = stale_new(piece) - pool;
}

/**
 * stale_leaf() - leaves changed that may be cached
 * @va: the first address
 * @size: bytes
 * @unit: what one TLB entry covers: an entry's span, or its contiguous group
 * @old: the first descriptor
 * @level: theirs
 * @limits: what the tables above took away
 * @cpus: who may hold them
 * @why: WHY_ bits
 * @who: who did it
 */
void stale_leaf(u64 va, u64 size, u64 unit, u64 old, int level, u8 limits, u32 cpus, u8 why,
		const struct who *who)
{
	u64 region = BIT(region_shift());

	while (cpus && size) {
		u64 part = size;

		if (unit <= region && part > region - (va & (region - 1)))
			part = region - (va & (region - 1));
		stale_add(&(struct stale){
			.start = va, .end = va + part, .unit = unit, .old = old, .kind = STALE_LEAF,
			.level = level, .limits = limits, .cpus = cpus, .why = why, .who = *who,
			.table = NONE,
		});
		va += part;
		old += part;
		size -= part;
	}
}

/**
 * stale_table() - a table entry changed that walk caches may hold
 * @va: the first address that it translates
 * @old: the entry
 * @level: its
 * @limits: what it and the tables above it took away
 * @cpus: who may hold it
 * @why: WHY_LARGER: it is not there any more; WHY_TIGHTER: it points there, but forbids more
 * @table: what it points to
 * @who: who did it
 */
void stale_table(u64 va, u64 old, int level, u8 limits, u32 cpus, u8 why, struct table *table,
		 const struct who *who)
{
	u64 size = level_span(level);

	if (!cpus)
		return;
	stale_new(&(struct stale){
		.start = va, .end = va + size, .unit = size, .old = old, .kind = STALE_TABLE,
		.level = level, .limits = limits, .cpus = cpus, .why = why, .who = *who,
		.table = table_index(table),
	});
}

static bool overlaps(const struct stale *s, u64 va, u64 size)
{
	return s->start - va < size || va - s->start < s->end - s->start;
}

/**
 * stale_each() - look at the records of a range
 * @va: its start
 * @size: bytes, not 0
 * @fn: may free the record that it is given, and add others
 * @context: for @fn
 */
void stale_each(u64 va, u64 size, void (*fn)(struct stale *s, void *context), void *context)
{
	u64 shift = region_shift(), first = va >> shift, count = ((va + size - 1) >> shift) - first + 1;
	u32 index, next;

	if (!stale_live)
		return;
	if (count > FEW_REGIONS) {
		for (index = oldest; index != NONE; index = next) {
			next = pool[index].newer;
			if (overlaps(&pool[index], va, size))
				fn(&pool[index], context);
		}
		return;
	}
	for (u64 i = 0; i < count; i++) {
		for (index = buckets[bucket_of((first + i) << shift)]; index != NONE; index = next) {
			next = pool[index].next;
			if (pool[index].start >> shift == first + i && overlaps(&pool[index], va, size))
				fn(&pool[index], context);
		}
	}
	for (index = buckets[LARGE]; index != NONE; index = next) {
		next = pool[index].next;
		if (overlaps(&pool[index], va, size))
			fn(&pool[index], context);
	}
}

/* CPUs that are off hold nothing. */
void stale_forget_cpus(u32 cpus)
{
	u32 next;

	for (u32 index = oldest; index != NONE; index = next) {
		next = pool[index].newer;
		pool[index].cpus &= ~cpus;
		if (!pool[index].cpus)
			stale_free(&pool[index]);
	}
}

/* What this thread made larger and has not dropped by the time that its TLBI is done. */
void stale_passed(const struct who *who)
{
	if (!growing)
		return;
	for (u32 index = oldest; index != NONE; index = pool[index].newer) {
		if ((pool[index].why & WHY_LARGER) && pool[index].who.thread == who->thread)
			pool[index].passed = true;
	}
}

/* Is one stale leaf of a record a fault? */
static bool check_leaf(const struct stale *s, u64 va, bool at_end)
{
	u64 old = s->old + (va - s->start), now;
	u8 limits, more;
	bool live;
	int level;

	now = lookup(va, MAX_LEVEL, &level, &limits, &live);
	if (!live)
		return false;
	if (!desc_is_leaf(now, level)) {
		if (!in_linear_map(va)) {
			counts.lazy += at_end;
			return false;
		}
		violation(RULE_STALE, va, s->level, old, level, now, s->cpus, &s->who,
			  at_end ? "made invalid, and at the end still cacheable" :
				   "made invalid, and long after still cacheable",
			  "a TLBI for it by whoever stored");
		return true;
	}
	more = rights(old, s->limits) & ~rights(now, limits);
	if (more)
		violation(RULE_STALE, va, s->level, old, level, now, s->cpus, &s->who,
			  more & (RIGHT_W | RIGHT_U) ? "what may be cached permits more accesses" :
						       "what may be cached may be executed",
			  "a TLBI for it by whoever stored");
	else if ((s->why & WHY_LARGER) || (at_end && (s->why & WHY_SMALLER)))
		violation(RULE_STALE, va, s->level, old, level, now, s->cpus, &s->who,
			  s->why & WHY_LARGER ? "an entry of what was made larger may still be cached" :
						"an entry of what was made smaller may still be cached",
			  "a TLBI of the right kind, level and range");
	else
		return false;
	return true;
}

/* Is a stale table entry? One that points to where it does now is none if nothing more is forbidden. */
static bool check_table(const struct stale *s)
{
	bool live, same = false;
	u8 limits;
	int level;
	u64 now = lookup(s->start, s->level, &level, &limits, &live);

	if ((s->why & WHY_TIGHTER) && level == s->level && desc_is_table(now, level)) {
		same = table_address(now) == table_address(s->old);
		if (same && !((limits | table_limits(now)) & ~s->limits))
			return false;
	}
	violation(RULE_WALK, s->start, s->level, s->old, level, now, s->cpus, &s->who,
		  same ? "walk caches may hold the table entry as it was, and that permits more" :
			 "walk caches may still point to the table that was here",
		  "a TLBI that is not the last-level form, for an address that it mapped");
	return true;
}

static bool check(struct stale *s, bool at_end)
{
	u64 step = s->unit < s->end - s->start ? s->unit : s->end - s->start;
	bool bad = false;

	if (s->kind == STALE_TABLE) {
		bad = check_table(s);
	} else {
		for (u64 va = s->start; va != s->end && !bad; va += step)
			bad = check_leaf(s, va, at_end);
	}
	if (bad)
		stale_free(s);
	return bad;
}

/**
 * stale_moved_on() - a thread stores to a table
 * @who: it
 *
 * What it made larger before its last TLBI should be gone: a later TLBI of
 * everything, by somebody else, would hide that it never was dropped.
 */
void stale_moved_on(const struct who *who)
{
	u32 next;

	if (!growing)
		return;
	for (u32 index = oldest; index != NONE; index = next) {
		next = pool[index].newer;
		if (pool[index].passed && pool[index].who.thread == who->thread)
			check(&pool[index], false);
	}
}

const struct stale *stale_of_table(const struct table *table)
{
	for (u32 index = oldest; index != NONE; index = pool[index].newer) {
		if (pool[index].kind == STALE_TABLE && pool[index].table == table_index(table))
			return &pool[index];
	}
	return NULL;
}

/**
 * stale_check() - is there something that should have been invalidated?
 * @at_end: nothing more will come; also for what is no hurry, and for what is not long ago
 *
 * What is said once is forgotten.
 */
void stale_check(bool at_end)
{
	u32 next;

	for (u32 index = oldest; index != NONE; index = next) {
		next = pool[index].newer;
		if (at_end || is_long_ago(&pool[index].who))
			check(&pool[index], at_end);
	}
}
