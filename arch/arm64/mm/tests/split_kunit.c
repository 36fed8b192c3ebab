// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for changes of attributes in a linear map made of large leaves:
 * what gets split, what does not, and what is left when memory runs out.
 */
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/sizes.h>

#include "kernel_leaf_test.h"

static int split_suite_init(struct kunit *test)
{
	if (!kernel_leaf_may_split(PAGE_OFFSET))
		kunit_skip(test, "the linear map is made of pages (no BBML3)");
	return 0;
}

/*
 * One page out of the largest leaf: every level below it is visited, and the new
 * tables restrict what the leaf restricted, and no more.
 */
static void split_one_page(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	unsigned long addr = p->addr;
	unsigned long group = ALIGN_DOWN(addr, CONT_PTE_SIZE);
	unsigned long block = ALIGN_DOWN(addr, PMD_SIZE);
	unsigned long other = group == block ? block + CONT_PTE_SIZE : block;
	ptval_t before = leaf_val(block) & ~(PTE_TYPE_MASK | PTE_CONT);
	pmd_t pmd;

	memset((void *)addr, 0x5a, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, leaf_change(addr, PAGE_SIZE, &to_ro));

	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(addr));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(group));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(group + CONT_PTE_SIZE - 1));
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(other));
	pmd = pmdp_get(pmd_off_k(addr));
	KUNIT_EXPECT_TRUE(test, pmd_table(pmd));
	KUNIT_EXPECT_EQ(test, PMD_TABLE_PXN | PMD_TABLE_UXN,
			pmd_val(pmd) & (PMD_TABLE_PXN | PMD_TABLE_UXN));

	/* The page, and nothing but the page. */
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(addr, true));
	KUNIT_EXPECT_EQ(test, __pa(addr), hw_translate(addr, false));
	for (unsigned long a = block; a < block + PMD_SIZE; a += PAGE_SIZE) {
		if (a == addr)
			continue;
		KUNIT_EXPECT_EQ(test, __pa(a), hw_translate(a, true));
		KUNIT_EXPECT_EQ(test, before + __phys_to_pte_val(a - block),
				leaf_val(a) & ~(PTE_TYPE_MASK | PTE_CONT));
	}
	KUNIT_EXPECT_EQ(test, 0x5a, *(u8 *)addr);

	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, __pa(addr), hw_translate(addr, true));
}

/* A range is split to the size that its ends are aligned to, and only there. */
static void split_range(struct kunit *test)
{
	unsigned long addr = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE)->addr, end;

	KUNIT_ASSERT_EQ(test, 0, leaf_change(addr, CONT_PTE_SIZE, &to_ro));
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(addr));
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(addr + CONT_PTE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, CONT_PTE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(addr));

	/* Both ends inside leaves of their own. */
	addr = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE)->addr + PAGE_SIZE;
	end = addr + 2 * CONT_PTE_SIZE - 2 * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, leaf_change(addr, end - addr, &to_ro));
	KUNIT_EXPECT_EQ(test, __pa(addr - PAGE_SIZE),
			hw_translate(addr - PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, __pa(end), hw_translate(end, true));
	for (unsigned long a = addr; a < end; a += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(a, true));
	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, end - addr, &to_rw));
}

/*
 * What has the attributes already is not split for them, nor for a range that is
 * not made of pages, which is refused.
 */
static void split_nothing_to_change(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE);
	unsigned long addr = p->addr, size = leaf_size(addr);
	struct kernel_leaf_pool pool = {};

	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, 0, leaf_change(addr + PAGE_SIZE, 2 * PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, 0, set_direct_map_default_noflush(p->page));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			kernel_leaf_change_begin(addr + 1, addr + PAGE_SIZE,
						 &to_ro, &pool));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			kernel_leaf_change_begin(addr, addr + 1, &to_ro, &pool));
	KUNIT_EXPECT_EQ(test, 0, pool.nr);
	KUNIT_EXPECT_EQ(test, size, leaf_size(addr));
}

/* Allocations are counted, checked for their context, and made to fail. */
struct fill_ctx {
	unsigned long addr;
	int calls;
	int fail_at;
	bool locked;
};

static int fill_stub(struct kernel_leaf_pool *pool, unsigned int nr)
{
	struct kunit *test = kunit_get_current_test();
	struct fill_ctx *ctx = test->priv;
	struct kernel_leaf_region *region = kernel_leaf_region(ctx->addr);
	int ret;

	/* Nobody who allocates may hold what reclaim may need. */
	if (down_write_trylock(&region->lock))
		up_write(&region->lock);
	else
		ctx->locked = true;
	if (mutex_is_locked(&region->split_lock))
		ctx->locked = true;

	if (++ctx->calls == ctx->fail_at)
		return -ENOMEM;

	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	ret = kernel_leaf_pool_fill(pool, nr);
	kunit_activate_static_stub(test, kernel_leaf_pool_fill, fill_stub);
	return ret;
}

