// SPDX-License-Identifier: GPL-2.0
/*
 * What memory that comes and goes needs from the kernel's side, one order at a
 * time, written to /sys/module/lab_dimm/parameters/order:
 *
 *	add START SIZE		as a DIMM would, of memory that mem= has kept back
 *	remove START SIZE	take it offline, and away
 *	shatter START SIZE	change a page in each free block of 2M (32M, 512M),
 *				and restore it
 *	veto N			the next N attempts to take memory offline fail,
 *				after everybody else has agreed
 *	nomem N			the next N splits that need a table get none
 */
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "lab_page.h"

#define ORDER	min_t(unsigned int, BLOCK_ORDER, MAX_PAGE_ORDER)

static atomic_t vetoes, nomem;

/* Instead of kernel_leaf_pool_fill(), which an unmodified kernel has not. */
static int __kprobes maybe_nomem(struct kprobe *kp, struct pt_regs *regs)
{
	if (atomic_dec_if_positive(&nomem) < 0)
		return 0;
	regs->regs[0] = -ENOMEM;
	instruction_pointer_set(regs, procedure_link_pointer(regs));

	return 1;
}

static struct kprobe fill = {
	.symbol_name = "kernel_leaf_pool_fill",
	.pre_handler = maybe_nomem,
};
static bool fill_probed;

/* All that is free, so nobody else has it; movable, so it may be in a DIMM. */
static int shatter(u64 start, u64 size)
{
	unsigned int n = 0, changed = 0, room = totalram_pages() >> ORDER;
	struct page **pages = kvcalloc(room, sizeof(*pages), GFP_KERNEL);
	int ret = 0;

	if (!pages)
		return -ENOMEM;

	for (; n < room; n++) {
		pages[n] = alloc_pages(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN |
				       __GFP_NORETRY, ORDER);
		if (!pages[n])
			break;
	}
	for (unsigned int i = 0; i < n && !ret; i++) {
		struct page *page = pages[i] + 1 + i % 7;
		unsigned long addr = (unsigned long)page_address(page);

		if (page_to_phys(page) < start || page_to_phys(page) >= start + size)
			continue;
		ret = set_invalid(page);
		flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
		if (!ret)
			ret = set_default(page);
		changed++;
	}
	while (n)
		__free_pages(pages[--n], ORDER);
	kvfree(pages);
	pr_info("lab_dimm: %u blocks shattered\n", changed);

	return ret ?: changed ? 0 : -ENODATA;
}

static int give_order(const char *text, const struct kernel_param *kp)
{
	u64 start, size;
	unsigned int n;
	char verb[16];

	if (!set_invalid || !set_default)
		return -ENXIO;
	if (sscanf(text, "veto %u", &n) == 1) {
		atomic_set(&vetoes, n);
		return 0;
	}
	if (sscanf(text, "nomem %u", &n) == 1) {
		if (!fill_probed)
			return -ENXIO;
		atomic_set(&nomem, n);
		return 0;
	}
	if (sscanf(text, "%15s %lli %lli", verb, &start, &size) != 3)
		return -EINVAL;
	if (!strcmp(verb, "add"))
		/* What comes piece by piece may go as a whole. */
		return add_memory(0, start, size, MHP_MERGE_RESOURCE);
	if (!strcmp(verb, "remove"))
		return offline_and_remove_memory(start, size);
	if (!strcmp(verb, "shatter"))
		return shatter(start, size);

	return -EINVAL;
}

static const struct kernel_param_ops order_ops = { .set = give_order };
module_param_cb(order, &order_ops, NULL, 0200);
MODULE_PARM_DESC(order, "add, remove, shatter, veto or nomem");

static int maybe_veto(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action == MEM_GOING_OFFLINE && atomic_dec_if_positive(&vetoes) >= 0)
		return NOTIFY_BAD;

	return NOTIFY_OK;
}

/* After all others. */
static struct notifier_block veto_nb = {
	.notifier_call = maybe_veto,
	.priority = INT_MIN,
};

static int __init lab_dimm_init(void)
{
	find_changes();
	fill_probed = !register_kprobe(&fill);

	return register_memory_notifier(&veto_nb);
}
module_init(lab_dimm_init);

static void __exit lab_dimm_exit(void)
{
	unregister_memory_notifier(&veto_nb);
	if (fill_probed)
		unregister_kprobe(&fill);
}
module_exit(lab_dimm_exit);

MODULE_DESCRIPTION("Lab: what memory that comes and goes needs");
MODULE_LICENSE("GPL");
