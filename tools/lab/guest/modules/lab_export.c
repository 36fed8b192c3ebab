// SPDX-License-Identifier: GPL-2.0
/* Exports a function that another module calls, so the order matters. */
#include "lab_mod.h"

unsigned long lab_export_sum(const u32 *v, unsigned long n)
{
	unsigned long sum = 0;

	while (n--)
		sum += *v++;
	return LAB_TEXT(6000) ? sum : 0;
}
EXPORT_SYMBOL_GPL(lab_export_sum);

static int __init export_init(void)
{
	return 0;
}
module_init(export_init);

static void __exit export_exit(void)
{
}
module_exit(export_exit);

MODULE_DESCRIPTION("Lab: a module that exports a function");
MODULE_LICENSE("GPL");