/* A change whose allocation of that number fails, if it comes to that. */
static int change_failing(struct kunit *test, struct fill_ctx *ctx, int fail_at,
			  unsigned long size, const struct kernel_leaf_change *change)
{
	int ret;

	ctx->calls = 0;
	ctx->fail_at = fail_at;
	test->priv = ctx;
	kunit_activate_static_stub(test, kernel_leaf_pool_fill, fill_stub);
	ret = leaf_change(ctx->addr, size, change);
	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	return ret;
}

/* No allocation under a lock; each that fails leaves all as it was. */
static void split_alloc_failure(struct kunit *test)
{
	unsigned long addr = leaf_pages_get(test, 1, leaf_max_size())->addr;
	struct fill_ctx ctx = { .addr = addr };
	unsigned long size = leaf_size(addr);
	ptval_t val = leaf_val(addr);
	int ret, n;

	for (n = 1; n < 8; n++) {
		ret = change_failing(test, &ctx, n, PAGE_SIZE, &to_ro);
		if (!ret)
			break;
		KUNIT_EXPECT_EQ(test, -ENOMEM, ret);
		KUNIT_EXPECT_EQ(test, __pa(addr), hw_translate(addr, true));
		if (n == 1) {
			KUNIT_EXPECT_EQ(test, size, leaf_size(addr));
			KUNIT_EXPECT_EQ(test, val, leaf_val(addr));
		}
	}
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_GT(test, n, 1);
	KUNIT_EXPECT_FALSE(test, ctx.locked);
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(addr, true));

	/* On pages that stand alone nothing is allocated. */
	KUNIT_EXPECT_EQ(test, 0, change_failing(test, &ctx, 1, PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, 0, ctx.calls);
}

/*
 * The two ends of a range lie in different blocks. Splitting the first uses up the
 * tables there are, and there are none for the second: what was split comes back.
 */
static void split_half_done(struct kunit *test)
{
	struct fill_ctx ctx = {};
	unsigned long addr, size;

	if (get_order(2 * PMD_SIZE) > MAX_PAGE_ORDER || !kernel_collapse_enabled())
		kunit_skip(test, "no two blocks can be allocated, or none is collapsed");

	addr = leaf_pages_get(test, get_order(2 * PMD_SIZE), leaf_max_size())->addr;
	addr += PAGE_SIZE;
	size = leaf_size(addr);
	ctx.addr = addr;
	KUNIT_EXPECT_EQ(test, -ENOMEM, change_failing(test, &ctx, 2, PMD_SIZE, &to_ro));
	KUNIT_EXPECT_EQ(test, 2, ctx.calls);
	KUNIT_EXPECT_LT(test, leaf_size(addr), size);
	KUNIT_EXPECT_EQ(test, __pa(addr), hw_translate(addr, true));
	kernel_collapse_flush();
	KUNIT_EXPECT_EQ(test, size, leaf_size(addr));
}

KUNIT_DEFINE_ACTION_WRAPPER(vfree_at_exit, vfree, const void *);

/*
 * A range across regions has all its tables before it changes anything, and wants
 * none if its pages stand alone. In vmalloc space, where such a range can be had.
 */
