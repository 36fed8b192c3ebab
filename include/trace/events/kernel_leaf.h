/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kernel_leaf

#if !defined(_TRACE_KERNEL_LEAF_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KERNEL_LEAF_H

#include <linux/kernel_leaf.h>
#include <linux/pgtable.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(PGTABLE_LEVEL_PTE);
TRACE_DEFINE_ENUM(PGTABLE_LEVEL_PMD);
TRACE_DEFINE_ENUM(PGTABLE_LEVEL_PUD);
TRACE_DEFINE_ENUM(KERNEL_LEAF_BUSY);
TRACE_DEFINE_ENUM(KERNEL_LEAF_RANGE);
TRACE_DEFINE_ENUM(KERNEL_LEAF_TABLE);
TRACE_DEFINE_ENUM(KERNEL_LEAF_INVALID);
TRACE_DEFINE_ENUM(KERNEL_LEAF_ALIGN);
TRACE_DEFINE_ENUM(KERNEL_LEAF_ADDRESS);
TRACE_DEFINE_ENUM(KERNEL_LEAF_ATTRS);
TRACE_DEFINE_ENUM(KERNEL_LEAF_TABLE_ATTRS);

#define show_kernel_leaf_level(level)			\
	__print_symbolic(level,				\
		{ PGTABLE_LEVEL_PTE, "pte" },		\
		{ PGTABLE_LEVEL_PMD, "pmd" },		\
		{ PGTABLE_LEVEL_PUD, "pud" })

#define show_kernel_leaf_refusal(why)			\
	__print_symbolic(why,				\
		{ KERNEL_LEAF_BUSY, "busy" },		\
		{ KERNEL_LEAF_RANGE, "range" },		\
		{ KERNEL_LEAF_TABLE, "table" },		\
		{ KERNEL_LEAF_INVALID, "invalid" },	\
		{ KERNEL_LEAF_ALIGN, "align" },		\
		{ KERNEL_LEAF_ADDRESS, "address" },	\
		{ KERNEL_LEAF_ATTRS, "attrs" },		\
		{ KERNEL_LEAF_TABLE_ATTRS, "table-attrs" })

DECLARE_EVENT_CLASS(kernel_leaf,
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

/* The leaf at addr was split into the next smaller ones. */
DEFINE_EVENT(kernel_leaf, kernel_leaf_split,
	TP_PROTO(unsigned long addr, enum pgtable_level level, bool cont),
	TP_ARGS(addr, level, cont));

/* What addr is in became one leaf. */
DEFINE_EVENT(kernel_leaf, kernel_leaf_collapse,
	TP_PROTO(unsigned long addr, enum pgtable_level level, bool cont),
	TP_ARGS(addr, level, cont));

/* The table at addr is queued; level is that of the leaf that it may become. */
DEFINE_EVENT(kernel_leaf, kernel_leaf_queue,
	TP_PROTO(unsigned long addr, enum pgtable_level level, bool cont),
	TP_ARGS(addr, level, cont));

/* The table at addr did not become one leaf of that level. */
TRACE_EVENT(kernel_leaf_refuse,
	TP_PROTO(unsigned long addr, enum pgtable_level level,
		 enum kernel_leaf_refusal why),
	TP_ARGS(addr, level, why),
	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(int, level)
		__field(int, why)
	),
	TP_fast_assign(
		__entry->addr = addr;
		__entry->level = level;
		__entry->why = why;
	),
	TP_printk("addr=%#lx leaf=%s why=%s", __entry->addr,
		  show_kernel_leaf_level(__entry->level),
		  show_kernel_leaf_refusal(__entry->why))
);

#endif /* _TRACE_KERNEL_LEAF_H */

#include <trace/define_trace.h>
