// SPDX-License-Identifier: GPL-2.0-only
/*
 * Live collapse of kernel leaf mappings: in the linear map, and in an area of
 * vmalloc space where its owner asks for it.
 *
 * A permission change splits the leaf that it hits (mmu.c). Once every entry of
 * the table that the split made has the same attributes again, the table says
 * nothing that one leaf would not say. This file puts the leaf back:
 *
 *	PTEs -> contPTE, PTE table -> PMD -> contPMD, PMD table -> PUD
 *
 * It may do so with the mapping live because every CPU has BBML3: block size
 * and contiguous bit may change without break-before-make, and an access that
 * hits both an old and a new TLB entry is translated by one of them, without a
 * conflict abort and without mixing the two (Arm ARM, "Support levels for
 * changing table or block size", FEAT_BBM). As old and new entries have the same
 * output address and attributes, it does not matter by which. There is never a
 * moment without a valid entry: kernel accesses could not take the fault.
 *
 * A table of four entries, for clarity:
 *
 *	PMD		PTE table		TLBs and walk caches may hold
 *
 *	[table]--->	|RW|RW|RW|ro|		PTEs, pointer to the table
 *	[table]--->	|RW|RW|RW|RW|		... a change restores the last
 *
 *	   region->lock for write: no change is between its look at the tables
 *	   and its last store, and none can begin
 *
 *	[RW block]	|RW|RW|RW|RW|		1. one 64-bit store; PTEs, pointer
 *						   and, from now on, the block
 *	   DSB ISHST				2. walkers see the store ...
 *	   TLBI VAAE1IS, whole block		3. ... and forget PTEs and pointer:
 *						   not the last-level form, which
 *						   leaves walk caches alone
 *	   DSB ISH; ISB				4. ... on all CPUs: no hardware
 *						   reads the table any more
 *
 *	   region->lock released: changes split the block anew
 *
 *	   call_rcu()				5. no lockless software walker
 *						   (vmalloc_to_page() and others,
 *						   all of which fetch an entry
 *						   once under RCU) reads it
 *	   free
 *
 * 3 and 4 must come before the lock is released. A change that came in between
 * would split the block, alter its page in the *new* table, and invalidate that
 * page by last-level TLBI only: a CPU with the old pointer in its walk cache
 * would go on reading the old entry from the old table.
 *
 * ptdump is no RCU reader: it sleeps, and holds init_mm's mmap lock for write.
 * A table is detached with that lock held for read, by trylock.
 *
 * "Without a lock" in Documentation/arch/arm64/kernel-leaf-proof.rst has all that
 * is read so, and what that pairs with.
 *
 * For a contiguous group there is no table to detach: the bit is set on each
 * entry in place, then the group is invalidated by last-level TLBI.
 *
 * Everything that can refuse does so before the first store: there is nothing
 * to roll back, and nothing is allocated.
 */
#define pr_fmt(fmt) "kernel-collapse: " fmt

#include <linux/cpufeature.h>
#include <linux/init.h>
#include <linux/kfence.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmzone.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/set_memory.h>
#include <linux/unroll.h>
#include <linux/workqueue.h>

#include <asm/mmu.h>
#include <asm/sections.h>
#include <asm/tlbflush.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <trace/events/kernel_leaf.h>

#include "collapse.h"
#include "kernel_leaf.h"

/* Set once, when every CPU is known to have BBML3. */
DEFINE_STATIC_KEY_FALSE(kernel_collapse_key);

/* One collapse at a time. Held for one table: execmem's users wait for it. */
static DEFINE_MUTEX(kernel_collapse_mutex);

/*
 * How many, between kernel_collapse_pause() and kernel_collapse_resume(), read
 * many entries of the tables and cannot be RCU readers. Under
 * kernel_collapse_mutex, so that none of them begins in the middle of a collapse.
 */
static unsigned int collapse_pauses;

/* Tables that a leaf has taken the place of, under kernel_collapse_mutex. */
static unsigned long collapsed_tables;

/*
 * While the boot collapses a linear map that was made of pages: the attributes
 * of the image's alias do not change at that time.
 */
static bool collapse_image_alias __ro_after_init;

/**
 * struct leaf_level - the shape of one level of the tables
 * @size:	what one entry maps, in bytes
 * @entries:	how many there are in a table
 * @cont:	how many make a contiguous group
 */
struct leaf_level {
	unsigned long size;
	unsigned int entries;
	unsigned int cont;
};

/* With two levels the blocks are in the top-level table; half of it is ours. */
#define PMDS_ARE_TOP	(CONFIG_PGTABLE_LEVELS == 2)

static const struct leaf_level leaf_levels[] = {
	[PGTABLE_LEVEL_PTE] = { PAGE_SIZE, PTRS_PER_PTE, CONT_PTES },
	[PGTABLE_LEVEL_PMD] = { PMD_SIZE,
				PMDS_ARE_TOP ? PTRS_PER_PGD / 2 : PTRS_PER_PMD,
				CONT_PMDS },
};

/* Of the entries in a table that a leaf can take the place of, lowest first. */
static const enum pgtable_level table_levels[] = {
	PGTABLE_LEVEL_PTE, PGTABLE_LEVEL_PMD,
};

/* What a table with entries of this level maps. */
static unsigned long table_span(enum pgtable_level level)
{
	return leaf_levels[level].size * leaf_levels[level].entries;
}

/*
 * As much of a table as one region's locks protect. That is all of it, but for
 * the tables of PMDs with 16K and 64K pages, which span many regions.
 */
static unsigned long table_step(enum pgtable_level level)
{
	return min(table_span(level), KERNEL_LEAF_MAX_SIZE);
}

/* May the entry that points to a table of this level be a leaf instead? */
static bool table_may_be_leaf(enum pgtable_level level)
{
	return level == PGTABLE_LEVEL_PTE || pud_sect_supported();
}

