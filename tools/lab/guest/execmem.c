// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that makes, patches and removes kernel text, on all CPUs, while the
 * page tables are read and judged; and what maps text when much of it is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#define TEST_BPF	"/tests/test_bpf.ko"
#define MODULES_AT_ONCE	200
#define RESIDENT	50
#define PROGRAMS	200
#define PROBES		8
#define RUNS		4

/*
 * None of them exports anything. The last one calls lab_export, which is loaded
 * under its own name.
 */
static const char * const patterns[] = {
	"lab_tiny", "lab_text", "lab_data", "lab_user",
};

static struct image images[ARRAY_SIZE(patterns)];
static unsigned int first_module, my_modules;

static void read_images(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		image_read(&images[i], patterns[i]);
}

static void must_load(unsigned int i)
{
	char name[16];
	int err;

	snprintf(name, sizeof(name), "lab_%03u", i);
	err = image_load(&images[i % ARRAY_SIZE(images)], name);
	if (err)
		give_up("execmem: loading %s as %s: %s", patterns[i % ARRAY_SIZE(patterns)],
			name, strerror(err));
	module_run(name);
}

static void must_unload(unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "lab_%03u", i);
	if (!module_unload(name))
		give_up("execmem: removing %s: %s", name, strerror(errno));
}

/* All of this process's modules, in random order, some of them more than once. */
static void modules_worker(unsigned int *seed)
{
	unsigned int order[MODULES_AT_ONCE];

	shuffle(seed, order, my_modules);
	for (unsigned int i = 0; i < my_modules; i++) {
		must_load(first_module + order[i]);
		if (rnd(seed, 2)) {
			unsigned int again = first_module + order[rnd(seed, i + 1)];

			must_unload(again);
			must_load(again);
		}
	}
	shuffle(seed, order, my_modules);
	for (unsigned int i = 0; i < my_modules; i++)
		must_unload(first_module + order[i]);
}

static uint64_t probe_hits(unsigned int i)
{
	char line[256], name[32], group[32];
	FILE *f = fopen(TRACEFS "/kprobe_profile", "re");
	uint64_t hits = 0;

	snprintf(name, sizeof(name), "t%u", i);
	while (f && fgets(line, sizeof(line), f)) {
		uint64_t n;

		if (sscanf(line, " %31s %" SCNu64, group, &n) == 2 && !strcmp(group, name))
			hits = n;
	}
	if (f)
		fclose(f);
	return hits;
}

static void must_write(const char *path, const char *text)
{
	if (!append_file(path, text))
		give_up("execmem: %s to %s: %s", text, path, strerror(errno));
}

/*
 * Probes in the text of a module: each is hit once in a run. Offset 0 holds a nop
 * that is simulated; what stands further down is stepped in a slot.
 */
static void probe_module(unsigned int *seed, const char *name)
{
	char text[128];

	for (unsigned int i = 0; i < PROBES; i++) {
		snprintf(text, sizeof(text), "p:labm/t%u %s:text_check+%u", i, name,
			 i ? 4 * (64 + rnd(seed, 70000)) : 0);
		must_write(TRACEFS "/kprobe_events", text);
	}
	must_write(TRACEFS "/events/labm/enable", "1");
	for (unsigned int i = 0; i < RUNS; i++)
		module_run(name);
	must_write(TRACEFS "/events/labm/enable", "0");
	for (unsigned int i = 0; i < PROBES; i++) {
		uint64_t hits = probe_hits(i);

		if (hits != RUNS)
			give_up("execmem: probe %u of %s was hit %" PRIu64 " times in %u runs",
				i, name, hits, RUNS);
		snprintf(text, sizeof(text), "-:labm/t%u", i);
		must_write(TRACEFS "/kprobe_events", text);
	}
}

