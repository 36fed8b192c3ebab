// SPDX-License-Identifier: GPL-2.0
/*
 * Does to kernel memory what must never be done, so that the checks of lab=sample
 * can be seen to notice.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "lab_find.h"

static bool wx;
module_param(wx, bool, 0400);
MODULE_PARM_DESC(wx, "make a page writable and executable, while loaded");

static bool stray;
module_param(stray, bool, 0400);
MODULE_PARM_DESC(stray, "give a page back whose linear mapping is read-only");

static void *page;

static int change(const char *name, void *addr)
{
	int (*fn)(unsigned long addr, int pages) = find(name);

	return fn ? fn((unsigned long)addr, 1) : -ENXIO;
}

static int __init lab_wrong_init(void)
{
	int ret = 0;

	/* One module among others. */
	if (!wx && !stray)
		return 0;

	page = vmalloc(PAGE_SIZE);
	if (!page)
		return -ENOMEM;
	if (wx)
		ret = change("set_memory_x", page);
	if (!ret && stray) {
		ret = change("set_memory_ro", page);
		/* Nobody else gets it, who would write to it. */
		get_page(vmalloc_to_page(page));
	}
	if (ret)
		vfree(page);

	return ret;
}
module_init(lab_wrong_init);

static void __exit lab_wrong_exit(void)
{
	if (wx)
		change("set_memory_nx", page);
	vfree(page);
}
module_exit(lab_wrong_exit);

MODULE_DESCRIPTION("Lab: memory as it must not be");
MODULE_LICENSE("GPL");
