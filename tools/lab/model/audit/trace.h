/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A trace: what the auditor was told, and what it was answered. record.c writes
 * one, host/replay.c reads it.
 *
 * It begins with TRACE_MAGIC, TRACE_VERSION and the fields of struct
 * audit_setup. Then come records: a byte with the kind in the lower half and
 * flags in the upper, and what the flags and the kind call for. Answers stand
 * before the event that asked for them. Numbers are of seven bits a byte, the
 * lowest first, with bit 7 set if more follow; what is called a step is the
 * difference to the last of its kind, times two, or, if negative, times minus
 * two less one.
 *
 *	kind			what follows
 *	an event		[cpu] [pc step] [lr step] [thread step], if it has these
 *	  TTBR1			value
 *	  STORE, ONE		address step; of ONE, value step: STORE, WORD, DONE in one
 *	  WORD			address step, value step
 *	  DONE, END		value
 *	  TLBI			address, value step: from that of the last TLBI
 *	REGISTERS		tcr, mair, pir, pie
 *	PAGE			address step, words; runs: count, value step, [step in the run]
 *	MEMORY			address step, value step
 *	CODE			address step; 1 and TRACE_CODE instructions of 4 bytes, or 0
 *	FULL			nothing; what came from here on was not written
 */
#ifndef TRACE_H
#define TRACE_H

#include "audit.h"

#define TRACE_MAGIC	"el2audit"
#define TRACE_VERSION	1
#define TRACE_CODE	16	/* instructions in a CODE record, aligned: all of them are in one page */

enum trace_kind {
	/* 0 to AUDIT_KINDS - 1 are events */
	TRACE_ONE = AUDIT_KINDS,
	TRACE_REGISTERS, TRACE_PAGE, TRACE_MEMORY, TRACE_CODE_AT, TRACE_FULL,
	TRACE_KINDS
};

/* Flags of an event: what differs from the last one, of the same CPU but for the first. */
#define TRACE_CPU	(1U << 4)
#define TRACE_PC	(1U << 5)
#define TRACE_LR	(1U << 6)
#define TRACE_THREAD	(1U << 7)

/**
 * struct trace_last - what steps are from
 * @cpu: of the last event
 * @pc: of the last event of each CPU
 * @lr: the same
 * @thread: the same
 * @address: that was named last
 * @value: the same
 * @argument: a TLBI's
 * @code: the last CODE's address
 * @page: the last PAGE's
 */
struct trace_last {
	u32 cpu;
	u64 pc[AUDIT_CPUS], lr[AUDIT_CPUS], thread[AUDIT_CPUS], address, value, argument, code, page;
};

#endif