static bool trace_has(const char *what)
{
	char line[512];
	FILE *f = fopen(TRACEFS "/trace", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = line[0] != '#' && strstr(line, what);
	if (f)
		fclose(f);
	return found;
}

static void trace_module(const char *name)
{
	char filter[64];

	snprintf(filter, sizeof(filter), ":mod:%s", name);
	if (!write_file(TRACEFS "/set_ftrace_filter", filter))
		give_up("execmem: %s to set_ftrace_filter: %s", filter, strerror(errno));
	must_write(TRACEFS "/current_tracer", "function");
	module_run(name);
	if (!trace_has("text_check"))
		give_up("execmem: the function tracer does not see %s", name);
	must_write(TRACEFS "/current_tracer", "nop");
	write_file(TRACEFS "/set_ftrace_filter", "");
}

/* Probes and the tracer, on the kernel's text and on a module's. */
static void patch_worker(unsigned int *seed)
{
	static const char name[] = "lab_prb";
	int err = image_load(&images[1], name);

	if (err)
		give_up("execmem: loading %s: %s", name, strerror(err));
	setmem_bout(seed);
	probe_module(seed, name);
	trace_module(name);
	if (!module_unload(name))
		give_up("execmem: removing %s: %s", name, strerror(errno));
}

/* The kernel's own test of its JIT, which runs as it is loaded. */
static void test_bpf_worker(unsigned int *seed)
{
	int fd = open(TEST_BPF, O_RDONLY | O_CLOEXEC);

	(void)seed;
	if (fd < 0)
		give_up("%s: %s; the kernel's build folder has it with CONFIG_TEST_BPF=m",
			TEST_BPF, strerror(errno));
	if (syscall(SYS_finit_module, fd, "", 0))
		give_up("test_bpf: %s", strerror(errno));
	close(fd);
	if (!module_unload("test_bpf"))
		give_up("removing test_bpf: %s", strerror(errno));
}

/*
 * Each line is judged: an entry is printed as it was read, so that one that is
 * writable and executable was so, whatever changes meanwhile.
 */
static void sample_tables(unsigned int *seed)
{
	char *text = NULL;
	struct pt_line l;
	unsigned long lines = 0;
	bool bad = false;
	size_t room = 0;
	FILE *f;

	(void)seed;
	f = fopen(PTDUMP, "re");
	while (f && getline(&text, &room, f) > 0) {
		enum pt_parsed p = pt_parse(&geometry, text, &l);

		if (p == PT_IS_BAD)
			give_up("sampler: not understood: %.120s", text);
		if (p != PT_IS_LINE || l.hole)
			continue;
		lines++;
		shared->torn += l.torn;
		if (l.attrs & (PT_INVALID | PT_RO | PT_NX))
			continue;
		if (!shared->wx)
			note("writable and executable: %.*s", (int)strcspn(text, "\n"), text);
		bad = true;
	}
	if (!lines)
		give_up("sampler: %s can't be read", PTDUMP);
	fclose(f);
	free(text);
	shared->wx += bad;
	shared->samples++;
}

/*
 * sample_check() - the results NAME and NAME-gone: the checks alone, and with
 * lab.wrong= something for them to find
 */
void sample_check(const char *name)
{
	char params[64] = "", result[64], why[320] = "";
	struct text before, now;
	bool ok;

	if (opt.wrong[0])
		snprintf(params, sizeof(params), "%s=1", opt.wrong);
	/* Looking for functions by kprobes leaves a page for the next ones. */
	ok = run_child(setmem_bout, 1, 0) && text_read(&before);
	if (ok && !module_load("lab_wrong", params)) {
		note("failed: lab_wrong %s: %s", params, strerror(errno));
		ok = false;
	}
	shared->samples = shared->wx = shared->torn = 0;
	ok = ok && run_child(sample_tables, 3, 0) && shared->samples && !shared->wx;
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "memory is writable and executable, or see above");
	ok = module_unload("lab_wrong") && text_gone(&before, &now, why, sizeof(why));
	snprintf(result, sizeof(result), "%s-gone", name);
	if (ok)
		ktap_ok(result);
	else
		ktap_not_ok(result, "%s", why);
}

static void sampler(unsigned int *seed)
{
	do {
		sample_tables(seed);
	} while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED));
}

/* Once through all of it, so that what the kernel keeps from then on is there. */
static void warm_up(unsigned int *seed)
{
	my_modules = 4;
	bpf_bout(seed);
	modules_worker(seed);
	patch_worker(seed);
}

/* lab_export stays; without it the initrd has no modules. */
static bool ready(const char *name, struct text *before)
{
	if (!module_load("lab_export", "")) {
		note("failed: %s: lab_export: %s", name, strerror(errno));
		return false;
	}
	read_images();
	if (!run_child(warm_up, 1, 0))
		return false;
	sleep_ms(500);
	if (!text_read(before)) {
		note("failed: %s: the kernel's files can't be understood", name);
		return false;
	}
	text_print(before, "before");
	return true;
}

static void judge_gone(const char *step, const struct text *before)
{
	struct text now;
	char name[64], why[320];
	bool ok;

	ok = text_gone(before, &now, why, sizeof(why));
	text_print(&now, "after");
	if (!module_unload("lab_export")) {
		snprintf(why, sizeof(why), "removing lab_export: %s", strerror(errno));
		ok = false;
	}
	snprintf(name, sizeof(name), "%s-gone", step);
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "%s", why);
	shared->last_close_ms = now_ms();
	heal_check(step);
}

static bool test_bpf_passed(char *line, size_t len)
{
	static const char * const parts[] = {
		"test_bpf: Summary:", "test_tail_calls: Summary:", "test_skb_segment: Summary:",
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!log_find(line, len, parts[i], NULL)) {
			snprintf(line, len, "there is no line \"%s\"", parts[i]);
			return false;
		}
		note("%s", strstr(line, parts[i]));
		if (!strstr(line, " 0 FAILED"))
			return false;
	}
	return true;
}

static void judge(const char *step, const char *what, bool ok, const char *why)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", step, what);
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "%s", why);
}

