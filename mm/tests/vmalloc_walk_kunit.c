// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests for vmalloc_to_page(), the walk of the kernel page tables that takes no
 * lock.
 *
 * First at rest: at each level a leaf can be at, at each position in it, and
 * beside holes. Then while other threads map, unmap, and replace a table by the
 * equivalent leaf and back.
 *
 * What the walk must find is always known from elsewhere: from the page array
 * of the vm_struct, or because the test itself chose what to map.
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
#define RACE_JIFFIES	HZ

/* A piece of vmalloc space that belongs to the test, and a block to map there. */
struct region {
	struct vm_struct *area;
	unsigned long addr;
	struct page *pages;
	unsigned long nr_pages;
};

KUNIT_DEFINE_ACTION_WRAPPER(vfree_action, vfree, const void *);
KUNIT_DEFINE_ACTION_WRAPPER(vunmap_action, vunmap, const void *);

static void free_region_area(void *data)
{
	struct vm_struct *area = data;

	vunmap_range((unsigned long)area->addr,
		     (unsigned long)area->addr + get_vm_area_size(area));
	free_vm_area(area);
}

static void free_region_pages(void *data)
{
	struct region *r = data;

	if (r->nr_pages > MAX_ORDER_NR_PAGES) {
#ifdef CONFIG_CONTIG_ALLOC
		free_contig_range(page_to_pfn(r->pages), r->nr_pages);
#endif
	} else {
		__free_pages(r->pages, get_order(r->nr_pages << PAGE_SHIFT));
	}
}

/*
 * Vmalloc space, aligned as ioremap() would align it, with nothing mapped.
 * Skips the test if there is not enough of it.
 */
static unsigned long get_space(struct kunit *test, unsigned long size)
{
	struct vm_struct *area = get_vm_area(size, VM_IOREMAP);

	if (!area)
		kunit_skip(test, "no %lu KiB of vmalloc space", size >> 10);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_region_area,
							   area));
	return (unsigned long)area->addr;
}

/*
 * One naturally aligned block of memory of @size bytes, a power of two, each
 * page of it filled with ones, and space for it. Nothing is mapped. A walk that
 * takes one of these pages for a table finds an entry that is present and leads
 * nowhere.
 *
 * Skips the test if the memory can't be had.
 */
static struct region *get_region(struct kunit *test, unsigned long size)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	struct region *r;
	unsigned long i;

	r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);

	r->nr_pages = size >> PAGE_SHIFT;
	if (r->nr_pages <= MAX_ORDER_NR_PAGES)
		r->pages = alloc_pages(gfp, get_order(size));
#ifdef CONFIG_CONTIG_ALLOC
	else
		r->pages = alloc_contig_pages(r->nr_pages, gfp, first_online_node,
					      NULL);
#endif
	if (!r->pages)
		kunit_skip(test, "no contiguous block of %lu KiB", size >> 10);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   free_region_pages, r));
	for (i = 0; i < r->nr_pages; i++)
		memset_page(r->pages + i, 0, 0xff, PAGE_SIZE);

	/* After the pages, so that it is undone before them. */
	r->addr = get_space(test, size);
	return r;
}

/* Map the block with leaves as large as they can be. */
static int map_large(struct region *r)
{
	return vmap_page_range(r->addr, r->addr + (r->nr_pages << PAGE_SHIFT),
			       page_to_phys(r->pages), PAGE_KERNEL);
}

/* Map the block in pieces of @size bytes, so that no leaf is larger. */
static int map_pieces(struct region *r, unsigned long size)
{
	unsigned long offset;
	int err;

	for (offset = 0; offset < r->nr_pages << PAGE_SHIFT; offset += size) {
		unsigned long addr = r->addr + offset;

		err = vmap_page_range(addr, addr + size,
				      page_to_phys(r->pages) + offset,
				      PAGE_KERNEL);
		if (err)
			return err;
	}
	return 0;
}

