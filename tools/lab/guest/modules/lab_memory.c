// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that comes and goes while leaves of its linear mapping are split and
 * collapsed. Loading the module does all: it adds the memory, which must be
 * some that mem= has kept from the kernel, and never makes it available, so that
 * its pages are the module's alone; changes single pages on all CPUs; and removes
 * it at once, with tables still on the queue. When it is gone its tables must be
 * free, not on their way to be, and no table may be counted out that was not
 * counted in.
 */
#include <linux/kthread.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "lab_page.h"

static unsigned long long start;
module_param(start, ullong, 0400);
MODULE_PARM_DESC(start, "physical address of the memory");

static unsigned long long size;
module_param(size, ullong, 0400);
MODULE_PARM_DESC(size, "its size");

static unsigned int rounds = 10;
module_param(rounds, uint, 0400);
MODULE_PARM_DESC(rounds, "how often it comes and goes");

struct changer {
	struct task_struct *task;
	unsigned int first;
	unsigned int step;
	unsigned int bad;
};

/* Every step-th page, beginning with another one on each CPU. */
static int change_pages(void *data)
{
	unsigned long pages = size >> PAGE_SHIFT;
	struct changer *c = data;

	for (unsigned long i = c->first; i < pages; i += c->step) {
		struct page *page = pfn_to_page(PHYS_PFN(start) + i);
		unsigned long addr = (unsigned long)page_address(page);

		if (set_invalid(page))
			c->bad++;
		flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
		if (set_default(page))
			c->bad++;
		cond_resched();
	}

	return 0;
}

static long sum_tables(void)
{
	long n = global_node_page_state(NR_PAGETABLE);
	struct pglist_data *pgdat = NODE_DATA(0);
	int cpu;

	for_each_online_cpu(cpu)
		n += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->vm_node_stat_diff[NR_PAGETABLE];

	return n;
}

/*
 * The kernel's count, exactly. A CPU may move its share to the sum of all while
 * this adds, so it counts until it finds the same twice.
 */
static long count_tables(void)
{
	long n = sum_tables(), before;

	do {
		before = n;
		cond_resched();
		n = sum_tables();
	} while (n != before);

	return n;
}

/* Wait until the worker has had its turn with all that is not of this test. */
static void settle(void)
{
	unsigned long end = jiffies + 30 * HZ;
	long n = count_tables(), before;

	do {
		before = n;
		schedule_timeout_uninterruptible(HZ + HZ / 4);
		rcu_barrier();
		n = count_tables();
	} while (n != before && time_before(jiffies, end));
}

/*
 * None of the tables may wait for RCU when remove_memory() returns, and after
 * the removal there are as many as before. Processes that exit at that moment
 * free theirs, too, so that some rounds may find a few more: it is wrong if most
 * have to wait, or if the least of the second half is below that of the first.
 */
static unsigned int waited;
static long least[2] = { LONG_MAX, LONG_MAX };

static void count_round(unsigned int round)
{
	long now = count_tables(), later;

	rcu_barrier();
	later = count_tables();
	pr_info("lab_memory: round=%u tables=%ld waiting=%ld\n", round, later, now - later);

	waited += now != later;
	least[2 * round >= rounds] = min(least[2 * round >= rounds], later);
}

static int check_tables(void)
{
	if (2 * waited > rounds) {
		pr_err("lab_memory: tables still waited in %u rounds\n", waited);
		return -EBUSY;
	}
	if (rounds > 1 && least[1] < least[0]) {
		pr_err("lab_memory: %ld tables are %ld now\n", least[0], least[1]);
		return -EUCLEAN;
	}

	return 0;
}

static int one_round(unsigned int round)
{
	struct changer changers[8] = {};
	unsigned int n = min(num_online_cpus(), ARRAY_SIZE(changers));
	unsigned int bad = 0;
	int ret;

	settle();
	ret = add_memory(0, start, size, MHP_NONE);
	if (ret) {
		pr_err("lab_memory: add_memory: %d\n", ret);
		return ret;
	}

	for (unsigned int i = 0; i < n; i++) {
		struct changer *c = &changers[i];
		struct task_struct *task;

		c->first = i * 3;
		c->step = 1009 + 2 * round;
		task = kthread_create(change_pages, c, "lab_memory/%u", i);
		if (IS_ERR(task))
			continue;
		c->task = get_task_struct(task);
		wake_up_process(task);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (!changers[i].task)
			continue;
		/* Only after it has run to its end. */
		while (!(READ_ONCE(changers[i].task->exit_state)))
			schedule_timeout_uninterruptible(1);
		put_task_struct(changers[i].task);
		bad += changers[i].bad;
	}

	/* In some rounds the worker gets its turn first. */
	if (round & 1)
		schedule_timeout_uninterruptible(HZ);

	ret = remove_memory(start, size);
	if (ret)
		pr_err("lab_memory: remove_memory: %d\n", ret);
	else
		count_round(round);
	if (bad)
		pr_err("lab_memory: %u changes failed\n", bad);

	return ret ?: bad ? -EIO : 0;
}

static int __init lab_memory_init(void)
{
	int ret = 0;

	/* One module among others. */
	if (!size)
		return 0;

	if (!find_changes())
		return -ENXIO;

	for (unsigned int i = 0; i < rounds; i++) {
		int err = one_round(i);

		ret = ret ?: err;
	}

	return ret ?: check_tables();
}
module_init(lab_memory_init);

static void __exit lab_memory_exit(void)
{
}
module_exit(lab_memory_exit);

MODULE_DESCRIPTION("Lab: memory that comes and goes");
MODULE_LICENSE("GPL");
