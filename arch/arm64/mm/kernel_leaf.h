/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes to live kernel leaf mappings: what mmu.c (split), pageattr.c (the
 * change itself) and collapse.c (collapse) share, and nobody else needs.
 *
 * Lock order, outermost first:
 *
 *	mem_hotplug_lock		collapse: read; memory comes or goes, and is
 *					split for that: write
 *	  kernel_collapse_mutex		one collapse at a time
 *	    kernel_leaf_resize_lock	split: read, or inside region->lock
 *					read by trylock; collapse: read, by
 *					trylock; a CPU is being started: write,
 *					inside cpu_hotplug_lock
 *	      region->lock		change: read; collapse: write, by trylock
 *	        region->split_lock	splits within one region
 *	        init_mm.mmap_lock (read, by trylock), against ptdump
 *	          queue and deposit spinlocks
 *
 * Nothing is allocated under region->lock or any lock inside it. (The repaint
 * holds all of them for write and takes tables that are at hand.)
 */
#ifndef __ARM64_MM_KERNEL_LEAF_H
#define __ARM64_MM_KERNEL_LEAF_H

#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/rwsem.h>

/* The size of the largest leaf that the linear map may hold. */
#define KERNEL_LEAF_MAX_SHIFT	\
	(IS_ENABLED(CONFIG_ARM64_4K_PAGES) ? PUD_SHIFT : CONT_PMD_SHIFT)
#define KERNEL_LEAF_MAX_SIZE	BIT(KERNEL_LEAF_MAX_SHIFT)

/**
 * struct kernel_leaf_change - a change of attributes
 * @set_mask:	bits to set
 * @clear_mask:	bits to clear
 * @collapse:	whether the leaves may afterwards be one with their neighbours
 */
struct kernel_leaf_change {
	pgprot_t set_mask;
	pgprot_t clear_mask;
	bool collapse;
};

static inline ptval_t kernel_leaf_apply(ptval_t val,
					const struct kernel_leaf_change *change)
{
	/*
	 * Some users clear and set bits which alias each other (e.g. PTE_NG and
	 * PTE_PRESENT_INVALID). It is therefore important that we always clear
	 * first then set.
	 */
	val &= ~pgprot_val(change->clear_mask);
	val |= pgprot_val(change->set_mask);

	return val;
}

static inline bool kernel_leaf_unchanged(ptval_t val,
					 const struct kernel_leaf_change *change)
{
	return kernel_leaf_apply(val, change) == val;
}

/*
 * Is this the first entry of a group that a split must still unfold? If not, the
 * others may be read and, with region->lock held, written.
 */
static inline bool group_is_cont(pte_t first)
{
	if (pte_cont(first))
		return true;

	/* Pairs with smp_wmb() in split_contpte() and split_contpmd(). */
	smp_acquire__after_ctrl_dep();
	return false;
}

/**
 * struct kernel_leaf_pool - tables set aside for splits
 * @tables:	the tables, without constructor or contents
 * @nr:		how many there are
 * @want:	how many the split that found the pool empty asks for
 * @gfp:	if not 0, an empty pool allocates with it instead of refusing
 * @early:	the same, from memblock
 * @splits:	how many leaves were split by range, for the log
 *
 * One change splits at its two ends only, and at each end takes a PMD table
 * and a PTE table at the most.
 */
#define KERNEL_LEAF_POOL_MAX	4

struct kernel_leaf_pool {
	struct ptdesc *tables[KERNEL_LEAF_POOL_MAX];
	unsigned int nr;
	unsigned int want;
	gfp_t gfp;
	bool early;
	unsigned long splits;
};

/**
 * struct kernel_leaf_region - what excludes changes, splits and collapses
 *
 * Every leaf lies within one region. Regions share locks by hash.
 */
struct kernel_leaf_region {
	/**
	 * @lock: held for read by a permission change, from before its splits
	 * until it has stored its last entry, so that no table is detached
	 * under it; taken for write by a collapse, and then only by trylock, so
	 * that no change ever queues behind a collapse that waits
	 */
	struct rw_semaphore lock;
	/** @split_lock: held by a change while it splits, inside @lock */
	struct mutex split_lock;
} ____cacheline_aligned_in_smp;

struct kernel_leaf_region *kernel_leaf_region(unsigned long addr) __attribute_const__;

static inline unsigned long kernel_leaf_region_end(unsigned long addr,
						   unsigned long end)
{
	unsigned long next = ALIGN_DOWN(addr, KERNEL_LEAF_MAX_SIZE) +
			     KERNEL_LEAF_MAX_SIZE;

	/* The last region ends at the top of the address space, at 0. */
	return next - 1 < end - 1 ? next : end;
}

bool kernel_leaf_may_split(unsigned long addr);
bool linear_map_wants_collapse(void);
bool kernel_leaf_resize_trylock(void);
void kernel_leaf_resize_unlock(void);
int kernel_leaf_region_enter(struct kernel_leaf_region *region);
int kernel_leaf_change_begin(unsigned long start, unsigned long end,
			     const struct kernel_leaf_change *change,
			     struct kernel_leaf_pool *pool);
int kernel_leaf_change_reserve(unsigned long start, unsigned long end,
			       const struct kernel_leaf_change *change,
			       struct kernel_leaf_pool *pool);
bool kernel_leaf_unfold(pte_t *ptep, unsigned long addr);
void kernel_leaf_change_end(unsigned long start);
int kernel_leaf_pool_fill(struct kernel_leaf_pool *pool, unsigned int nr);
void kernel_leaf_pool_drain(struct kernel_leaf_pool *pool);
void kernel_pgtable_free_rcu(struct ptdesc *pt);

#if IS_ENABLED(CONFIG_KUNIT)
int update_range_prot(unsigned long start, unsigned long size,
		      pgprot_t set_mask, pgprot_t clear_mask);
#endif

#endif /* __ARM64_MM_KERNEL_LEAF_H */
