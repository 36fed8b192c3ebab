/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Collapse of kernel leaf mappings: what the rest of arch/arm64/mm calls.
 * See Documentation/arch/arm64/kernel-leaf-collapse.rst.
 */
#ifndef __ARM64_MM_COLLAPSE_H
#define __ARM64_MM_COLLAPSE_H

#include <linux/jump_label.h>
#include <linux/kernel_leaf.h>
#include <linux/pgtable.h>

/*
 * What execmem's cache gets at a time: 2 MiB at each granule, and one leaf, a PMD
 * block or a contiguous group.
 */
#define EXECMEM_BLOCK_SIZE \
	(IS_ENABLED(CONFIG_ARM64_4K_PAGES) ? PMD_SIZE : CONT_PTE_SIZE)

#ifdef CONFIG_ARM64_KERNEL_COLLAPSE

DECLARE_STATIC_KEY_FALSE(kernel_collapse_key);

/* Is anything ever collapsed on this system? */
static inline bool kernel_collapse_enabled(void)
{
	return static_branch_unlikely(&kernel_collapse_key);
}

void kernel_collapse_queue(void *entry, unsigned long addr,
			   enum pgtable_level level);
int kernel_collapse_range(unsigned long start, unsigned long end);
int kernel_collapse_vmap(unsigned long start, unsigned long end);
void kernel_collapse_forget_vmap(unsigned long start, unsigned long end);
void kernel_collapse_forget(unsigned long start, unsigned long end);
void kernel_collapse_leaf_changed(unsigned long addr, unsigned long size,
				  ptval_t leaf);
struct ptdesc *kernel_collapse_take_deposit(unsigned long addr,
					    enum pgtable_level level);

#else /* !CONFIG_ARM64_KERNEL_COLLAPSE */

static inline bool kernel_collapse_enabled(void)
{
	return false;
}

static inline void kernel_collapse_queue(void *entry, unsigned long addr,
					 enum pgtable_level level)
{
}

static inline void kernel_collapse_forget(unsigned long start, unsigned long end)
{
}

static inline void kernel_collapse_leaf_changed(unsigned long addr,
						unsigned long size, ptval_t leaf)
{
}

static inline struct ptdesc *
kernel_collapse_take_deposit(unsigned long addr, enum pgtable_level level)
{
	return NULL;
}

#endif /* CONFIG_ARM64_KERNEL_COLLAPSE */

#if IS_ENABLED(CONFIG_KUNIT)
enum kernel_leaf_refusal leaf_run_check(const ptval_t *entries,
					enum pgtable_level level,
					unsigned int nr);
enum kernel_leaf_refusal leaf_table_check(ptval_t table, ptval_t leaf);
bool leaf_is_default(ptval_t leaf, unsigned long addr);
void kernel_collapse_flush(void);
unsigned int kernel_collapse_nr_deposits(void);
void flush_replaced_table(unsigned long start, unsigned long end);
void flush_folded_leaves(unsigned long start, unsigned long end);
#endif

#endif /* __ARM64_MM_COLLAPSE_H */
