/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The auditor: events in, verdicts out. This is all of its interface.
 *
 * It judges what a guest does to the tables behind TTBR1_EL1. It knows no
 * machine: it has no lock, touches no register and no memory, and calls
 * nothing but what audit_init() is given. So the same source runs in the EL2
 * model (observe.c) and on the host (host/). There is one auditor in a
 * program, and audit_init() is called once. Whoever calls sees to it that
 * events come one at a time.
 *
 * README.md, one folder up, has the rules.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "types.h"

#define AUDIT_CPUS		8	/* at most */
#define AUDIT_PAGE		0x1000	/* tables are watched in multiples of it */
#define AUDIT_LINE		1024	/* bytes of a line that it says, at most */

/* Exceptions that are known, and permitted. */
#define AUDIT_ALLOW_TAGGED	(1U << 0)
#define AUDIT_ALLOW_EARLY	(1U << 1)
#define AUDIT_ALLOW_WX		(1U << 2)

/**
 * struct audit_setup - the machine, and what is asked for
 * @ram_start: memory, where tables may be,
 * @ram_end: and its end
 * @cpus: how many there are
 * @bbml3: which of them have FEAT_BBM level 3, a bit for each
 * @allow: AUDIT_ALLOW_ bits
 * @gaps: say each gap of the linear map that is legal, too
 * @noted: lines say "noted" for "FAULT"
 */
struct audit_setup {
	u64 ram_start, ram_end;
	u32 cpus, bbml3, allow;
	bool gaps, noted;
};

/**
 * struct audit_registers - what gives the tables their shape and meaning
 * @tcr: TCR_EL1
 * @mair: MAIR_EL1
 * @pir: PIR_EL1, if @pie
 * @pie: TCR2_EL1.PIE
 */
struct audit_registers {
	u64 tcr, mair, pir;
	bool pie;
};

/**
 * struct audit_calls - what the auditor asks for while it looks at an event
 * @read: 8 bytes of memory, of a page that is watched
 * @write: store them: the event's own store
 * @watch: from now on, or no longer, each store to that page is an event
 * @code: the instruction at an address of the guest's; false if there is none
 * @registers: those of the CPU whose event it is
 * @forget: translations of the kernel's half that @code remembers are void
 * @say: a verdict, or the sum at the end: one line, without its end
 * @fail: it can't go on, and why; does not return
 */
struct audit_calls {
	u64 (*read)(u64 pa);
	void (*write)(u64 pa, u64 value);
	void (*watch)(u64 page, u64 size, bool on);
	bool (*code)(u64 va, u32 *insn);
	void (*registers)(struct audit_registers *registers);
	void (*forget)(void);
	void (*say)(const char *line);
	void (*fail)(const char *why) __attribute__((noreturn));
};

/*
 * A store that trapped is AUDIT_STORE, an AUDIT_WORD for each 8 bytes that it
 * changes, and AUDIT_DONE; others come behind that.
 */
enum audit_kind {
	AUDIT_TTBR1,	/* @value was written to TTBR1_EL1 */
	AUDIT_STORE,	/* a store to @address begins */
	AUDIT_WORD,	/* @value is to be stored at @address */
	AUDIT_DONE,	/* it ends: @value has AUDIT_DID and so on */
	AUDIT_TLBI,	/* was done: @address is CRm * 8 + Op2, @value Xt */
	AUDIT_OFF,	/* the CPU goes off */
	AUDIT_CHECK,	/* look now for what is left to be invalidated */
	AUDIT_END,	/* the same, and sum up; @value is VBAR_EL1 */
	AUDIT_KINDS
};

/* AUDIT_DONE */
#define AUDIT_DID	(1U << 0)	/* the instruction was done */
#define AUDIT_DECODED	(1U << 1)	/* it had to be decoded */
#define AUDIT_REPEAT	(1U << 2)	/* a store-exclusive that is to be done again */

/**
 * struct audit_event - what happened
 * @kind: of which kind
 * @cpu: on which CPU
 * @pc: by which instruction; of a store, a TLBI
 * @lr: X30 then; the same
 * @thread: which stack; the same
 * @address: see @kind
 * @value: see @kind
 */
struct audit_event {
	enum audit_kind kind;
	u32 cpu;
	u64 pc, lr, thread, address, value;
};

/**
 * struct audit_answer - how it stands
 * @events: so far, as lines count them
 * @violations: so far
 * @recent: the rules broken since the last time that it was asked, a bit each
 * @stores: that were audited
 * @tlbis: the same
 * @lazy: entries left to be invalidated lazily, at the last AUDIT_CHECK
 */
struct audit_answer {
	u64 events, violations, recent, stores, tlbis, lazy;
};

void audit_init(const struct audit_setup *setup, const struct audit_calls *calls);

/* Return: of AUDIT_STORE, whether the page is watched; if not, there are no AUDIT_WORD and AUDIT_DONE. */
bool audit_event(const struct audit_event *event);

void audit_ask(struct audit_answer *answer);

/*
 * How often leaves of the linear map were split and collapsed, in pairs: groups of
 * pages, the blocks above them, groups of these, the blocks above.
 */
#define AUDIT_SIZE_COUNTS	8
void audit_size_counts(u64 sizes[AUDIT_SIZE_COUNTS]);

/* Is it in a page that is watched? How many stores did that have? Neither is an event. */
bool audit_watches(u64 pa);
u64 audit_stores_to(u64 pa);

#endif
