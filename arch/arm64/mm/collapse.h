/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Collapse of kernel leaf mappings: what the rest of arch/arm64/mm calls.
 * See Documentation/arch/arm64/kernel-leaf-collapse.rst.
 */
#ifndef __ARM64_MM_COLLAPSE_H
#define __ARM64_MM_COLLAPSE_H

#include <linux/jump_label.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "kernel_leaf.h"

/* What execmem's cache gets at a time: one leaf of 2 MiB at each granule. */
#define EXECMEM_BLOCK_SIZE \
	(IS_ENABLED(CONFIG_ARM64_4K_PAGES) ? PMD_SIZE : CONT_PTE_SIZE)

DECLARE_STATIC_KEY_FALSE(kernel_collapse_key);

static inline bool kernel_collapse_enabled(void)
{
	return static_branch_unlikely(&kernel_collapse_key);
}

void kernel_collapse_queue(void *entry, unsigned long addr,
			   enum pgtable_level level);
void collapse_tables_at(unsigned long addr);
int kernel_collapse_range(unsigned long start, unsigned long end);
int kernel_collapse_vmap(unsigned long start, unsigned long end);
void kernel_collapse_forget(unsigned long start, unsigned long end);
void kernel_collapse_leaf_changed(unsigned long addr, unsigned long size,
				  ptval_t leaf);
struct ptdesc *kernel_collapse_take_deposit(unsigned long addr,
					    enum pgtable_level level);

/* From here on: for collapse.c, kernel_leaf.c and the deposits. */

/* Why a run of entries is not one leaf. */
enum kernel_leaf_refusal {
	KERNEL_LEAF_OK,
	KERNEL_LEAF_BUSY,	/* a change, ptdump, kexec_load(): later */
	KERNEL_LEAF_RANGE,	/* there is never a leaf of this size here */
	KERNEL_LEAF_TABLE,	/* an entry is a table */
	KERNEL_LEAF_INVALID,	/* an entry is not valid */
	KERNEL_LEAF_ALIGN,	/* the output address is not aligned */
	KERNEL_LEAF_ADDRESS,	/* the output addresses are not contiguous */
	KERNEL_LEAF_ATTRS,	/* they differ, or are tracked page by page */
	KERNEL_LEAF_TABLE_ATTRS, /* the table's entry restricts its leaves */
};

/* One level: bytes per entry, entries per table and per contiguous group. */
struct leaf_level {
	unsigned long size;
	unsigned int entries;
	unsigned int cont;
};

extern const struct leaf_level leaf_levels[];
extern bool collapse_image_alias;

/* With two levels, PMDs are in the top-level table; half of it is ours. */
#define PMDS_ARE_TOP	(CONFIG_PGTABLE_LEVELS == 2)

/* Entries compared at a time, without branches: that is most of the cost. */
#define LEAF_BATCH	8

static inline unsigned long table_span(enum pgtable_level level)
{
	return leaf_levels[level].size * leaf_levels[level].entries;
}

/* The part in one region: PMD tables of 16K and 64K pages span many regions. */
static inline unsigned long table_step(enum pgtable_level level)
{
	return min(table_span(level), KERNEL_LEAF_MAX_SIZE);
}

/* May a leaf replace a table of this level? */
static inline bool table_may_be_leaf(enum pgtable_level level)
{
	return level == PGTABLE_LEVEL_PTE || pud_sect_supported();
}

/* The level is in the low bits, which are 0 in a table's address. */
static inline pgoff_t table_key(unsigned long addr, enum pgtable_level level)
{
	return ALIGN_DOWN(addr, table_span(level)) | level;
}

struct leaf_slot {
	ptval_t *entry;
	ptval_t val;
	enum pgtable_level level;
};

ptval_t *leaf_slot_find(struct leaf_slot *slot, unsigned long addr,
			enum pgtable_level level);
enum kernel_leaf_refusal leaf_run_check(const ptval_t *entries,
					enum pgtable_level level,
					unsigned int nr);
enum kernel_leaf_refusal leaf_table_check(ptval_t table, ptval_t leaf);
enum kernel_leaf_refusal leaf_range_check(unsigned long addr,
					  unsigned long size);
bool leaf_is_default(ptval_t leaf, unsigned long addr);
void table_retire(struct ptdesc *pt, unsigned long addr,
		  enum pgtable_level level, ptval_t leaf);
void deposits_init(void);
void deposits_drop(unsigned long start, unsigned long end);

#if IS_ENABLED(CONFIG_KUNIT)
void kernel_collapse_flush(void);
extern unsigned int nr_deposits;
void flush_replaced_table(unsigned long start, unsigned long end);
void flush_folded_leaves(unsigned long start, unsigned long end);
#endif

#endif /* __ARM64_MM_COLLAPSE_H */
