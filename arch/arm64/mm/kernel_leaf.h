/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes to live kernel leaf mappings: split.c, pageattr.c (the change)
 * and collapse.c share this. The lock order, outermost first:
 *
 *	mem_hotplug_lock		collapse: read; hotplug of memory: write
 *	  kernel_collapse_mutex		one collapse at a time
 *	    kernel_leaf_resize_lock	split: read, or in region->lock read by
 *					trylock; collapse: read, by trylock; CPU
 *					starts: write, inside cpu_hotplug_lock
 *	      region->lock		change: read; collapse: write, by trylock
 *	        region->split_lock	splits within one region
 *	        init_mm.mmap_lock	read, by trylock: against ptdump
 *	          queue and deposit spinlocks
 *
 * Nothing is allocated under region->lock or inside it, but by the repaint: it
 * holds all of them for write, and does not wait for memory.
 */
#ifndef __ARM64_MM_KERNEL_LEAF_H
#define __ARM64_MM_KERNEL_LEAF_H

#include <linux/bits.h>
#include <linux/cache.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/rwsem.h>

/* The largest leaf that the linear map may hold. */
#define KERNEL_LEAF_MAX_SHIFT	\
	(IS_ENABLED(CONFIG_ARM64_4K_PAGES) ? PUD_SHIFT : CONT_PMD_SHIFT)
#define KERNEL_LEAF_MAX_SIZE	BIT(KERNEL_LEAF_MAX_SHIFT)

/* @collapse: the leaves may be one with their neighbours afterwards */
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
 * Must the group that begins with this entry be unfolded? If not, its entries may
 * be read and, with region->lock held, written.
 */
static inline bool group_is_cont(pte_t first)
{
	if (pte_cont(first))
		return true;
	/* Pairs with smp_wmb() in split_contpte(). */
	smp_acquire__after_ctrl_dep();
	return false;
}

/* What kernel_leaf_event() is told, and the tracepoint says. */
#define KERNEL_LEAF_SPLIT	0
#define KERNEL_LEAF_COLLAPSE	1	/* plus an enum kernel_leaf_refusal */

/* A change splits at its two ends only, and takes two tables there at most. */
#define KERNEL_LEAF_POOL_MAX	4

/* Tables set aside for splits: without constructor or contents. */
struct kernel_leaf_pool {
	struct ptdesc *tables[KERNEL_LEAF_POOL_MAX];
	unsigned int nr;
	unsigned int want;	/* what a split that found it empty asks for */
	gfp_t gfp;		/* not 0: allocate when it is empty */
	bool early;		/* the same, from memblock */
	unsigned long splits;	/* leaves split by range, for the log */
};

/* A power of two; a machine with more memory than regions shares them. */
#define KERNEL_LEAF_REGIONS	64

/*
 * A leaf lies in one region; regions share locks by hash. A change holds @lock for
 * read from before its splits to behind its last store. A collapse takes it for
 * write by trylock, so no change queues behind a collapse that waits.
 */
struct kernel_leaf_region {
	struct rw_semaphore lock;
	struct mutex split_lock;	/* while a change splits, inside @lock */
} ____cacheline_aligned_in_smp;

extern struct kernel_leaf_region kernel_leaf_regions[KERNEL_LEAF_REGIONS];

/* Two addresses in one leaf have the same region. */
static inline struct kernel_leaf_region *kernel_leaf_region(unsigned long addr)
{
	return &kernel_leaf_regions[(addr >> KERNEL_LEAF_MAX_SHIFT) %
				    KERNEL_LEAF_REGIONS];
}

static inline unsigned long kernel_leaf_region_end(unsigned long addr,
						   unsigned long end)
{
	unsigned long next = ALIGN_DOWN(addr, KERNEL_LEAF_MAX_SIZE) +
			     KERNEL_LEAF_MAX_SIZE;

	/* The last region ends at the top of the address space, at 0. */
	return next - 1 < end - 1 ? next : end;
}

/* The PUD that translates an address, or NULL if there is no such table. */
static inline pud_t *kernel_pud_find(unsigned long addr)
{
	pgd_t *pgdp = pgd_offset_k(addr);
	p4d_t *p4dp;

	if (pgd_none(pgdp_get(pgdp)))
		return NULL;
	p4dp = p4d_offset(pgdp, addr);
	return p4d_none(p4dp_get(p4dp)) ? NULL : pud_offset(p4dp, addr);
}

void kernel_leaf_event(unsigned long addr, unsigned int nr,
		       enum pgtable_level level, bool cont, int what);
bool kernel_leaf_may_split(unsigned long addr);
bool kernel_leaf_resize_trylock(void);
void kernel_leaf_resize_unlock(void);
int kernel_leaf_region_enter(struct kernel_leaf_region *region);
int kernel_leaf_change_begin(unsigned long start, unsigned long end,
			     const struct kernel_leaf_change *change,
			     struct kernel_leaf_pool *pool);
bool kernel_leaf_unfold(pte_t *ptep, unsigned long addr);
void kernel_leaf_change_end(unsigned long start);
int kernel_leaf_pool_fill(struct kernel_leaf_pool *pool, unsigned int nr);
void kernel_leaf_pool_drain(struct kernel_leaf_pool *pool);
void kernel_pgtable_free_rcu(struct ptdesc *pt);
int update_range_prot(unsigned long start, unsigned long size,
		      pgprot_t set_mask, pgprot_t clear_mask);

extern bool linear_map_requires_bbml3;
extern bool linear_map_from_pages;
extern bool linear_map_pages_first;
extern struct rw_semaphore kernel_leaf_resize_lock;
extern u32 idmap_kpti_bbml3_flag;

void init_idmap_kpti_bbml3_flag(void);
void create_idmap_flag(void);
phys_addr_t early_pgtable_alloc(enum pgtable_level pgtable_level);
phys_addr_t __pgd_pgtable_alloc(struct mm_struct *mm, gfp_t gfp,
				enum pgtable_level pgtable_level);
phys_addr_t kernel_leaf_pool_take(struct kernel_leaf_pool *pool,
				  unsigned long addr,
				  enum pgtable_level pgtable_level);
void kernel_leaf_regions_init(void);
int range_split_to_ptes(unsigned long start, unsigned long end,
			struct kernel_leaf_pool *pool);

#endif /* __ARM64_MM_KERNEL_LEAF_H */
