// SPDX-License-Identifier: GPL-2.0-only
/* Splits of live kernel leaves at each level, and what excludes them. */
#include <linux/cpufeature.h>
#include <linux/kfence.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/unroll.h>
#include <linux/vmstat.h>

#include <asm/mmu.h>
#include <asm/tlbflush.h>

#define CREATE_TRACE_POINTS
#include <trace/events/kernel_leaf.h>

#include "collapse.h"
#include "kernel_leaf.h"

/* By itself, so that who does not trace need not save registers for the loop. */
static noinline void trace_leaves(unsigned long addr, unsigned int nr,
				  unsigned long size, int what)
{
	for (; nr; nr--, addr += size)
		trace_call__kernel_leaf(addr, size, what);
}

/*
 * A split, a new leaf, or why there is none; the same of @nr leaves side by side.
 * This is the tracepoint's only place: each costs some time as the kernel boots.
 */
void kernel_leaf_event(unsigned long addr, unsigned int nr,
		       enum pgtable_level level, bool cont, int what)
{
	static const unsigned long sizes[][2] = {
		[PGTABLE_LEVEL_PTE] = { PAGE_SIZE, CONT_PTE_SIZE },
		[PGTABLE_LEVEL_PMD] = { PMD_SIZE, CONT_PMD_SIZE },
		[PGTABLE_LEVEL_PUD] = { PUD_SIZE },
	};
	static const enum vm_event_item items[][2][2] = {
		[PGTABLE_LEVEL_PTE] = {
			[true] = { DIRECT_MAP_CONT_LEVEL1_SPLIT,
				   DIRECT_MAP_CONT_LEVEL1_COLLAPSE },
		},
		[PGTABLE_LEVEL_PMD] = {
			{ DIRECT_MAP_LEVEL2_SPLIT, DIRECT_MAP_LEVEL2_COLLAPSE },
			{ DIRECT_MAP_CONT_LEVEL2_SPLIT,
			  DIRECT_MAP_CONT_LEVEL2_COLLAPSE },
		},
		[PGTABLE_LEVEL_PUD] = {
			{ DIRECT_MAP_LEVEL3_SPLIT, DIRECT_MAP_LEVEL3_COLLAPSE },
		},
	};

	/* Not before the counters are each CPU's own. */
	if (what <= KERNEL_LEAF_COLLAPSE && __is_lm_address(addr) &&
	    page_alloc_available)
		count_vm_events(items[level][cont][what], nr);
	if (trace_kernel_leaf_enabled())
		trace_leaves(addr, nr, sizes[level][cont], what);
}

/*
 * Unfold a contiguous group: its first entry loses CONT last of all. So who
 * finds that without CONT knows, without split_lock, that no split will store
 * to the group again. See group_is_cont().
 */
static void split_contpte(pte_t *ptep, unsigned long addr)
{
	int i;

	kernel_leaf_event(ALIGN_DOWN(addr, CONT_PTE_SIZE), 1, PGTABLE_LEVEL_PTE,
			  true, KERNEL_LEAF_SPLIT);

	ptep = PTR_ALIGN_DOWN(ptep, sizeof(*ptep) * CONT_PTES);
	for (i = CONT_PTES - 1; i > 0; i--)
		__set_pte_nosync(ptep + i, pte_mknoncont(__ptep_get(ptep + i)));
	/* Pairs with group_is_cont(). */
	smp_wmb();
	/* With the barriers for all of them, where they are valid. */
	__set_pte(ptep, pte_mknoncont(__ptep_get(ptep)));
}

static void split_contpmd(pmd_t *pmdp, unsigned long addr)
{
	int i;

	kernel_leaf_event(ALIGN_DOWN(addr, CONT_PMD_SIZE), 1, PGTABLE_LEVEL_PMD,
			  true, KERNEL_LEAF_SPLIT);

	pmdp = PTR_ALIGN_DOWN(pmdp, sizeof(*pmdp) * CONT_PMDS);
	for (i = 0; i < CONT_PMDS; i++, pmdp++)
		set_pmd(pmdp, pmd_mknoncont(pmdp_get(pmdp)));
}

#define FILL_BATCH	8

/*
 * No hardware walker can see the table yet, so one barrier does for all of its
 * entries. Software walkers may know it from before: each entry is stored once.
 */
static void fill_split_table(ptval_t *table, ptval_t val, unsigned long size)
{
	/* No carry out of the low address bits: what is split is aligned. */
	const ptval_t step = __phys_to_pte_val(size);
	const ptval_t *end = table + PTRS_PER_PTE;

	for (; table != end; table += FILL_BATCH) {
		unrolled_count(FILL_BATCH)
		for (int i = 0; i < FILL_BATCH; i++, val += step)
			WRITE_ONCE(table[i], val);
	}
}

