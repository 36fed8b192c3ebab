/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kernel_leaf

#if !defined(_TRACE_KERNEL_LEAF_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KERNEL_LEAF_H

#include <linux/pgtable.h>
#include <linux/tracepoint.h>

/*
 * TRACE_DEFINE_ENUM() would cost time at each boot, so these are numbers: enum
 * pgtable_level, and enum kernel_leaf_refusal of arch/arm64/mm/collapse.h.
 */
#define show_kernel_leaf_level(level)					\
	__print_symbolic(level, { 0, "pte" }, { 1, "pmd" }, { 2, "pud" })

#define show_kernel_leaf_result(result)					\
	__print_symbolic(result,					\
		{ 0, "leaf" }, { 1, "busy" }, { 2, "range" },		\
		{ 3, "table" }, { 4, "invalid" }, { 5, "align" },	\
		{ 6, "address" }, { 7, "attrs" }, { 8, "table-attrs" })

/* The leaf at addr was split into the next smaller ones. */
TRACE_EVENT(kernel_leaf_split,
	TP_PROTO(unsigned long addr, enum pgtable_level level, bool cont),
	TP_ARGS(addr, level, cont),
	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(int, level)
		__field(bool, cont)
	),
	TP_fast_assign(
		__entry->addr = addr;
		__entry->level = level;
		__entry->cont = cont;
	),
	TP_printk("addr=%#lx leaf=%s%s", __entry->addr,
		  __entry->cont ? "cont" : "",
		  show_kernel_leaf_level(__entry->level))
);

/* What addr is in became one leaf; or why its table did not. */
TRACE_EVENT(kernel_leaf_collapse,
	TP_PROTO(unsigned long addr, enum pgtable_level level, bool cont,
		 int result),
	TP_ARGS(addr, level, cont, result),
	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(int, level)
		__field(bool, cont)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->addr = addr;
		__entry->level = level;
		__entry->cont = cont;
		__entry->result = result;
	),
	TP_printk("addr=%#lx leaf=%s%s result=%s", __entry->addr,
		  __entry->cont ? "cont" : "",
		  show_kernel_leaf_level(__entry->level),
		  show_kernel_leaf_result(__entry->result))
);

#endif /* _TRACE_KERNEL_LEAF_H */

#include <trace/define_trace.h>
