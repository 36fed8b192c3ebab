// SPDX-License-Identifier: GPL-2.0
/*
 * audit-test [-t FOLDER] [TEST...]: the auditor's own tests, on the host. The
 * sequences of sequences.h are told to it as events, by way of a small CPU that
 * executes code.h; a page that is watched can't be written to in another way.
 * Each test is a process, for there is one auditor in each.
 *
 * With -t each leaves a trace FOLDER/TEST.trace and what was said, FOLDER/TEST.said.
 *
 * Exit status: 0 all is well, 1 a test failed, 2 it could not run.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/record.h"
#include "audit/trace.h"
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

#define CODE_TLBI(name)							\
	static void name(u64 argument, u64 count)			\
	{								\
		run(name##_at, (u64[5]){ argument, count }, STACK);	\
	}
#define tlbi_of_one(name)	run(name##_at, (u64[5]){ argument }, STACK)

static void tlbi_no_dsb_before(u64 argument) { tlbi_of_one(tlbi_no_dsb_before); }
static void tlbi_no_dsb_behind(u64 argument) { tlbi_of_one(tlbi_no_dsb_behind); }
static void tlbi_dsb_of_loads(u64 argument) { tlbi_of_one(tlbi_dsb_of_loads); }
static void tlbi_called_behind_dsb(u64 argument) { tlbi_of_one(tlbi_called_behind_dsb); }
static void tlbi_called(u64 argument) { tlbi_of_one(tlbi_called); }
CODE_TLBI(tlbi_dsb_on_one_path)
CODE_TLBI(tlbi_loop)
CODE_TLBI(tlbi_no_dsb_before_loop)
CODE_TLBI(tlbi_dsb_before_loop)

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

#include "tests/sequences.h"
#include "tests/rules-cpu.h"
#include "tests/rules-entry.h"
#include "tests/rules-size.h"
#include "tests/rules-tlbi.h"

/* Lines, and what of them there are. */
static void said_first(const char *name, const char *text)
{
	result(strstr(first_said, text), name);
	if (!strstr(first_said, text))
		printf("# said: %s\n", first_said);
}

static void the_form(void)
{
	begin(PAGES, 0);
	store(&l3[1], leaf(OTHER_PA, 3, 0));
	said_first("form", "FAULT audit oa: va 0xffff000000001000 level 3 old 0x60000100001703 (4K 0x100001000 RW Normal) "
			   "new 0x60000200000703 (4K 0x200000000 RW Normal) cpu 0 pc 0xffff800080000008 lr 0xffff80008000");
	said_first("form-who", "held by CPUs 0: the output address changes while the old one may be cached; expected "
			       "break-before-make: invalid, TLBI, DSB, and then this (DDI 0487, Using break-before-make when "
			       "updating translation table entries)");
}

static void a_flood(void)
{
	begin(PAGES, 0);
	for (u32 i = 0; i < 100; i++)
		store(&l3[i], leaf(OTHER_PA, 3, 0));
	flush_l3(true);
	same_value("flood", rules_broken(&lazy), OA);
	same_value("flood-lines", lines, 6);
	lines = 0;
	event((struct audit_event){ .kind = AUDIT_END });
	said_first("flood-sum", "FAULT audit oa: 100 of these, of which 6 were reported");
}

static void nothing_happens(void)
{
	event((struct audit_event){ .kind = AUDIT_END });
	said_first("nothing", "FAULT audit nothing: 0 stores, 0 TLBIs, ");
}

static void a_tagged_page(void)
{
	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, TYPE_TAGGED));
	invalidate(here + size_of(3));
}

static void tagged(void)
{
	a_tagged_page();
	same_value("tagged", rules_broken(&lazy), TYPE);
}

static void tagged_allowed(void)
{
	a_tagged_page();
	same_value("tagged-allowed", rules_broken(&lazy), 0);
}

static void an_early_tlbi(void)
{
	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	/* As that of map_kernel(): a local one of all, and nothing behind it. */
	tlbi_at(0, 7, 0, 0, TEXT + 4 * (tlbi_no_dsb_behind_at + 1), ANY_LR, STACK);
}

static void early(void)
{
	an_early_tlbi();
	same_value("early", rules_broken(&lazy), ORDER);
}

