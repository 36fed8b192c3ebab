// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: judges every store of a running guest to the tables behind
 * TTBR1_EL1, by the rules for changing live ones (DDI 0487). README.md has the
 * rules, and what can't be seen from here.
 *
 * A write of TTBR1_EL1 makes a root. What it leads to is found by walking it,
 * and watched: from then on each store to it comes here, is judged against what
 * CPUs may hold, and is done.
 */
#include "books.h"

#define CHECK_EVERY	8192	/* events: then what is left over is looked for */
#define REGISTERS_EVERY	64	/* events: nobody changes them often, and reading them takes long */

static u64 stored_at[AUDIT_CPUS];	/* where each CPU stored to a table last */
static struct who storing;		/* whose store is being done */

static void periodic(void)
{
	counts.events++;
	if (counts.events % CHECK_EVERY)
		return;
	stale_check(false);
	groups_check(false);
}

static void ttbr1_written(const struct audit_event *event)
{
	const u64 pa = TTBR_BADDR(event->value);

	periodic();
	counts.ttbr1++;
	calls.registers(&regime);
	if (geometry_read() && is_ram(pa))
		root_use(event->cpu, pa);
	else
		ttbr1[event->cpu] = 0;
}

/* Is the page still watched? */
static bool store_begins(const struct audit_event *event)
{
	bool live = false;
	struct table *t;

	if (!(counts.events % REGISTERS_EVERY)) {
		calls.registers(&regime);
		geometry_read();
	}
	t = table_find(event->address);
	for (u32 i = t ? t->places : NONE; i != NONE; i = place_at(i)->next)
		live |= cpus_of(place_at(i)->roots);
	/* No CPU may hold anything of it: it may be no table any more. */
	if (t && !live && !t->walked) {
		roots_drop_unused();
		t = table_find(event->address);
	}
	if (!t)
		return false;
	periodic();
	who_init(&storing, event);
	return true;
}

static void store_done(u64 how)
{
	counts.decoded += !!(how & AUDIT_DECODED);
	counts.exclusives_failed += !!(how & AUDIT_REPEAT);
	if (!(how & AUDIT_DID))
		return;
	counts.stores++;
	stored_at[storing.cpu] = storing.pc;
}

/* One entry is stored to: what it is to say is judged, stored, and what it said remembered. */
static void word_stored(u64 pa, u64 new, const struct who *who)
{
	struct table *t = table_find(pa);
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
		calls.write(pa, new);
		return;
	}
	for (u32 i = t->places; i != NONE; i = place_at(i)->next) {
		struct place *p = place_at(i);

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
		/* Watched before it is looked at: nobody stores to it unseen. */
		if (desc_leads(new, c->level))
			table_link(table_get(page, BIT(geo.bits)), c->va, c->level + 1, from[i],
				   c->limits | table_limits(new));
		judge(c);
		if (desc_leads(new, c->level))
			judge_fill(c, page);
	}
	calls.write(pa, new);
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
				table_unlink(below, c->va, c->level + 1, from[i], old, c,
					     desc_is_leaf(new, c->level) ? WHY_LARGER : WHY_BREAK);
		} else if (desc_is_leaf(old, c->level)) {
			leaf_stale(c);
		}
		if (desc_cont(old, c->level) || desc_cont(new, c->level))
			group_changed(c, pa);
	}
}

static void cpu_off(u32 cpu)
{
	ttbr1[cpu] = 0;
	stale_forget_cpus(BIT(cpu));
	for (u32 i = 0; i < MAX_ROOTS; i++)
		roots[i].cpus &= ~BIT(cpu);
}

static void check_all(void)
{
	counts.events++;
	if (!geo.tcr)
		return;
	counts.lazy = 0;
	stale_check(true);
	groups_check(true);
}

bool audit_event(const struct audit_event *event)
{
	switch (event->kind) {
	case AUDIT_TTBR1:
		ttbr1_written(event);
		break;
	case AUDIT_STORE:
		return store_begins(event);
	case AUDIT_WORD:
		word_stored(event->address, event->value, &storing);
		break;
	case AUDIT_DONE:
		store_done(event->value);
		break;
	case AUDIT_TLBI:
		tlbi_done(event, stored_at[event->cpu]);
		break;
	case AUDIT_OFF:
		cpu_off(event->cpu);
		break;
	case AUDIT_CHECK:
		check_all();
		break;
	case AUDIT_END:
		check_all();
		audit_summary(event->value);
		break;
	case AUDIT_KINDS:
		break;
	}
	return true;
}

void audit_ask(struct audit_answer *answer)
{
	*answer = (struct audit_answer){
		.events = counts.events, .violations = counts.violations, .recent = counts.recent,
		.stores = counts.stores, .tlbis = counts.tlbis, .lazy = counts.lazy,
	};
	counts.recent = 0;
}

void audit_size_counts(u64 sizes[AUDIT_SIZE_COUNTS])
{
	for (int i = 0; i < AUDIT_SIZE_COUNTS / 2; i++) {
		int level = MAX_LEVEL - (i + 1) / 2, group = !(i & 1);

		*sizes++ = counts.splits[level][group];
		*sizes++ = counts.collapses[level][group];
	}
}

bool audit_watches(u64 pa)
{
	return table_find(pa);
}

u64 audit_stores_to(u64 pa)
{
	const struct table *t = table_find(pa);

	return t ? t->seq : 0;
}

void audit_init(const struct audit_setup *machine, const struct audit_calls *asks)
{
	setup = *machine;
	calls = *asks;
	tables_init();
	stale_init();
}
