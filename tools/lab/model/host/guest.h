/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Part of test.c: a guest that is made up. Its memory, a small CPU that executes
 * code.h, what the auditor asks of a machine, and what tests/sequences.h wants.
 */
#include "audit/record.h"
#include "code.h"
#include "regs.h"

#define SCRATCH		0x50000000UL
#define RAM_SIZE	0x10000000UL
#define TEXT		0xffff800080000000UL	/* where code.h is */
#define STACK		0x123
#define OTHER_STACK	0x456
#define ANY_LR		(TEXT + 4 * (caller_at + 2))

/* The guest's memory is seen twice: at its address, where pages that are watched are read-only, and here. */
static u8 *writable;
static u64 audit_empty, audit_mair, audit_root, audit_tcr;
static u32 points, failed;
static FILE *trace, *said;
static char first_said[AUDIT_LINE], last_said[AUDIT_LINE];
static u32 lines;

static void result(bool good, const char *name)
{
	points++;
	failed += !good;
	if (!good)
		printf("# not ok: %s\n", name);
}

static void same_value(const char *name, u64 got, u64 expected)
{
	result(got == expected, name);
	if (got != expected)
		printf("# got 0x%lx, expected 0x%lx\n", got, expected);
}

static __attribute__((noreturn)) void stop_because(const char *why)
{
	fprintf(stderr, "audit-test: %s\n", why);
	exit(2);
}

/* What the auditor asks. */
static u64 *word_at(u64 pa)
{
	if (pa < SCRATCH || pa >= SCRATCH + RAM_SIZE)
		stop_because("the auditor asks for what is no memory");
	return (u64 *)(writable + (pa - SCRATCH));
}

static u64 read_word(u64 pa)
{
	return *word_at(pa);
}

static void write_word(u64 pa, u64 value)
{
	*word_at(pa) = value;
}

static void watch(u64 page, u64 size, bool on)
{
	if (mprotect((void *)page, size, on ? PROT_READ : PROT_READ | PROT_WRITE))
		stop_because("mprotect() fails");
}

static bool code(u64 va, u32 *insn)
{
	u64 n = (va - TEXT) / 4;

	/* What can be read ends with a page, and not in the middle of a line of instructions. */
	if (va < TEXT || n >= 1024)
		return false;
	*insn = n < ARRAY_SIZE(text) ? text[n] : 0;
	return true;
}

static void registers(struct audit_registers *now)
{
	*now = (struct audit_registers){ .tcr = audit_tcr, .mair = audit_mair };
}

static void forget(void)
{
}

static void say(const char *line)
{
	if (!lines++)
		snprintf(first_said, sizeof(first_said), "%s", line);
	snprintf(last_said, sizeof(last_said), "%s", line);
	if (said)
		fprintf(said, "el2: %s\n", line);
}

static __attribute__((noreturn)) void fail(const char *why)
{
	stop_because(why);
}

static void to_trace(const void *bytes, u32 len)
{
	if (trace && fwrite(bytes, 1, len, trace) != len)
		stop_because("the trace can't be written");
}

static bool event(struct audit_event what)
{
	return record_event(&what);
}

/* A store of one word by a CPU: an event, if it is to a page that is watched. */
static void store_word(u64 pa, u64 value, u64 pc, u64 lr, u64 thread)
{
	if (!event((struct audit_event){ .kind = AUDIT_STORE, .pc = pc, .lr = lr, .thread = thread, .address = pa })) {
		write_word(pa, value);
		return;
	}
	event((struct audit_event){ .kind = AUDIT_WORD, .address = pa, .value = value });
	event((struct audit_event){ .kind = AUDIT_DONE, .value = AUDIT_DID });
}

static void tlbi_at(u32 cpu, u32 crm, u32 op2, u64 argument, u64 pc, u64 lr, u64 thread)
{
	event((struct audit_event){ .kind = AUDIT_TLBI, .cpu = cpu, .pc = pc, .lr = lr, .thread = thread,
				    .address = crm * 8 + op2, .value = argument });
}