/* The entry that covers @addr at PUD and PMD level; the owner's plain walk. */
static pud_t *pud_of(unsigned long addr)
{
	return pud_offset(p4d_offset(pgd_offset_k(addr), addr), addr);
}

static pmd_t *pmd_of(unsigned long addr)
{
	return pmd_offset(pud_of(addr), addr);
}

/* The size, as a shift, of what maps @addr, which is known to be mapped. */
static int leaf_shift(unsigned long addr)
{
	if (pud_leaf(*pud_of(addr)))
		return PUD_SHIFT;
	if (pmd_leaf(*pmd_of(addr)))
		return PMD_SHIFT;
	return PAGE_SHIFT;
}

/* Every byte of the page at @addr belongs to @page; so do those at its ends. */
static void expect_page(struct kunit *test, unsigned long addr, struct page *page)
{
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page((void *)addr), page);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page((void *)(addr + PAGE_SIZE / 2 + 1)),
			    page);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page((void *)(addr + PAGE_SIZE - 1)),
			    page);
}

static void expect_hole(struct kunit *test, unsigned long addr)
{
	KUNIT_EXPECT_NULL(test, vmalloc_to_page((void *)addr));
	KUNIT_EXPECT_NULL(test, vmalloc_to_page((void *)(addr + PAGE_SIZE - 1)));
}

/* What is written through the mapping at @addr is seen in the page found there. */
static void expect_alias(struct kunit *test, unsigned long addr)
{
	struct page *page = vmalloc_to_page((void *)addr);
	unsigned long *kaddr;

	KUNIT_ASSERT_NOT_NULL(test, page);
	WRITE_ONCE(*(unsigned long *)addr, ~addr);
	flush_kernel_vmap_range((void *)addr, sizeof(addr));

	kaddr = kmap_local_page(page);
	KUNIT_EXPECT_EQ(test, READ_ONCE(*kaddr), ~addr);
	kunmap_local(kaddr);
}

/* An area from the allocator, against the array of its pages. */
static void expect_area(struct kunit *test, void *mem, unsigned long nr_pages)
{
	struct vm_struct *area = find_vm_area(mem);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_GE(test, area->nr_pages, nr_pages);

	for (i = 0; i < nr_pages; i++) {
		unsigned long addr = (unsigned long)mem + (i << PAGE_SHIFT);

		expect_page(test, addr, area->pages[i]);
		expect_alias(test, addr);
	}
}

static void vmalloc_walk_small(struct kunit *test)
{
	static const unsigned int nr[] = { 1, 2, 3, 15, 16, 17, 33 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nr); i++) {
		void *mem = vmalloc(nr[i] * PAGE_SIZE);

		KUNIT_ASSERT_NOT_NULL(test, mem);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, vfree_action, mem));
		expect_area(test, mem, nr[i]);
	}
}

static void vmalloc_walk_huge(struct kunit *test)
{
	/* Two blocks, and a tail that no block fits in. */
	unsigned long size = 2 * PMD_SIZE + 3 * PAGE_SIZE;
	void *mem;

	if (PMD_SIZE > SZ_32M)
		kunit_skip(test, "a PMD maps too much memory");

	mem = vmalloc_huge(size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vfree_action, mem));

	kunit_info(test, "mapped by leaves of %lu KiB",
		   (1UL << leaf_shift((unsigned long)mem)) >> 10);
	expect_area(test, mem, size >> PAGE_SHIFT);
}

/* Pages that are neighbours in the mapping and not in memory. */
static void vmalloc_walk_vmap(struct kunit *test)
{
	struct page *pages[20];
	struct region *r = get_region(test, 32 * PAGE_SIZE);
	unsigned long i, addr;
	void *mem;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = r->pages + (i * 13) % 32;

	mem = vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vunmap_action, mem));

	addr = (unsigned long)mem;
	for (i = 0; i < ARRAY_SIZE(pages); i++, addr += PAGE_SIZE) {
		expect_page(test, addr, pages[i]);
		expect_alias(test, addr);
	}
}