/**
 * struct leaf_slot - an entry of the kernel's tables
 * @entry:	where it is
 * @val:	what it held, fetched once
 * @level:	its level
 */
struct leaf_slot {
	ptval_t *entry;
	ptval_t val;
	enum pgtable_level level;
};

/*
 * Find the entry of the given level that translates addr. Fails if the walk
 * ends above that level.
 */
static bool leaf_slot_find(struct leaf_slot *slot, unsigned long addr,
			   enum pgtable_level level)
{
	pgd_t *pgdp = pgd_offset_k(addr);
	p4d_t *p4dp;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep;

	slot->level = level;

	if (pgd_none(pgdp_get(pgdp)))
		return false;
	p4dp = p4d_offset(pgdp, addr);
	if (p4d_none(p4dp_get(p4dp)))
		return false;

	pudp = pud_offset(p4dp, addr);
	pud = pudp_get(pudp);
	if (level == PGTABLE_LEVEL_PUD) {
		slot->entry = (ptval_t *)pudp;
		slot->val = pud_val(pud);
		return true;
	}
	if (pud_none(pud) || pud_leaf(pud))
		return false;

	/* Of the value above: a leaf may have taken the table's place since. */
	pmdp = CONFIG_PGTABLE_LEVELS > 2 ? pmd_offset_lockless(pudp, pud, addr) :
					   (pmd_t *)pudp;
	pmd = pmdp_get(pmdp);
	if (level == PGTABLE_LEVEL_PMD) {
		slot->entry = (ptval_t *)pmdp;
		slot->val = pmd_val(pmd);
		return true;
	}
	if (pmd_none(pmd) || pmd_leaf(pmd))
		return false;

	ptep = pte_offset_kernel(&pmd, addr);
	slot->entry = (ptval_t *)ptep;
	slot->val = pte_val(__ptep_get(ptep));
	return true;
}

/* Store one entry. The barriers are those of the caller's TLB maintenance. */
static void leaf_entry_set(ptval_t *entry, enum pgtable_level level, ptval_t val)
{
	switch (level) {
	case PGTABLE_LEVEL_PTE:
		__set_pte_nosync((pte_t *)entry, __pte(val));
		break;
	case PGTABLE_LEVEL_PMD:
		set_pmd((pmd_t *)entry, __pmd(val));
		break;
	case PGTABLE_LEVEL_PUD:
		set_pud((pud_t *)entry, __pud(val));
		break;
	default:
		WARN_ON_ONCE(1);
	}
}

static bool entry_is_table(ptval_t val, enum pgtable_level level)
{
	return level != PGTABLE_LEVEL_PTE &&
	       (val & PMD_TYPE_MASK) == PMD_TYPE_TABLE;
}

/* The table that an entry points to. */
static ptval_t *slot_table(const struct leaf_slot *slot)
{
	return phys_to_virt(__pte_to_phys(__pte(slot->val)));
}

/*
 * How many entries are compared at a time. Most of what a collapse costs is this,
 * so it is without a branch for each. Runs are contiguous groups or tables.
 */
#define LEAF_BATCH	8

static_assert(CONT_PTES % LEAF_BATCH == 0 && CONT_PMDS % LEAF_BATCH == 0);

/* Is a batch what it should be, beginning with this value? If not, why not? */
static enum kernel_leaf_refusal leaf_batch_check(const ptval_t *entries,
						 enum pgtable_level level,
						 ptval_t want, ptval_t step)
{
	ptval_t differ = 0, expect = want;

	unrolled_count(LEAF_BATCH)
	for (unsigned int i = 0; i < LEAF_BATCH; i++, expect += step)
		differ |= READ_ONCE(entries[i]) ^ expect;
	if (likely(!(differ & ~PTE_CONT)))
		return KERNEL_LEAF_OK;

	for (unsigned int i = 0; i < LEAF_BATCH; i++, want += step) {
		ptval_t val = READ_ONCE(entries[i]) & ~PTE_CONT;

		if (val == want)
			continue;
		if (!pte_valid(__pte(val)))
			return KERNEL_LEAF_INVALID;
		if (entry_is_table(val, level))
			return KERNEL_LEAF_TABLE;
		if (__pte_to_phys(__pte(val)) != __pte_to_phys(__pte(want)))
			return KERNEL_LEAF_ADDRESS;
		break;
	}

	return KERNEL_LEAF_ATTRS;
}

/**
 * leaf_run_check() - can a run of entries be one leaf?
 * @entries:	the first of them
 * @level:	their level
 * @nr:		how many they are, a power of two
 *
 * They can if they differ in nothing but the output address, which must be
 * contiguous and aligned, and the contiguous bit. The attributes are compared
 * bit by bit, whatever they mean: what is equal everywhere may be merged. What
 * would change its meaning by being merged is refused: entries that are not
 * valid (whoever made them so relies on finding the page by itself when it
 * makes it valid again), and those whose access flag or dirty state hardware
 * may still change in one and not in the others.
 *
 * Context: the tables must be stable, by region->lock held for write.
 * Return: KERNEL_LEAF_OK or the first reason found.
 */
