/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KERNEL_LEAF_H
#define _LINUX_KERNEL_LEAF_H

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

#endif /* _LINUX_KERNEL_LEAF_H */