/* A block of each size, mapped by leaves of the size it asks for. */
static void expect_block(struct kunit *test, unsigned long size, int shift)
{
	struct region *r = get_region(test, size);
	unsigned long i;

	KUNIT_ASSERT_EQ(test, 0, map_large(r));
	if (leaf_shift(r->addr) != shift)
		kunit_skip(test, "leaves of %lu KiB are not used here",
			   (1UL << shift) >> 10);

	for (i = 0; i < r->nr_pages; i++) {
		unsigned long addr = r->addr + (i << PAGE_SHIFT);

		/* A block has too many pages to look at each three times. */
		if (i < 2 || i == r->nr_pages / 2 || i == r->nr_pages - 1) {
			expect_page(test, addr, r->pages + i);
			expect_alias(test, addr);
		} else if (vmalloc_to_page((void *)addr) != r->pages + i) {
			KUNIT_FAIL(test, "wrong page behind page %lu", i);
			break;
		}
	}

	vunmap_range(r->addr, r->addr + size);
	expect_hole(test, r->addr);
	expect_hole(test, r->addr + size / 2);
	expect_hole(test, r->addr + size - PAGE_SIZE);
}

static void vmalloc_walk_block_pte(struct kunit *test)
{
	expect_block(test, PAGE_SIZE, PAGE_SHIFT);
	expect_block(test, 2 * PAGE_SIZE, PAGE_SHIFT);
	/* Contiguous PTEs, where there are such */
	expect_block(test, SZ_64K, PAGE_SHIFT);
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
	struct region *r = get_region(test, PAGE_SIZE);
	unsigned long step[] = { PAGE_SIZE, PMD_SIZE, PUD_SIZE };
	unsigned long addr;
	unsigned int i;

	/*
	 * Space that is aligned to @step and two times as large. What lies
	 * between one mapped page and the same page @step further on is a hole.
	 */
	for (i = 0; i < ARRAY_SIZE(step); i++) {
		struct vm_struct *area = get_vm_area(2 * step[i], VM_IOREMAP);

		if (!area) {
			kunit_info(test, "no %lu KiB of vmalloc space",
				   2 * step[i] >> 10);
			break;
		}
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, free_region_area,
							  area));
		addr = (unsigned long)area->addr;

		expect_hole(test, addr);
		expect_hole(test, addr + step[i]);

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
		expect_hole(test, addr + PAGE_SIZE);
	}
}

