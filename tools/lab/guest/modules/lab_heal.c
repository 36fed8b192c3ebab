// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to heal, by how much there is to heal. Loading the module with
 * blocks= splits one block, two, four and so on up to that many, gives each its
 * default permissions back, and has the worker look at all of them at once:
 *
 *	lab_heal: mib=MEMORY blocks=N ticks=T
 *
 * With QEMU's -icount shift=0 a tick is an instruction, whoever executes it: the
 * worker, the scheduler on the way there and back, RCU as it frees tables. The
 * worker is made to run at once. Nothing is measured where nothing is collapsed.
 *
 * With all=1 it splits so many blocks and no fewer, which may be all of a large
 * machine:
 *
 *	lab_heal: all=1 mib=MEMORY blocks=N tables=N kib=K ticks=T span=T changes=N wait=T lock=T alone=T
 *
 * tables and kib are what was given back. ticks are those of it all, up to the last
 * table that RCU frees, without those in which the CPU was idle. Then the same with
 * a worker whom nobody hurries, while every 100 us a page is changed and restored
 * in a block that the worker comes to soon: span is from the last restored page to
 * the last table freed, wait the longest that a change took, lock the longest of
 * those that no softirq came into (RCU frees tables there, and all wait for that),
 * and alone the same of as many changes where nothing is collapsed.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel_stat.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/vmstat.h>

#include "lab_page.h"

static unsigned int blocks;
module_param(blocks, uint, 0400);
MODULE_PARM_DESC(blocks, "how many blocks to split at the most; 0: nothing");

static bool all;
module_param(all, bool, 0400);
MODULE_PARM_DESC(all, "all of them, with what a change has to wait for meanwhile");

static void (*flush)(void);

static int split(struct page **pages, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned long addr = (unsigned long)page_address(pages[i]);

		if (set_invalid(pages[i]) || set_default(pages[i]))
			return -ENOMEM;
		flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	}

	return 0;
}

/* The worker is to find all of them, and on one CPU runs when this has ended. */
static int split_all(struct page **pages, unsigned int n)
{
	int ret;

	sched_set_fifo(current);
	ret = split(pages, n);
	sched_set_normal(current, 0);

	return ret;
}

/*
 * Behind a tick, so that none comes while we count: RCU would free tables there,
 * which costs something, too.
 */
static void tick_passes(void)
{
	unsigned long now;

	rcu_barrier();
	now = READ_ONCE(jiffies);
	while (READ_ONCE(jiffies) == now)
		cpu_relax();
}

/* The least of some: now and then the workqueue has to wait for a thread. */
static int heal(struct page **pages, unsigned int n)
{
	u64 least = U64_MAX;

	for (int round = 0; round < 4; round++) {
		int ret = split(pages, n);
		u64 t;

		if (ret)
			return ret;
		tick_passes();
		t = ticks();
		flush();
		least = min(least, ticks() - t);
	}
	pr_info("lab_heal: mib=%lu blocks=%u ticks=%llu\n",
		totalram_pages() >> (20 - PAGE_SHIFT), n, least);

	return 0;
}

/* To the unit, as each CPU counts for itself. */
static long tables(void)
{
	long n = atomic_long_read(&vm_node_stat[NR_PAGETABLE]);
	int nid, cpu;

	for_each_online_node(nid)
		for_each_online_cpu(cpu)
			n += per_cpu_ptr(NODE_DATA(nid)->per_cpu_nodestats, cpu)->vm_node_stat_diff[NR_PAGETABLE];

	return n;
}

static u64 idle_us(void)
{
	u64 sum = 0;
	int cpu;

	for_each_online_cpu(cpu)
		sum += get_cpu_idle_time_us(cpu, NULL);

	return sum;
}

static struct changer {
	struct page **pages;
	unsigned int n, next;	/* blocks, in the worker's order; those behind it */
	long healed;		/* tables, when there are none of them left */
	u64 end, longest, lock;
	unsigned int changes;
	int ret;
} changer;

static unsigned long softirqs;

static void softirq_entry(void *data, unsigned int nr)
{
	softirqs++;
}

static struct tracepoint *entry;

static void look_for(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "softirq_entry"))
		entry = tp;
}

/* Changes a page of a block that is split. */
static int change(struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);
	unsigned long before = softirqs;
	u64 t = ticks();
	int ret = set_invalid(page);

	t = ticks() - t;
	changer.longest = max(changer.longest, t);
	if (softirqs == before)
		changer.lock = max(changer.lock, t);
	changer.changes++;
	ret = ret ?: set_default(page);
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);

	return ret;
}

/* What the worker comes to soon; of this it has nothing more to do. */
#define AHEAD	16

