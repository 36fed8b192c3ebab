/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leaf mappings of the kernel's own page tables: what their code shares with
 * its tracepoints.
 */
#ifndef _LINUX_KERNEL_LEAF_H
#define _LINUX_KERNEL_LEAF_H

/**
 * enum kernel_leaf_refusal - why a run of entries is not one leaf
 * @KERNEL_LEAF_OK:		it can be
 * @KERNEL_LEAF_BUSY:		a change, a split, ptdump or kexec_load() was in
 *				the way; tried again later
 * @KERNEL_LEAF_RANGE:		there is never a leaf of this size here
 * @KERNEL_LEAF_TABLE:		an entry is a table
 * @KERNEL_LEAF_INVALID:	an entry is not valid
 * @KERNEL_LEAF_ALIGN:		the output address is not aligned to the leaf
 * @KERNEL_LEAF_ADDRESS:	the output addresses are not contiguous
 * @KERNEL_LEAF_ATTRS:		the attributes differ, or are of a kind that is
 *				tracked page by page
 * @KERNEL_LEAF_TABLE_ATTRS:	the entry that points to the table restricts what
 *				the leaves would permit
 */
enum kernel_leaf_refusal {
	KERNEL_LEAF_OK,
	KERNEL_LEAF_BUSY,
	KERNEL_LEAF_RANGE,
	KERNEL_LEAF_TABLE,
	KERNEL_LEAF_INVALID,
	KERNEL_LEAF_ALIGN,
	KERNEL_LEAF_ADDRESS,
	KERNEL_LEAF_ATTRS,
	KERNEL_LEAF_TABLE_ATTRS,
};

#endif /* _LINUX_KERNEL_LEAF_H */
