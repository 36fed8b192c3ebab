// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: the pages that are tables, where they are linked, the roots.
 * Memory is the only copy of what is in them.
 */
#include "books.h"

#define MAX_TABLES	32768
#define MAX_PLACES	65536
#define TABLE_BUCKETS	8192

struct root roots[MAX_ROOTS];
u64 ttbr1[AUDIT_CPUS];

static struct table tables[MAX_TABLES] __attribute__((section(".noinit")));
static struct place places[MAX_PLACES] __attribute__((section(".noinit")));
static u32 table_buckets[TABLE_BUCKETS], free_table = NONE, fresh_table, free_place = NONE, fresh_place;

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
struct table *table_get(u64 first, u32 entries)
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
		audit_fail("there are more than", MAX_TABLES, "tables");
	t = &tables[index];
	*t = (struct table){ .pa = page, .first = first, .entries = entries, .places = NONE,
			     .next = table_buckets[bucket_of(page)] };
	table_buckets[bucket_of(page)] = index;
	if (++counts.tables > counts.peak_tables)
		counts.peak_tables = counts.tables;
	calls.watch(page, BIT(geo.page_shift), true);
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
	calls.watch(t->pa, BIT(geo.page_shift), false);
}

struct place *place_at(u32 index)
{
	return &places[index];
}

struct place *place_of(struct table *t, u64 va, int level)
{
	for (u32 i = t->places; i != NONE; i = places[i].next) {
		if (places[i].va == va && places[i].level == level)
			return &places[i];
	}
	return NULL;
}

/* One more place of @t, with no roots yet. */
struct place *place_new(struct table *t, u64 va, int level)
{
	u32 index = free_place;
	struct place *p;

	if (index != NONE)
		free_place = places[index].next;
	else if (fresh_place < MAX_PLACES)
		index = fresh_place++;
	else
		audit_fail("tables are linked at more than", MAX_PLACES, "places");
	p = &places[index];
	*p = (struct place){ .va = va, .level = level, .next = t->places };
	t->places = index;
	counts.linked++;
	return p;
}

void place_free(struct table *t, struct place *p)
{
	u32 *index = &t->places, old;

	while (&places[*index] != p)
		index = &places[*index].next;
	old = *index;
	*index = p->next;
	places[old].next = free_place;
	free_place = old;
}

/*
 * The first leaf that @page holds, or leads to; 0 if there is none. @level and
 * @va are those of its first entry, and then of the leaf.
 */
u64 first_leaf(u64 page, int *level, u64 *va)
{
	int own = *level;
	u64 at = *va;

	for (u32 i = 0; i < BIT(geo.bits); i++, at += level_span(own)) {
		u64 desc = read_entry(page + 8 * i);

		*level = own;
		*va = at;
		if (desc_is_leaf(desc, own))
			return desc;
		if (!desc_leads(desc, own))
			continue;
		++*level;
		desc = first_leaf(table_address(desc), level, va);
		if (desc)
			return desc;
	}
	return 0;
}

bool has_leaf(u64 page, int level)
{
	u64 va = 0;

	return first_leaf(page, &level, &va);
}

u32 cpus_of(u16 from)
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

/* These CPUs have dropped all that they do not use. */
void roots_forget(u32 cpus)
{
	for (u32 cpu = 0; cpu < AUDIT_CPUS; cpu++) {
		if (!(cpus & BIT(cpu)))
			continue;
		for (u32 i = 0; i < MAX_ROOTS; i++) {
			if (roots[i].pa != ttbr1[cpu])
				roots[i].cpus &= ~BIT(cpu);
		}
	}
}

u64 root_va(void)
{
	return -BIT(geo.va_bits);
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
		while (*level < last && desc_leads(desc, *level)) {
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

void tables_init(void)
{
	for (u32 i = 0; i < TABLE_BUCKETS; i++)
		table_buckets[i] = NONE;
}
