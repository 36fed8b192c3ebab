// SPDX-License-Identifier: GPL-2.0
/*
 * What ptdump does not show of the linear map: output addresses, and thereby
 * which memory a Realm shares. /sys/kernel/debug/lab_map has a line
 *
 *	shared 80000000-80200000
 *
 * for each run of leaves with the shared bit (physical addresses), and
 *
 *	wrong ffff000040000000 maps 41000000
 *
 * for a leaf that maps something else than the linear map should.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>

#include <asm/memory.h>
#include <asm/pgtable-prot.h>
#include <asm/sysreg.h>

/* init_mm is not exported, but the CPU knows where its tables are. */
static pgd_t *kernel_pgd(void)
{
	/* Without ASID and CnP. */
	return phys_to_virt(read_sysreg(ttbr1_el1) & GENMASK_ULL(47, 1));
}

/* Return: what the entry maps that translates @addr; 0 in @val for a hole. */
static unsigned long leaf_at(pgd_t *pgd, unsigned long addr, ptval_t *val)
{
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	*val = 0;
	pgd = pgd_offset_pgd(pgd, addr);
	if (pgd_none(*pgd))
		return PGDIR_SIZE;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return P4D_SIZE;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return PUD_SIZE;
	if (pud_leaf(*pud)) {
		*val = pud_val(*pud);
		return PUD_SIZE;
	}
	pmd = pmd_offset(pud, addr);
	if (pmd_none(*pmd))
		return PMD_SIZE;
	if (pmd_leaf(*pmd)) {
		*val = pmd_val(*pmd);
		return PMD_SIZE;
	}
	*val = pte_val(__ptep_get(pte_offset_kernel(pmd, addr)));
	return PAGE_SIZE;
}

static int lab_map_show(struct seq_file *m, void *v)
{
	phys_addr_t shared_bit = __pte_to_phys(__pte(prot_ns_shared));
	phys_addr_t from = 0, to = 0;
	pgd_t *pgd = kernel_pgd();
	unsigned long addr, size;

	for (addr = PAGE_OFFSET; addr < PAGE_END; addr += size) {
		phys_addr_t want = __virt_to_phys(addr), is;
		ptval_t val;

		/* A table that is folded meanwhile lives this long. */
		rcu_read_lock();
		size = leaf_at(pgd, addr, &val);
		rcu_read_unlock();
		if (!val)
			continue;
		is = __pte_to_phys(__pte(val));
		if ((is & ~shared_bit) != want)
			seq_printf(m, "wrong %lx maps %llx\n", addr, is);
		if (!(is & shared_bit))
			continue;
		if (want != to) {
			if (to)
				seq_printf(m, "shared %llx-%llx\n", from, to);
			from = want;
		}
		to = want + size;
	}
	if (to)
		seq_printf(m, "shared %llx-%llx\n", from, to);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(lab_map);

static struct dentry *file;

static int __init lab_map_init(void)
{
	file = debugfs_create_file("lab_map", 0400, NULL, NULL, &lab_map_fops);
	return PTR_ERR_OR_ZERO(file);
}
module_init(lab_map_init);

static void __exit lab_map_exit(void)
{
	debugfs_remove(file);
}
module_exit(lab_map_exit);

MODULE_DESCRIPTION("Lab: output addresses of the linear map");
MODULE_LICENSE("GPL");
