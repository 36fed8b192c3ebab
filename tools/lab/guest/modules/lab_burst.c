// SPDX-License-Identifier: GPL-2.0
/*
 * The worker that collapses, at work. Loading the module with blocks= splits a
 * quarter of that many blocks, then half, then all, gives each its default
 * permissions back, and waits for the worker, whom nobody hurries:
 *
 *	lab_burst: blocks=N collapsed=C delay=T span=T idle=T longest=T
 *
 * delay is from the last restored page to the first collapse, span from there to
 * the last one, idle what the worker slept meanwhile, and longest the longest time
 * between two collapses, whoever had the CPU. Then the same with all blocks while a
 * page is changed and restored every 10 ms, for ten seconds:
 *
 *	lab_burst: beside=1 changes=C looked=C wait=T queued=C later=C
 *
 * wait is the longest time that a table was queued, queued how many were at the
 * most, and later how many at the most in the last five seconds. With QEMU's -icount
 * shift=0 a tick is an instruction, or a nanosecond in which there was none.
 *
 * With stray=1 it queues a table that maps nothing, which must not happen, and says
 * whether the worker comes to an end with it: lab_burst: stray=gone, or stray=queued.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#include "lab_page.h"

static unsigned int blocks;
module_param(blocks, uint, 0400);
MODULE_PARM_DESC(blocks, "how many blocks to split at the most; 0: nothing");

static bool stray;
module_param(stray, bool, 0400);
MODULE_PARM_DESC(stray, "queue a table that no address leads to");

#define SECONDS		10

/* What the tracepoint said, under the lock. */
static DEFINE_SPINLOCK(lock);
static u64 first, last, idle, longest;
static u64 longest_wait;
static unsigned int collapsed, looked, queued, most_queued;
/* Who collapsed last, since when it sleeps (0: it does not), how long it has since. */
static struct task_struct *worker;
static u64 asleep, slept;

/* When each table was queued, by what it maps; 0: it is not. */
static phys_addr_t top;
static u64 *of_pages, *of_blocks;

static u64 *since(unsigned long addr, enum pgtable_level level)
{
	phys_addr_t phys = __pa(addr);

	if (phys >= top)
		return NULL;
	return level == PGTABLE_LEVEL_PMD ? &of_pages[phys >> PMD_SHIFT] :
					    &of_blocks[phys >> PUD_SHIFT];
}

/* There is no event of it: a page is about to be restored, or a new leaf is in the table. */
static void is_queued_now(unsigned long addr, enum pgtable_level level)
{
	u64 *t = since(addr, level);

	lockdep_assert_held(&lock);
	if (t && !*t) {
		*t = ticks();
		most_queued = max(most_queued, ++queued);
	}
}

static void was_looked_at(unsigned long addr, enum pgtable_level level)
{
	u64 *t = since(addr, level);

	lockdep_assert_held(&lock);
	if (t && *t) {
		longest_wait = max(longest_wait, ticks() - *t);
		*t = 0;
		queued--;
		looked++;
	}
}

static void was_looked(void *data, unsigned long addr, unsigned long size, int what)
{
	enum pgtable_level level = size == PMD_SIZE ? PGTABLE_LEVEL_PMD : PGTABLE_LEVEL_PUD;
	/* As the event prints them. */
	enum { SPLIT, COLLAPSE, BUSY };
	u64 now = ticks();

	guard(spinlock_irqsave)(&lock);
	if ((size != PMD_SIZE && size != PUD_SIZE) || what == SPLIT || what == BUSY)
		return;
	was_looked_at(addr, level);
	if (what != COLLAPSE)
		return;
	if (level == PGTABLE_LEVEL_PMD)
		is_queued_now(addr, PGTABLE_LEVEL_PUD);
	/* Somebody else is the worker now. */
	if (asleep)
		slept += now - asleep;
	if (!first) {
		first = now;
	} else {
		idle += slept;
		longest = max(longest, now - last);
	}
	last = now;
	asleep = slept = 0;
	worker = current;
	collapsed++;
}

static void was_switched(void *data, bool preempt, struct task_struct *prev,
			 struct task_struct *next, unsigned int prev_state)
{
	u64 now = ticks();

	guard(spinlock_irqsave)(&lock);
	if (next == worker && asleep) {
		slept += now - asleep;
		asleep = 0;
	}
	if (prev == worker && !preempt && prev_state)
		asleep = now;
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} events[] = {
	{ "kernel_leaf", was_looked },
	{ "sched_switch", was_switched },
};

static void look_for(struct tracepoint *tp, void *data)
{
	for (int i = 0; i < ARRAY_SIZE(events); i++) {
		if (!strcmp(tp->name, events[i].name))
			events[i].tp = tp;
	}
}

static unsigned int is_queued(void)
{
	guard(spinlock_irqsave)(&lock);
	return queued;
}

static int change(struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);

	if (set_invalid(page))
		return -ENOMEM;
	scoped_guard(spinlock_irqsave, &lock)
		is_queued_now(addr, PGTABLE_LEVEL_PMD);
	if (set_default(page))
		return -ENOMEM;
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);

	return 0;
}