/*
 * The small CPU: executes a function of code.h, with X0 to X4 and a thread, and
 * knows the instructions that there are.
 */
static void run(u32 at, const u64 arguments[5], u64 thread)
{
	u64 x[32] = { 0 }, zero = 1, stack[2] = { 0 };

	memcpy(x, arguments, 5 * sizeof(x[0]));
	x[30] = ANY_LR;
	for (u64 pc = TEXT + 4UL * at, next;; pc = next) {
		u32 insn, rd;
		u64 rn;

		if (pc == ANY_LR)
			return;
		if (!code(pc, &insn))
			stop_because("code.h has no end");
		next = pc + 4;
		rd = insn & 31;
		rn = x[insn >> 5 & 31];
		if (insn == 0xd65f03c0) { /* RET */
			next = x[30];
		} else if (insn >> 26 == 0x05 || insn >> 26 == 0x25) { /* B, BL */
			if (insn >> 31)
				x[30] = next;
			next = pc + (u64)((long)((u64)insn << 38) >> 36);
		} else if (insn >> 24 == 0xb4 || insn >> 24 == 0xb5) { /* CBZ, CBNZ */
			if (!x[rd] == !(insn >> 24 & 1))
				next = pc + (u64)((long)((u64)BITS(insn, 23, 5) << 45) >> 43);
		} else if (insn >> 24 == 0x54) { /* B.NE */
			if (!zero)
				next = pc + (u64)((long)((u64)BITS(insn, 23, 5) << 45) >> 43);
		} else if (insn >> 22 == 0x244) { /* ADD */
			x[rd] = rn + BITS(insn, 21, 10);
		} else if (insn >> 22 == 0x344 || insn >> 22 == 0x3c4) { /* SUB, SUBS */
			x[rd] = rn - BITS(insn, 21, 10);
			zero = !x[rd];
		} else if (insn >> 22 == 0x3e4) { /* STR */
			store_word(rn, x[rd], pc, x[30], thread);
		} else if (insn == 0xa8817c43) { /* STP X3, XZR, [X2], #16 */
			store_word(rn, x[3], pc, x[30], thread);
			store_word(rn + 8, 0, pc, x[30], thread);
			x[2] += 16;
		} else if (insn == 0xd50883e0) { /* TLBI VAALE1IS, X0 */
			tlbi_at(0, 3, 7, x[0], pc, x[30], thread);
		} else if (insn == 0xa9bf7bfd) { /* to the stack, and from it */
			stack[1] = x[30];
		} else if (insn == 0xa8c17bfd) {
			x[30] = stack[1];
		} else if (insn != 0xd503201f && (insn & 0xfffff000) != 0xd5033000) { /* NOP; barriers */
			stop_because("code.h has an instruction that is not known");
		}
	}
}

/* What sequences.h wants. */
static void store(u64 *entry, u64 value)
{
	run(store_behind_barrier_at, (u64[5]){ (u64)entry, value }, STACK);
}

static void store_by_another(u64 *entry, u64 value)
{
	run(store_behind_barrier_at, (u64[5]){ (u64)entry, value }, OTHER_STACK);
}

static void invalidate_by_another(u64 argument)
{
	run(tlbi_between_barriers_at, (u64[5]){ argument }, OTHER_STACK);
}

static void barrier(void)
{
}

/* One between barriers. Which one it is, the code does not say. */
static void tlbi_named(const char *op, u64 argument)
{
	static const struct {
		const char *name;
		u32 crm, op2;
	} ops[] = {
		{ "vmalle1is", 3, 0 }, { "vae1is", 3, 1 }, { "vaae1is", 3, 3 }, { "vale1is", 3, 5 },
		{ "vaale1is", 3, 7 }, { "vmalle1", 7, 0 }, { "vaale1", 7, 7 }, { "vmalle1os", 1, 0 },
		{ "aside1is", 3, 2 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(op, ops[i].name))
			continue;
		tlbi_at(0, ops[i].crm, ops[i].op2, argument, TEXT + 4 * (tlbi_between_barriers_at + 1), ANY_LR, STACK);
		return;
	}
	stop_because("a sequence has a TLBI that is not known");
}