static void early_allowed(void)
{
	an_early_tlbi();
	same_value("early-allowed", rules_broken(&lazy), 0);
	have(1, USE_TABLES);
	an_early_tlbi();
	same_value("early-with-another-cpu", rules_broken(&lazy), ORDER | STALE);
}

static void wx_allowed(void)
{
	begin(PAGES, RO);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0) & ~PXN);
	same_value("wx-allowed", rules_broken(&lazy), 0);
}

static void a_gap(void)
{
	begin(PAGES, 0);
	store(&l3[1], 0);
	invalidate(here + size_of(3));
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0));
	same_value("gap", rules_broken(&lazy), 0);
}

static void gap_noted(void)
{
	a_gap();
	said_first("gap-noted", "noted audit gap: va 0xffff000000001000");
}

static void gap_silent(void)
{
	a_gap();
	same_value("gap-silent", lines, 0);
}

/* A split as it should be. */
static void clean(void)
{
	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	same_value("clean", rules_broken(&lazy), 0);
	same_value("clean-lines", lines, 0);
}

/* Of a store that only had to be done again nothing is counted. */
static void refused(void)
{
	struct audit_answer answer;

	begin(PAGES, 0);
	event((struct audit_event){ .kind = AUDIT_STORE, .pc = TEXT, .thread = STACK, .address = (u64)&l3[1] });
	event((struct audit_event){ .kind = AUDIT_DONE, .value = 0 });
	audit_ask(&answer);
	same_value("store-not-done", answer.stores, 1); /* begin() has one */
	result(audit_watches((u64)&l3[1]), "watched");
	result(!audit_watches(SCRATCH + RAM_SIZE / 2), "not-watched");
}

/* Two words in one store, as STP has them: both are judged. */
static void two_words(void)
{
	begin(PAGES, 0);
	event((struct audit_event){ .kind = AUDIT_STORE, .pc = TEXT, .thread = STACK, .address = (u64)&l3[1] });
	event((struct audit_event){ .kind = AUDIT_WORD, .address = (u64)&l3[1], .value = leaf(OTHER_PA, 3, 0) });
	event((struct audit_event){ .kind = AUDIT_WORD, .address = (u64)&l3[2], .value = leaf(OTHER_PA, 3, TYPE_NC) });
	event((struct audit_event){ .kind = AUDIT_DONE, .value = AUDIT_DID | AUDIT_DECODED });
	same_value("two-words", rules_broken(&lazy), OA);
	same_value("two-words-lines", lines, 2);
}

#define ALL	audit_contents, audit_tlbis, audit_sizes, audit_gaps, audit_groups, audit_rights, audit_order

/* @trace: how many bytes it may have, if not plenty */
static const struct test {
	const char *name;
	u32 shift, va_bits;
	bool ds, gaps, untranslated;
	u32 bbml3, allow, trace;
	void (*run[9])(void);
} tests[] = {
	{ .name = "4k-48", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { ALL } },
	{ .name = "4k-39", .shift = 12, .va_bits = 39, .bbml3 = 15, .run = { ALL } },
	{ .name = "4k-52", .shift = 12, .va_bits = 52, .ds = true, .bbml3 = 15, .run = { ALL } },
	{ .name = "16k-47", .shift = 14, .va_bits = 47, .bbml3 = 15, .run = { ALL } },
	{ .name = "16k-48", .shift = 14, .va_bits = 48, .bbml3 = 15, .run = { ALL } },
	{ .name = "16k-52", .shift = 14, .va_bits = 52, .ds = true, .bbml3 = 15, .run = { ALL } },
	{ .name = "64k-48", .shift = 16, .va_bits = 48, .bbml3 = 15, .run = { ALL } },
	{ .name = "64k-52", .shift = 16, .va_bits = 52, .bbml3 = 15, .run = { ALL } },
	{ .name = "patience", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { audit_contents, audit_patience } },
	{ .name = "no-bbml3", .shift = 12, .va_bits = 48, .run = { audit_no_bbml3 } },
	{ .name = "mixed", .shift = 12, .va_bits = 48, .bbml3 = 7, .run = { audit_mixed } },
	{ .name = "form", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { the_form } },
	{ .name = "flood", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { a_flood } },
	{ .name = "nothing", .untranslated = true, .run = { nothing_happens } },
	{ .name = "tagged", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { tagged } },
	{ .name = "tagged-allowed", .shift = 12, .va_bits = 48, .bbml3 = 15, .allow = AUDIT_ALLOW_TAGGED,
	  .run = { tagged_allowed } },
	{ .name = "early", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { early } },
	{ .name = "early-allowed", .shift = 12, .va_bits = 48, .bbml3 = 15, .allow = AUDIT_ALLOW_EARLY,
	  .run = { early_allowed } },
	{ .name = "wx-allowed", .shift = 12, .va_bits = 48, .bbml3 = 15, .allow = AUDIT_ALLOW_WX,
	  .run = { wx_allowed } },
	{ .name = "gap-noted", .shift = 12, .va_bits = 48, .bbml3 = 15, .gaps = true, .run = { gap_noted } },
	{ .name = "gap-silent", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { gap_silent } },
	{ .name = "clean", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { clean } },
	{ .name = "refused", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { refused } },
	{ .name = "two-words", .shift = 12, .va_bits = 48, .bbml3 = 15, .run = { two_words } },
	{ .name = "trace-full", .shift = 12, .va_bits = 48, .bbml3 = 15, .trace = 4000, .run = { audit_contents, audit_sizes } },
};