static int split_pmd(pmd_t *pmdp, pmd_t pmd, unsigned long addr,
		     struct kernel_leaf_pool *pool, bool to_cont)
{
	pmdval_t tableprot = PMD_TYPE_TABLE | PMD_TABLE_UXN | PMD_TABLE_AF;
	pgprot_t prot = pmd_pgprot(pmd);
	phys_addr_t pte_phys;
	pte_t *ptep;

	pte_phys = kernel_leaf_pool_take(pool, addr, PGTABLE_LEVEL_PTE);
	if (pte_phys == INVALID_PHYS_ADDR)
		return pool->gfp || pool->early ? -ENOMEM : -EAGAIN;
	ptep = (pte_t *)phys_to_virt(pte_phys);

	/* Only now: without a table all stays as it is. */
	if (pmd_cont(pmd))
		split_contpmd(pmdp, addr);

	/* In vmalloc space a part may become executable later. */
	if ((pgprot_val(prot) & PMD_SECT_PXN) && __is_lm_address(addr))
		tableprot |= PMD_TABLE_PXN;

	prot = __pgprot((pgprot_val(prot) & ~PTE_TYPE_MASK) | PTE_TYPE_PAGE);
	if (!pmd_valid(pmd))
		prot = pte_pgprot(pte_mkinvalid(pfn_pte(0, prot)));
	prot = __pgprot(pgprot_val(prot) & ~PTE_CONT);
	if (to_cont)
		prot = __pgprot(pgprot_val(prot) | PTE_CONT);

	fill_split_table((ptval_t *)ptep, pte_val(pfn_pte(pmd_pfn(pmd), prot)),
			 PAGE_SIZE);

	/*
	 * Ensure the pte entries are visible to the table walker by the time
	 * the pmd entry that points to the ptes is visible.
	 */
	dsb(ishst);
	__pmd_populate(pmdp, pte_phys, tableprot);
	kernel_leaf_event(ALIGN_DOWN(addr, PMD_SIZE), 1, PGTABLE_LEVEL_PMD,
			  false, KERNEL_LEAF_SPLIT);

	return 0;
}

static int split_pud(pud_t *pudp, pud_t pud, unsigned long addr,
		     struct kernel_leaf_pool *pool, bool to_cont)
{
	pudval_t tableprot = PUD_TYPE_TABLE | PUD_TABLE_UXN | PUD_TABLE_AF;
	pgprot_t prot = pud_pgprot(pud);
	phys_addr_t pmd_phys;
	pmd_t *pmdp;

	pmd_phys = kernel_leaf_pool_take(pool, addr, PGTABLE_LEVEL_PMD);
	if (pmd_phys == INVALID_PHYS_ADDR)
		return pool->gfp || pool->early ? -ENOMEM : -EAGAIN;
	pmdp = (pmd_t *)phys_to_virt(pmd_phys);

	/* As in split_pmd(). */
	if ((pgprot_val(prot) & PMD_SECT_PXN) && __is_lm_address(addr))
		tableprot |= PUD_TABLE_PXN;

	prot = __pgprot((pgprot_val(prot) & ~PMD_TYPE_MASK) | PMD_TYPE_SECT);
	if (!pud_valid(pud))
		prot = pmd_pgprot(pmd_mkinvalid(pfn_pmd(0, prot)));
	prot = __pgprot(pgprot_val(prot) & ~PTE_CONT);
	if (to_cont)
		prot = __pgprot(pgprot_val(prot) | PTE_CONT);

	fill_split_table((ptval_t *)pmdp, pmd_val(pfn_pmd(pud_pfn(pud), prot)),
			 PMD_SIZE);

	/*
	 * Ensure the pmd entries are visible to the table walker by the time
	 * the pud entry that points to the pmds is visible.
	 */
	dsb(ishst);
	__pud_populate(pudp, pmd_phys, tableprot);
	kernel_leaf_event(ALIGN_DOWN(addr, PUD_SIZE), 1, PGTABLE_LEVEL_PUD,
			  false, KERNEL_LEAF_SPLIT);

	return 0;
}

/*
 * Make a leaf end at addr, unless the leaf across it is as change would leave it.
 * Returns -EAGAIN where a table is missing; pool->want says how many are.
 */
static int split_kernel_leaf_mapping_locked(unsigned long addr,
					    const struct kernel_leaf_change *change,
					    struct kernel_leaf_pool *pool)
{
	pgd_t *pgdp, pgd;
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep, pte;
	int ret = 0;

