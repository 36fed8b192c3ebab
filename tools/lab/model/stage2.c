// SPDX-License-Identifier: GPL-2.0
/*
 * Stage 2: what is behind each address of the guest.
 *
 * 4K granule, 41 bits of IPA, start level 1: four level 1 tables one behind
 * the other (VTCR_EL2.SL0 = 1), 2048 entries of 1 GiB. A range is mapped with
 * the largest blocks that fit, and a block is split when a part of it changes.
 * Nothing is put together again and no table is freed: the pool is for what a
 * guest may share, and a block that is split once will be split again.
 *
 * All of it is identity plus permissions. A guest page is at its own address,
 * in a Realm also at the shared alias, never anywhere else.
 */
#include "model.h"

#define LEVELS			4
#define ENTRIES			512
#define SHIFT(level)		(12 + 9 * (LEVELS - 1 - (level)))
#define ROOT_LEVEL		1
#define ROOT_ENTRIES		(1 << (IPA_BITS - SHIFT(ROOT_LEVEL)))
#define VMID			1
#define PARANGE_42		3	/* ID_AA64MMFR0_EL1.PARange */
#define PARANGE_48		5	/* VTCR_EL2.PS: more than that needs DS */

struct lock s2_lock;
static u64 root[ROOT_ENTRIES] __attribute__((aligned(ROOT_ENTRIES * 8)));
static u64 pool;		/* the next free page */
static bool stale;		/* entries were taken away and TLBs may still hold them */

/*
 * Other CPUs' walks see what was written, then nobody has the old entries:
 * VMALLS12E1IS drops, for this VMID and on all CPUs, what came from stage 2
 * alone and what came from both stages. Stage 2 entries alone would not do
 * (DDI 0487, TLB maintenance: combined entries need one for stage 1, too).
 */
static void flush(void)
{
	dsb(ishst);
	asm volatile("tlbi vmalls12e1is" : : : "memory");
	dsb(ish);
	isb();
	stale = false;
}

static u64 *new_table(void)
{
	u64 *table = (u64 *)pool;

	if (pool >= GUEST_BASE)
		fail("no table is left for stage 2 (%lu MiB were): the guest shares too many single pages",
		     (GUEST_BASE - (u64)model_end) / MIB);
	pool += GRANULE;
	memset(table, 0, GRANULE);
	return table;
}

static bool is_table(u64 desc, int level)
{
	return level < LEVELS - 1 && (desc & DESC_VALID) && (desc & DESC_TABLE);
}

static u64 *entry_of(u64 *table, u64 ipa, int level)
{
	return &table[(ipa >> SHIFT(level)) & ((level == ROOT_LEVEL ? ROOT_ENTRIES : ENTRIES) - 1)];
}

static u64 leaf(u64 pa, u64 attr, int level)
{
	return attr ? pa | attr | DESC_VALID | (level == LEVELS - 1 ? DESC_TABLE : 0) : 0;
}

/* An entry that is valid becomes another one by way of an invalid one (break-before-make). */
static void set_entry(u64 *entry, u64 desc)
{
	if ((*entry & S2_WATCHED) && desc)
		desc = (desc & ~S2_S2AP_WRITE) | S2_WATCHED;
	if (*entry == desc)
		return;
	if (*entry & DESC_VALID) {
		__atomic_store_n(entry, 0, __ATOMIC_RELAXED);
		stale = true;
		if (desc)
			flush();
	}
	__atomic_store_n(entry, desc, __ATOMIC_RELAXED);
}

/*
 * The table below @entry; made if there is none. A block is split into 512
 * leaves that say the same. While the entry is broken, other CPUs' accesses
 * to all of the block come to EL2: abort_handle() looks again under the lock
 * and lets them retry.
 */
static u64 *table_below(u64 *entry, int level)
{
	u64 *table;

	if (is_table(*entry, level))
		return (u64 *)(*entry & DESC_ADDRESS);

	table = new_table();
	if (*entry & DESC_VALID) {
		u64 pa = *entry & DESC_ADDRESS;
		u64 attr = *entry & ~(DESC_ADDRESS | DESC_VALID | DESC_TABLE);

		for (u64 i = 0; i < ENTRIES; i++)
			table[i] = leaf(pa + (i << SHIFT(level + 1)), attr, level + 1);
	}
	/* The walk that finds the table finds what is in it. */
	dsb(ishst);
	set_entry(entry, (u64)table | DESC_VALID | DESC_TABLE);
	return table;
}

static void set_range(u64 *table, int level, u64 ipa, u64 end, u64 pa, u64 attr)
{
	u64 size = BIT(SHIFT(level)), mask = size - 1;

	while (ipa < end) {
		u64 next = (ipa & ~mask) + size < end ? (ipa & ~mask) + size : end;
		u64 *entry = entry_of(table, ipa, level);
		bool whole = next - ipa == size && !(pa & mask) && !is_table(*entry, level);

		/* What is not mapped needs no table to be unmapped. */
		if (whole)
			set_entry(entry, leaf(pa, attr, level));
		else if (attr || (*entry & DESC_VALID))
			set_range(table_below(entry, level), level + 1, ipa, next, pa, attr);
		pa += next - ipa;
		ipa = next;
	}
}

/**
 * s2_map() - let the guest use a range
 * @ipa: its start, a multiple of the granule
 * @size: bytes, the same
 * @pa: the memory or the device behind it
 * @attr: S2_NORMAL, S2_NORMAL_RO or S2_DEVICE
 */
