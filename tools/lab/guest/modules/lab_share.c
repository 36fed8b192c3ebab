// SPDX-License-Identifier: GPL-2.0
/*
 * Every CPU changes a page of its own, to and fro, in a block of its own that is
 * split already, all at once. The hints are marks for tools/lab/bench/plugins/share.c,
 * which tells what memory the CPUs touch in common as they do so:
 *
 *	share_apart	the blocks lie in different gibibytes
 *	share_same	... in one
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/tlbflush.h>

static unsigned int rounds;
module_param(rounds, uint, 0400);
MODULE_PARM_DESC(rounds, "changes of each page; 0: nothing");

#define BLOCK_ORDER	(PMD_SHIFT - PAGE_SHIFT)
#define MAX_BLOCKS	4096
#define MAX_CPUS	8

/* They are not for modules; a kprobe tells where they are. */
static int (*set_invalid)(struct page *page);
static int (*set_default)(struct page *page);
/* With the series: the worker waits, so that all finds the tables as it left them. */
static void (*pause)(void);
static void (*resume)(void);

static void *find(const char *name)
{
	struct kprobe kp = { .symbol_name = name };
	void *addr;

	if (register_kprobe(&kp))
		return NULL;
	addr = kp.addr;
	unregister_kprobe(&kp);

	return addr;
}

static void mark(const char *name)
{
	static char text[64] __aligned(64);

	strscpy(text, name, sizeof(text));
	asm volatile("mov x0, %0\n\thint #127" : : "r" (text) : "x0", "memory");
}

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

static unsigned long gib(struct page *page)
{
	return page_to_phys(page) >> 30;
}

static int measure(struct page **blocks, unsigned int have, unsigned int cpus)
{
	struct page *apart[MAX_CPUS], *same[MAX_CPUS];
	unsigned int nr_apart = 0, nr_same = 0;
	int ret;

	for (unsigned int i = 0; i < have; i++) {
		unsigned int j = 0;

		while (j < nr_apart && gib(apart[j]) != gib(blocks[i]))
			j++;
		if (j == nr_apart && nr_apart < cpus)
			apart[nr_apart++] = blocks[i];
		if (nr_same < cpus && gib(blocks[i]) == gib(blocks[0]))
			same[nr_same++] = blocks[i];
	}
	if (nr_apart < cpus || nr_same < cpus) {
		pr_err("lab_share: blocks in %u gibibytes only, %u are needed\n", nr_apart, cpus);
		return -ENOMEM;
	}

	ret = run("share_apart", apart, cpus);
	return ret ?: run("share_same", same, cpus);
}

static int __init lab_share_init(void)
{
	unsigned int cpus = min(num_online_cpus(), MAX_CPUS), have = 0;
	struct page **blocks;
	int ret;

	/* One module among others. */
	if (!rounds)
		return 0;

	set_invalid = find("set_direct_map_invalid_noflush");
	set_default = find("set_direct_map_default_noflush");
	if (!set_invalid || !set_default)
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
	if (pause && resume)
		pause();
	ret = measure(blocks, have, cpus);
	if (pause && resume)
		resume();
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
