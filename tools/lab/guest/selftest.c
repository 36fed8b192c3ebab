// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of the tree that look at the linear map: its selftest and leafmap.
 * And the counters that they look at, beside the tracepoints and the auditor.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define INSTANCE	TRACEFS "/instances/counters"
#define EVENT		INSTANCE "/events/kernel_leaf/kernel_leaf"
#define SIZES		"/sys/module/lab_audit/parameters/sizes"
#define QUIET_MS	2500
#define LINEAR_END	"0xffff800000000000"

/* As the auditor has them, with pages of 4K. */
static const struct {
	const char *vmstat;
	const char *event;
} kinds[] = {
	{ "direct_map_cont_level1_splits", " size=0x10000 what=split\n" },
	{ "direct_map_cont_level1_collapses", " size=0x10000 what=collapse\n" },
	{ "direct_map_level2_splits", " size=0x200000 what=split\n" },
	{ "direct_map_level2_collapses", " size=0x200000 what=collapse\n" },
	{ "direct_map_cont_level2_splits", " size=0x2000000 what=split\n" },
	{ "direct_map_cont_level2_collapses", " size=0x2000000 what=collapse\n" },
	{ "direct_map_level3_splits", " size=0x40000000 what=split\n" },
	{ "direct_map_level3_collapses", " size=0x40000000 what=collapse\n" },
};

#define KINDS	ARRAY_SIZE(kinds)

/* Each of its lines is a note. Return: its exit status, or -1. */
static int run_program(const char *prefix, const char *const *argv)
{
	char line[400];
	int fds[2], status;
	pid_t pid;
	FILE *f;

	if (pipe(fds))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		note("%s: %s", prefix, line);
	}
	if (f)
		fclose(f);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/**
 * selftest_check() - the tree's selftest passes
 * @name: of the result
 */
void selftest_check(const char *name)
{
	static const char *const argv[] = { "/bin/linear_map", MODULES "/lab_tiny.ko", NULL };
	int status = run_program(name, argv);

	if (status)
		ktap_not_ok(name, "it ends with %d", status);
	else
		ktap_ok(name);
}

static void counters_read(uint64_t *v)
{
	for (size_t i = 0; i < KINDS; i++)
		v[i] = read_field("/proc/vmstat", kinds[i].vmstat);
}

/* Until nothing has counted for a while. */
static void counters_settle(uint64_t *v)
{
	uint64_t since = now_ms(), last[KINDS];

	counters_read(v);
	while (now_ms() - since < QUIET_MS) {
		sleep_ms(100);
		memcpy(last, v, sizeof(last));
		counters_read(v);
		if (memcmp(last, v, sizeof(last)))
			since = now_ms();
	}
}

/* What both have counted when nothing goes on. The module is there for as long as that takes. */
static bool counts_read(uint64_t *vmstat, uint64_t *audit)
{
	char text[256], *at = text;
	bool ok = true;

	if (opt.audited && !module_load("lab_audit", "audited=1"))
		return false;
	counters_settle(vmstat);
	if (opt.audited) {
		ok = read_file(SIZES, text, sizeof(text)) > 0;
		for (size_t i = 0; ok && i < KINDS; i++)
			audit[i] = strtoull(at, &at, 10);
	}
	return ok;
}

static bool trace_begin(void)
{
	/* Splits and collapses. */
	static const char filter[] = "what <= 1 && addr < " LINEAR_END;

	return !mkdir(INSTANCE, 0700) && write_file(INSTANCE "/buffer_size_kb", "8192") &&
	       write_file(EVENT "/filter", filter);
}

static bool trace_switch(const char *on)
{
	return write_file(EVENT "/enable", on);
}

static bool trace_lost(void)
{
	char path[128];
	bool lost = false;

	for (unsigned int cpu = 0; cpu < cpus(); cpu++) {
		snprintf(path, sizeof(path), INSTANCE "/per_cpu/cpu%u/stats", cpu);
		lost |= read_field(path, "overrun") || read_field(path, "dropped events");
	}
	return lost;
}

