// SPDX-License-Identifier: GPL-2.0
/* Needs lab_export, and flips a static key: its text is patched as it runs. */
#include <linux/jump_label.h>

#include "lab_mod.h"

static const u32 numbers[] = { 1, 2, 3, 4, 5, 6, 7 };
static DEFINE_STATIC_KEY_FALSE(user_key);

static noinline bool key_is_on(void)
{
	return static_branch_unlikely(&user_key);
}

static int user_check(void)
{
	if (key_is_on())
		return -EIO;
	static_branch_enable(&user_key);
	if (!key_is_on())
		return -EIO;
	static_branch_disable(&user_key);
	if (key_is_on())
		return -EIO;
	return lab_export_sum(numbers, ARRAY_SIZE(numbers)) == 28 ? 0 : -EIO;
}
LAB_CHECK(user_check);

static int __init user_init(void)
{
	return user_check();
}
module_init(user_init);

static void __exit user_exit(void)
{
}
module_exit(user_exit);

MODULE_DESCRIPTION("Lab: a module that uses another, with a static key");
MODULE_LICENSE("GPL");
