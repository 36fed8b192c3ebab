/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kernel_leaf

#if !defined(_TRACE_KERNEL_LEAF_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KERNEL_LEAF_H

#include <linux/tracepoint.h>

/*
 * TRACE_DEFINE_ENUM() would cost time at each boot, so these are numbers:
 * KERNEL_LEAF_SPLIT of arch/arm64/mm/kernel_leaf.h, or KERNEL_LEAF_COLLAPSE and
 * an enum kernel_leaf_refusal of collapse.h beside it.
 */
#define show_kernel_leaf_what(what)					\
	__print_symbolic(what, { 0, "split" }, { 1, "collapse" },	\
		{ 2, "busy" }, { 3, "range" }, { 4, "table" },		\
		{ 5, "invalid" }, { 6, "align" }, { 7, "address" },	\
		{ 8, "attrs" }, { 9, "table-attrs" })

/*
 * The leaf at addr, of that size, was split into the next smaller ones; there is
 * such a leaf by a collapse; or why there is none.
 */
TRACE_EVENT(kernel_leaf,
	TP_PROTO(unsigned long addr, unsigned long size, int what),
	TP_ARGS(addr, size, what),
	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(unsigned long, size)
		__field(int, what)
	),
	TP_fast_assign(
		__entry->addr = addr;
		__entry->size = size;
		__entry->what = what;
	),
	TP_printk("addr=%#lx size=%#lx what=%s", __entry->addr, __entry->size,
		  show_kernel_leaf_what(__entry->what))
);

#endif /* _TRACE_KERNEL_LEAF_H */

#include <trace/define_trace.h>
