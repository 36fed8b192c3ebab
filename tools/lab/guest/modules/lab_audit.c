// SPDX-License-Identifier: GPL-2.0
/*
 * What the auditor under the kernel has counted (tools/lab/model/README.md). With
 * audited=1 the parameter sizes reads as eight numbers: splits and collapses of
 * contPTEs, PMDs, contPMDs and PUDs of the linear map.
 */
#include <linux/arm-smccc.h>
#include <linux/module.h>

#define AUDIT_SIZES	0xc600a0d2

static bool audited;
module_param(audited, bool, 0400);
MODULE_PARM_DESC(audited, "there is an auditor to ask");

static int sizes_get(char *buf, const struct kernel_param *kp)
{
	register unsigned long x0 asm("x0") = AUDIT_SIZES;
	register unsigned long x1 asm("x1");
	register unsigned long x2 asm("x2");
	register unsigned long x3 asm("x3");
	register unsigned long x4 asm("x4");
	register unsigned long x5 asm("x5");
	register unsigned long x6 asm("x6");
	register unsigned long x7 asm("x7");
	register unsigned long x8 asm("x8");

	/* Without one there may be nobody who takes it. */
	if (!audited)
		return -ENODEV;
	asm volatile("smc #0"
		     : "+r" (x0), "=r" (x1), "=r" (x2), "=r" (x3), "=r" (x4),
		       "=r" (x5), "=r" (x6), "=r" (x7), "=r" (x8)
		     : : "memory", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
			 "x16", "x17");
	if (x0)
		return -ENODEV;
	return sysfs_emit(buf, "%lu %lu %lu %lu %lu %lu %lu %lu\n", x1, x2, x3, x4,
			  x5, x6, x7, x8);
}

static const struct kernel_param_ops sizes_ops = { .get = sizes_get };
module_param_cb(sizes, &sizes_ops, NULL, 0400);
MODULE_PARM_DESC(sizes, "what the auditor has counted");

static int __init lab_audit_init(void)
{
	return 0;
}
module_init(lab_audit_init);

static void __exit lab_audit_exit(void)
{
}
module_exit(lab_audit_exit);

MODULE_DESCRIPTION("Lab: what the auditor has counted");
MODULE_LICENSE("GPL");
