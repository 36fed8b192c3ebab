// SPDX-License-Identifier: GPL-2.0-only
/* Where the kernel's page tables come from, and how they are given back. */
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include <asm/sections.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "collapse.h"
#include "kernel_leaf.h"

phys_addr_t __init early_pgtable_alloc(enum pgtable_level pgtable_level)
{
	phys_addr_t phys;

	phys = memblock_phys_alloc_range(PAGE_SIZE, PAGE_SIZE, 0,
					 MEMBLOCK_ALLOC_NOLEAKTRACE);
	if (!phys)
		panic("Failed to allocate page table page\n");

	return phys;
}

static void pgtable_ctor(struct mm_struct *mm, struct ptdesc *ptdesc,
			 enum pgtable_level pgtable_level)
{
	/* Empty while the table is not queued for a collapse. */
	INIT_LIST_HEAD(&ptdesc->pt_list);

	switch (pgtable_level) {
	case PGTABLE_LEVEL_PTE:
		BUG_ON(!pagetable_pte_ctor(mm, ptdesc));
		break;
	case PGTABLE_LEVEL_PMD:
		BUG_ON(!pagetable_pmd_ctor(mm, ptdesc));
		break;
	case PGTABLE_LEVEL_PUD:
		pagetable_pud_ctor(ptdesc);
		break;
	case PGTABLE_LEVEL_P4D:
		pagetable_p4d_ctor(ptdesc);
		break;
	case PGTABLE_LEVEL_PGD:
		VM_WARN_ON(1);
		break;
	}
}

phys_addr_t __pgd_pgtable_alloc(struct mm_struct *mm, gfp_t gfp,
				enum pgtable_level pgtable_level)
{
	/* Page is zeroed by init_clear_pgtable() so don't duplicate effort. */
	struct ptdesc *ptdesc = pagetable_alloc(gfp & ~__GFP_ZERO, 0);

	if (!ptdesc)
		return INVALID_PHYS_ADDR;

	pgtable_ctor(mm, ptdesc, pgtable_level);

	return page_to_phys(ptdesc_page(ptdesc));
}

static void pgtable_free_rcu_cb(struct rcu_head *head)
{
	struct ptdesc *pt = container_of(head, struct ptdesc, pt_rcu_head);

	/* From memblock, so it has never seen a constructor. */
	if (PageReserved(ptdesc_page(pt)))
		free_reserved_ptdesc(pt);
	/* Nor have those that vmemmap_populate() made. */
	else if (!PageTable(ptdesc_page(pt)))
		pagetable_free(pt);
	else
		pagetable_dtor_free(pt);
}

/**
 * kernel_pgtable_free_rcu() - free a table when no lockless walker reads it
 * @pt:		the table, detached, and forgotten by walk caches
 *
 * Not a lazy callback: until then the table's memory cannot go offline.
 *
 * Context: any.
 */
void kernel_pgtable_free_rcu(struct ptdesc *pt)
{
	call_rcu_hurry(&pt->pt_rcu_head, pgtable_free_rcu_cb);
}

/**
 * kernel_leaf_pool_fill() - set tables aside for splits
 * @pool:	the pool
 * @nr:		how many tables it is to hold, KERNEL_LEAF_POOL_MAX at the most
 *
 * Context: may sleep and reclaim, unless interrupts are off. Reclaim may change
 * the linear map itself, so no lock of a split or change may be held.
 * Return: 0, or -ENOMEM with what could be had left in the pool.
 */
int kernel_leaf_pool_fill(struct kernel_leaf_pool *pool, unsigned int nr)
{
	/* Every entry gets written, so the page need not be zeroed. */
	const gfp_t gfp = irqs_disabled() ? GFP_ATOMIC | __GFP_NOWARN :
					    GFP_PGTABLE_KERNEL & ~__GFP_ZERO;

	KUNIT_STATIC_STUB_REDIRECT(kernel_leaf_pool_fill, pool, nr);

	while (pool->nr < nr) {
		struct ptdesc *ptdesc = pagetable_alloc(gfp, 0);

		if (!ptdesc)
			return -ENOMEM;
		pool->tables[pool->nr++] = ptdesc;
	}

	return 0;
}

