// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for vmalloc_to_page(), which walks the kernel's page tables without a
 * lock: at rest, with a leaf and a hole at each level; and while others map,
 * unmap, and replace a table by the equivalent leaf and back.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

/* How long each of the concurrent cases runs. */
#define RACE_JIFFIES	(HZ / 2)

/* A naturally aligned block of memory, and vmalloc space to map it in. */
struct region {
	struct vm_struct *area;
	unsigned long addr, size;
	struct page *pages;
};

KUNIT_DEFINE_ACTION_WRAPPER(vfree_action, vfree, const void *);

static void put_area(void *data)
{
	struct vm_struct *area = data;

	vunmap_range((unsigned long)area->addr,
		     (unsigned long)area->addr + get_vm_area_size(area));
	free_vm_area(area);
}

static unsigned long get_space(struct kunit *test, unsigned long size)
{
	struct vm_struct *area = get_vm_area(size, VM_IOREMAP);

	if (!area)
		kunit_skip(test, "no %lu KiB of vmalloc space", size >> 10);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_area, area));
	return (unsigned long)area->addr;
}

static void put_pages(void *data)
{
	struct region *r = data;

	if (r->size >> PAGE_SHIFT <= MAX_ORDER_NR_PAGES)
		__free_pages(r->pages, get_order(r->size));
#ifdef CONFIG_CONTIG_ALLOC
	else
		free_contig_range(page_to_pfn(r->pages), r->size >> PAGE_SHIFT);
#endif
}

/*
 * The pages are filled with ones: a walk that takes one of them for a table
 * finds entries that are present and lead nowhere.
 */
static struct region *get_region(struct kunit *test, unsigned long size)
{
	struct region *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->size = size;
	if (size >> PAGE_SHIFT <= MAX_ORDER_NR_PAGES)
		r->pages = alloc_pages(gfp, get_order(size));
#ifdef CONFIG_CONTIG_ALLOC
	else
		r->pages = alloc_contig_pages(size >> PAGE_SHIFT, gfp,
					      first_online_node, NULL);
#endif
	if (!r->pages)
		kunit_skip(test, "no contiguous block of %lu KiB", size >> 10);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_pages, r));
	for (unsigned long i = 0; i < size >> PAGE_SHIFT; i++)
		memset_page(r->pages + i, 0, 0xff, PAGE_SIZE);
	r->addr = get_space(test, size);
	return r;
}

/* Map the block in pieces of this size: no leaf is larger. */
static int map_pieces(struct region *r, unsigned long size)
{
	int err = 0;

	for (unsigned long at = 0; at < r->size && !err; at += size)
		err = vmap_page_range(r->addr + at, r->addr + at + size,
				      page_to_phys(r->pages) + at, PAGE_KERNEL);
	return err;
}

static pud_t *pud_of(unsigned long addr)
{
	return pud_offset(p4d_offset(pgd_offset_k(addr), addr), addr);
}

static pmd_t *pmd_of(unsigned long addr)
{
	return pmd_offset(pud_of(addr), addr);
}

/* The size, as a shift, of what maps an address. */
static int leaf_shift(unsigned long addr)
{
	if (pud_leaf(*pud_of(addr)))
		return PUD_SHIFT;
	return pmd_leaf(*pmd_of(addr)) ? PMD_SHIFT : PAGE_SHIFT;
}

static void expect_page(struct kunit *test, unsigned long addr, struct page *page)
{
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page((void *)addr), page);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page((void *)(addr + PAGE_SIZE - 1)),
			    page);
}

static void expect_hole(struct kunit *test, unsigned long addr)
{
	expect_page(test, addr, NULL);
}

/* An area from the allocator, against the array of its pages. */
static void expect_area(struct kunit *test, void *mem, unsigned long nr)
{
	struct vm_struct *area = find_vm_area(mem);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vfree_action, mem));
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_GE(test, area->nr_pages, nr);
	for (unsigned long i = 0; i < nr; i++)
		expect_page(test, (unsigned long)mem + i * PAGE_SIZE,
			    area->pages[i]);
}

static void vmalloc_walk_small(struct kunit *test)
{
	static const unsigned int nr[] = { 1, 2, 15, 16, 17, 33 };

	for (int i = 0; i < ARRAY_SIZE(nr); i++)
		expect_area(test, vmalloc(nr[i] * PAGE_SIZE), nr[i]);
}

static void vmalloc_walk_huge(struct kunit *test)
{
	/* Two blocks, and a tail that no block fits in. */
	unsigned long size = 2 * PMD_SIZE + 3 * PAGE_SIZE;

	if (PMD_SIZE > SZ_32M)
		kunit_skip(test, "a PMD maps too much memory");
	expect_area(test, vmalloc_huge(size, GFP_KERNEL), size >> PAGE_SHIFT);
}

