// SPDX-License-Identifier: GPL-2.0
/*
 * RIPAS: what a Realm was promised of each granule of its address space.
 *
 *	RAM		protected memory. The protected alias works. The shared one
 *			does not: the host has nothing behind it.
 *	EMPTY		the Realm gave the granule to the host. The shared alias
 *			works, the protected one is an abort.
 *	DESTROYED	the host took the granule without being asked.
 *
 * On a real machine the two aliases have different memory. Here they are the
 * same page, and a change of the RIPAS zeroes it: what the Realm had in it is
 * not there for the host, and what the host had in it is not there for the
 * Realm. That is the most that a Realm may lose (the host may take an EMPTY
 * granule away and give a new one, which the RMM wipes) and also what it gets
 * from KVM, whose memory behind the shared alias is zero at first: Linux
 * clears the ITS's tables before it shares them, and expects them clear
 * after. Without a change of the RIPAS nothing is lost.
 *
 * The array is under s2_lock, and says the same as stage 2 at any time that
 * nobody holds it.
 */
#include "model.h"

static u8 ripas_of[MAX_RAM_GIB * (u64)GIB / GRANULE];

static u8 *slot(u64 ipa)
{
	return &ripas_of[(ipa - RAM_BASE) / GRANULE];
}

/**
 * ripas_get() - of one granule
 * @ipa: a protected address, with or without memory behind it
 */
enum ripas ripas_get(u64 ipa)
{
	return in_guest_ram(ipa) ? *slot(ipa) : RIPAS_EMPTY;
}

/**
 * ripas_run() - granules with the same RIPAS
 * @base: the first
 * @top: the end of the range that is asked for
 * @ripas: what they are
 *
 * Return: where the first of another kind begins, or @top.
 */
u64 ripas_run(u64 base, u64 top, enum ripas *ripas)
{
	*ripas = ripas_get(base);
	if (!in_guest_ram(base)) {
		/* Nothing but EMPTY up to the memory, or behind it for ever. */
		return base < GUEST_BASE && top > GUEST_BASE ? GUEST_BASE : top;
	}
	do
		base += GRANULE;
	while (base < top && in_guest_ram(base) && *slot(base) == *ripas);
	/* Behind the memory EMPTY goes on; a second call will say so. */
	return base;
}

/* Granules of one kind, inside the memory, become another. */
static void change(u64 base, u64 top, enum ripas from, enum ripas to)
{
	if (from == to)
		return;
	if (from == RIPAS_RAM)
		s2_unmap(base, top - base);
	else if (from == RIPAS_EMPTY)
		s2_unmap(base | SHARED, top - base);

	/* Nobody can reach it now. */
	zero_pages(base, top - base);
	memset(slot(base), to, (top - base) / GRANULE);

	if (to == RIPAS_RAM)
		s2_map(base, top - base, base, S2_NORMAL);
	else if (to == RIPAS_EMPTY)
		s2_map(base | SHARED, top - base, base, S2_NORMAL_XN);
}

/**
 * ripas_set() - what RSI_IPA_STATE_SET asks for, as far as the host goes
 * @base: start
 * @top: end
 * @ripas: RIPAS_EMPTY or RIPAS_RAM
 * @change_destroyed: DESTROYED granules change, too
 *
 * The host here goes to the next multiple of 1 GiB at most, as one that walks
 * its tables would: callers have to go on from where it ended. It has no
 * memory for an address that has none at boot.
 *
 * Return: the end of what has that RIPAS now; @base if nothing has.
 */
u64 ripas_set(u64 base, u64 top, enum ripas ripas, bool change_destroyed)
{
	u64 limit = (base & ~(GIB - 1UL)) + GIB;

	if (top > limit)
		top = limit;
	while (base < top) {
		enum ripas from;
		u64 end = ripas_run(base, top, &from);

		if (from == RIPAS_DESTROYED && !change_destroyed)
			break;
		if (in_guest_ram(base))
			change(base, end, from, ripas);
		else if (ripas == RIPAS_RAM)
			break;
		base = end;
	}
	return base;
}

/* ripas_init() - all memory is RAM, but for what el2.empty= and el2.destroyed= say */
void ripas_init(void)
{
	lock(&s2_lock);
	memset(slot(GUEST_BASE), RIPAS_RAM, (machine.ram_end - GUEST_BASE) / GRANULE);
	if (machine.empty)
		change(machine.empty, machine.empty + GRANULE, RIPAS_RAM, RIPAS_EMPTY);
	if (machine.destroyed)
		change(machine.destroyed, machine.destroyed + GRANULE, RIPAS_RAM, RIPAS_DESTROYED);
	unlock(&s2_lock);
}