static void split_across_regions(struct kunit *test)
{
	unsigned long edge = ALIGN(PAGE_OFFSET + 1, KERNEL_LEAF_MAX_SIZE);
	unsigned long size = 2 * PMD_SIZE;
	struct fill_ctx ctx = {};
	void *area = NULL;
	int n;

	KUNIT_EXPECT_EQ(test, edge,
			kernel_leaf_region_end(edge - PAGE_SIZE, edge + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, edge - PAGE_SIZE,
			kernel_leaf_region_end(edge - 2 * PAGE_SIZE,
					       edge - PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, edge, kernel_leaf_region_end(edge - PAGE_SIZE, edge));
	KUNIT_EXPECT_PTR_NE(test, kernel_leaf_region(edge - 1), kernel_leaf_region(edge));
	/* The end of the address space is an end like any other. */
	KUNIT_EXPECT_EQ(test, 0UL, kernel_leaf_region_end(-PAGE_SIZE, 0));

	if (PMD_SIZE > SZ_2M)
		size = 2 * CONT_PTE_SIZE;
	for (edge = ALIGN(VMALLOC_START + size, KERNEL_LEAF_MAX_SIZE);
	     !area && edge < VMALLOC_END - size; edge += KERNEL_LEAF_MAX_SIZE)
		area = __vmalloc_node_range(size, size / 2, edge - size / 2,
					    edge + size / 2 + PAGE_SIZE, GFP_KERNEL,
					    PAGE_KERNEL, VM_ALLOW_HUGE_VMAP,
					    NUMA_NO_NODE, __builtin_return_address(0));
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, vfree_at_exit, area));
	ctx.addr = (unsigned long)kasan_reset_tag(area) + PAGE_SIZE;
	size -= 2 * PAGE_SIZE;

	/* Each end is in a leaf. Without tables for both neither is changed. */
	for (n = 1; n < 8; n++) {
		if (!change_failing(test, &ctx, n, size, &to_ro))
			break;
		KUNIT_EXPECT_NE(test, (phys_addr_t)-1, hw_translate(ctx.addr, true));
	}
	KUNIT_EXPECT_LT(test, n, 8);
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(ctx.addr, true));
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1,
			hw_translate(ctx.addr + size - PAGE_SIZE, true));

	/* The way back needs no table, and has none to fail for. */
	KUNIT_EXPECT_EQ(test, 0, change_failing(test, &ctx, 1, size, &to_rw));
	KUNIT_EXPECT_EQ(test, 0, ctx.calls);
}

/* Two pages: one that stands alone, one in a block. */
struct change_two {
	unsigned long alone;
	unsigned long block;
	int ret[2];
	struct hrtimer timer;
	struct completion done;
};

static void change_two(struct change_two *two)
{
	two->ret[0] = leaf_change(two->alone, PAGE_SIZE, &to_rw);
	two->ret[1] = leaf_change(two->block, PAGE_SIZE, &to_ro);
}

static enum hrtimer_restart change_two_timer(struct hrtimer *timer)
{
	struct change_two *two = container_of(timer, struct change_two, timer);

	change_two(two);
	complete(&two->done);
	return HRTIMER_NORESTART;
}

/*
 * An interrupt, hard or soft, changes nothing and says so. A task with interrupts
 * off is served. Under lockdep neither makes it complain.
 */
static void split_in_an_interrupt(struct kunit *test)
{
	static const enum hrtimer_mode modes[] = {
		HRTIMER_MODE_REL_SOFT, HRTIMER_MODE_REL_HARD,
	};
	struct change_two two = { .alone = leaf_pages_get(test, 0, PMD_SIZE)->addr };
	unsigned long flags, size;

	KUNIT_ASSERT_EQ(test, 0, leaf_change(two.alone, PAGE_SIZE, &to_ro));
	two.block = leaf_pages_get(test, 0, PMD_SIZE)->addr;
	size = leaf_size(two.block);

	for (int i = 0; i < ARRAY_SIZE(modes); i++) {
		init_completion(&two.done);
		hrtimer_setup_on_stack(&two.timer, change_two_timer,
				       CLOCK_MONOTONIC, modes[i]);
		hrtimer_start(&two.timer, ns_to_ktime(NSEC_PER_MSEC), modes[i]);
		wait_for_completion(&two.done);
		hrtimer_cancel(&two.timer);
		destroy_hrtimer_on_stack(&two.timer);

		KUNIT_EXPECT_EQ(test, -EBUSY, two.ret[0]);
		KUNIT_EXPECT_EQ(test, -EBUSY, two.ret[1]);
		KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(two.alone, true));
		KUNIT_EXPECT_EQ(test, size, leaf_size(two.block));
	}

	local_irq_save(flags);
	change_two(&two);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, 0, two.ret[0]);
	KUNIT_EXPECT_EQ(test, 0, two.ret[1]);
	KUNIT_EXPECT_EQ(test, __pa(two.alone), hw_translate(two.alone, true));
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(two.block, true));
	KUNIT_EXPECT_EQ(test, 0, leaf_change(two.block, PAGE_SIZE, &to_rw));
}

static struct kunit_case split_cases[] = {
	KUNIT_CASE(split_one_page),
	KUNIT_CASE(split_range),
	KUNIT_CASE(split_nothing_to_change),
	KUNIT_CASE(split_alloc_failure),
	KUNIT_CASE(split_half_done),
	KUNIT_CASE(split_across_regions),
	KUNIT_CASE(split_in_an_interrupt),
	{}
};

static struct kunit_suite split_suite = {
	.name = "kernel_leaf_split",
	.init = split_suite_init,
	.test_cases = split_cases,
};

kunit_test_suite(split_suite);