/* A block, mapped by leaves of the size that it asks for. */
static void expect_block(struct kunit *test, unsigned long size, int shift)
{
	struct region *r = get_region(test, size);

	KUNIT_ASSERT_EQ(test, 0, map_pieces(r, size));
	if (leaf_shift(r->addr) != shift)
		kunit_skip(test, "leaves of %lu KiB are not used here",
			   BIT(shift) >> 10);
	for (unsigned long i = 0; i < size >> PAGE_SHIFT; i++) {
		if (vmalloc_to_page((void *)r->addr + i * PAGE_SIZE) ==
		    r->pages + i)
			continue;
		KUNIT_FAIL(test, "wrong page behind page %lu", i);
		break;
	}
	expect_page(test, r->addr + size - PAGE_SIZE,
		    r->pages + (size >> PAGE_SHIFT) - 1);
	vunmap_range(r->addr, r->addr + size);
	expect_hole(test, r->addr);
	expect_hole(test, r->addr + size - PAGE_SIZE);
}

static void vmalloc_walk_block_pte(struct kunit *test)
{
	expect_block(test, PAGE_SIZE, PAGE_SHIFT);
	/* Contiguous PTEs, where there are such. */
	expect_block(test, 2 * SZ_64K, PAGE_SHIFT);
}

static void vmalloc_walk_block_pmd(struct kunit *test)
{
	expect_block(test, PMD_SIZE, PMD_SHIFT);
}

static void vmalloc_walk_block_pud(struct kunit *test)
{
	if (mm_pmd_folded(&init_mm))
		kunit_skip(test, "no PUD level");
	expect_block(test, PUD_SIZE, PUD_SHIFT);
}

/* A hole at each level: beside a page, beside a table of pages, of those. */
static void vmalloc_walk_hole(struct kunit *test)
{
	static const unsigned long step[] = { PAGE_SIZE, PMD_SIZE, PUD_SIZE };
	struct region *r = get_region(test, PAGE_SIZE);

	for (int i = 0; i < ARRAY_SIZE(step); i++) {
		unsigned long addr = get_space(test, 2 * step[i]);

		expect_hole(test, addr);
		KUNIT_ASSERT_EQ(test, 0, vmap_page_range(addr, addr + PAGE_SIZE,
							 page_to_phys(r->pages),
							 PAGE_KERNEL));
		expect_page(test, addr, r->pages);
		expect_hole(test, addr + PAGE_SIZE);
		expect_hole(test, addr + step[i]);
		expect_hole(test, addr + 2 * step[i] - PAGE_SIZE);
		/* The tables stay, and are empty. */
		vunmap_range(addr, addr + PAGE_SIZE);
		expect_hole(test, addr);
	}
}

/* Something changes a mapping while the test walks it. */
struct race {
	struct region *r;
	int (*change)(struct race *race);
	unsigned long nr_changes;
	int err;
	struct hrtimer timer;
	bool is_leaf;
	pmd_t pmd_table, pmd_leaf;
	pud_t pud_table, pud_leaf;
};

static void race_change(struct race *race)
{
	if (!race->err)
		race->err = race->change(race);
	WRITE_ONCE(race->nr_changes, race->nr_changes + 1);
}

static int race_thread(void *data)
{
	while (!kthread_should_stop()) {
		race_change(data);
		cond_resched();
	}
	return 0;
}

static enum hrtimer_restart race_timer(struct hrtimer *timer)
{
	race_change(container_of(timer, struct race, timer));
	/* From now on, so that the walk makes progress on slow machines, too. */
	hrtimer_forward_now(timer, ns_to_ktime(20 * NSEC_PER_USEC));
	return HRTIMER_RESTART;
}

/*
 * The changes come from a thread, on another CPU if there is one; or from an
 * interrupt of the CPU that walks, which one CPU is enough for. Each page must
 * be found where it is mapped or, if @holes, not at all.
 */