/* The address is not given out again at once, so nothing else is found there. */
static void vmalloc_walk_freed(struct kunit *test)
{
	void *mem = vmalloc(3 * PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_EXPECT_NOT_NULL(test, vmalloc_to_page(mem));
	vfree(mem);
	expect_hole(test, (unsigned long)mem);
	expect_hole(test, (unsigned long)mem + 2 * PAGE_SIZE);
}

/* Something changes a mapping while the test walks it. */
struct race {
	struct region *r;
	int (*change)(struct race *race);
	unsigned long nr_changes;
	int err;
	struct hrtimer timer;

	/* What the replacing cases put in turn, and where. */
	bool is_leaf;
	pmd_t *pmdp, pmd_table, pmd_leaf;
	pud_t *pudp, pud_table, pud_leaf;
};

struct tally {
	unsigned long walks, holes, wrong;
};

/*
 * Walk the pages of the region until time is up. This only counts: an assertion
 * must wait until that which changes the mapping, and lives on the stack of the
 * test, has been stopped.
 */
static void race_walk(struct race *race, struct tally *tally)
{
	unsigned long end = jiffies + RACE_JIFFIES;
	struct region *r = race->r;
	unsigned long i = 0;

	while (time_before(jiffies, end) || !READ_ONCE(race->nr_changes)) {
		unsigned long addr = r->addr + (i << PAGE_SHIFT);
		struct page *page = vmalloc_to_page((void *)addr);

		tally->walks++;
		if (!page)
			tally->holes++;
		else if (page != r->pages + i)
			tally->wrong++;

		if (++i == r->nr_pages)
			i = 0;
		if (!(i % 128))
			cond_resched();
	}
}

/* Each page was found where it is mapped or, if @may_be_hole, not at all. */
static void race_judge(struct kunit *test, struct race *race,
		       struct tally *tally, bool may_be_hole)
{
	kunit_info(test, "%lu walks against %lu changes, %lu found nothing",
		   tally->walks, race->nr_changes, tally->holes);
	KUNIT_EXPECT_EQ(test, race->err, 0);
	KUNIT_EXPECT_EQ(test, tally->wrong, 0);
	if (!may_be_hole)
		KUNIT_EXPECT_EQ(test, tally->holes, 0);
}

static int race_thread(void *data)
{
	struct race *race = data;

	while (!kthread_should_stop()) {
		if (!race->err)
			race->err = race->change(race);
		WRITE_ONCE(race->nr_changes, race->nr_changes + 1);
		cond_resched();
	}
	return 0;
}

/* The changes come from another thread: on another CPU, if there is one. */
static void race_against_thread(struct kunit *test, struct race *race,
				bool may_be_hole)
{
	struct tally tally = {};
	struct task_struct *task;

	race->nr_changes = 0;
	task = kthread_run(race_thread, race, "vmalloc_walk");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	race_walk(race, &tally);
	kthread_stop(task);
	race_judge(test, race, &tally, may_be_hole);
}

static enum hrtimer_restart race_timer(struct hrtimer *timer)
{
	struct race *race = container_of(timer, struct race, timer);

	race->err = race->change(race);
	WRITE_ONCE(race->nr_changes, race->nr_changes + 1);

	/* From now on, so that the walk makes progress on slow machines too. */
	hrtimer_forward_now(timer, ns_to_ktime(20 * NSEC_PER_USEC));
	return HRTIMER_RESTART;
}

/*
 * The changes come from an interrupt of the CPU that walks, so this sees what it
 * is to see on a machine with one CPU as well.
 */
static void __maybe_unused race_against_timer(struct kunit *test,
					      struct race *race, bool may_be_hole)
{
	struct tally tally = {};

	race->nr_changes = 0;
	hrtimer_setup(&race->timer, race_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);
	migrate_disable();
	hrtimer_start(&race->timer, ns_to_ktime(20 * NSEC_PER_USEC),
		      HRTIMER_MODE_REL_PINNED_HARD);
	race_walk(race, &tally);
	hrtimer_cancel(&race->timer);
	migrate_enable();
	race_judge(test, race, &tally, may_be_hole);
}

static int race_map_small(struct race *race)
{
	struct region *r = race->r;
	int err;

	err = map_pieces(r, PAGE_SIZE);
	vunmap_range(r->addr, r->addr + (r->nr_pages << PAGE_SHIFT));
	return err;
}

static int race_map_large(struct race *race)
{
	struct region *r = race->r;
	int err;

	err = map_large(r);
	vunmap_range(r->addr, r->addr + (r->nr_pages << PAGE_SHIFT));
	return err;
}

static void vmalloc_walk_race_small(struct kunit *test)
{
	struct race race = {
		.r	= get_region(test, 32 * PAGE_SIZE),
		.change	= race_map_small,
	};

	race_against_thread(test, &race, true);
}

/*
 * The large mapping has a place of its own. Where small pages were before, it
 * would replace their table, and nobody may walk a range whose tables are
 * being freed but under the lock of init_mm: see vmap_try_huge_pmd().
 */
static void vmalloc_walk_race_large(struct kunit *test)
{
	struct race race = {
		.r	= get_region(test, PMD_SIZE),
		.change	= race_map_large,
	};

	race_against_thread(test, &race, true);
}

/*
 * A table, and the leaf that maps the same pages, in turn, with no hole between:
 * what a split and a collapse do. Neither may be mistaken for the other.
 *
 * Nothing accesses these addresses: the walk is all that sees the changes, and
 * the TLBs need not be told of each. It ends with the table, so that the region
 * is unmapped as it was mapped.
 */
#if defined(CONFIG_HAVE_ARCH_HUGE_VMAP) && !defined(CONFIG_PPC)
static int race_replace_pmd(struct race *race)
{
	race->is_leaf = !race->is_leaf;
	set_pmd(race->pmdp, race->is_leaf ? race->pmd_leaf : race->pmd_table);
	return 0;
}

static void vmalloc_walk_replace_pmd(struct kunit *test)
{
	struct race race = { .change = race_replace_pmd };
	unsigned long addr;

	race.r = get_region(test, PMD_SIZE);
	addr = race.r->addr;

	KUNIT_ASSERT_EQ(test, 0, map_large(race.r));
	if (leaf_shift(addr) != PMD_SHIFT)
		kunit_skip(test, "leaves of PMD size are not used here");
	race.pmdp = pmd_of(addr);
	race.pmd_leaf = pmdp_get(race.pmdp);
	vunmap_range(addr, addr + PMD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, map_pieces(race.r, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, leaf_shift(addr), PAGE_SHIFT);
	race.pmd_table = pmdp_get(race.pmdp);

	race_against_timer(test, &race, false);
	race_against_thread(test, &race, false);

	set_pmd(race.pmdp, race.pmd_table);
	flush_tlb_kernel_range(addr, addr + PMD_SIZE);
}
#else
static void vmalloc_walk_replace_pmd(struct kunit *test)
{
	kunit_skip(test, "no way to replace an entry here");
}
#endif

#if defined(CONFIG_HAVE_ARCH_HUGE_VMAP) && !defined(CONFIG_PPC) && \
	!defined(__PAGETABLE_PUD_FOLDED)
static int race_replace_pud(struct race *race)
{
	race->is_leaf = !race->is_leaf;
	set_pud(race->pudp, race->is_leaf ? race->pud_leaf : race->pud_table);
	return 0;
}

static void vmalloc_walk_replace_pud(struct kunit *test)
{
	struct race race = { .change = race_replace_pud };
	unsigned long addr;

	race.r = get_region(test, PUD_SIZE);
	addr = race.r->addr;

	KUNIT_ASSERT_EQ(test, 0, map_large(race.r));
	if (leaf_shift(addr) != PUD_SHIFT)
		kunit_skip(test, "leaves of PUD size are not used here");
	race.pudp = pud_of(addr);
	race.pud_leaf = pudp_get(race.pudp);
	vunmap_range(addr, addr + PUD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, map_pieces(race.r, PMD_SIZE));
	KUNIT_ASSERT_EQ(test, leaf_shift(addr), PMD_SHIFT);
	race.pud_table = pudp_get(race.pudp);

	race_against_timer(test, &race, false);
	race_against_thread(test, &race, false);

	set_pud(race.pudp, race.pud_table);
	flush_tlb_kernel_range(addr, addr + PUD_SIZE);
}
#else
static void vmalloc_walk_replace_pud(struct kunit *test)
{
	kunit_skip(test, "no way to replace an entry here");
}
#endif

static struct kunit_case vmalloc_walk_test_cases[] = {
	KUNIT_CASE(vmalloc_walk_small),
	KUNIT_CASE(vmalloc_walk_huge),
	KUNIT_CASE(vmalloc_walk_vmap),
	KUNIT_CASE(vmalloc_walk_block_pte),
	KUNIT_CASE(vmalloc_walk_block_pmd),
	KUNIT_CASE_SLOW(vmalloc_walk_block_pud),
	KUNIT_CASE(vmalloc_walk_hole),
	KUNIT_CASE(vmalloc_walk_freed),
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