/* Free what no split took. */
void kernel_leaf_pool_drain(struct kernel_leaf_pool *pool)
{
	while (pool->nr)
		pagetable_free(pool->tables[--pool->nr]);
}

/* __ref: pool->early is set in __init code only. */
phys_addr_t __ref kernel_leaf_pool_take(struct kernel_leaf_pool *pool,
					unsigned long addr,
					enum pgtable_level pgtable_level)
{
	struct ptdesc *ptdesc;

	ptdesc = kernel_collapse_take_deposit(addr, pgtable_level);
	if (ptdesc)
		return page_to_phys(ptdesc_page(ptdesc));

	if (pool->early)
		return early_pgtable_alloc(pgtable_level);
	if (pool->gfp)
		return __pgd_pgtable_alloc(&init_mm, pool->gfp, pgtable_level);

	if (!pool->nr)
		return INVALID_PHYS_ADDR;

	ptdesc = pool->tables[--pool->nr];
	pgtable_ctor(&init_mm, ptdesc, pgtable_level);

	return page_to_phys(ptdesc_page(ptdesc));
}

/*
 * Deposits: tables of collapsed blocks without the default attributes, and of all
 * collapsed blocks in vmalloc space. The split that restores the default takes
 * its table from here, so it cannot fail.
 *
 * deposit_lock protects the count, the lists, and the tables' pt_list (the link)
 * and pt_index (the key). A walker may read a deposit while a split fills it: it
 * finds translations of that block, old or new.
 */
#define DEPOSIT_BUCKETS	64

static struct list_head deposits[DEPOSIT_BUCKETS];
VISIBLE_IF_KUNIT unsigned int nr_deposits;
static DEFINE_SPINLOCK(deposit_lock);

void __init deposits_init(void)
{
	for (int i = 0; i < DEPOSIT_BUCKETS; i++)
		INIT_LIST_HEAD(&deposits[i]);
}

static struct list_head *deposit_bucket(pgoff_t key)
{
	return &deposits[(key >> PMD_SHIFT) % DEPOSIT_BUCKETS];
}

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

/* Get a constructed table with stale contents back, if there is one. */
struct ptdesc *kernel_collapse_take_deposit(unsigned long addr,
					    enum pgtable_level level)
{
	/* Pairs with table_retire(), by region->lock. */
	if (!READ_ONCE(nr_deposits))
		return NULL;
	lockdep_assert_held(&kernel_leaf_region(addr)->split_lock);
	return deposit_take(table_key(addr, level));
}

/* Free a table that no hardware reads, or keep it for the next split there. */
void table_retire(struct ptdesc *pt, unsigned long addr,
		  enum pgtable_level level, ptval_t leaf)
{
	phys_addr_t phys = page_to_phys(ptdesc_page(pt));

	/* A part of the kernel image was never allocated. */
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

/* Free what is kept for the blocks of a range, which nobody is collapsing. */
void deposits_drop(unsigned long start, unsigned long end)
{
	for (int level = PGTABLE_LEVEL_PTE; level <= PGTABLE_LEVEL_PMD; level++) {
		const unsigned long span = table_span(level);
		unsigned long addr = ALIGN(start, span);

		/* At the top of the address space, addr wraps to 0. */
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
 * @leaf:	its new value; with the default attributes it needs no deposit
 *
 * Context: any; region->lock held for read. The caller owns all of the block.
 */
void kernel_collapse_leaf_changed(unsigned long addr, unsigned long size,
				  ptval_t leaf)
{
	if (READ_ONCE(nr_deposits) && __is_lm_address(addr) &&
	    leaf_is_default(leaf, addr))
		deposits_drop(addr, addr + size);
}
