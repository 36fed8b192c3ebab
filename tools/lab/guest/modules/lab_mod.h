/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each of the lab's modules has: a "check" parameter that runs its code
 * when written, so that a page of text that went wrong is noticed.
 */
#ifndef LAB_MOD_H
#define LAB_MOD_H

#include <linux/module.h>
#include <linux/moduleparam.h>

#include "lab_insn.h"

#define LAB_CHECK(fn)							\
static int lab_check_set(const char *val, const struct kernel_param *kp)	\
{									\
	return fn();							\
}									\
static const struct kernel_param_ops lab_check_ops = {			\
	.set = lab_check_set,						\
};									\
module_param_cb(check, &lab_check_ops, NULL, 0200)

/* @n instructions of text, each of which adds one, at a multiple of four bytes. */
#define LAB_TEXT(n)							\
({									\
	unsigned long __sum = 0;					\
	asm volatile(".balign 4\n\t.rept " #n "\n\t" LAB_ADD "\n\t.endr"	\
		     : "+r" (__sum));					\
	__sum == (n);							\
})

unsigned long lab_export_sum(const u32 *v, unsigned long n);

#endif
