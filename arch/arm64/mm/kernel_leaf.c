// SPDX-License-Identifier: GPL-2.0-only
/* Which entries of the kernel's page tables can be one leaf. */
#include <linux/kfence.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pgtable.h>
#include <linux/unroll.h>

#include <asm/sections.h>

#include "collapse.h"
#include "kernel_leaf.h"

/* The boot turns pages into blocks: nobody changes the image's alias then. */
bool collapse_image_alias __ro_after_init;

const struct leaf_level leaf_levels[] = {
	[PGTABLE_LEVEL_PTE] = { PAGE_SIZE, PTRS_PER_PTE, CONT_PTES },
	[PGTABLE_LEVEL_PMD] = { PMD_SIZE,
				PMDS_ARE_TOP ? PTRS_PER_PGD / 2 : PTRS_PER_PMD,
				CONT_PMDS },
};

static bool entry_is_table(ptval_t val, enum pgtable_level level)
{
	return level != PGTABLE_LEVEL_PTE &&
	       (val & PMD_TYPE_MASK) == PMD_TYPE_TABLE;
}

/* Find the PUD or PMD. Returns the table that it points to, or NULL. */
ptval_t *leaf_slot_find(struct leaf_slot *slot, unsigned long addr,
			enum pgtable_level level)
{
	pud_t *pudp = kernel_pud_find(addr), pud;
	pmd_t *pmdp;

	if (!pudp)
		return NULL;
	pud = pudp_get(pudp);
	slot->level = level;
	slot->entry = (ptval_t *)pudp;
	slot->val = pud_val(pud);
	if (level == PGTABLE_LEVEL_PMD) {
		if (pud_none(pud) || pud_leaf(pud))
			return NULL;
		/* Follow what was fetched: a leaf may have replaced it. */
		pmdp = CONFIG_PGTABLE_LEVELS > 2 ?
		       pmd_offset_lockless(pudp, pud, addr) : (pmd_t *)pudp;
		slot->entry = (ptval_t *)pmdp;
		slot->val = pmd_val(pmdp_get(pmdp));
	}
	if (!entry_is_table(slot->val, level))
		return NULL;
	return phys_to_virt(__pte_to_phys(__pte(slot->val)));
}

static_assert(CONT_PTES % LEAF_BATCH == 0 && CONT_PMDS % LEAF_BATCH == 0);

/* Compare a batch with what it should be. @want is its first value. */
static enum kernel_leaf_refusal leaf_batch_check(const ptval_t *entries,
						 enum pgtable_level level,
						 ptval_t want, ptval_t step)
{
	ptval_t differ = 0, expect = want;

	unrolled_count(LEAF_BATCH)
	for (unsigned int i = 0; i < LEAF_BATCH; i++, expect += step)
		differ |= READ_ONCE(entries[i]) ^ expect;
	if (likely(!(differ & ~PTE_CONT)))
		return KERNEL_LEAF_OK;

	for (unsigned int i = 0; i < LEAF_BATCH; i++, want += step) {
		ptval_t val = READ_ONCE(entries[i]) & ~PTE_CONT;

		if (val == want)
			continue;
		if (!pte_valid(__pte(val)))
			return KERNEL_LEAF_INVALID;
		if (entry_is_table(val, level))
			return KERNEL_LEAF_TABLE;
		if (__pte_to_phys(__pte(val)) != __pte_to_phys(__pte(want)))
			return KERNEL_LEAF_ADDRESS;
		break;
	}
	return KERNEL_LEAF_ATTRS;
}

/*
 * Can @nr entries, a power of two, be one leaf? All bits but the address and the
 * contiguous bit must be equal. Invalid entries are refused (their owner makes
 * each valid by itself), and those whose access flag or dirty state hardware may
 * change. region->lock is held for write.
 */
