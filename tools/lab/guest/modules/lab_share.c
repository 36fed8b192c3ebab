// SPDX-License-Identifier: GPL-2.0
/*
 * Every CPU changes a page of its own, to and fro, in a block of its own that is
 * split already, all at once. The hints are marks for tools/lab/bench/plugins/share.c,
 * which tells what memory the CPUs touch in common as they do so:
 *
 *	share_apart	the blocks lie in different gibibytes
 *	share_same	... in one
 *
 * Then the same for seconds= while the worker has tables to collapse in the very
 * same gibibytes, whose lock it only tries for:
 *
 *	lab_share: apart=1 cpus=N changes=N looked=N busy=N beside=N healed=N left=N ms=T
 *
 * looked is how often the worker looked at a table, and busy how often somebody was
 * in the way; beside were the tables for it, healed those that were leaves again at
 * the end of the changes, and left those of all that were not ms later.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "lab_page.h"

static unsigned int rounds;
module_param(rounds, uint, 0400);
MODULE_PARM_DESC(rounds, "changes of each page; 0: nothing");

static unsigned int seconds;
module_param(seconds, uint, 0400);
MODULE_PARM_DESC(seconds, "of changes beside the worker; 0: none");

/* So much that 64 CPUs find a gibibyte each. */
#define MAX_BLOCKS	(80 * 512)
#define MAX_CPUS	64
#define MAX_BESIDE	1024

/* With the series: the worker waits, so that all finds the tables as it left them. */
static void (*pause)(void);
static void (*resume)(void);

static struct changer {
	struct page *page;
	struct completion done;
	int ret;
} changers[MAX_CPUS];

static atomic_t waiting;

static int change(struct page *page)
{
	int ret = set_invalid(page);

	return ret ?: set_default(page);
}

static int changer(void *arg)
{
	struct changer *c = arg;
	struct page *page = c->page;
	unsigned int n = rounds;
	int ret;

	/* What splits, and has the table queued, is another matter. */
	ret = change(page);

	atomic_dec(&waiting);
	while (atomic_read(&waiting))
		cpu_relax();

	asm volatile("hint #125" : : : "memory");
	while (n-- && !ret)
		ret = change(page);
	asm volatile("hint #124" : : : "memory");

	c->ret = ret;
	complete(&c->done);
	return 0;
}

static int run(const char *name, struct page **pages, unsigned int cpus)
{
	unsigned int n = 0, cpu;
	int ret = 0;

	mark(name);
	atomic_set(&waiting, cpus);
	for_each_online_cpu(cpu) {
		struct changer *c = &changers[n];
		struct task_struct *task;

		if (n == cpus)
			break;
		c->page = pages[n++];
		init_completion(&c->done);
		task = kthread_create_on_cpu(changer, c, cpu, "lab-share/%u");
		/* The others would wait for it for ever. */
		BUG_ON(IS_ERR(task));
		/* Only an interrupt comes between. */
		sched_set_fifo(task);
		wake_up_process(task);
	}
	for (n = 0; n < cpus; n++) {
		unsigned long addr = (unsigned long)page_address(pages[n]);

		wait_for_completion(&changers[n].done);
		if (changers[n].ret)
			ret = changers[n].ret;
		flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	}
	mark("-");

	return ret;
}

static unsigned int count_split(struct page **pages, unsigned int n)
{
	unsigned int split = 0;

	while (n--)
		split += is_split(pages[n]);

	return split;
}

/* The worker, and whoever else collapses: whoever is told to come again was in the way. */
static atomic_t looked, busy;

static int has_looked(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	atomic_inc(&looked);
	if ((int)regs_return_value(regs) == -EAGAIN)
		atomic_inc(&busy);

	return 0;
}

static struct kretprobe collapse_probe;

static atomic_t all_changes;

static int endless_changer(void *arg)
{
	struct changer *c = arg;
	unsigned int n = 0;

	while (!kthread_should_stop()) {
		c->ret = c->ret ?: change(c->page);
		/* The others, and the worker, may have no CPU of their own. */
		if (!(++n % 64))
			usleep_range(50, 100);
	}
	atomic_add(n, &all_changes);

	return 0;
}