VISIBLE_IF_KUNIT
enum kernel_leaf_refusal leaf_run_check(const ptval_t *entries,
					enum pgtable_level level,
					unsigned int nr)
{
	const unsigned long size = leaf_levels[level].size;
	const ptval_t type = level == PGTABLE_LEVEL_PTE ? PTE_TYPE_PAGE :
							  PMD_TYPE_SECT;
	/* No carry out of the low address bits: the run is aligned. */
	const ptval_t step = __phys_to_pte_val(size);
	const unsigned int cont = leaf_levels[level].cont;
	const ptval_t *end = entries + nr;
	enum kernel_leaf_refusal why;
	ptval_t want = READ_ONCE(entries[0]) & ~PTE_CONT;

	if (!pte_valid(__pte(want)))
		return KERNEL_LEAF_INVALID;
	if (entry_is_table(want, level))
		return KERNEL_LEAF_TABLE;
	if ((want & PTE_TYPE_MASK) != type)
		return KERNEL_LEAF_INVALID;
	if (!IS_ALIGNED(__pte_to_phys(__pte(want)), size * nr))
		return KERNEL_LEAF_ALIGN;

	/* Old, special, user, or clean and writable: tracked page by page. */
	if (!(want & PTE_AF) || (want & (PTE_SPECIAL | PTE_USER)) ||
	    ((want & PTE_DBM) && (want & PTE_RDONLY)))
		return KERNEL_LEAF_ATTRS;

	for (; entries != end; entries += cont, want += cont * step) {
		/* One leaf already: hardware may take any entry of it for all. */
		if ((READ_ONCE(*entries) ^ want) == PTE_CONT)
			continue;

		for (unsigned int i = 0; i < cont; i += LEAF_BATCH) {
			why = leaf_batch_check(&entries[i], level,
					       want + i * step, step);
			if (why)
				return why;
		}
	}

	return KERNEL_LEAF_OK;
}

/**
 * leaf_table_check() - may a table entry be replaced by a leaf like this one?
 * @table:	the table entry
 * @leaf:	one of the leaves that the table holds
 *
 * A table entry may restrict what the leaves under it permit (Arm ARM,
 * "Hierarchical control of data access permissions" and following). With the
 * table the restriction goes away, so the leaves must carry it themselves. Bits
 * that this code does not know are taken for restrictions.
 *
 * Return: KERNEL_LEAF_OK or KERNEL_LEAF_TABLE_ATTRS.
 */
VISIBLE_IF_KUNIT
enum kernel_leaf_refusal leaf_table_check(ptval_t table, ptval_t leaf)
{
	/* The same bits at every level. */
	const ptval_t known = PMD_TYPE_MASK | PMD_TABLE_AF | PMD_TABLE_PXN |
			      PMD_TABLE_UXN |
			      __phys_to_pte_val(__pte_to_phys(__pte(table)));

	if (table & ~known)
		return KERNEL_LEAF_TABLE_ATTRS;
	if ((table & PMD_TABLE_PXN) && !(leaf & PTE_PXN))
		return KERNEL_LEAF_TABLE_ATTRS;
	if ((table & PMD_TABLE_UXN) && !(leaf & PTE_UXN))
		return KERNEL_LEAF_TABLE_ATTRS;

	return KERNEL_LEAF_OK;
}

/* The leaf one level up that maps what a run that begins with this one maps. */
static ptval_t leaf_from_first(ptval_t first)
{
	return (first & ~(PTE_TYPE_MASK | PTE_CONT)) | PMD_TYPE_SECT;
}

static bool ranges_overlap(unsigned long start, unsigned long size,
			   unsigned long other, unsigned long other_end)
{
	return start < other_end && other < start + size;
}

/**
 * leaf_range_check() - may there be a leaf of this size here?
 * @addr:	start of the leaf
 * @size:	its size
 *
 * Context: get_online_mems() must be held.
 * Return: KERNEL_LEAF_OK or KERNEL_LEAF_RANGE.
 */
static enum kernel_leaf_refusal leaf_range_check(unsigned long addr,
						 unsigned long size)
{
	phys_addr_t phys;

	/* vmalloc space: what the owner of an area asks for, and no more. */
	if (!__is_lm_address(addr))
		return is_vmalloc_or_module_addr((void *)addr) ?
		       KERNEL_LEAF_OK : KERNEL_LEAF_RANGE;
	if (!__is_lm_address(addr + size - 1))
		return KERNEL_LEAF_RANGE;

	/* The kernel image's alias has its own life (update_mapping_prot()). */
	if (!collapse_image_alias &&
	    ranges_overlap(addr, size, (unsigned long)lm_alias(_text),
			   (unsigned long)lm_alias(_end)))
		return KERNEL_LEAF_RANGE;

#ifdef CONFIG_KFENCE
	/*
	 * KFENCE stores to its entries from any context, under no lock. Pairs
	 * with arch_kfence_init_pool(), by region->lock.
	 */
	if (READ_ONCE(__kfence_pool) &&
	    ranges_overlap(addr, size, (unsigned long)__kfence_pool,
			   (unsigned long)__kfence_pool + KFENCE_POOL_SIZE))
		return KERNEL_LEAF_RANGE;
#endif

	/*
	 * Memory that is removed is unmapped leaf by leaf, so no leaf may reach
	 * from what goes to what stays. A subsection goes as a whole. So does a
	 * section that was added as such. Before sections go they go offline,
	 * and what is larger is split then (split_at_edges()): it may only come
	 * back across sections that are online.
	 */
	if (size <= SUBSECTION_SIZE)
		return KERNEL_LEAF_OK;

	phys = __pa(addr);
	if (!memblock_is_region_memory(phys, size))
		return KERNEL_LEAF_RANGE;

	if (size > BIT(SECTION_SIZE_BITS)) {
		unsigned long pfn = PHYS_PFN(phys), end = PHYS_PFN(phys + size);

		for (; pfn < end; pfn += PAGES_PER_SECTION)
			if (!online_section(__pfn_to_section(pfn)))
				return KERNEL_LEAF_RANGE;
	}

	return KERNEL_LEAF_OK;
}

/*
 * Tables that were detached from a block which does not have the default
 * attributes. Somebody will want those back, from a path that cannot fail: so
 * the split that this takes must not fail either, and takes its table from here.
 * So it is in vmalloc space, whatever the attributes.
 *
 * Linked through ptdesc->pt_list, keyed by the address in ptdesc->pt_index.
 * deposit_lock protects the lists, the count, and those fields of the tables on
 * them. A deposit may still be read by lockless walkers while a split fills it:
 * it is of the same block, so what they find there is that block's translation,
 * old or new.
 */
#define DEPOSIT_BUCKETS	64

static struct list_head deposits[DEPOSIT_BUCKETS];
static unsigned int nr_deposits;
static DEFINE_SPINLOCK(deposit_lock);