enum kernel_leaf_refusal leaf_run_check(const ptval_t *entries,
					enum pgtable_level level,
					unsigned int nr)
{
	const unsigned long size = leaf_levels[level].size;
	const ptval_t type = level == PGTABLE_LEVEL_PTE ? PTE_TYPE_PAGE :
							  PMD_TYPE_SECT;
	/* No carry out of the low address bits: the run is aligned. */
	const ptval_t step = __phys_to_pte_val(size);
	const unsigned int cont = leaf_levels[level].cont;
	const ptval_t *end = entries + nr;
	enum kernel_leaf_refusal why;
	ptval_t want = READ_ONCE(entries[0]) & ~PTE_CONT;

	if (entry_is_table(want, level))
		return KERNEL_LEAF_TABLE;
	if ((want & PTE_TYPE_MASK) != type)
		return KERNEL_LEAF_INVALID;
	if (!IS_ALIGNED(__pte_to_phys(__pte(want)), size * nr))
		return KERNEL_LEAF_ALIGN;

	/* Old, special, user, or clean and writable: tracked page by page. */
	if (!(want & PTE_AF) || (want & (PTE_SPECIAL | PTE_USER)) ||
	    ((want & PTE_DBM) && (want & PTE_RDONLY)))
		return KERNEL_LEAF_ATTRS;

	for (; entries != end; entries += cont, want += cont * step) {
		/* One leaf already: hardware may use any entry for all. */
		if ((READ_ONCE(*entries) ^ want) == PTE_CONT)
			continue;
		for (unsigned int i = 0; i < cont; i += LEAF_BATCH) {
			why = leaf_batch_check(&entries[i], level,
					       want + i * step, step);
			if (why)
				return why;
		}
	}
	return KERNEL_LEAF_OK;
}

/*
 * The restrictions of a table entry go with the table, so its leaves must have
 * them, too (Arm ARM, "Hierarchical control of data access permissions").
 * Unknown bits count as restrictions.
 */
enum kernel_leaf_refusal leaf_table_check(ptval_t table, ptval_t leaf)
{
	const ptval_t known = PMD_TYPE_MASK | PMD_TABLE_AF | PMD_TABLE_PXN |
			      PMD_TABLE_UXN |
			      __phys_to_pte_val(__pte_to_phys(__pte(table)));

	if (table & ~known)
		return KERNEL_LEAF_TABLE_ATTRS;
	if ((table & PMD_TABLE_PXN) && !(leaf & PTE_PXN))
		return KERNEL_LEAF_TABLE_ATTRS;
	if ((table & PMD_TABLE_UXN) && !(leaf & PTE_UXN))
		return KERNEL_LEAF_TABLE_ATTRS;
	return KERNEL_LEAF_OK;
}

static bool ranges_overlap(unsigned long start, unsigned long size,
			   unsigned long other, unsigned long other_end)
{
	return start < other_end && other < start + size;
}

/* May there be a leaf of this size here? Under get_online_mems(). */
enum kernel_leaf_refusal leaf_range_check(unsigned long addr,
					  unsigned long size)
{
	phys_addr_t phys;

	/* In vmalloc space, the owner of the area has asked for it. */
	if (!__is_lm_address(addr))
		return is_vmalloc_or_module_addr((void *)addr) ?
		       KERNEL_LEAF_OK : KERNEL_LEAF_RANGE;

	/* update_mapping_prot() takes no region->lock for the image's alias. */
	if (!collapse_image_alias &&
	    ranges_overlap(addr, size, (unsigned long)lm_alias(_text),
			   (unsigned long)lm_alias(_end)))
		return KERNEL_LEAF_RANGE;

#ifdef CONFIG_KFENCE
	/*
	 * KFENCE changes its entries under no lock. Pairs with region->lock in
	 * arch_kfence_init_pool(), behind the store.
	 */
	if (READ_ONCE(__kfence_pool) &&
	    ranges_overlap(addr, size, (unsigned long)__kfence_pool,
			   (unsigned long)__kfence_pool + KFENCE_POOL_SIZE))
		return KERNEL_LEAF_RANGE;
#endif

	/*
	 * Memory is removed leaf by leaf, in subsections or sections:
	 * split_at_edges() splits a larger leaf before a section goes offline.
	 */
	if (size <= SUBSECTION_SIZE)
		return KERNEL_LEAF_OK;
	phys = __pa(addr);
	if (!memblock_is_region_memory(phys, size))
		return KERNEL_LEAF_RANGE;
	if (size > BIT(SECTION_SIZE_BITS)) {
		unsigned long pfn = PHYS_PFN(phys), end = PHYS_PFN(phys + size);

		for (; pfn < end; pfn += PAGES_PER_SECTION)
			if (!online_section(__pfn_to_section(pfn)))
				return KERNEL_LEAF_RANGE;
	}
	return KERNEL_LEAF_OK;
}

/* Is it as map_mem() made it? What a Realm shares with its host is not. */
bool leaf_is_default(ptval_t leaf, unsigned long addr)
{
	const ptval_t attrs = PTE_VALID | PTE_ATTRINDX_MASK | PTE_WRITE |
			      PTE_RDONLY | PTE_PXN | PTE_UXN | PTE_GP | PTE_NG;

	return !((leaf ^ pgprot_val(pgprot_tagged(PAGE_KERNEL))) & attrs) &&
	       __pte_to_phys(__pte(leaf)) == __pa(addr);
}
