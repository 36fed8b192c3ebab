/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites for split and collapse share: memory to try them on, and eyes
 * to see what became of its mapping.
 */
#ifndef __ARM64_MM_TESTS_KERNEL_LEAF_TEST_H
#define __ARM64_MM_TESTS_KERNEL_LEAF_TEST_H

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/iopoll.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include <asm/sysreg.h>
#include <asm/tlbflush.h>

#include "../collapse.h"
#include "../kernel_leaf.h"

/* Changes to try. */
static const struct kernel_leaf_change to_ro = {
	.set_mask = { PTE_RDONLY }, .clear_mask = { PTE_WRITE },
};

static const struct kernel_leaf_change to_rw = {
	.set_mask = { PTE_WRITE }, .clear_mask = { PTE_RDONLY },
};

static inline int leaf_change(unsigned long addr, unsigned long size,
			      const struct kernel_leaf_change *change)
{
	int ret = update_range_prot(addr, size, change->set_mask,
				    change->clear_mask);

	flush_tlb_kernel_range(addr, addr + size);
	return ret;
}

/* There and back: what it leaves behind is the split. */
static inline void leaf_touch(struct kunit *test, unsigned long addr,
			      unsigned long size)
{
	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, size, &to_ro));
	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, size, &to_rw));
}

/* A stub for kernel_leaf_pool_fill(). */
static inline int no_tables(struct kernel_leaf_pool *pool, unsigned int nr)
{
	return -ENOMEM;
}

/* What a worker may have to do first is given a few seconds. */
#define soon(cond)	\
	(!poll_timeout_us(, cond, 20 * USEC_PER_MSEC, 6 * USEC_PER_SEC, false))

/* The leaf that maps addr, and its size; 0 if there is none. */
static inline unsigned long leaf_at(unsigned long addr, ptval_t *val)
{
	pud_t *pudp = pud_offset(p4d_offset(pgd_offset_k(addr), addr), addr), pud;
	pmd_t pmd;
	pte_t pte;

	guard(rcu)();
	pud = pudp_get(pudp);
	*val = pud_val(pud);
	if (pud_none(pud))
		return 0;
	if (pud_leaf(pud))
		return PUD_SIZE;
	pmd = pmdp_get(pmd_offset_lockless(pudp, pud, addr));
	*val = pmd_val(pmd);
	if (pmd_none(pmd))
		return 0;
	if (pmd_leaf(pmd))
		return pmd_cont(pmd) ? CONT_PMD_SIZE : PMD_SIZE;
	pte = __ptep_get(pte_offset_kernel(&pmd, addr));
	*val = pte_val(pte);
	return pte_cont(pte) ? CONT_PTE_SIZE : PAGE_SIZE;
}

static inline unsigned long leaf_size(unsigned long addr)
{
	return leaf_at(addr, &(ptval_t){ 0 });
}

static inline ptval_t leaf_val(unsigned long addr)
{
	ptval_t val;

	leaf_at(addr, &val);
	return val;
}

/* What the hardware's walker makes of addr: its physical address, or -1. */
static inline phys_addr_t hw_translate(unsigned long addr, bool write)
{
	u64 par;

	guard(irqsave)();
	if (write)
		asm volatile("at s1e1w, %0" : : "r" (addr));
	else
		asm volatile("at s1e1r, %0" : : "r" (addr));
	isb();
	par = read_sysreg_par();

	if (par & SYS_PAR_EL1_F)
		return -1;
	return (par & GENMASK_ULL(51, 12)) | (addr & (SZ_4K - 1));
}

/*
 * Tables in use, once what is queued has been looked at and what is free has been
 * freed, with what the CPUs have not yet added to the total. Others come and go
 * with tables of their own, so only a trend says something.
 */
static inline long pgtable_pages(void)
{
	struct pglist_data *pgdat;
	long nr;
	int cpu;

	if (kernel_collapse_enabled())
		kernel_collapse_flush();
	rcu_barrier();
	nr = global_node_page_state(NR_PAGETABLE);
	for_each_online_cpu(cpu)
		for_each_online_pgdat(pgdat)
			nr += per_cpu_ptr(pgdat->per_cpu_nodestats,
					  cpu)->vm_node_stat_diff[NR_PAGETABLE];
	return nr;
}

/* The largest leaf that this machine's memory has room for, healed. */
static inline unsigned long leaf_max_size(void)
{
	static unsigned long size;
	phys_addr_t start, end;
	u64 i;

	if (size)
		return size;

	for_each_mem_range(i, &start, &end) {
		for (phys_addr_t a = start; a < end; a += PMD_SIZE)
			size = max(size, leaf_size((unsigned long)__va(a)));
	}

	return size;
}

/* Pages that two contiguous groups of them take. */
#define TWO_GROUPS	get_order(2 * CONT_PTE_SIZE)

/*
 * Pages of the linear map inside a leaf of the given size. Only these pages are
 * the test's; what else the leaf maps belongs to others and stays as it is.
 */
struct leaf_pages {
	unsigned long addr;
	struct page *page;
	unsigned int order;
};

static inline void leaf_pages_free(struct leaf_pages *pages)
{
	__free_pages(pages->page, pages->order);
}

KUNIT_DEFINE_ACTION_WRAPPER(leaf_page_release, leaf_pages_free,
			    struct leaf_pages *);

/*
 * Find pages in a leaf of at least this size, healing what former tests may
 * have split. What the page allocator offers first lies where it pleases, so
 * keep what does not serve until the search is over.
 */
static inline struct leaf_pages *leaf_pages_get(struct kunit *test,
						unsigned int order,
						unsigned long size)
{
	struct leaf_pages *pages = kunit_kzalloc(test, sizeof(*pages), GFP_KERNEL);
	const gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	struct page *page, *tmp;
	LIST_HEAD(others);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	/* In pieces large enough for the search to be short. */
	order = max_t(unsigned int, order, get_order(SZ_2M));
	pages->order = order;

	while ((page = alloc_pages(gfp, order))) {
		pages->addr = (unsigned long)page_address(page);
		if (leaf_size(pages->addr) < size)
			kernel_collapse_range(pages->addr, pages->addr + 1);
		if (leaf_size(pages->addr) >= size)
			break;
		list_add(&page->lru, &others);
	}
	pages->page = page;

	list_for_each_entry_safe(page, tmp, &others, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}

	KUNIT_ASSERT_NOT_NULL_MSG(test, pages->page,
				  "no free memory in a leaf of %#lx bytes", size);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, leaf_page_release, pages));

	return pages;
}

#endif /* __ARM64_MM_TESTS_KERNEL_LEAF_TEST_H */