/* The level is in the bits that are 0 in the address of a table's range. */
static pgoff_t table_key(unsigned long addr, enum pgtable_level level)
{
	return ALIGN_DOWN(addr, table_span(level)) | level;
}

static unsigned long table_key_addr(pgoff_t key)
{
	return key & PAGE_MASK;
}

static enum pgtable_level table_key_level(pgoff_t key)
{
	return key & ~PAGE_MASK;
}

static struct list_head *deposit_bucket(pgoff_t key)
{
	return &deposits[(key >> PMD_SHIFT) % DEPOSIT_BUCKETS];
}

/* One bucket, whatever else there is, so that it may be looked for anywhere. */
static struct ptdesc *deposit_take(pgoff_t key)
{
	struct ptdesc *pt;

	guard(spinlock)(&deposit_lock);

	list_for_each_entry(pt, deposit_bucket(key), pt_list) {
		if (pt->pt_index != key)
			continue;
		list_del_init(&pt->pt_list);
		WRITE_ONCE(nr_deposits, nr_deposits - 1);
		return pt;
	}

	return NULL;
}

/**
 * kernel_collapse_take_deposit() - get back the table of a collapsed block
 * @addr:	an address in the block
 * @level:	level of the entries that the table is to hold
 *
 * Context: any; the caller holds region->split_lock.
 * Return: a table, constructed, with stale contents, or NULL if there is none.
 */
struct ptdesc *kernel_collapse_take_deposit(unsigned long addr,
					    enum pgtable_level level)
{
	/* Pairs with table_retire(), by region->lock. */
	if (!READ_ONCE(nr_deposits))
		return NULL;

	lockdep_assert_held(&kernel_leaf_region(addr)->split_lock);

	return deposit_take(table_key(addr, level));
}

/*
 * Does the leaf that begins at this address have the attributes that the linear
 * map is made with? Memory that a Realm shares with its host has not: the bit for
 * that is one of the output address.
 */
VISIBLE_IF_KUNIT
bool leaf_is_default(ptval_t leaf, unsigned long addr)
{
	const ptval_t attrs = PTE_VALID | PTE_ATTRINDX_MASK | PTE_WRITE |
			      PTE_RDONLY | PTE_PXN | PTE_UXN | PTE_GP | PTE_NG;

	return !((leaf ^ pgprot_val(pgprot_tagged(PAGE_KERNEL))) & attrs) &&
	       __pte_to_phys(__pte(leaf)) == __pa(addr);
}

/**
 * table_retire() - decide what becomes of a detached table
 * @pt:		the table, which no hardware walker reads any more
 * @addr:	the address that it mapped
 * @level:	level of its entries
 * @leaf:	the leaf that took its place
 *
 * Free it after a grace period; or keep it for the next split of this very
 * block; or leave it alone, if it was never allocated in the first place.
 */
static void table_retire(struct ptdesc *pt, unsigned long addr,
			 enum pgtable_level level, ptval_t leaf)
{
	phys_addr_t phys = page_to_phys(ptdesc_page(pt));

	/* Part of the kernel image. */
	if (phys >= __pa_symbol(_text) && phys < __pa_symbol(_end))
		return;

	if (!__is_lm_address(addr) || !leaf_is_default(leaf, addr)) {
		guard(spinlock)(&deposit_lock);

		pt->pt_index = table_key(addr, level);
		list_add(&pt->pt_list, deposit_bucket(pt->pt_index));
		WRITE_ONCE(nr_deposits, nr_deposits + 1);
		return;
	}

	kernel_pgtable_free_rcu(pt);
}

/* Free the deposits of the blocks that begin in a range, looked up one by one. */
static void deposits_drop(unsigned long start, unsigned long end)
{
	for (int i = 0; i < ARRAY_SIZE(table_levels); i++) {
		const enum pgtable_level level = table_levels[i];
		const unsigned long span = table_span(level);
		unsigned long addr = ALIGN(start, span);

		/* Above the last of them, alignment ends at 0. */
		for (; READ_ONCE(nr_deposits) && addr >= start && addr < end;
		     addr += span) {
			struct ptdesc *pt = deposit_take(table_key(addr, level));

			if (pt)
				kernel_pgtable_free_rcu(pt);
		}
	}
}

/**
 * kernel_collapse_leaf_changed() - a block of the linear map was changed as a whole
 * @addr:	the address that it maps
 * @size:	its size
 * @leaf:	what it is now
 *
 * If it has the default attributes, there are none to be put back, and the tables
 * that were kept for that are not needed. The caller owns all of the block, and so
 * nobody splits it now.
 *
 * Context: any; the caller holds region->lock for read.
 */
void kernel_collapse_leaf_changed(unsigned long addr, unsigned long size,
				  ptval_t leaf)
{
	if (READ_ONCE(nr_deposits) && __is_lm_address(addr) &&
	    leaf_is_default(leaf, addr))
		deposits_drop(addr, addr + size);
}

/*
 * Tables that may have become uniform, on one of two lists, each oldest first.
 * Linked through ptdesc->pt_list, with the key in ptdesc->pt_index. queue_lock
 * protects both, and all that follows. A table that is not queued has an empty
 * pt_list; one that is never has, not even on its way to the other list.
 *
 * A table on the queue stays there until it is looked at, with region->lock
 * held for write. So a change, which holds it for read, may find the table
 * queued and be sure that what it stores will be seen, without any lock.
 */
static LIST_HEAD(queue_settling);
static LIST_HEAD(queue_due);
static unsigned int nr_queued;
/* When all that is settling is due, in jiffies. */
static unsigned long settled_at;
/* What the worker has picked last; NULL once that was taken off the queue. */
static struct ptdesc *queue_picked;
static DEFINE_SPINLOCK(queue_lock);

/*
 * Let things settle: memory that is given back is often taken again soon, and
 * one close() restores many pages.
 */
