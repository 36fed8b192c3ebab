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
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <asm/barrier.h>
#include <asm/sysreg.h>
#include <asm/tlbflush.h>

static unsigned int blocks;
module_param(blocks, uint, 0400);
MODULE_PARM_DESC(blocks, "how many blocks to split at the most; 0: nothing");

#define BLOCK_ORDER	(PMD_SHIFT - PAGE_SHIFT)

/* They are not for modules; a kprobe tells where they are. */
static int (*set_invalid)(struct page *page);
static int (*set_default)(struct page *page);
static void (*flush)(void);

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

static u64 ticks(void)
{
	isb();
	return read_sysreg(cntvct_el0);
}

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

/* The least of some: now and then the workqueue has to wait for a thread. */
static int heal(struct page **pages, unsigned int n)
{
	u64 least = U64_MAX;

	for (int round = 0; round < 4; round++) {
		int ret = split(pages, n);
		u64 t;

		if (ret)
			return ret;
		t = ticks();
		flush();
		least = min(least, ticks() - t);
	}
	pr_info("lab_heal: mib=%lu blocks=%u ticks=%llu\n",
		totalram_pages() >> (20 - PAGE_SHIFT), n, least);

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

	set_invalid = find("set_direct_map_invalid_noflush");
	set_default = find("set_direct_map_default_noflush");
	if (!set_invalid || !set_default)
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
	while (have < blocks && si_mem_available() > totalram_pages() / 8) {
		pages[have] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, BLOCK_ORDER);
		if (!pages[have])
			break;
		have++;
	}
	if (!have)
		ret = -ENOMEM;

	flush();
	for (unsigned int n = 1; !ret && n <= have; n *= 2)
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
