// SPDX-License-Identifier: GPL-2.0
/* Read-only data, data, and data that is read-only after init. */
#include <linux/cache.h>
#include <linux/string.h>

#include "lab_mod.h"

#define WORDS	(48 * 1024 / sizeof(u32))

static const u32 constant[WORDS] = { [0 ... WORDS - 1] = 0x5a5a5a5a };
static u32 variable[WORDS] = { [0 ... WORDS - 1] = 0xa5a5a5a5 };
static u32 zeroes[2 * WORDS];
static u32 settled[WORDS / 4] __ro_after_init = { 1 };

static int data_check(void)
{
	/* The compiler must look. */
	const volatile u32 *c = constant, *s = settled;

	for (unsigned int i = 0; i < WORDS; i++) {
		variable[i] = ~variable[i];
		if (c[i] != 0x5a5a5a5a ||
		    (variable[i] != 0xa5a5a5a5 && variable[i] != 0x5a5a5a5a))
			return -EIO;
	}
	for (unsigned int i = 0; i < WORDS / 4; i++) {
		if (s[i] != i)
			return -EIO;
	}
	memset(zeroes, variable[0], sizeof(zeroes));
	return 0;
}
LAB_CHECK(data_check);

static int __init data_init(void)
{
	for (unsigned int i = 0; i < WORDS / 4; i++)
		settled[i] = i;
	return data_check();
}
module_init(data_init);

static void __exit data_exit(void)
{
}
module_exit(data_exit);

MODULE_DESCRIPTION("Lab: a module with data of every kind");
MODULE_LICENSE("GPL");
