// SPDX-License-Identifier: GPL-2.0
/*
 * While the module is loaded with blocks=, one page is invalid in each of so many
 * blocks of the linear map: as many page tables for whoever copies or reads them.
 * With most=1 fewer will do, where the memory has no more:
 *
 *	lab_shatter: blocks=N
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "lab_page.h"

static unsigned int blocks;
module_param(blocks, uint, 0400);
MODULE_PARM_DESC(blocks, "how many blocks to split; 0: none");

static bool most;
module_param(most, bool, 0400);
MODULE_PARM_DESC(most, "as many of them as can be had");

static struct page **pages;
static unsigned int have;

static void lab_shatter_exit(void)
{
	while (have--) {
		set_default(pages[have]);
		__free_pages(pages[have], BLOCK_ORDER);
	}
	kvfree(pages);
}

static int __init lab_shatter_init(void)
{
	unsigned long addr;
	int ret = -ENOMEM;

	/* One module among others. */
	if (!blocks)
		return 0;

	if (!find_changes())
		return -ENXIO;

	pages = kvcalloc(blocks, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (; have < blocks; have++) {
		/* The rest is for the tables, and for everybody else. */
		if (most && si_mem_available() < totalram_pages() / 512)
			break;
		pages[have] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, BLOCK_ORDER);
		if (!pages[have] && most)
			break;
		if (!pages[have])
			goto out;
		ret = set_invalid(pages[have]);
		if (ret) {
			__free_pages(pages[have], BLOCK_ORDER);
			goto out;
		}
		addr = (unsigned long)page_address(pages[have]);
		flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	}
	if (most)
		pr_info("lab_shatter: blocks=%u\n", have);

	return 0;
out:
	lab_shatter_exit();
	return ret;
}
module_init(lab_shatter_init);
module_exit(lab_shatter_exit);

MODULE_DESCRIPTION("Lab: a shattered linear map");
MODULE_LICENSE("GPL");