static FILE *beside(const char *folder, const char *name, const char *end)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, end);
	file = fopen(path, "w");
	if (!file)
		stop_because("the folder of -t can't be written to");
	return file;
}

static int run_test(const struct test *test, const char *folder)
{
	static const struct audit_calls calls = {
		.read = read_word, .write = write_word, .watch = watch, .code = code,
		.registers = registers, .forget = forget, .say = say, .fail = fail,
	};
	const struct audit_setup setup = {
		.ram_start = SCRATCH, .ram_end = SCRATCH + RAM_SIZE, .cpus = 4, .bbml3 = test->bbml3,
		.allow = test->allow, .gaps = test->gaps,
	};
	int memory = memfd_create("audit-test", 0);

	if (memory < 0 || ftruncate(memory, RAM_SIZE) ||
	    mmap((void *)SCRATCH, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, memory, 0) !=
		    (void *)SCRATCH)
		stop_because("the addresses for the guest's memory are taken");
	writable = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (writable == MAP_FAILED)
		stop_because("no memory is left");
	if (folder) {
		trace = beside(folder, test->name, "trace");
		said = beside(folder, test->name, "said");
	}
	record_init(&setup, &calls, to_trace, test->trace ? test->trace : 1UL << 30);
	if (!test->untranslated) {
		audit_tcr = tables_begin(test->shift, test->va_bits, test->ds);
		have(0, USE_TABLES);
	}
	for (u32 i = 0; test->run[i]; i++)
		test->run[i]();
	if (folder && strncmp(last_said, "audit: ", 7))
		event((struct audit_event){ .kind = AUDIT_END, .value = TEXT });
	if (trace)
		fclose(trace);
	if (said)
		fclose(said);
	printf("%s %s (%u results)\n", failed ? "not ok" : "ok", test->name, points);
	fflush(stdout);
	return !!failed;
}

static int in_a_process(const struct test *test, const char *folder)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		exit(run_test(test, folder));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		stop_because("no process can be made");
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	printf("not ok %s: it ended by signal %d: a store to a page that is watched, and no event?\n", test->name,
	       WTERMSIG(status));
	return 1;
}

int main(int argc, char **argv)
{
	const char *folder = NULL;
	int bad = 0, status;

	if (argc > 2 && !strcmp(argv[1], "-t")) {
		folder = argv[2];
		argv += 2;
		argc -= 2;
	}
	for (int i = 1; i < argc; i++) {
		u32 known = 0;

		for (u32 t = 0; t < ARRAY_SIZE(tests); t++)
			known += !strcmp(argv[i], tests[t].name);
		if (!known) {
			fprintf(stderr, "audit-test: %s: no such test; the list is in host/test.c\n", argv[i]);
			return 2;
		}
	}
	for (u32 t = 0; t < ARRAY_SIZE(tests); t++) {
		bool wanted = argc == 1;

		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], tests[t].name);
		status = wanted ? in_a_process(&tests[t], folder) : 0;
		if (status > bad)
			bad = status;
	}
	return bad;
}
