// SPDX-License-Identifier: GPL-2.0
/*
 * Text is loaded and removed while allocations fail: first one at a time, each in
 * turn (/proc/self/fail-nth), then at random in the kernel's workers, which free
 * what was loaded. What was asked for must succeed or fail as a whole, and
 * afterwards nothing may be left over or be read-only.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define MAX_NTH		20000
#define CHECK_EACH	64	/* failures, then a look at the page tables */

static struct image image;
static struct text before;

static bool set(const char *attr, const char *value)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc" };
	char path[128];
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), DEBUGFS "%s/%s", kinds[i], attr);
		ok &= write_file(path, value);
	}
	return ok;
}

/* All allocations, and no words about it. */
bool fault_set_up(void)
{
	return set("verbose", "0") && set("probability", "0") && set("times", "-1") &&
	       set("ignore-gfp-wait", "N") && set("task-filter", "Y") &&
	       write_file(DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N") &&
	       write_file(DEBUGFS "fail_page_alloc/min-order", "0");
}

static int nth_file;

static void arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(nth_file, text, n, 0) != n)
		give_up("fault: fail-nth: %s", strerror(errno));
}

/* Return: whether the allocation that was to fail did come. */
static bool disarm(void)
{
	char text[16] = "";
	bool hit;

	if (pread(nth_file, text, sizeof(text) - 1, 0) <= 0)
		give_up("fault: fail-nth: %s", strerror(errno));
	hit = !strtoul(text, NULL, 10);
	arm(0);
	return hit;
}

static struct bpf_program program;
static unsigned int seed;

static int load(void)
{
	return image_load(&image, "lab_flt");
}

static void run(void)
{
	module_run("lab_flt");
}

static int unload(void)
{
	return module_unload("lab_flt") ? 0 : errno;
}

static void clean_load(bool done)
{
	int err = done ? unload() : 0;

	if (err)
		give_up("fault: removing lab_flt: %s", strerror(err));
}

static void clean_unload(bool done)
{
	clean_load(!done);
}

/*
 * A block that is used again has its table kept. So that one must be allocated,
 * no module is there: the load gets a block that was never split.
 */
static int leave_no_module(void)
{
	if (!module_unload("lab_export"))
		return errno;
	/* A worker gives the block back. */
	sleep_ms(50);
	return 0;
}

static void clean_first(bool done)
{
	clean_load(done);
	if (!module_load("lab_export", ""))
		give_up("fault: lab_export: %s", strerror(errno));
}

static int new_program(void)
{
	bpf_prepare(&program, &seed, 2 + rnd(&seed, 512));
	return 0;
}

static int load_program(void)
{
	return bpf_load(&program);
}

static int load_new_program(void)
{
	new_program();
	return load_program();
}

static void run_program(void)
{
	bpf_run(&program);
}

static int close_program(void)
{
	return close(program.fd) ? errno : 0;
}

static void clean_program(bool done)
{
	if (done)
		close_program();
}

/* The file has its descriptor no more, whatever close() says. */
static void clean_nothing(bool done)
{
	(void)done;
}

static int probe(void)
{
	return append_file(TRACEFS "/kprobe_events", "p:labf/f lab_flt:text_check+512") &&
	       append_file(TRACEFS "/events/labf/enable", "1") ? 0 : errno;
}

/* It may be there half: an event without its files, for one. */
static void clean_probe(bool done)
{
	(void)done;
	if (!access(TRACEFS "/events/labf/enable", F_OK))
		append_file(TRACEFS "/events/labf/enable", "0");
	if (!append_file(TRACEFS "/kprobe_events", "-:labf/f") && errno != ENOENT)
		give_up("fault: removing a probe: %s", strerror(errno));
	clean_load(true);
}

static int trace(void)
{
	return write_file(TRACEFS "/set_ftrace_filter", ":mod:lab_flt") &&
	       append_file(TRACEFS "/current_tracer", "function") ? 0 : errno;
}

static void clean_trace(bool done)
{
	(void)done;
	if (!append_file(TRACEFS "/current_tracer", "nop"))
		give_up("fault: the tracer stays: %s", strerror(errno));
	write_file(TRACEFS "/set_ftrace_filter", "");
	clean_load(true);
}

/*
 * What is done to text. @prepare comes before it with no allocation failing; if it
 * says that it was done, @run makes sure; @clean puts all back.
 */
static const struct deed {
	const char *name;
	const char *pattern;
	int (*prepare)(void);
	int (*act)(void);
	void (*run)(void);
	void (*clean)(bool done);
} deeds[] = {
	{ "load-tiny", "lab_tiny", NULL, load, run, clean_load },
	{ "load-first", "lab_text", leave_no_module, load, run, clean_first },
	{ "load-text", "lab_text", NULL, load, run, clean_load },
	{ "load-data", "lab_data", NULL, load, run, clean_load },
	{ "load-user", "lab_user", NULL, load, run, clean_load },
	{ "remove-text", "lab_text", load, unload, NULL, clean_unload },
	{ "bpf-load", NULL, new_program, load_program, run_program, clean_program },
	{ "bpf-close", NULL, load_new_program, close_program, NULL, clean_nothing },
	{ "probe", "lab_text", load, probe, run, clean_probe },
	{ "trace", "lab_text", load, trace, run, clean_trace },
};

/* A pattern's file is read once. */
static void use_pattern(const char *pattern)
{
	if (!pattern)
		return;
	free(image.data);
	image_read(&image, pattern);
}

static void look(const char *what, unsigned int nth)
{
	struct text now;
	char why[320];

	if (!text_gone(&before, &now, why, sizeof(why))) {
		text_print(&now, what);
		give_up("fault: %s: after failure %u: %s", what, nth, why);
	}
}