#define COLLAPSE_DELAY		(HZ / 2)
/* Tables in one run of the worker, so that a freeze need not wait long. */
#define COLLAPSE_BATCH		1024
/* How often the worker tries to get a lock before it takes the next table. */
#define COLLAPSE_SPINS		256

static void kernel_collapse_worker(struct work_struct *work);
static DECLARE_DELAYED_WORK(collapse_work, kernel_collapse_worker);
static struct workqueue_struct *collapse_wq;

/*
 * With region->lock held for write, under which nobody queues it meanwhile; or of
 * a table that is queued for certain; or where it may as well be queued again.
 */
static void table_unqueue(struct ptdesc *pt)
{
	if (list_empty(&pt->pt_list))
		return;

	guard(spinlock)(&queue_lock);

	if (!list_empty(&pt->pt_list)) {
		list_del_init(&pt->pt_list);
		nr_queued--;
		if (queue_picked == pt)
			WRITE_ONCE(queue_picked, NULL);
	}
}

/*
 * Put a table, queued or not, behind those that settle. Returns true if it is the
 * only one: then the worker may have nothing to wake it up.
 */
static bool table_settle(struct ptdesc *pt)
{
	bool first = list_empty(&queue_settling);

	lockdep_assert_held(&queue_lock);

	if (first)
		settled_at = jiffies + COLLAPSE_DELAY;
	list_move_tail(&pt->pt_list, &queue_settling);

	return first;
}

/**
 * kernel_collapse_queue() - have the worker look at a table
 * @entry:	an entry of the table
 * @addr:	an address that it translates
 * @level:	its level, PGTABLE_LEVEL_PTE or PGTABLE_LEVEL_PMD
 *
 * O(1), allocates nothing, cannot fail. Does nothing more if the table is
 * queued already, which is a read of one cache line.
 *
 * Context: a task, also with interrupts off; the caller holds region->lock. The
 * table must be one of the linear map's.
 */
void kernel_collapse_queue(void *entry, unsigned long addr,
			   enum pgtable_level level)
{
	struct ptdesc *pt;
	bool first;

	lockdep_assert_held(&kernel_leaf_region(addr)->lock);

	/* The top-level table is a part of the kernel image. */
	if (PMDS_ARE_TOP && level == PGTABLE_LEVEL_PMD)
		entry = lm_alias(entry);
	pt = virt_to_ptdesc(entry);

	/* Pairs with table_unqueue(), by region->lock; with pgtable_ctor(). */
	if (!list_empty(&pt->pt_list))
		return;

	scoped_guard(spinlock, &queue_lock) {
		if (!list_empty(&pt->pt_list))
			return;
		pt->pt_index = table_key(addr, level);
		first = table_settle(pt);
		nr_queued++;
	}

	trace_kernel_leaf_queue(ALIGN_DOWN(addr, table_span(level)), level + 1);
	/* Whoever queued the first of them does, or the worker at its end. */
	if (first)
		queue_delayed_work(collapse_wq, &collapse_work, COLLAPSE_DELAY);
}

/* The worker, or whoever else collapses, sees to what a collapse has completed. */
static void table_queue_due(struct ptdesc *pt, unsigned long addr,
			    enum pgtable_level level)
{
	lockdep_assert_held_write(&kernel_leaf_region(addr)->lock);

	if (!list_empty(&pt->pt_list))
		return;

	scoped_guard(spinlock, &queue_lock) {
		pt->pt_index = table_key(addr, level);
		list_add_tail(&pt->pt_list, &queue_due);
		nr_queued++;
	}

	trace_kernel_leaf_queue(ALIGN_DOWN(addr, table_span(level)), level + 1);
}

/* TLB maintenance after a table was replaced; after entries were folded. */
VISIBLE_IF_KUNIT
void flush_replaced_table(unsigned long start, unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(flush_replaced_table, start, end);
	__flush_tlb_kernel_pgtable_range(start, end);
}

VISIBLE_IF_KUNIT
void flush_folded_leaves(unsigned long start, unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(flush_folded_leaves, start, end);
	flush_tlb_kernel_range(start, end);
}

/* Set the contiguous bit on the entries of a group. */
static void set_group_cont(ptval_t *group, enum pgtable_level level)
{
	ptval_t *end = group + leaf_levels[level].cont;

	if (level == PGTABLE_LEVEL_PMD) {
		for (; group != end; group++)
			set_pmd((pmd_t *)group, __pmd(READ_ONCE(*group) | PTE_CONT));
		return;
	}

	/* All of a table's groups at the worst, while changes wait. */
	for (; group != end; group += LEAF_BATCH) {
		unrolled_count(LEAF_BATCH)
		for (unsigned int i = 0; i < LEAF_BATCH; i++)
			__set_pte_nosync((pte_t *)&group[i],
					 __pte(READ_ONCE(group[i]) | PTE_CONT));
	}
}

/*
 * Fold the group at addr if that is right. The range was checked already if it is
 * in one that may be a leaf as a whole.
 */
static bool fold_group(ptval_t *group, unsigned long addr,
		       enum pgtable_level level, bool in_range)
{
	const struct leaf_level *l = &leaf_levels[level];

	if (leaf_run_check(group, level, l->cont))
		return false;
	if (!in_range && leaf_range_check(addr, l->size * l->cont))
		return false;

	set_group_cont(group, level);
	trace_kernel_leaf_collapse(addr, level, true);
	return true;
}

/* Fold the groups in [addr, addr + size), whose first entry is given. */
static void fold_groups(ptval_t *group, unsigned long addr, unsigned long size,
			enum pgtable_level level)
{
	const struct leaf_level *l = &leaf_levels[level];
	const unsigned long span = l->size * l->cont;
	const unsigned int cont = l->cont;
	/* What a table of pages maps is mostly all in range, and small. */
	const bool in_range = level == PGTABLE_LEVEL_PTE &&
			      !leaf_range_check(addr, size);
	unsigned long end = addr + size;
	unsigned long first = 0, last = 0;

