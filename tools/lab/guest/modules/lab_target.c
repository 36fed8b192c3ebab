// SPDX-License-Identifier: GPL-2.0
/* What lab_klp patches: its parameter "answer" is read by target_answer(). */
#include <linux/module.h>
#include <linux/moduleparam.h>

static int target_number = 1000;
module_param_named(number, target_number, int, 0600);

/* A function of its own, for ftrace to lead elsewhere. */
static noinline int target_answer(void)
{
	return READ_ONCE(target_number);
}

static int answer_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", target_answer());
}

static const struct kernel_param_ops answer_ops = {
	.get = answer_get,
};
module_param_cb(answer, &answer_ops, NULL, 0400);

MODULE_DESCRIPTION("Lab: a module that is patched");
MODULE_LICENSE("GPL");