/* Each allocation in turn, until there was none left to fail. */
static void each_nth(const struct deed *d)
{
	unsigned int n = 0, failed = 0, absorbed = 0;
	bool hit = true;

	use_pattern(d->pattern);
	while (hit) {
		int err = d->prepare ? d->prepare() : 0;

		if (err)
			give_up("fault: %s: preparing: %s", d->name, strerror(err));
		arm(++n);
		err = d->act();
		hit = disarm();
		if (err && !hit)
			give_up("fault: %s: %s, and no allocation had failed", d->name,
				strerror(err));
		failed += hit && err;
		absorbed += hit && !err;
		if (!err && d->run)
			d->run();
		d->clean(!err);
		if (!(n % CHECK_EACH))
			look(d->name, n);
		if (n == MAX_NTH)
			give_up("fault: %s: more than %u allocations", d->name, n);
	}
	look(d->name, n);
	note("fault what=%s allocations=%u failed=%u absorbed=%u", d->name, n - 1, failed,
	     absorbed);
	if (n == 1 && d->run)
		give_up("fault: %s: no allocation failed, so nothing was tried", d->name);
}

static void nth_worker(unsigned int *s)
{
	seed = *s;
	nth_file = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_file < 0)
		give_up("fault: /proc/self/fail-nth: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++)
		each_nth(&deeds[i]);
}

/* The kernel's own processes, and those that will be born to them. */
static unsigned int mark_kernel_threads(const char *value)
{
	unsigned int n = 0;
	struct dirent *d;
	DIR *proc = opendir("/proc");

	while (proc && (d = readdir(proc))) {
		char path[300], comm[32];

		if (!isdigit(d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (read_file(path, comm, sizeof(comm)) <= 0 ||
		    (strncmp(comm, "kworker/", 8) && strcmp(comm, "kthreadd\n")))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", d->d_name);
		n += write_file(path, value);
	}
	if (proc)
		closedir(proc);
	return n;
}

/* Allocations of this process succeed; those that its deeds leave to workers don't. */
static void freeing_worker(unsigned int *s)
{
	static const char * const names[] = { "lab_text", "lab_user" };

	seed = *s;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		use_pattern(names[i]);
		for (unsigned int n = 0; n < 40; n++) {
			int err = load();

			/* What failed in a worker may be what this one needs. */
			if (err && err != ENOMEM)
				give_up("fault: loading: %s", strerror(err));
			if (!err)
				run();
			clean_load(!err);
		}
	}
	for (unsigned int n = 0; n < 8; n++)
		bpf_bout(&seed);
}

static bool in_workers(void)
{
	unsigned int marked = mark_kernel_threads("1");
	bool ok;

	ok = marked && set("probability", "25");
	ok = ok && run_child(freeing_worker, 1, 0);
	/* Workers end what they have begun. */
	sleep_ms(500);
	ok &= set("probability", "0");
	mark_kernel_threads("0");
	note("fault what=workers marked=%u", marked);
	return ok;
}

static void warm_up(unsigned int *s)
{
	seed = *s;
	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
		const struct deed *d = &deeds[i];
		int err;

		use_pattern(d->pattern);
		err = d->prepare ? d->prepare() : 0;
		if (!err)
			err = d->act();
		if (err)
			give_up("fault: %s: %s", d->name, strerror(err));
		if (d->run)
			d->run();
		d->clean(true);
	}
}

/*
 * fault_check() - the results NAME, NAME-workers, NAME-gone and NAME-heal
 */
void fault_check(const char *name)
{
	static const char * const results[] = { "", "-workers", "-gone", "-heal" };
	char result[64], why[320] = "see above";
	struct text now;
	bool ok;

	ok = fault_set_up();
	if (!ok)
		note("failed: %s: the kernel's config lacks FAILSLAB, FAIL_PAGE_ALLOC or FAULT_INJECTION_DEBUG_FS",
		     name);
	/*
	 * Tracers and events have probes for the names of processes registered, go
	 * on where that fails, and warn when they take back what is not there
	 * (tracing_sched_register()). While one event is on, the probes stay.
	 */
	ok = ok && write_file(TRACEFS "/events/sched/sched_kthread_stop/enable", "1");
	ok = ok && module_load("lab_export", "") && run_child(warm_up, 1, 0);
	sleep_ms(500);
	if (!ok || !text_read(&before)) {
		for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
			snprintf(result, sizeof(result), "%s%s", name, results[i]);
			ktap_not_ok(result, "the step could not begin");
		}
		return;
	}
	text_print(&before, "before");
	if (run_child(nth_worker, 1, 0))
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");

	/* Where a failure may have left it. */
	module_unload("lab_flt");
	snprintf(result, sizeof(result), "%s-workers", name);
	if (in_workers())
		ktap_ok(result);
	else
		ktap_not_ok(result, "see above");

	snprintf(result, sizeof(result), "%s-gone", name);
	ok = text_gone(&before, &now, why, sizeof(why));
	text_print(&now, "after");
	if (ok && !module_unload("lab_export")) {
		snprintf(why, sizeof(why), "removing lab_export: %s", strerror(errno));
		ok = false;
	}
	/* A range that nobody gave back shows when its block has no other user. */
	before.text_leaves--;
	before.areas--;
	ok = ok && text_gone(&before, &now, why, sizeof(why));
	if (ok)
		ktap_ok(result);
	else
		ktap_not_ok(result, "%s", why);
	shared->last_close_ms = now_ms();
	heal_check(name);
}
