// SPDX-License-Identifier: GPL-2.0
/*
 * A test of the lab's model of TLBs, tools/lab/bench/plugins/tlb.c: pages are touched,
 * some of them invalidated in each way there is, and touched again. The model must
 * count a walk for each page that was invalidated, and for no other.
 */
#include <linux/module.h>
#include <linux/vmalloc.h>

#include <asm/barrier.h>

static unsigned int pages;
module_param(pages, uint, 0400);
MODULE_PARM_DESC(pages, "to touch, 16 or more; 0: nothing");

static bool range;
module_param(range, bool, 0400);
MODULE_PARM_DESC(range, "the CPU has TLBIs by range");

static void mark(const char *name)
{
	static char text[64] __aligned(64);

	strscpy(text, name, sizeof(text));
	asm volatile("mov x0, %0\n\thint #127" : : "r" (text) : "x0", "memory");
}

static void touch(char *area)
{
	for (unsigned int i = 0; i < pages; i++)
		READ_ONCE(area[i * PAGE_SIZE]);
}

/* CRn is 8; 9 for the one that need not wait for accesses without XS. */
#define TLBI(crn, crm, op2, v)						\
do {									\
	asm volatile("sys #0, c" #crn ", c" #crm ", #" #op2 ", %0"	\
		     : : "r" (v) : "memory");				\
} while (0)

#define EACH(area, crn, crm, op2)					\
do {									\
	for (unsigned int i = 0; i < 8; i++)				\
		TLBI(crn, crm, op2, ((unsigned long)(area) >> 12 & GENMASK(43, 0)) + i);	\
} while (0)

/* Eight pages of 4 KiB: NUM is 3, SCALE 0, TG 1. */
#define RANGE(area, crm, op2)						\
	TLBI(8, crm, op2, 1ul << 46 | 3ul << 39 | ((unsigned long)(area) >> 12 & GENMASK(36, 0)))

#define TRY(name, how)							\
do {									\
	touch(area);							\
	mark(name);							\
	how;								\
	dsb(ish);							\
	isb();								\
	touch(area);							\
	mark("-");							\
} while (0)

static int __init lab_tlbi_init(void)
{
	char *area;

	/* One module among others. */
	if (!pages)
		return 0;
	if (pages < 16 || PAGE_SIZE != 4096)
		return -EINVAL;

	area = vzalloc(pages * PAGE_SIZE);
	if (!area)
		return -ENOMEM;
	TRY("none", {});
	TRY("vaae1is", EACH(area, 8, 3, 3));
	TRY("vaale1is", EACH(area, 8, 3, 7));
	TRY("vaae1isnxs", EACH(area, 9, 3, 3));
	/* These pages are global: an address of one ASID takes them, all of an ASID does not. */
	TRY("vae1is", EACH(area, 8, 3, 1));
	TRY("aside1is", TLBI(8, 3, 2, 0ul));
	TRY("vmalle1is", TLBI(8, 3, 0, 0ul));
	if (range) {
		TRY("rvaae1is", RANGE(area, 2, 3));
		TRY("rvaale1is", RANGE(area, 2, 7));
	}
	vfree(area);

	return 0;
}
module_init(lab_tlbi_init);

static void __exit lab_tlbi_exit(void)
{
}
module_exit(lab_tlbi_exit);

MODULE_DESCRIPTION("Lab: a test of the model of TLBs");
MODULE_LICENSE("GPL");