void s2_map(u64 ipa, u64 size, u64 pa, u64 attr)
{
	set_range(root, ROOT_LEVEL, ipa, ipa + size, pa, attr);
	if (stale)
		flush();
	dsb(ishst);
	isb();
}

/**
 * s2_unmap() - take a range away; when this returns no CPU can reach it
 * @ipa: its start, a multiple of the granule
 * @size: bytes, the same
 */
void s2_unmap(u64 ipa, u64 size)
{
	set_range(root, ROOT_LEVEL, ipa, ipa + size, 0, 0);
	if (stale)
		flush();
}

/**
 * s2_lookup() - what stage 2 says of an address now
 * @ipa: the address, below 2^IPA_BITS
 *
 * Return: the block or page descriptor, or 0.
 */
u64 s2_lookup(u64 ipa)
{
	int level = ROOT_LEVEL;
	u64 desc = *entry_of(root, ipa, level);

	while (is_table(desc, level)) {
		level++;
		desc = *entry_of((u64 *)(desc & DESC_ADDRESS), ipa, level);
	}
	return desc & DESC_VALID ? desc : 0;
}

/**
 * s2_watch() - have the guest's stores to a range come to EL2, or no more
 * @ipa: its start, memory
 * @size: bytes
 * @on: whether; when this returns no CPU can store without a trap
 *
 * Permissions change without break-before-make. What becomes writable again
 * needs no invalidation: abort_handle() sees it and drops what is stale.
 */
void s2_watch(u64 ipa, u64 size, bool on)
{
	lock(&s2_lock);
	for (u64 end = ipa + size; ipa < end; ipa += GRANULE) {
		u64 *table = root, *entry = entry_of(root, ipa, ROOT_LEVEL);

		for (int level = ROOT_LEVEL; level < LEVELS - 1; level++) {
			table = table_below(entry, level);
			entry = entry_of(table, ipa, level + 1);
		}
		if (!(*entry & DESC_VALID))
			continue;
		if (on)
			*entry = (*entry & ~S2_S2AP_WRITE) | S2_WATCHED;
		else
			*entry = (*entry & ~S2_WATCHED) | S2_S2AP_WRITE;
	}
	if (on || stale)
		flush();
	unlock(&s2_lock);
}

/*
 * pause_guest(), resume_guest() - in between no other CPU executes an
 * instruction of the guest: it comes to EL2 with its next one and waits in
 * abort_handle() for the lock that is held here.
 */
static u64 paused[ROOT_ENTRIES];

static void pause_guest(void)
{
	lock(&s2_lock);
	memcpy(paused, root, sizeof(root));
	memset(root, 0, sizeof(root));
	flush();
}

static void resume_guest(void)
{
	memcpy(root, paused, sizeof(root));
	dsb(ishst);
	unlock(&s2_lock);
}

/*
 * stop_guest() - no CPU executes a further instruction of the guest
 *
 * Without the lock: its holder may be the one that ends the run.
 */
static void stop_guest(void)
{
	for (u64 i = 0; i < ROOT_ENTRIES; i++)
		__atomic_store_n(&root[i], 0, __ATOMIC_RELAXED);
	flush();
}

/* s2_enable() - this CPU's stage 2 registers; HCR_EL2.VM turns it on */
void s2_enable(void)
{
	u64 parange = id_field(ID_AA64MMFR0_EL1, ID_AA64MMFR0_PARange);

	if (parange < PARANGE_42)
		fail("the CPU has fewer than the guest's %u bits of address: start QEMU with -cpu max",
		     IPA_BITS);
	if (parange > PARANGE_48)
		parange = PARANGE_48;
	write_sysreg(vtcr_el2, TCR_T0SZ(IPA_BITS) | VTCR_SL0_LEVEL1 | TCR_IRGN0_WBWA |
			       TCR_ORGN0_WBWA | TCR_SH0_INNER | TCR_TG0_4K | TCR_PS(parange) |
			       VTCR_RES1);
	write_sysreg(vttbr_el2, (u64)root | VTTBR_VMID(VMID));
	isb();
}

/*
 * s2_init() - the map that the guest starts with
 *
 * Plain: memory and devices at their addresses. A Realm: its memory in the
 * lower half, all of it RAM, as Linux demands of whoever starts a Realm
 * (Documentation/arch/arm64/booting.rst); devices in the upper half alone,
 * because the host has them. Where there is neither, QEMU's bus answers with
 * an external abort. The model's own memory is in neither map.
 */
void s2_init(void)
{
	static const struct guest_stops stops = {
		.pause = pause_guest, .resume = resume_guest, .stop = stop_guest,
	};
	u64 devices = machine.realm ? SHARED : 0;
	u64 end = machine.realm ? SHARED : BIT(IPA_BITS);

	report_guest(&stops);
	pool = ((u64)model_end + GRANULE - 1) & ~(GRANULE - 1);
	lock(&s2_lock);
	s2_map(GUEST_BASE, machine.ram_end - GUEST_BASE, GUEST_BASE, S2_NORMAL);
	s2_map(devices, RAM_BASE, 0, S2_DEVICE);
	s2_map(devices + machine.ram_end, end - machine.ram_end, machine.ram_end, S2_DEVICE);
	unlock(&s2_lock);
}