	lazy_mmu_mode_enable();
	for (; addr != end; addr += span, group += cont) {
		/* Groups are folded and unfolded as a whole. */
		if (READ_ONCE(*group) & PTE_CONT || !fold_group(group, addr, level, in_range))
			continue;
		if (!last)
			first = addr;
		last = addr + span;
	}
	lazy_mmu_mode_disable();

	if (last)
		flush_folded_leaves(first, last);
}

/* Put a leaf in the place of a table. The sequence at the top of this file. */
static enum kernel_leaf_refusal replace_table(struct leaf_slot *slot,
					      ptval_t *table, unsigned long addr)
{
	const enum pgtable_level level = slot->level - 1;
	const unsigned long size = table_span(level);
	ptval_t leaf = leaf_from_first(READ_ONCE(table[0]));
	enum kernel_leaf_refusal why;

	why = leaf_range_check(addr, size);
	if (why)
		return why;
	why = leaf_run_check(table, level, leaf_levels[level].entries);
	if (why)
		return why;
	why = leaf_table_check(slot->val, leaf);
	if (why)
		return why;

	/*
	 * Excludes ptdump. A trylock, since this may nest inside somebody's
	 * read lock, where to wait behind ptdump would be a deadlock.
	 */
	if (!mmap_read_trylock(&init_mm))
		return KERNEL_LEAF_BUSY;

	leaf_entry_set(slot->entry, slot->level, leaf);
	flush_replaced_table(addr, addr + size);

	mmap_read_unlock(&init_mm);

	collapsed_tables++;
	trace_kernel_leaf_collapse(addr, slot->level, false);
	/* Only tables of the linear map are ever queued. */
	if (__is_lm_address(addr))
		table_unqueue(virt_to_ptdesc(table));
	table_retire(virt_to_ptdesc(table), addr, level, leaf);

	return KERNEL_LEAF_OK;
}

/*
 * A new leaf may complete something larger: at once a contiguous group, which
 * is a few entries; later, by way of the queue, the table that it is in. That need
 * not settle, but those that are due already come before it, which may be in it.
 */
static void leaf_created(const struct leaf_slot *slot, unsigned long addr)
{
	const struct leaf_level *l = &leaf_levels[slot->level];
	unsigned long size;

	if (slot->level != PGTABLE_LEVEL_PMD)
		return;

	size = l->size * l->cont;
	fold_groups(PTR_ALIGN_DOWN(slot->entry, sizeof(ptval_t) * l->cont),
		    ALIGN_DOWN(addr, size), size, slot->level);

	if (table_may_be_leaf(slot->level))
		table_queue_due(virt_to_ptdesc(slot->entry), addr, slot->level);
}

/*
 * With everything held. The range is what one table maps, or as much of that as
 * one region has, or in vmalloc space the part of it that is the caller's.
 */
static enum kernel_leaf_refusal collapse_table_locked(unsigned long start,
						      unsigned long end,
						      enum pgtable_level level)
{
	const struct leaf_level *l = &leaf_levels[level];
	enum kernel_leaf_refusal why = KERNEL_LEAF_RANGE;
	struct leaf_slot slot;
	ptval_t *table;
	bool whole;

	lockdep_assert_held(&kernel_collapse_mutex);
	lockdep_assert_held_write(&kernel_leaf_region(start)->lock);

	/* No leaf takes the place of the top-level table, but it has groups. */
	if (PMDS_ARE_TOP && level == PGTABLE_LEVEL_PMD) {
		fold_groups((ptval_t *)pgd_offset_k(start), start, end - start,
			    level);
		return KERNEL_LEAF_RANGE;
	}

	/* Somebody may have been here first. */
	if (!leaf_slot_find(&slot, start, level + 1))
		return KERNEL_LEAF_OK;
	if (!entry_is_table(slot.val, slot.level))
		return KERNEL_LEAF_OK;
	table = slot_table(&slot);

	whole = table_may_be_leaf(level) && end - start == table_span(level);
	if (whole)
		why = replace_table(&slot, table, start);

	switch (why) {
	case KERNEL_LEAF_OK:
		/* Neighbours in vmalloc space are somebody else's. */
		if (__is_lm_address(start))
			leaf_created(&slot, start);
		break;
	case KERNEL_LEAF_BUSY:
		break;
	default:
		/* What keeps a block of vmalloc space apart is soon restored. */
		if (whole && !__is_lm_address(start))
			break;
		/* A change in another region may rely on its being queued. */
		if (__is_lm_address(start) &&
		    end - start == table_span(level))
			table_unqueue(virt_to_ptdesc(table));
		fold_groups(table + start / l->size % l->entries, start,
			    end - start, level);
		break;
	}

	return why;
}

static bool region_trylock(struct kernel_leaf_region *region)
{
	for (int i = 0; i < COLLAPSE_SPINS; i++) {
		if (down_write_trylock(&region->lock))
			return true;
		cpu_relax();
	}

	return false;
}

/*
 * Collapse what one table maps of the range, as far as it goes. Returns -EAGAIN
 * if somebody was in the way; the table then stays queued if it was.
 *
 * This is the batch that a change may have to wait for: one table compared
 * once as a whole and once by groups, its groups stored to, one TLBI and DSB.
 */
static int collapse_table(unsigned long start, unsigned long end,
			  enum pgtable_level level)
{
	struct kernel_leaf_region *region = kernel_leaf_region(start);
	enum kernel_leaf_refusal why = KERNEL_LEAF_BUSY;

	guard(mutex)(&kernel_collapse_mutex);

	/* A CPU that is being started may turn out to lack BBML3. */
	if (!collapse_pauses && kernel_leaf_resize_trylock()) {
		if (region_trylock(region)) {
			why = collapse_table_locked(start, end, level);
			up_write(&region->lock);
		}
		kernel_leaf_resize_unlock();
	}

	if (why && table_may_be_leaf(level))
		trace_kernel_leaf_refuse(start, level + 1, why);

