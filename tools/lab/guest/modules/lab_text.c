// SPDX-License-Identifier: GPL-2.0
/* About 300 KiB of text, and as much again that is freed after init. */
#include "lab_mod.h"

static noinline int text_check(void)
{
	return LAB_TEXT(76000) ? 0 : -EIO;
}
LAB_CHECK(text_check);

static int __init text_init(void)
{
	return LAB_TEXT(40000) ? text_check() : -EIO;
}
module_init(text_init);

static void __exit text_exit(void)
{
}
module_exit(text_exit);

MODULE_DESCRIPTION("Lab: a module with much text");
MODULE_LICENSE("GPL");