static void trace_count(uint64_t *v)
{
	FILE *f = fopen(INSTANCE "/trace", "re");
	char *line = NULL, *size;
	size_t room = 0;

	memset(v, 0, KINDS * sizeof(*v));
	while (f && getline(&line, &room, f) > 0) {
		size = strstr(line, " size=");
		for (size_t i = 0; size && i < KINDS; i++)
			v[i] += !strncmp(size, kinds[i].event, strlen(kinds[i].event));
	}
	free(line);
	if (f)
		fclose(f);
}

/**
 * counters_check() - under churn all who count come to the same
 * @name: of the result
 */
void counters_check(const char *name)
{
	uint64_t before[KINDS], after[KINDS], traced[KINDS], was[KINDS], is[KINDS], all = 0;
	bool audited = opt.audited, ok;

	if (!trace_begin() || !counts_read(before, was) || !trace_switch("1") ||
	    (audited && !module_unload("lab_audit"))) {
		ktap_not_ok(name, "no tracepoints, or no auditor: %s", strerror(errno));
		return;
	}
	/* The first takes pages from few blocks; the other from many, across gigabytes. */
	ok = run_mixed() && module_load("lab_shatter", "blocks=1024") && module_unload("lab_shatter") &&
	     counts_read(after, is);
	trace_switch("0");
	trace_count(traced);

	for (size_t i = 0; i < KINDS; i++) {
		uint64_t n = after[i] - before[i];

		note("count %s vmstat=%" PRIu64 " trace=%" PRIu64 " audit=%" PRId64, kinds[i].vmstat,
		     n, traced[i], audited ? (int64_t)(is[i] - was[i]) : -1);
		ok &= n == traced[i] && (!audited || n == is[i] - was[i]);
		all += n;
	}
	if (trace_lost())
		ktap_not_ok(name, "the trace buffer was too small");
	else if (!all)
		ktap_not_ok(name, "nothing was counted");
	else if (!ok)
		ktap_not_ok(name, "they differ");
	else
		ktap_ok(name);
}

static void look(unsigned int *seed)
{
	static const char *const once[] = { "/bin/leafmap", NULL };
	static const char *const json[] = { "/bin/leafmap", "-j", NULL };
	uint64_t start;

	(void)seed;
	start = now_ms();
	if (run_program("leafmap", once))
		give_up("leafmap");
	note("leafmap ms=%" PRIu64, now_ms() - start);
	if (run_program("leafmap-json", json))
		give_up("leafmap -j");
}

static void look_when_open(const char *phase, unsigned int round)
{
	if (strcmp(phase, "open"))
		return;
	/* What can be whole is. */
	sleep_ms(3000);
	look(NULL);
	(void)round;
}

static void churn(unsigned int *seed)
{
	(void)seed;
	secretmem_phases(look_when_open);
}

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* Every other page comes back, so that what is between keeps its block apart; for longer than leafmap watches. */
static void give_half_back(void)
{
	size_t size = 8 << 20, page = sysconf(_SC_PAGESIZE);
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char *at[2];
	int fd[2];

	setrlimit(RLIMIT_MEMLOCK, &all);
	for (int i = 0; i < 2; i++) {
		fd[i] = syscall(SYS_memfd_secret, 0);
		if (fd[i] < 0 || ftruncate(fd[i], size))
			give_up("memfd_secret: %s", strerror(errno));
		at[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd[i], 0);
		if (at[i] == MAP_FAILED)
			give_up("memfd_secret: mmap: %s", strerror(errno));
	}
	for (size_t off = 0; off < size; off += page) {
		at[0][off] = 1;
		at[1][off] = 1;
	}
	munmap(at[0], size);
	close(fd[0]);
	sleep_ms(8000);
}

/**
 * leafmap_check() - after churn, with files, programs and modules in use, leafmap
 * says who holds what; and then who splits
 * @name: of the result
 */
void leafmap_check(const char *name)
{
	static const char *const watch[] = { "/bin/leafmap", "-w", "4", "-n", "1", NULL };
	bool ok = run_mixed();
	pid_t pid;

	ok &= module_load("lab_text", "");
	ok &= run_child(churn, 1, 0);
	pid = fork();
	if (!pid) {
		sleep_ms(1000);
		give_half_back();
		_exit(0);
	}
	ok &= !run_program("leafmap-watch", watch);
	ok &= wait_child(pid) && module_unload("lab_text");
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}