	return why == KERNEL_LEAF_BUSY ? -EAGAIN : 0;
}

/**
 * kernel_collapse_range() - collapse what can be in a range, now
 * @start:	start of the range, in the linear map
 * @end:	end of the range
 *
 * Looks at every table that maps a part of the range.
 *
 * Context: process context; may sleep. Must not be called with mem_hotplug_lock
 * held, nor between kernel_leaf_change_begin() and kernel_leaf_change_end().
 * Return: 0 when all was looked at; -EAGAIN if some of it could not be because
 * of a change, ptdump or a pause in progress; -EINVAL if the range is not one of
 * the linear map; -EOPNOTSUPP where nothing is ever collapsed.
 */
int kernel_collapse_range(unsigned long start, unsigned long end)
{
	int ret = 0;

	if (!kernel_collapse_enabled())
		return -EOPNOTSUPP;

	/* The tables of other regions are somebody else's. */
	if (start >= end || !__is_lm_address(start) || !__is_lm_address(end - 1))
		return -EINVAL;

	get_online_mems();

	for (int i = 0; i < ARRAY_SIZE(table_levels); i++) {
		const enum pgtable_level level = table_levels[i];
		const unsigned long step = table_step(level);
		unsigned long addr = ALIGN_DOWN(start, step);

		for (; addr < end; addr += step) {
			if (collapse_table(addr, addr + step, level))
				ret = -EAGAIN;
			cond_resched();
		}
	}

	put_online_mems();

	/* What new leaves may have completed, if somebody was in the way. */
	if (READ_ONCE(nr_queued))
		queue_delayed_work(collapse_wq, &collapse_work, COLLAPSE_DELAY);

	return ret;
}

/**
 * kernel_collapse_vmap() - collapse what can be in an area of vmalloc space, now
 * @start:	start of the area
 * @end:	end of the area
 *
 * Only what lies in the range as a whole: a table that also maps something else
 * stays, and of its contiguous groups only those in the range are folded. (Those
 * of a block are not, if it is not to be one leaf yet: the next change would
 * unfold them again.) Nothing is queued, for vunmap() clears entries under none
 * of the locks here.
 *
 * Whatever attributes a block has, a table is kept for its next split, until
 * kernel_collapse_forget_vmap().
 *
 * Context: process context; may sleep. The caller sees to it that none of the
 * range is unmapped meanwhile; permissions may be changed.
 * Return: 0 when all was looked at; -EAGAIN if some of it could not be because
 * of a change, ptdump or a pause in progress; -EOPNOTSUPP where nothing is ever
 * collapsed.
 */
int kernel_collapse_vmap(unsigned long start, unsigned long end)
{
	const unsigned long span = table_span(PGTABLE_LEVEL_PTE);
	unsigned long next;
	int ret = 0;

	if (!kernel_collapse_enabled())
		return -EOPNOTSUPP;

	start = ALIGN(start, CONT_PTE_SIZE);
	end = ALIGN_DOWN(end, CONT_PTE_SIZE);

	for (; start < end; start = next) {
		next = min(ALIGN_DOWN(start, span) + span, end);
		if (collapse_table(start, next, PGTABLE_LEVEL_PTE))
			ret = -EAGAIN;
		cond_resched();
	}

	return ret;
}

/**
 * kernel_collapse_forget_vmap() - an area of vmalloc space is about to be unmapped
 * @start:	start of the area
 * @end:	end of the area
 *
 * Context: any; no kernel_collapse_vmap() of the area may be in progress.
 */
void kernel_collapse_forget_vmap(unsigned long start, unsigned long end)
{
	if (kernel_collapse_enabled())
		deposits_drop(start, end);
}

/*
 * A table that spans regions comes off the queue before the first of them is
 * looked at, for a change in any of them may rely on its being queued until then,
 * and goes back if one of them was busy.
 */
static int collapse_queued(struct ptdesc *pt, unsigned long addr,
			   enum pgtable_level level)
{
	const unsigned long step = table_step(level);
	const unsigned long end = addr + table_span(level);
	int ret = 0;

	if (step == table_span(level))
		return collapse_table(addr, end, level);

	table_unqueue(pt);
	for (; addr != end; addr += step) {
		if (collapse_table(addr, addr + step, level))
			ret = -EAGAIN;
		cond_resched();
	}
	if (!ret)
		return 0;

	guard(spinlock)(&queue_lock);

	/* A change may have been faster. */
	if (list_empty(&pt->pt_list)) {
		table_settle(pt);
		nr_queued++;
	}

	return ret;
}

/*
 * Look at the table that is due for longest. Returns false if there is none.
 *
 * It stays queued until it is looked at, by the worker or by somebody else. If
 * that cannot be now, it settles: whoever is in the way may be about to change it.
 * What settles is due no sooner than the oldest of it was queued COLLAPSE_DELAY ago,
 * so nothing is tried again and again meanwhile.
 */
static bool collapse_next(void)
{
	enum pgtable_level level;
	unsigned long addr;
	struct ptdesc *pt;
	int ret;

	scoped_guard(spinlock, &queue_lock) {
		if (list_empty(&queue_due) && time_after_eq(jiffies, settled_at))
			list_splice_init(&queue_settling, &queue_due);
		pt = list_first_entry_or_null(&queue_due, struct ptdesc, pt_list);
		if (!pt)
			return false;
		WRITE_ONCE(queue_picked, pt);
		addr = table_key_addr(pt->pt_index);
		level = table_key_level(pt->pt_index);
	}

	ret = collapse_queued(pt, addr, level);

	/*
	 * Whoever looks at it takes it off the queue, and then it may be gone. The
	 * lock is not needed to see what was stored by this look, or by another one
	 * before it under kernel_collapse_mutex.
	 */
	if (!READ_ONCE(queue_picked))
		return true;

	if (ret) {
		guard(spinlock)(&queue_lock);
		if (queue_picked)
			table_settle(queue_picked);
	} else {
		/* It is not where it is said to be, and would be tried for ever. */
		WARN_ON_ONCE(1);
		table_unqueue(pt);
	}

	return true;
}

