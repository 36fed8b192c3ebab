// SPDX-License-Identifier: GPL-2.0
/*
 * What changes of permissions cost, in ticks of the counter: with QEMU's -icount
 * shift=0 one tick is one instruction. Loading the module with rounds= measures
 * and prints, on any kernel, with the series or without:
 *
 *	lab_cost: NAME n=... min=... median=... mean=... max=...
 *
 * Samples that a timer tick fell into are left out. The hints are marks for
 * tools/lab/bench/plugins/tlb.c, which counts the TLBIs and barriers of each phase.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "lab_page.h"

static unsigned int rounds;
module_param(rounds, uint, 0400);
MODULE_PARM_DESC(rounds, "blocks to split, and changes of a page that is split already; 0: nothing");

static int (*memory_ro)(unsigned long addr, int pages);
static int (*memory_rw)(unsigned long addr, int pages);

static u64 *samples;
static unsigned int nr_samples;
static u64 nothing;	/* what two readings of the counter cost */
static int failed;

#define SAMPLE(call)							\
do {									\
	unsigned long was = jiffies;					\
	u64 t = ticks();						\
	int ret = (call);						\
									\
	t = ticks() - t;						\
	if (ret)							\
		failed = ret;						\
	if (was == jiffies)						\
		samples[nr_samples++] = t - nothing;			\
} while (0)

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void begin(const char *name)
{
	nr_samples = 0;
	mark(name);
}

static void end(const char *name)
{
	u64 sum = 0;

	mark("-");
	if (!nr_samples) {
		pr_err("lab_cost: %s: no sample\n", name);
		failed = -EAGAIN;
		return;
	}
	sort(samples, nr_samples, sizeof(*samples), compare, NULL);
	for (unsigned int i = 0; i < nr_samples; i++)
		sum += samples[i];
	pr_info("lab_cost: %s n=%u min=%llu median=%llu mean=%llu max=%llu\n", name,
		nr_samples, samples[0], samples[nr_samples / 2], sum / nr_samples,
		samples[nr_samples - 1]);
}

static int none(void)
{
	return 0;
}

static int (*volatile empty_call)(void) = none;

static unsigned long address(struct page *page)
{
	return (unsigned long)page_address(page);
}

/* The linear map: one page of a block for the first time, and others after it. */
static void linear(struct page **blocks, unsigned int n)
{
	/* Larger leaves than a block are split here, not where it is measured. */
	for (unsigned int i = 0; i < n; i++) {
		unsigned long at = address(blocks[i]) ^ PMD_SIZE;

		if (virt_addr_valid((void *)at) && (set_invalid(virt_to_page(at)) ||
					    set_default(virt_to_page(at))))
			failed = -EIO;
	}

	begin("first_change");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(set_invalid(blocks[i]));
	end("first_change");

	begin("first_restore");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(set_default(blocks[i]));
	end("first_restore");

	/* Its neighbour, in the same row of what were contiguous entries. */
	begin("change");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(set_invalid(blocks[i] + 1));
	end("change");

	begin("restore");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(set_default(blocks[i] + 1));
	end("restore");

	/* The first in another row. */
	begin("row_change");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(set_invalid(blocks[i] + 10 * CONT_PTES + 1));
	end("row_change");

	begin("row_restore");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(set_default(blocks[i] + 10 * CONT_PTES + 1));
	end("row_restore");

	for (unsigned int i = 0; i < n; i++)
		flush_tlb_kernel_range(address(blocks[i]),
				       address(blocks[i]) + PMD_SIZE);
}

/* A page of vmalloc space and its alias in the linear map, both split by now. */
static void vmapped(unsigned int n)
{
	void *area = vmalloc(n * PAGE_SIZE);
	unsigned long addr = (unsigned long)area;

	if (!area) {
		failed = -ENOMEM;
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (memory_ro(addr + i * PAGE_SIZE, 1) || memory_rw(addr + i * PAGE_SIZE, 1))
			failed = -EIO;
	}
	begin("set_memory_ro");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(memory_ro(addr + i * PAGE_SIZE, 1));
	end("set_memory_ro");

	begin("set_memory_rw");
	for (unsigned int i = 0; i < n; i++)
		SAMPLE(memory_rw(addr + i * PAGE_SIZE, 1));
	end("set_memory_rw");
	vfree(area);
}

static int measure(void)
{
	struct page **blocks = kcalloc(rounds, sizeof(*blocks), GFP_KERNEL);
	unsigned int order = get_order(2 * PMD_SIZE), n = 0;

	samples = kcalloc(rounds, sizeof(*samples), GFP_KERNEL);
	if (!blocks || !samples)
		failed = -ENOMEM;

	/* Two at a time: the other one's change splits what both are part of. */
	while (!failed && n < rounds) {
		blocks[n] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
		if (!blocks[n])
			break;
		n++;
	}
	if (n < rounds)
		pr_info("lab_cost: memory for %u of %u blocks\n", n, rounds);
	if (!n)
		failed = -ENOMEM;

	if (!failed) {
		begin("-");
		SAMPLE(empty_call());
		SAMPLE(empty_call());
		nothing = samples[nr_samples - 1];
		linear(blocks, n);
		vmapped(n);
	}

	while (n)
		__free_pages(blocks[--n], order);
	kfree(blocks);
	kfree(samples);
	return failed;
}

static int __init lab_cost_init(void)
{
	/* One module among others. */
	if (!rounds)
		return 0;

	memory_ro = find("set_memory_ro");
	memory_rw = find("set_memory_rw");
	if (!find_changes() || !memory_ro || !memory_rw)
		return -ENXIO;

	return measure();
}
module_init(lab_cost_init);

static void __exit lab_cost_exit(void)
{
}
module_exit(lab_cost_exit);

MODULE_DESCRIPTION("Lab: what changes of permissions cost");
MODULE_LICENSE("GPL");