static void race_run(struct kunit *test, struct race *race, bool by_timer,
		     bool holes)
{
	unsigned long end = jiffies + RACE_JIFFIES;
	unsigned long nr = race->r->size >> PAGE_SHIFT;
	unsigned long walks = 0, missed = 0, wrong = 0, i = 0;
	struct task_struct *task = NULL;

	race->nr_changes = 0;
	if (by_timer) {
		hrtimer_setup(&race->timer, race_timer, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_PINNED_HARD);
		migrate_disable();
		hrtimer_start(&race->timer, ns_to_ktime(20 * NSEC_PER_USEC),
			      HRTIMER_MODE_REL_PINNED_HARD);
	} else {
		task = kthread_run(race_thread, race, "vmalloc_walk");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	}
	/* No assertion in here: what changes the mapping must be stopped first. */
	for (; time_before(jiffies, end) || !READ_ONCE(race->nr_changes); walks++) {
		void *addr = (void *)race->r->addr + i * PAGE_SIZE;
		struct page *page = vmalloc_to_page(addr);

		missed += !page;
		wrong += page && page != race->r->pages + i;
		i = (i + 1) % nr;
		if (!(i % 128))
			cond_resched();
	}
	if (by_timer) {
		hrtimer_cancel(&race->timer);
		migrate_enable();
	} else {
		kthread_stop(task);
	}
	kunit_info(test, "%lu walks against %lu changes, %lu found nothing",
		   walks, race->nr_changes, missed);
	KUNIT_EXPECT_EQ(test, race->err, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	if (!holes)
		KUNIT_EXPECT_EQ(test, missed, 0);
}

static int race_map(struct race *race)
{
	struct region *r = race->r;
	int err = map_pieces(r, r->size == PMD_SIZE ? PMD_SIZE : PAGE_SIZE);

	vunmap_range(r->addr, r->addr + r->size);
	return err;
}

static void vmalloc_walk_race_small(struct kunit *test)
{
	struct race race = { get_region(test, 32 * PAGE_SIZE), race_map };

	race_run(test, &race, false, true);
}

/*
 * In a place of its own: where small pages were, a large mapping would replace
 * their table, and may be walked only under init_mm's lock then.
 */
static void vmalloc_walk_race_large(struct kunit *test)
{
	struct race race = { get_region(test, PMD_SIZE), race_map };

	race_run(test, &race, false, true);
}

/*
 * A table and the leaf that maps the same pages in turn, with no hole between:
 * what a split and a collapse do. Nobody accesses these addresses, so the TLBs
 * need not be told. In the end the table is back.
 */
#if defined(CONFIG_HAVE_ARCH_HUGE_VMAP) && !defined(CONFIG_PPC)
static int race_replace(struct race *race)
{
	unsigned long addr = race->r->addr;

	race->is_leaf = !race->is_leaf;
	if (race->r->size == PMD_SIZE)
		set_pmd(pmd_of(addr), race->is_leaf ? race->pmd_leaf :
						      race->pmd_table);
#ifndef __PAGETABLE_PUD_FOLDED
	else
		set_pud(pud_of(addr), race->is_leaf ? race->pud_leaf :
						      race->pud_table);
#endif
	return 0;
}

static void walk_replace(struct kunit *test, unsigned long size,
			 unsigned long piece)
{
	struct race race = { get_region(test, size), race_replace };
	unsigned long addr = race.r->addr;

	KUNIT_ASSERT_EQ(test, 0, map_pieces(race.r, size));
	if (BIT(leaf_shift(addr)) != size)
		kunit_skip(test, "leaves of %lu KiB are not used here", size >> 10);
	race.pud_leaf = *pud_of(addr);
	if (size == PMD_SIZE)
		race.pmd_leaf = *pmd_of(addr);
	vunmap_range(addr, addr + size);
	KUNIT_ASSERT_EQ(test, 0, map_pieces(race.r, piece));
	race.pud_table = *pud_of(addr);
	race.pmd_table = *pmd_of(addr);
	race_run(test, &race, true, false);
	race_run(test, &race, false, false);
	if (race.is_leaf)
		race_replace(&race);
	flush_tlb_kernel_range(addr, addr + size);
}
#else
static void walk_replace(struct kunit *test, unsigned long size,
			 unsigned long piece)
{
	kunit_skip(test, "no way to replace an entry here");
}
#endif

static void vmalloc_walk_replace_pmd(struct kunit *test)
{
	walk_replace(test, PMD_SIZE, PAGE_SIZE);
}

static void vmalloc_walk_replace_pud(struct kunit *test)
{
	if (mm_pmd_folded(&init_mm))
		kunit_skip(test, "no PUD level");
	walk_replace(test, PUD_SIZE, PMD_SIZE);
}

static struct kunit_case vmalloc_walk_test_cases[] = {
	KUNIT_CASE(vmalloc_walk_small),
	KUNIT_CASE(vmalloc_walk_huge),
	KUNIT_CASE(vmalloc_walk_block_pte),
	KUNIT_CASE(vmalloc_walk_block_pmd),
	KUNIT_CASE_SLOW(vmalloc_walk_block_pud),
	KUNIT_CASE(vmalloc_walk_hole),
	KUNIT_CASE_SLOW(vmalloc_walk_race_small),
	KUNIT_CASE_SLOW(vmalloc_walk_race_large),
	KUNIT_CASE_SLOW(vmalloc_walk_replace_pmd),
	KUNIT_CASE_SLOW(vmalloc_walk_replace_pud),
	{}
};

static struct kunit_suite vmalloc_walk_test_suite = {
	.name = "vmalloc_walk",
	.test_cases = vmalloc_walk_test_cases,
};

kunit_test_suite(vmalloc_walk_test_suite);

MODULE_DESCRIPTION("Tests for vmalloc_to_page()");
MODULE_LICENSE("GPL");