/*
 * While something is due the worker does not sleep. Else it waits until something
 * is, and if nothing is queued for whoever queues something.
 */
static void kernel_collapse_worker(struct work_struct *work)
{
	unsigned long delay = 0;
	bool found = true;

	/* A pause may be long, and all would be tried in vain. */
	if (READ_ONCE(collapse_pauses)) {
		mod_delayed_work(collapse_wq, &collapse_work, COLLAPSE_DELAY);
		return;
	}

	for (int i = 0; i < COLLAPSE_BATCH && found; i++) {
		/* Keeps memory and with it the queued tables from going. */
		get_online_mems();
		found = collapse_next();
		put_online_mems();

		cond_resched();
	}

	scoped_guard(spinlock, &queue_lock) {
		if (!nr_queued)
			return;
		if (list_empty(&queue_due) && time_before(jiffies, settled_at))
			delay = settled_at - jiffies;
	}

	/* Somebody may have asked for it later. */
	mod_delayed_work(collapse_wq, &collapse_work, delay);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* Wait until the worker has looked at all that is queued. For tests. */
void kernel_collapse_flush(void)
{
	do {
		scoped_guard(spinlock, &queue_lock)
			list_splice_tail_init(&queue_settling, &queue_due);
		flush_delayed_work(&collapse_work);
		cond_resched();
	} while (READ_ONCE(nr_queued));
}

unsigned int kernel_collapse_nr_deposits(void)
{
	return READ_ONCE(nr_deposits);
}
#endif

/**
 * kernel_collapse_forget() - a range of the linear map is about to be unmapped
 * @start:	start of the range
 * @end:	end of the range
 *
 * Takes the tables that map any of it off the queue and drops its deposits. Who
 * unmaps it queues those again that stay. A queued table is a linked one, so they
 * are found by a walk of the range, however many others are queued.
 *
 * Context: memory hot-remove, which holds mem_hotplug_lock for write: nobody
 * detaches a table of the linear map meanwhile. May sleep.
 */
void kernel_collapse_forget(unsigned long start, unsigned long end)
{
	if (!kernel_collapse_enabled())
		return;

	for (int i = 0; i < ARRAY_SIZE(table_levels); i++) {
		const enum pgtable_level level = table_levels[i];
		const unsigned long span = table_span(level);
		unsigned long addr = ALIGN_DOWN(start, span);

		/* The top-level table stays. */
		if (PMDS_ARE_TOP && level == PGTABLE_LEVEL_PMD)
			continue;

		for (; addr < end; addr += span) {
			struct leaf_slot slot;

			if (leaf_slot_find(&slot, addr, level + 1) &&
			    entry_is_table(slot.val, slot.level))
				table_unqueue(virt_to_ptdesc(slot_table(&slot)));
			cond_resched();
		}
	}

	for (; start < end; start = kernel_leaf_region_end(start, end)) {
		deposits_drop(start, kernel_leaf_region_end(start, end));
		cond_resched();
	}
}

/**
 * kernel_collapse_pause() - keep every table where it is
 *
 * For those who walk the kernel's tables and sleep as they do so, for as long as
 * they like: a collapse does not wait for them, but is tried again later. Changes
 * and splits go on: an entry may still turn from a leaf into a table.
 *
 * Context: may sleep, for as long as one table takes. Called inside
 * get_online_mems().
 */
void kernel_collapse_pause(void)
{
	guard(mutex)(&kernel_collapse_mutex);

	collapse_pauses++;
}

/**
 * kernel_collapse_resume() - the end of kernel_collapse_pause()
 */
void kernel_collapse_resume(void)
{
	guard(mutex)(&kernel_collapse_mutex);

	collapse_pauses--;
}

static bool kernel_collapse_wanted __initdata = true;

static int __init parse_kernel_collapse(char *arg)
{
	return kstrtobool(arg, &kernel_collapse_wanted);
}
early_param("kernel_collapse", parse_kernel_collapse);

/*
 * The capabilities are final: secondary CPUs are up, and no others get in. All
 * who ask kernel_collapse_enabled() once and for all come later, like execmem.
 */
static int __init kernel_collapse_init(void)
{
	for (int i = 0; i < DEPOSIT_BUCKETS; i++)
		INIT_LIST_HEAD(&deposits[i]);

	if (!kernel_collapse_wanted || !kernel_leaf_may_split(PAGE_OFFSET))
		return 0;

	collapse_wq = alloc_workqueue("kernel_collapse",
				      WQ_UNBOUND | WQ_FREEZABLE, 1);
	if (!collapse_wq)
		return -ENOMEM;

	static_branch_enable(&kernel_collapse_key);
	pr_info("split leaves of the linear map are collapsed\n");

	return 0;
}
pure_initcall(kernel_collapse_init);

/* linear_map=pages: make of the pages what map_mem() would have made. */
static int __init kernel_collapse_linear_map(void)
{
	unsigned long before = collapsed_tables;
	u64 time = local_clock();
	phys_addr_t start, end;
	u64 i;

	if (!kernel_collapse_enabled() || !linear_map_wants_collapse())
		return 0;

	collapse_image_alias = true;
	for_each_mem_range(i, &start, &end) {
		start = PAGE_ALIGN(start);
		end = ALIGN_DOWN(end, PAGE_SIZE);
		if (start < end)
			kernel_collapse_range((unsigned long)__va(start),
					      (unsigned long)__va(end - 1) + 1);
	}
	collapse_image_alias = false;

	pr_info("made of pages (linear_map=pages): %lu tables collapsed in %llu us\n",
		collapsed_tables - before,
		div_u64(local_clock() - time, NSEC_PER_USEC));

	return 0;
}
subsys_initcall_sync(kernel_collapse_linear_map);
