// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: where tables are linked, from the root on. What a table leads to
 * is watched before the store that links it is done.
 */
#include "books.h"

/* @t is linked there, and with it what its entries lead to. */
void table_link(struct table *t, u64 va, int level, u16 from, u8 limits)
{
	struct place *p = place_of(t, va, level);

	if (p && (p->roots & from) == from && p->limits == limits)
		return;
	if (!p) {
		u32 n = 0;

		for (u32 i = t->places; i != NONE; i = place_at(i)->next)
			n++;
		if (n >= PLACES_FOLLOWED) {
			counts.unfollowed++;
			return;
		}
		p = place_new(t, va, level);
	}
	p->roots |= from;
	p->limits = limits;
	if (level == MAX_LEVEL)
		return;
	for (u32 i = 0; i < t->entries; i++, va += level_span(level)) {
		u64 desc = read_entry(t->first + 8 * i);

		if (desc_leads(desc, level))
			table_link(table_get(table_address(desc), BIT(geo.bits)), va, level + 1, from,
				   limits | table_limits(desc));
	}
}

/*
 * @t is no longer linked there. With @c it was live: CPUs may hold the pointer
 * to it, those in it, and its leaves.
 */
void table_unlink(struct table *t, u64 va, int level, u16 from, u64 pointer, struct change *c, u8 why)
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
			struct table *below = NULL;

			if (desc_is_table(desc, level))
				below = table_find(table_address(desc));
			if (below)
				table_unlink(below, at, level + 1, from, desc, c, why);
		}
	}
	p->roots &= ~from;
	if (!p->roots)
		place_free(t, p);
	table_walk_done(table_index(t));
}

static void root_drop(u32 slot)
{
	struct table *t = table_find(roots[slot].pa);

	if (t)
		table_unlink(t, root_va(), geo.start, BIT(slot), 0, NULL, 0);
	roots[slot] = (struct root){ 0 };
}

/* Those that no CPU may hold anything of: their memory may become something else. */
bool roots_drop_unused(void)
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

/*
 * TCR_EL1 decides what the tables look like. It does not trap: each write of
 * TTBR1_EL1, and some stores, look whether it is as before. A guest changes it
 * with one CPU up, and with its MMU off; what was known is then worth nothing.
 *
 * Return: false if nothing is translated by TTBR1.
 */
bool geometry_read(void)
{
	static const u32 shifts[] = { 0, 14, 12, 16 };
	u64 all = regime.tcr, tcr = all & (FIELD(0x3f, 16) | FIELD(3, 30) | TCR_DS);
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

void root_use(u32 cpu, u64 pa)
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
				audit_fail("CPUs may hold entries from more than", MAX_ROOTS, "roots");
		}
		roots[slot].pa = pa;
		/* Linked before it is used: nothing of it is stored to unseen. */
		table_link(table_get(pa, BIT(geo.va_bits - level_shift(geo.start))), root_va(), geo.start,
			   BIT(slot), 0);
	}
	roots[slot].cpus |= BIT(cpu);
}
