// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own churn, KUnit's suite kernel_leaf_fuzz, started from here: with
 * allocations that fail, or beside what processes do. Its parameters are the
 * kernel's, leaf_fuzz.NAME=. The suite's own results are on the console.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define SUITE		"kernel_leaf_fuzz"
#define SUITE_DIR	"/sys/kernel/debug/kunit/" SUITE "/"
#define PARAMETERS	"/sys/module/leaf_fuzz/parameters/"

static bool set_number(const char *name, unsigned int value)
{
	char path[80], text[16];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	snprintf(text, sizeof(text), "%u", value);
	return write_file(path, text);
}

static unsigned int number(const char *name)
{
	char path[80], text[16] = "";

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return read_file(path, text, sizeof(text)) > 0 ? strtoul(text, NULL, 0) : 0;
}

/*
 * Races that are upstream's own, which KCSAN is not to report: functions, one of
 * which is at the top of either stack.
 *
 * hrtimer_wakeup() clears t.task, which the sleeper that wakes up reads plainly to
 * tell whether it was the timer: either value is right.
 *
 * osq_wait_next(), of a mutex that is spun for, reads node->next plainly to see
 * whether there is something to take; what it takes it takes by xchg().
 */
static const char * const known_races[] = {
	"schedule_hrtimeout_range_clock",
	"osq_wait_next",
};

#define KCSAN	"/sys/kernel/debug/kcsan"

/* Why it can't be; nothing if it can. */
static const char *set_up(void)
{
	for (size_t i = 0; !access(KCSAN, W_OK) && i < sizeof(known_races) / sizeof(*known_races); i++) {
		char text[80];

		snprintf(text, sizeof(text), "!%s", known_races[i]);
		if (!write_file(KCSAN, text))
			return "KCSAN does not know one of fuzz.c's races";
	}
	if (access(SUITE_DIR "run", W_OK))
		return "the kernel has no suite " SUITE
		       ", or kunit.enable=1 kunit.autorun=0 is missing";
	if (number("fail") && !fault_set_up())
		return "leaf_fuzz.fail= asks for FAILSLAB, FAIL_PAGE_ALLOC and FAULT_INJECTION_DEBUG_FS";
	return NULL;
}

/* One run, which ends when the suite has ended. */
static bool run_suite(unsigned int seed)
{
	static char results[65536];

	if (!set_number("seed", seed) || !write_file(SUITE_DIR "run", "1") ||
	    read_file(SUITE_DIR "results", results, sizeof(results)) <= 0) {
		note("failed: fuzz: the suite does not run");
		return false;
	}
	if (strstr(results, "\nok 1 " SUITE "\n"))
		return true;
	note("failed: fuzz: seed %u: %s", seed,
	     strstr(results, "# SKIP") ? "skipped" : "see the suite's own results");
	return false;
}

/*
 * fuzz_check() - the result @name: lab.rounds runs, with seeds from lab.seed up
 */
void fuzz_check(const char *name)
{
	const char *why = set_up();

	for (unsigned int i = 0; !why && i < opt.rounds; i++)
		if (!run_suite(opt.seed + i))
			why = "see above";
	if (why)
		ktap_not_ok(name, "%s", why);
	else
		ktap_ok(name);
}

/* Where all of it is slow, one run outlasts what is beside it, and is enough. */
static void beside(unsigned int *seed)
{
	uint64_t end = now_ms() + opt.churn_s * 1000ULL;
	unsigned int runs = 0;

	do {
		if (!run_suite(*seed + runs++))
			_exit(1);
	} while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED) && now_ms() < end);
	note("fuzz runs=%u", runs);
}

/*
 * fuzz_mixed_check() - the results NAME-mixed, all workloads of processes at once,
 * and NAME, what the suite said that ran again and again meanwhile
 */
void fuzz_mixed_check(const char *name)
{
	const char *why = set_up();
	char mixed[64];
	bool ok;
	pid_t pid;

	snprintf(mixed, sizeof(mixed), "%s-mixed", name);
	/* Others make page tables, too. */
	if (!why && !write_file(PARAMETERS "alone", "N"))
		why = "leaf_fuzz.alone can't be set";
	if (why) {
		ktap_not_ok(mixed, "%s", why);
		ktap_not_ok(name, "%s", why);
		return;
	}
	shared->stop = false;
	pid = start_child(beside, 1, opt.seed);
	ok = run_mixed();
	if (ok)
		ktap_ok(mixed);
	else
		ktap_not_ok(mixed, "see above");
	if (pid > 0 && wait_child(pid))
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
	shared->last_close_ms = now_ms();
}