static int beside(const char *name, struct page **pages, struct page **others, unsigned int nr,
		  unsigned int cpus)
{
	struct task_struct *tasks[MAX_CPUS];
	unsigned int n = 0, cpu, healed, left, ms = 0;
	int ret;

	atomic_set(&all_changes, 0);
	atomic_set(&looked, 0);
	atomic_set(&busy, 0);
	collapse_probe = (struct kretprobe) {
		.handler = has_looked,
		.kp.symbol_name = "collapse_table",
		.maxactive = MAX_CPUS,
	};
	ret = register_kretprobe(&collapse_probe);
	if (ret)
		return ret;
	for_each_online_cpu(cpu) {
		struct changer *c = &changers[n];

		if (n == cpus)
			break;
		c->page = pages[n];
		c->ret = 0;
		tasks[n] = kthread_create_on_cpu(endless_changer, c, cpu, "lab-share/%u");
		BUG_ON(IS_ERR(tasks[n]));
		wake_up_process(tasks[n++]);
	}
	for (unsigned int i = 0; i < nr && !ret; i++)
		ret = change(others[i]);
	msleep(seconds * 1000);
	healed = nr - count_split(others, nr);
	for (n = 0; n < cpus; n++) {
		kthread_stop(tasks[n]);
		ret = ret ?: changers[n].ret;
	}
	while ((left = count_split(others, nr) + count_split(pages, cpus)) && ms < 10000) {
		msleep(50);
		ms += 50;
	}
	unregister_kretprobe(&collapse_probe);
	pr_info("lab_share: %s=1 cpus=%u changes=%d looked=%d busy=%d beside=%u healed=%u left=%u ms=%u\n",
		name, cpus, atomic_read(&all_changes), atomic_read(&looked), atomic_read(&busy), nr,
		healed, left, ms);

	return ret;
}

static unsigned long gib(struct page *page)
{
	return page_to_phys(page) >> 30;
}

/* Locks are shared by gibibytes that lie so far from each other. */
#define LOCKS	64

struct choice {
	struct page *pages[MAX_CPUS], *beside[MAX_BESIDE];
	unsigned int nr, nr_beside;
};

static struct choice apart, same;

/* A block for each CPU, in gibibytes of their own or in one, and others beside them. */
static int choose(struct page **blocks, unsigned int have, unsigned int cpus)
{
	for (unsigned int i = 0; i < have; i++) {
		unsigned int j = 0;

		while (j < apart.nr && gib(apart.pages[j]) % LOCKS != gib(blocks[i]) % LOCKS)
			j++;
		if (j == apart.nr && apart.nr < cpus)
			apart.pages[apart.nr++] = blocks[i];
		else if (!(i % (MAX_BLOCKS / MAX_BESIDE)) && apart.nr_beside < MAX_BESIDE)
			apart.beside[apart.nr_beside++] = blocks[i];
		if (gib(blocks[i]) != gib(blocks[0]))
			continue;
		if (same.nr < cpus)
			same.pages[same.nr++] = blocks[i];
		else if (same.nr_beside < MAX_BESIDE)
			same.beside[same.nr_beside++] = blocks[i];
	}
	if (apart.nr < cpus || same.nr < cpus) {
		pr_err("lab_share: blocks in %u gibibytes only, %u are needed\n", apart.nr, cpus);
		return -ENOMEM;
	}

	return 0;
}

static int __init lab_share_init(void)
{
	unsigned int cpus = min(num_online_cpus(), MAX_CPUS), have = 0;
	struct page **blocks;
	int ret;

	/* One module among others. */
	if (!rounds)
		return 0;

	if (!find_changes())
		return -ENXIO;

	blocks = kvcalloc(MAX_BLOCKS, sizeof(*blocks), GFP_KERNEL);
	if (!blocks)
		return -ENOMEM;
	/* The rest is for the tables, and for everybody else. */
	while (have < MAX_BLOCKS && si_mem_available() > totalram_pages() / 8) {
		blocks[have] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, BLOCK_ORDER);
		if (!blocks[have])
			break;
		have++;
	}

	pause = find("kernel_collapse_pause");
	resume = find("kernel_collapse_resume");
	cpus_read_lock();
	ret = choose(blocks, have, cpus);
	if (pause && resume)
		pause();
	ret = ret ?: run("share_apart", apart.pages, cpus);
	ret = ret ?: run("share_same", same.pages, cpus);
	if (pause && resume)
		resume();
	if (pause && resume && seconds) {
		ret = ret ?: beside("apart", apart.pages, apart.beside, apart.nr_beside, cpus);
		ret = ret ?: beside("same", same.pages, same.beside, same.nr_beside, cpus);
	}
	cpus_read_unlock();

	while (have)
		__free_pages(blocks[--have], BLOCK_ORDER);
	kvfree(blocks);
	return ret;
}
module_init(lab_share_init);

static void __exit lab_share_exit(void)
{
}
module_exit(lab_share_exit);

MODULE_DESCRIPTION("Lab: what changes on several CPUs have in common");
MODULE_LICENSE("GPL");