static int changer_thread(void *unused)
{
	for (;;) {
		while (changer.next < changer.n && !is_split(changer.pages[changer.next]))
			changer.next++;
		if (changer.ret || changer.next + AHEAD >= changer.n)
			break;
		changer.ret = change(changer.pages[changer.next + AHEAD]);
		usleep_range(100, 100);
	}
	while (tables() > changer.healed && !kthread_should_stop())
		usleep_range(100, 100);
	changer.end = ticks();
	while (!kthread_should_stop())
		msleep(20);

	return 0;
}

/* Not hurried: half a minute is long for it. */
static int heal_beside(struct page **pages, unsigned int n, long healed, u64 *span)
{
	struct task_struct *task;
	u64 begin;
	int ret;

	changer = (struct changer) { .pages = pages, .n = n, .healed = healed };
	ret = split_all(pages, n);
	if (ret)
		return ret;
	begin = ticks();
	task = kthread_create(changer_thread, NULL, "lab-changer");
	if (IS_ERR(task))
		return PTR_ERR(task);
	sched_set_fifo(task);
	wake_up_process(task);
	for (int i = 0; i < 300 && !changer.end; i++)
		msleep(100);
	kthread_stop(task);
	if (tables() > healed) {
		pr_err("lab_heal: %ld tables of %u blocks are left\n", tables() - healed, n);
		return -EBUSY;
	}
	*span = changer.end - begin;

	return changer.ret;
}

static int heal_all(struct page **pages, unsigned int n)
{
	void (*drain)(struct zone *zone) = find("drain_all_pages");
	unsigned long had, has;
	u64 t, idle, span;
	struct changer was;
	long healed, nr;
	int ret;

	for_each_kernel_tracepoint(look_for, NULL);
	if (!drain || !entry)
		return -ENXIO;
	rcu_barrier();
	healed = tables();
	ret = split_all(pages, n);
	if (ret)
		return ret;
	nr = tables();
	if (nr < healed + n) {
		pr_err("lab_heal: the worker did not wait for %u splits\n", n);
		return -EBUSY;
	}
	drain(NULL);
	had = global_zone_page_state(NR_FREE_PAGES);

	idle = idle_us();
	t = ticks();
	flush();
	rcu_barrier();
	t = ticks() - t - (idle_us() - idle) * NSEC_PER_USEC;
	nr -= tables();
	drain(NULL);
	has = global_zone_page_state(NR_FREE_PAGES);

	ret = tracepoint_probe_register(entry, softirq_entry, NULL);
	if (ret)
		return ret;
	ret = heal_beside(pages, n, healed, &span);
	was = changer;

	/* The first splits. */
	flush();
	ret = ret ?: change(pages[0]);
	changer.lock = changer.changes = 0;
	while (!ret && changer.changes < was.changes)
		ret = change(pages[0]);
	tracepoint_probe_unregister(entry, softirq_entry, NULL);
	tracepoint_synchronize_unregister();
	if (ret)
		return ret;

	pr_info("lab_heal: all=1 mib=%lu blocks=%u tables=%ld kib=%lu ticks=%llu span=%llu changes=%u wait=%llu lock=%llu alone=%llu\n",
		totalram_pages() >> (20 - PAGE_SHIFT), n, nr, (has - had) << (PAGE_SHIFT - 10), t,
		span, was.changes, was.longest, was.lock, changer.lock);

	return 0;
}

static int __init lab_heal_init(void)
{
	unsigned int have = 0;
	struct page **pages;
	int ret = 0;

	/* One module among others. */
	if (!blocks)
		return 0;

	if (!find_changes())
		return -ENXIO;
	flush = find("kernel_collapse_flush");
	if (!flush) {
		pr_info("lab_heal: nothing is collapsed here\n");
		return 0;
	}

	pages = kvcalloc(blocks, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	/* The rest is for the tables, and for everybody else. */
	while (have < blocks && (all || si_mem_available() > totalram_pages() / 8)) {
		pages[have] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, BLOCK_ORDER);
		if (!pages[have])
			break;
		have++;
	}
	if (!have || (all && have < blocks)) {
		pr_err("lab_heal: memory for %u blocks only\n", have);
		ret = -ENOMEM;
	}

	flush();
	if (!ret && all)
		ret = heal_all(pages, blocks);
	for (unsigned int n = 1; !ret && !all && n <= have; n *= 2)
		ret = heal(pages, n);

	while (have)
		__free_pages(pages[--have], BLOCK_ORDER);
	kvfree(pages);
	return ret;
}
module_init(lab_heal_init);

static void __exit lab_heal_exit(void)
{
}
module_exit(lab_heal_exit);

MODULE_DESCRIPTION("Lab: what healing costs");
MODULE_LICENSE("GPL");