	/*
	 * PGD: If addr is PGD aligned then addr already describes a leaf
	 * boundary. If not present then there is nothing to split.
	 */
	if (ALIGN_DOWN(addr, PGDIR_SIZE) == addr)
		goto out;
	pgdp = pgd_offset_k(addr);
	pgd = pgdp_get(pgdp);
	if (!pgd_present(pgd))
		goto out;

	/*
	 * P4D: If addr is P4D aligned then addr already describes a leaf
	 * boundary. If not present then there is nothing to split.
	 */
	if (ALIGN_DOWN(addr, P4D_SIZE) == addr)
		goto out;
	p4dp = p4d_offset(pgdp, addr);
	p4d = p4dp_get(p4dp);
	if (!p4d_present(p4d))
		goto out;

	/*
	 * PUD: If addr is PUD aligned then addr already describes a leaf
	 * boundary. If not present then there is nothing to split. Otherwise,
	 * if we have a pud leaf, split to contpmd.
	 */
	if (ALIGN_DOWN(addr, PUD_SIZE) == addr)
		goto out;
	pudp = pud_offset(p4dp, addr);
	pud = pudp_get(pudp);
	if (!pud_present(pud))
		goto out;
	if (pud_leaf(pud)) {
		if (kernel_leaf_unchanged(pud_val(pud), change))
			goto out;
		pool->want = IS_ALIGNED(addr, PMD_SIZE) ? 1 : 2;
		ret = split_pud(pudp, pud, addr, pool, true);
		if (ret)
			goto out;
	}

	/*
	 * CONTPMD: If addr is CONTPMD aligned then addr already describes a
	 * leaf boundary. If not present then there is nothing to split.
	 * Otherwise, if we have a contpmd leaf, split to pmd.
	 */
	if (ALIGN_DOWN(addr, CONT_PMD_SIZE) == addr)
		goto out;
	pmdp = pmd_offset(pudp, addr);
	pmd = pmdp_get(pmdp);
	if (!pmd_present(pmd))
		goto out;
	if (pmd_leaf(pmd)) {
		if (kernel_leaf_unchanged(pmd_val(pmd), change))
			goto out;
		/*
		 * PMD: If addr is PMD aligned then addr already describes a
		 * leaf boundary. Otherwise, split to contpte.
		 */
		if (ALIGN_DOWN(addr, PMD_SIZE) == addr) {
			if (pmd_cont(pmd))
				split_contpmd(pmdp, addr);
			goto out;
		}
		pool->want = 1;
		ret = split_pmd(pmdp, pmd, addr, pool, true);
		if (ret)
			goto out;
	}

	/*
	 * CONTPTE: If addr is CONTPTE aligned then addr already describes a
	 * leaf boundary. If not present then there is nothing to split.
	 * Otherwise, if we have a contpte leaf, split to pte.
	 */
	if (ALIGN_DOWN(addr, CONT_PTE_SIZE) == addr)
		goto out;
	ptep = pte_offset_kernel(pmdp, addr);
	pte = __ptep_get(ptep);
	if (!pte_present(pte))
		goto out;
	if (kernel_leaf_unchanged(pte_val(pte), change))
		goto out;
	if (pte_cont(pte))
		split_contpte(ptep, addr);

out:
	return ret;
}

/*
 * When may leaves of the linear map be split?
 *
 *	map_mem()		no: tables come from the page allocator
 *	mm_core_init()		yes: the boot CPU, the only one, has BBML3
 *	first secondary CPU	yes: so has every CPU that is up
 *	capabilities final	yes: no other CPU gets in
 *	a CPU without BBML3	never: linear_map_repaint() made pages first
 *
 * While a CPU is started that may lack BBML3, kernel_leaf_resize_lock is held
 * for write, until it is online.
 *
 * linear_map_requires_bbml3: there are leaves that may have to be split. Set by
 * map_mem(), or by arm64_rsi_init() in a Realm; cleared by the repaint.
 */
bool linear_map_requires_bbml3 __ro_after_init;
/* Made of pages, whatever became of them later. */
bool linear_map_from_pages __ro_after_init;
DECLARE_RWSEM(kernel_leaf_resize_lock);

struct kernel_leaf_region kernel_leaf_regions[KERNEL_LEAF_REGIONS];

void __init kernel_leaf_regions_init(void)
{
	for (int i = 0; i < KERNEL_LEAF_REGIONS; i++) {
		init_rwsem(&kernel_leaf_regions[i].lock);
		mutex_init(&kernel_leaf_regions[i].split_lock);
	}
}

