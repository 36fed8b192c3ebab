/* SPDX-License-Identifier: GPL-2.0 */
/* What the modules share that change pages of the linear map, and measure it. */
#ifndef LAB_PAGE_H
#define LAB_PAGE_H

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>

#include <asm/barrier.h>
#include <asm/sysreg.h>
#include <asm/tlbflush.h>

#include "lab_find.h"

#define BLOCK_ORDER	(PMD_SHIFT - PAGE_SHIFT)

static int (*set_invalid)(struct page *page) __maybe_unused;
static int (*set_default)(struct page *page) __maybe_unused;

static inline bool find_changes(void)
{
	set_invalid = find("set_direct_map_invalid_noflush");
	set_default = find("set_direct_map_default_noflush");

	return set_invalid && set_default;
}

/* With QEMU's -icount shift=0 one is an instruction. */
static inline u64 ticks(void)
{
	isb();
	return read_sysreg(cntvct_el0);
}

/* init_mm is not exported, but the CPU knows where its tables are. */
static inline bool is_split(struct page *page)
{
	unsigned long addr = (unsigned long)page_address(page);
	pgd_t *pgd = phys_to_virt(read_sysreg(ttbr1_el1) & GENMASK_ULL(47, 1));
	pud_t *pud = pud_offset(p4d_offset(pgd_offset_pgd(pgd, addr), addr), addr);

	/* A table that is folded meanwhile lives this long. */
	guard(rcu)();
	return !pud_leaf(*pud) && !pmd_leaf(*pmd_offset(pud, addr));
}

/* For the plugins in tools/lab/bench/plugins: what comes now has this name. */
static inline void mark(const char *name)
{
	static char text[64] __aligned(64);

	strscpy(text, name, sizeof(text));
	asm volatile("mov x0, %0\n\thint #127" : : "r" (text) : "x0", "memory");
}

#endif
