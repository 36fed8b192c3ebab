// SPDX-License-Identifier: GPL-2.0
/*
 * audit-test [-t FOLDER] [TEST...]: the auditor's own tests, on the host. The
 * sequences of tests/sequences.h are told to it as events, by way of a small CPU
 * that executes code.h (guest.h); a page that is watched can't be written to in another way.
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

#include "guest.h"
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
	result(!strstr(first_said, "FAULT"), "clean-lines");
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
	{ .name = "trace-full-clean", .shift = 12, .va_bits = 48, .bbml3 = 15, .trace = 600, .run = { clean } },
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