/**
 * kernel_leaf_may_split() - may a change at this address have to split a leaf?
 * @addr:	a kernel address
 *
 * CONFIG_DEBUG_PAGEALLOC and CONFIG_KFENCE change permissions in atomic context,
 * always where this says false.
 *
 * Return: false if leaves never change their size there.
 */
bool kernel_leaf_may_split(unsigned long addr)
{
	if (!__is_lm_address(addr))
		return system_supports_bbml3();

	/*
	 * Pairs with linear_map_repaint(): who finds it set takes region->lock,
	 * who finds it cleared has been in the idmap since and had an ISB.
	 */
	return READ_ONCE(linear_map_requires_bbml3) &&
	       !is_kfence_address((void *)addr);
}

/*
 * A CPU that is not online comes or goes with cpu_hotplug_lock held for write on
 * its behalf. No other one is being started, and this one has BBML3.
 */
static bool kernel_leaf_resize_is_mine(void)
{
	return irqs_disabled() && !cpu_online(smp_processor_id());
}

/**
 * kernel_leaf_resize_trylock() - keep CPUs that may lack BBML3 from starting
 *
 * Context: any.
 * Return: false if one is starting at this moment.
 */
bool kernel_leaf_resize_trylock(void)
{
	return kernel_leaf_resize_is_mine() ||
	       down_read_trylock(&kernel_leaf_resize_lock);
}

void kernel_leaf_resize_unlock(void)
{
	if (!kernel_leaf_resize_is_mine())
		up_read(&kernel_leaf_resize_lock);
}

/**
 * kernel_leaf_region_enter() - keep every table of a region where it is
 * @region:	the region
 *
 * Context: a task; sleeps unless interrupts are off. Undone by
 * kernel_leaf_change_end().
 * Return: 0; -EBUSY in an interrupt, or where it may not sleep and a collapse is
 * in the way.
 */
int kernel_leaf_region_enter(struct kernel_leaf_region *region)
{
	/* What follows takes mutexes, and locks that leave interrupts on. */
	if (!in_task())
		return -EBUSY;

	/* Hibernation and starting CPUs come here with interrupts off. */
	if (irqs_disabled())
		return down_read_trylock(&region->lock) ? 0 : -EBUSY;

	down_read(&region->lock);
	return 0;
}

static int split_kernel_leaf_mapping(unsigned long start, unsigned long end,
				     const struct kernel_leaf_change *change,
				     struct kernel_leaf_pool *pool)
{
	struct kernel_leaf_region *region = kernel_leaf_region(start);
	const unsigned int wanted = pool->want;
	int ret;

	lockdep_assert_held(&region->lock);
	lockdep_assert(lockdep_is_held(&kernel_leaf_resize_lock) ||
		       kernel_leaf_resize_is_mine());

	if (!irqs_disabled())
		mutex_lock(&region->split_lock);
	else if (!mutex_trylock(&region->split_lock))
		return -EBUSY;
	lazy_mmu_mode_enable();

	/*
	 * Optimize for the common case of splitting out a single page from a
	 * larger mapping. Here we can just split on the "least aligned" of
	 * start and end and this will guarantee that there must also be a split
	 * on the more aligned address since the both addresses must be in the
	 * same contpte block and it must have been split to ptes.
	 */
	if (end - start == PAGE_SIZE) {
		ret = split_kernel_leaf_mapping_locked(__ffs(start) < __ffs(end) ?
						       start : end,
						       change, pool);
	} else {
		ret = split_kernel_leaf_mapping_locked(start, change, pool);
		if (!ret)
			ret = split_kernel_leaf_mapping_locked(end, change, pool);
	}

	lazy_mmu_mode_disable();
	mutex_unlock(&region->split_lock);

	/* A table is missing for the second time: ask for what any range needs. */
	if (ret == -EAGAIN && wanted)
		pool->want = KERNEL_LEAF_POOL_MAX;

	return ret;
}

/**
 * kernel_leaf_change_begin() - prepare a range for a change of attributes
 * @start:	start of the range, page aligned, where kernel_leaf_may_split()
 * @end:	end of the range, page aligned, in the same region
 * @change:	the change that the caller is about to make
 * @pool:	tables for the splits; filled as needed, drained by the caller
 *
 * Splits the leaves that cross @start or @end, unless they are as @change would
 * leave them. Until kernel_leaf_change_end() no leaf that @change alters crosses
 * an edge, and none in the range is collapsed or loses its table.
 *
 * Context: process context; may sleep, and allocates with no lock held. With
 * interrupts off it takes only locks that are free and memory that is there.
 * Return: 0, with the region held; -EINVAL for an unaligned range; -ENOMEM
 * without a table for a split; -EBUSY in an interrupt, if a split is needed
 * before there is a page allocator, or if it may not sleep and must wait.
 */
