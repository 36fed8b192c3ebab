// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for splits while the machine boots. KUnit runs when that is over,
 * so what happened is written down as it happens, and judged here:
 *
 *	early_initcall()		the boot CPU alone
 *	CPUHP_BP_PREPARE_DYN		before each CPU is started
 *	the starting callbacks		on that CPU, with interrupts off
 *	CPUHP_AP_ONLINE_DYN		on that CPU, in a thread
 *	core_initcall()			when the capabilities are final
 */
#include <linux/cpufeature.h>
#include <linux/cpuhotplug.h>
#include <linux/init.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "kernel_leaf_test.h"

static const struct boot_stage {
	const char *name;
	bool each_cpu;
	bool irqs_off;
} boot_stages[] = {
	{ "alone" },
	{ "prepare", true },
	{ "starting", true, true },
	{ "online", true },
	{ "final" },
};

KUNIT_ARRAY_PARAM_DESC(stage, boot_stages, name);

/* A page that was made read-only and writable again. */
struct boot_split {
	const char *stage;
	unsigned int cpu;		/* the one being started, or the boot CPU */
	unsigned long before, after;	/* size of its leaf, and while it was read-only */
	int ret, back;			/* what the changes returned */
	bool was_ro;			/* a store would have faulted in between */
	bool irqs_off;
	bool bbml3;			/* all CPUs had it that had been seen */
};

#define BOOT_SPLITS_MAX		64
#define BOOT_ORDER		get_order(SZ_2M)

/* Filled by one CPU after the other: they are started one by one. */
static struct boot_split boot_splits[BOOT_SPLITS_MAX];
static struct page *boot_blocks[BOOT_SPLITS_MAX];
static unsigned int nr_splits, nr_blocks;
static enum cpuhp_state prepare_state, online_state;

/* Each time another block, so that there is something to split. */
static void boot_split(const char *stage, unsigned int cpu)
{
	struct boot_split *s;
	unsigned long addr;

	if (nr_splits >= nr_blocks)
		return;

	addr = (unsigned long)page_address(boot_blocks[nr_splits]);
	s = &boot_splits[nr_splits++];
	s->stage = stage;
	s->cpu = cpu;
	s->irqs_off = irqs_disabled();
	s->bbml3 = cpus_have_cap(ARM64_HAS_BBML3);
	s->before = leaf_size(addr);
	s->ret = leaf_change(addr, PAGE_SIZE, &to_ro);
	s->after = leaf_size(addr);
	s->was_ro = hw_translate(addr, true) == (phys_addr_t)-1;
	s->back = leaf_change(addr, PAGE_SIZE, &to_rw);
}

#define BOOT_CALLBACK(stage)			\
static int boot_##stage(unsigned int cpu)	\
{						\
	boot_split(#stage, cpu);		\
	return 0;				\
}

BOOT_CALLBACK(prepare)
BOOT_CALLBACK(starting)
BOOT_CALLBACK(online)

/* The starting callbacks have no dynamic states. This one is 32-bit Arm's. */
#define BOOT_STARTING_STATE	CPUHP_AP_ARM_TWD_STARTING

static int __init boot_alone_init(void)
{
	if (!kunit_enabled() || !can_set_direct_map())
		return 0;

	/* Four stages for each CPU, and two. */
	while (nr_blocks < min(4 * num_possible_cpus() + 2, BOOT_SPLITS_MAX)) {
		boot_blocks[nr_blocks] = alloc_pages(GFP_KERNEL | __GFP_NOWARN,
						     BOOT_ORDER);
		if (!boot_blocks[nr_blocks])
			break;
		nr_blocks++;
	}

	boot_split("alone", 0);

	cpuhp_setup_state_nocalls(BOOT_STARTING_STATE, "arm64/leaf_test:starting",
				  boot_starting, NULL);
	prepare_state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
						  "arm64/leaf_test:prepare",
						  boot_prepare, NULL);
	online_state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
						 "arm64/leaf_test:online",
						 boot_online, NULL);
	return 0;
}
early_initcall(boot_alone_init);

static int __init boot_final_init(void)
{
	if (!nr_blocks)
		return 0;

	boot_split("final", 0);

	if ((int)online_state > 0)
		cpuhp_remove_state_nocalls(online_state);
	if ((int)prepare_state > 0)
		cpuhp_remove_state_nocalls(prepare_state);
	cpuhp_remove_state_nocalls(BOOT_STARTING_STATE);
	return 0;
}
core_initcall(boot_final_init);

/* At every stage a change to a page is made, whatever leaf it was in. */
static void boot_served(struct kunit *test)
{
	const struct boot_stage *stage = test->param_value;
	unsigned int n = 0;

	if (stage->each_cpu && num_possible_cpus() == 1)
		kunit_skip(test, "there is one CPU");
	if (!can_set_direct_map())
		kunit_skip(test, "nobody changes a part of the linear map");

	for (int i = 0; i < nr_splits; i++) {
		struct boot_split *s = &boot_splits[i];

		if (strcmp(s->stage, stage->name))
			continue;
		kunit_info(test, "CPU%u: a page in a leaf of %#lx bytes: %d, now in one of %#lx\n",
			   s->cpu, s->before, s->ret, s->after);
		KUNIT_EXPECT_EQ(test, 0, s->ret);
		KUNIT_EXPECT_EQ(test, 0, s->back);
		KUNIT_EXPECT_EQ(test, PAGE_SIZE, s->after);
		KUNIT_EXPECT_TRUE(test, s->was_ro);
		KUNIT_EXPECT_EQ(test, stage->irqs_off, s->irqs_off);
		n++;
	}

	KUNIT_EXPECT_GT(test, n, 0);
}

/*
 * Blocks are there until the first CPU without BBML3 starts, and from its start
 * on there are none.
 */
static void boot_repaint(struct kunit *test)
{
	bool pages = false;

	if (!can_set_direct_map())
		kunit_skip(test, "nobody changes a part of the linear map");

	for (int i = 0; i < nr_splits; i++) {
		struct boot_split *s = &boot_splits[i];

		pages |= s->before == PAGE_SIZE;
		if (pages || !s->bbml3)
			KUNIT_EXPECT_EQ(test, PAGE_SIZE, s->before);
	}

	KUNIT_EXPECT_EQ(test, pages,
			!system_supports_bbml3() ||
			strstr(saved_command_line, "linear_map=pages"));
	KUNIT_EXPECT_EQ(test, system_supports_bbml3(),
			kernel_leaf_may_split(PAGE_OFFSET));
}

static void boot_suite_exit(struct kunit_suite *suite)
{
	while (nr_blocks)
		__free_pages(boot_blocks[--nr_blocks], BOOT_ORDER);
}

static struct kunit_case boot_cases[] = {
	KUNIT_CASE_PARAM(boot_served, stage_gen_params),
	KUNIT_CASE(boot_repaint),
	{}
};

static struct kunit_suite boot_suite = {
	.name = "kernel_leaf_boot",
	.suite_exit = boot_suite_exit,
	.test_cases = boot_cases,
};

kunit_test_suite(boot_suite);