/* Splits and restores n blocks; the figures are of what follows. */
static int split(struct page **pages, unsigned int n)
{
	scoped_guard(spinlock_irqsave, &lock) {
		first = last = idle = longest = longest_wait = 0;
		collapsed = looked = 0;
		most_queued = queued;
	}
	for (unsigned int i = 0; i < n; i++) {
		int ret = change(pages[i]);

		if (ret)
			return ret;
	}

	return 0;
}

static int burst(struct page **pages, unsigned int n)
{
	int ret = split(pages, n);
	u64 end = ticks();

	if (ret)
		return ret;
	for (int i = 0; i < 600 && is_queued(); i++)
		msleep(100);
	if (is_queued()) {
		pr_err("lab_burst: %u of %u tables are still queued\n", is_queued(), n);
		return -EBUSY;
	}

	guard(spinlock_irqsave)(&lock);
	pr_info("lab_burst: blocks=%u collapsed=%u delay=%lld span=%llu idle=%llu longest=%llu\n",
		n, collapsed, first - end, last - first, idle, longest);

	return 0;
}

static unsigned int changes;

static int changer(void *page)
{
	while (!kthread_should_stop()) {
		if (change(page))
			pr_err("lab_burst: a page cannot be changed\n");
		changes++;
		usleep_range(10000, 10000);
	}

	return 0;
}

static int beside(struct page **pages, unsigned int n)
{
	struct task_struct *task = kthread_run(changer, pages[n], "lab-changer");
	unsigned int before;
	int ret;

	if (IS_ERR(task))
		return PTR_ERR(task);
	msleep(1000);
	ret = split(pages, n);
	msleep((SECONDS - 5) * 1000);
	scoped_guard(spinlock_irqsave, &lock) {
		before = most_queued;
		most_queued = queued;
	}
	msleep(5000);
	kthread_stop(task);

	guard(spinlock_irqsave)(&lock);
	pr_info("lab_burst: beside=1 changes=%u looked=%u wait=%llu queued=%u later=%u\n",
		changes, looked, longest_wait, before, most_queued);

	return ret;
}

static int measure(struct page **pages)
{
	unsigned int have = 0;
	int ret = 0, nr = 0;

	/* And one that is changed all the time. */
	for (; have <= blocks; have++) {
		pages[have] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, BLOCK_ORDER);
		if (!pages[have])
			break;
		top = max(top, page_to_phys(pages[have]) + PMD_SIZE);
	}
	top = ALIGN(top, PUD_SIZE);
	of_pages = vcalloc(top >> PMD_SHIFT, sizeof(*of_pages));
	of_blocks = vcalloc(top >> PUD_SHIFT, sizeof(*of_blocks));
	if (have <= blocks || !of_pages || !of_blocks) {
		pr_err("lab_burst: memory for %u blocks only\n", have);
		ret = -ENOMEM;
	}

	for (; !ret && nr < ARRAY_SIZE(events); nr++) {
		ret = tracepoint_probe_register(events[nr].tp, events[nr].probe, NULL);
		if (ret)
			break;
	}
	/* What was queued before is not ours. */
	if (!ret)
		msleep(2000);
	for (unsigned int n = blocks / 4; !ret && n && n <= blocks; n *= 2)
		ret = burst(pages, n);
	if (!ret)
		ret = beside(pages, blocks);

	while (nr) {
		nr--;
		tracepoint_probe_unregister(events[nr].tp, events[nr].probe, NULL);
	}
	tracepoint_synchronize_unregister();
	vfree(of_pages);
	vfree(of_blocks);
	while (have)
		__free_pages(pages[--have], BLOCK_ORDER);

	return ret;
}

/* Where nothing is to be found by a walk, as a block is mapped by one leaf. */
static int queue_stray(void)
{
	void (*queue)(void *entry, unsigned long addr, enum pgtable_level level) =
		find("kernel_collapse_queue");
	struct page *block = alloc_pages(GFP_KERNEL, BLOCK_ORDER);
	struct page *table = alloc_page(GFP_KERNEL);

	if (!queue || !block || !table)
		return -ENOMEM;

	/* ptdesc->pt_list */
	INIT_LIST_HEAD(&table->lru);
	queue(page_address(table), (unsigned long)page_address(block), PGTABLE_LEVEL_PTE);
	msleep(3000);
	pr_info("lab_burst: stray=%s\n", list_empty(&table->lru) ? "gone" : "queued");
	if (list_empty(&table->lru))
		__free_page(table);
	__free_pages(block, BLOCK_ORDER);

	return 0;
}

static int __init lab_burst_init(void)
{
	struct page **pages;
	int ret;

	if (stray)
		return queue_stray();
	/* One module among others. */
	if (!blocks)
		return 0;

	if (!find_changes())
		return -ENXIO;
	for_each_kernel_tracepoint(look_for, NULL);
	for (int i = 0; i < ARRAY_SIZE(events); i++) {
		if (!events[i].tp) {
			pr_info("lab_burst: nothing is collapsed here\n");
			return 0;
		}
	}

	pages = kvcalloc(blocks + 1, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	ret = measure(pages);
	kvfree(pages);

	return ret;
}
module_init(lab_burst_init);

static void __exit lab_burst_exit(void)
{
}
module_exit(lab_burst_exit);

MODULE_DESCRIPTION("Lab: the worker at work");
MODULE_LICENSE("GPL");