int kernel_leaf_change_begin(unsigned long start, unsigned long end,
			     const struct kernel_leaf_change *change,
			     struct kernel_leaf_pool *pool)
{
	struct kernel_leaf_region *region = kernel_leaf_region(start);
	int ret;

	if (start != PAGE_ALIGN(start) || end != PAGE_ALIGN(end))
		return -EINVAL;

	/* In an interrupt not even a mutex may be tried. */
	if (!in_task())
		return -EBUSY;

	/* Between the rounds anybody may split and collapse here. */
	pool->want = 0;
	do {
		if (pool->nr < pool->want) {
			if (WARN_ON_ONCE(!page_alloc_available))
				return -EBUSY;
			ret = kernel_leaf_pool_fill(pool, pool->want);
			if (ret)
				return ret;
		}

		if (!irqs_disabled())
			down_read(&kernel_leaf_resize_lock);
		else if (!kernel_leaf_resize_trylock())
			return -EBUSY;
		ret = kernel_leaf_region_enter(region);
		if (!ret) {
			ret = split_kernel_leaf_mapping(start, end, change, pool);
			if (ret)
				up_read(&region->lock);
		}
		kernel_leaf_resize_unlock();
	} while (ret == -EAGAIN);

	return ret;
}

/**
 * kernel_leaf_unfold() - let the pages of a contiguous group stand alone
 * @ptep:	an entry of the group
 * @addr:	an address that it translates, where kernel_leaf_may_split()
 *
 * Context: the caller holds region->lock. kernel_leaf_resize_lock comes before
 * that, so nothing is waited for.
 * Return: false if somebody was in the way and nothing was done.
 */
bool kernel_leaf_unfold(pte_t *ptep, unsigned long addr)
{
	struct kernel_leaf_region *region = kernel_leaf_region(addr);
	bool locked;

	lockdep_assert_held(&region->lock);

	if (!kernel_leaf_resize_trylock())
		return false;

	locked = mutex_trylock(&region->split_lock);
	if (locked) {
		/* Somebody else may have done it. */
		if (pte_cont(__ptep_get(ptep)))
			split_contpte(ptep, addr);
		mutex_unlock(&region->split_lock);
	}
	kernel_leaf_resize_unlock();

	return locked;
}

/* The TLB maintenance of the change may follow later. */
void kernel_leaf_change_end(unsigned long start)
{
	up_read(&kernel_leaf_region(start)->lock);
}

static int split_to_ptes_pud_entry(pud_t *pudp, unsigned long addr,
				   unsigned long next, struct mm_walk *walk)
{
	struct kernel_leaf_pool *pool = walk->private;
	pud_t pud = pudp_get(pudp);
	int ret = 0;

	if (pud_leaf(pud)) {
		ret = split_pud(pudp, pud, addr, pool, false);
		pool->splits++;
	}

	return ret;
}

static int split_to_ptes_pmd_entry(pmd_t *pmdp, unsigned long addr,
				   unsigned long next, struct mm_walk *walk)
{
	struct kernel_leaf_pool *pool = walk->private;
	pmd_t pmd = pmdp_get(pmdp);
	int ret = 0;

	if (pmd_leaf(pmd)) {
		ret = split_pmd(pmdp, pmd, addr, pool, false);
		pool->splits++;

		/*
		 * We have split the pmd directly to ptes so there is no need to
		 * visit each pte to check if they are contpte.
		 */
		walk->action = ACTION_CONTINUE;
	}

	return ret;
}

static int split_to_ptes_pte_entry(pte_t *ptep, unsigned long addr,
				   unsigned long next, struct mm_walk *walk)
{
	struct kernel_leaf_pool *pool = walk->private;
	pte_t pte = __ptep_get(ptep);

	if (pte_cont(pte)) {
		split_contpte(ptep, addr);
		pool->splits++;
	}

	return 0;
}

static const struct mm_walk_ops split_to_ptes_ops = {
	.pud_entry	= split_to_ptes_pud_entry,
	.pmd_entry	= split_to_ptes_pmd_entry,
	.pte_entry	= split_to_ptes_pte_entry,
};

int range_split_to_ptes(unsigned long start, unsigned long end,
			struct kernel_leaf_pool *pool)
{
	int ret;

	lazy_mmu_mode_enable();
	ret = walk_kernel_page_table_range_lockless(start, end,
					&split_to_ptes_ops, NULL, pool);
	lazy_mmu_mode_disable();

	return ret;
}
