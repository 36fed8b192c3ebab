// SPDX-License-Identifier: GPL-2.0
/* The smallest module: a page of text. */
#include "lab_mod.h"

static int tiny_check(void)
{
	return LAB_TEXT(16) ? 0 : -EIO;
}
LAB_CHECK(tiny_check);

static int __init tiny_init(void)
{
	return tiny_check();
}
module_init(tiny_init);

static void __exit tiny_exit(void)
{
}
module_exit(tiny_exit);

MODULE_DESCRIPTION("Lab: a module of one page");
MODULE_LICENSE("GPL");