static void tlbi_range(u32 op2, u64 argument)
{
	tlbi_at(0, 2, op2, argument, TEXT + 4 * (tlbi_between_barriers_at + 1), ANY_LR, STACK);
}

#define tlbi(op, argument)		tlbi_named(#op, argument)
#define tlbi_all(op, before, after)	tlbi_named(#op, 0)

static u64 rules_broken(u64 *lazy)
{
	struct audit_answer answer;

	event((struct audit_event){ .kind = AUDIT_CHECK });
	audit_ask(&answer);
	*lazy = answer.lazy;
	return answer.recent;
}

enum { USE_TABLES, LEAVE_TABLES, DROP_TLB };

static void have(u32 cpu, int what)
{
	if (what == DROP_TLB)
		tlbi_at(cpu, 7, 0, 0, TEXT + 4 * (tlbi_between_barriers_at + 1), ANY_LR, STACK + cpu);
	else
		event((struct audit_event){ .kind = AUDIT_TTBR1, .cpu = cpu,
					    .value = what == USE_TABLES ? audit_root : audit_empty });
}

static void start(u32 cpu, u64 context)
{
	(void)cpu;
	(void)context;
}

static void stop(u32 cpu)
{
	event((struct audit_event){ .kind = AUDIT_OFF, .cpu = cpu });
}

static void tlbi_no_dsb_before(u64 argument)
{
	run(tlbi_no_dsb_before_at, (u64[5]){ argument }, STACK);
}

static void tlbi_no_dsb_behind(u64 argument)
{
	run(tlbi_no_dsb_behind_at, (u64[5]){ argument }, STACK);
}

static void tlbi_dsb_of_loads(u64 argument)
{
	run(tlbi_dsb_of_loads_at, (u64[5]){ argument }, STACK);
}

static void tlbi_called_behind_dsb(u64 argument)
{
	run(tlbi_called_behind_dsb_at, (u64[5]){ argument }, STACK);
}

static void tlbi_called(u64 argument)
{
	run(tlbi_called_at, (u64[5]){ argument }, STACK);
}

static void tlbi_dsb_on_one_path(u64 argument, u64 which)
{
	run(tlbi_dsb_on_one_path_at, (u64[5]){ argument, which }, STACK);
}

static void tlbi_loop(u64 argument, u64 count)
{
	run(tlbi_loop_at, (u64[5]){ argument, count }, STACK);
}

static void tlbi_no_dsb_before_loop(u64 argument, u64 count)
{
	run(tlbi_no_dsb_before_loop_at, (u64[5]){ argument, count }, STACK);
}

static void tlbi_dsb_before_loop(u64 argument, u64 count)
{
	run(tlbi_dsb_before_loop_at, (u64[5]){ argument, count }, STACK);
}

static void link_filled(u64 *entry, u64 table, u64 *in_table, u64 leaf)
{
	run(link_filled_at, (u64[5]){ (u64)entry, table, (u64)in_table, leaf }, STACK);
}

static void link_filled_ld(u64 *entry, u64 table, u64 *in_table, u64 leaf)
{
	run(link_filled_ld_at, (u64[5]){ (u64)entry, table, (u64)in_table, leaf }, STACK);
}

static void link_filled_one_path(u64 *entry, u64 table, u64 *in_table, u64 leaf, u64 which)
{
	run(link_filled_one_path_at, (u64[5]){ (u64)entry, table, (u64)in_table, leaf, which }, STACK);
}

static void link_filled_loop(u64 *entry, u64 table, u64 *in_table, u64 leaf, u64 count)
{
	run(link_filled_loop_at, (u64[5]){ (u64)entry, table, (u64)in_table, leaf, count }, STACK);
}