/* A step that can't begin has all its results, so that the plan holds. */
static void give_back(const char *step, const char * const *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		judge(step, results[i], false, "the step could not begin, see above");
}

/*
 * execmem_check() - the results NAME, NAME-wx, NAME-test_bpf, NAME-gone and
 * NAME-heal
 */
void execmem_check(const char *name)
{
	static const char * const results[] = { "", "-wx", "-test_bpf", "-gone", "-heal" };
	unsigned int n = cpus(), bouts = opt.bouts ? opt.bouts : 2, workers = 0;
	bool worked = true, sampled, tested = true;
	pid_t pids[32], sampling, testing = 0;
	char line[512] = "see above";
	struct text before;
	uint64_t from;

	if (!ready(name, &before)) {
		give_back(name, results, ARRAY_SIZE(results));
		return;
	}
	from = now_ms();
	shared->stop = false;
	shared->samples = shared->wx = shared->torn = 0;
	sampling = start_child(sampler, 1, 0);
	if (opt.test_bpf)
		testing = start_child(test_bpf_worker, 1, 0);
	first_module = 0;
	for (unsigned int cpu = 0; cpu < n && workers < ARRAY_SIZE(pids) - 2; cpu++) {
		my_modules = MODULES_AT_ONCE / n + (cpu < MODULES_AT_ONCE % n);
		pids[workers++] = start_child(modules_worker, bouts, opt.seed + cpu);
		pids[workers++] = start_child(bpf_bout, bouts, opt.seed + 7919 * (cpu + 1));
		first_module += my_modules;
	}
	pids[workers++] = start_child(patch_worker, bouts, opt.seed);
	for (unsigned int i = 0; i < workers; i++)
		worked &= pids[i] > 0 && wait_child(pids[i]);
	if (opt.test_bpf)
		tested = testing > 0 && wait_child(testing);
	/* It reads the tables until all others have ended. */
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	sampled = sampling > 0 && wait_child(sampling);

	note("execmem modules=%u bouts=%u cpus=%u samples=%lu torn=%lu wx=%lu ms=%" PRIu64,
	     first_module, bouts, n, shared->samples, shared->torn, shared->wx,
	     now_ms() - from);
	judge(name, "", worked, "see above");
	judge(name, "-wx", sampled && shared->samples && !shared->wx,
	      sampled ? "memory was writable and executable" : "see above");
	if (opt.test_bpf)
		judge(name, "-test_bpf", test_bpf_passed(line, sizeof(line)) && tested, line);
	else
		ktap_skip("execmem-test_bpf", "lab.test_bpf=0");
	judge_gone(name, &before);
}

static struct bpf_program programs[PROGRAMS];

/**
 * resident_load() - 50 modules and 200 programs
 *
 * With lab_export loaded. The programs end with the process.
 */
void resident_load(unsigned int *seed)
{
	if (!images[0].data)
		read_images();
	for (unsigned int i = 0; i < RESIDENT; i++)
		must_load(i);
	for (unsigned int i = 0; i < PROGRAMS; i++) {
		int err;

		bpf_prepare(&programs[i], seed, 2 + rnd(seed, i % 8 ? 256 : 2048));
		err = bpf_load(&programs[i]);
		if (err)
			give_up("resident: program %u: %s", i, strerror(err));
	}
}

/**
 * resident_run() - run all of it, in random order
 */
void resident_run(unsigned int *seed)
{
	unsigned int order[RESIDENT + PROGRAMS];

	shuffle(seed, order, ARRAY_SIZE(order));
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		char name[16];

		if (order[i] >= RESIDENT) {
			bpf_run(&programs[order[i] - RESIDENT]);
			continue;
		}
		snprintf(name, sizeof(name), "lab_%03u", order[i]);
		module_run(name);
	}
}

/**
 * resident_unload() - remove the modules, in random order
 */
void resident_unload(unsigned int *seed)
{
	unsigned int order[RESIDENT];

	shuffle(seed, order, RESIDENT);
	for (unsigned int i = 0; i < RESIDENT; i++)
		must_unload(order[i]);
}

/* In a process of its own, which takes the programs with it when it ends. */
static void resident_worker(unsigned int *seed)
{
	struct text now;

	resident_load(seed);
	/* What only loading needs is freed by then. */
	sleep_ms(500);
	if (!text_read(&now))
		give_up("resident: the kernel's files can't be understood");
	text_print(&now, "resident");
	leaves_phase("resident", 0);
	resident_run(seed);
	resident_unload(seed);
}

/*
 * resident_check() - the results NAME, NAME-gone and NAME-heal: 50 modules and 200
 * programs at once
 */
void resident_check(const char *name)
{
	static const char * const results[] = { "", "-gone", "-heal" };
	struct text before;

	if (!ready(name, &before)) {
		give_back(name, results, ARRAY_SIZE(results));
		return;
	}
	judge(name, "", run_child(resident_worker, 1, 0), "see above");
	judge_gone(name, &before);
}
