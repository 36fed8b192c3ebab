// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to load text, in instructions: with instruction counting one tick
 * of the counter is one instruction, unless the CPU is idle.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

#define LOADS	100

struct cost {
	uint64_t ticks[1000];
	unsigned int n;
	uint64_t sum;
	uint64_t cpu_ns;
	uint64_t from;
	uint64_t cpu_from;
};

static uint64_t ticks(void)
{
	uint64_t now = 0;

#ifdef __aarch64__
	asm volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r" (now) : : "memory");
#endif
	return now;
}

static uint64_t ticks_per_second(void)
{
	uint64_t n = 0;

#ifdef __aarch64__
	asm("mrs %0, cntfrq_el0" : "=r" (n));
#endif
	return n;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void cost_begin(struct cost *c)
{
	c->cpu_from = cpu_ns();
	c->from = ticks();
}

static void cost_end(struct cost *c)
{
	uint64_t took = ticks() - c->from;

	c->cpu_ns += cpu_ns() - c->cpu_from;
	c->sum += took;
	c->ticks[c->n++] = took;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void cost_print(struct cost *c, const char *what, const char *name)
{
	qsort(c->ticks, c->n, sizeof(*c->ticks), by_size);
	note("loads what=%s-%s n=%u mean=%" PRIu64 " median=%" PRIu64 " min=%" PRIu64
	     " max=%" PRIu64 " cpu=%" PRIu64, what, name, c->n, c->sum / c->n,
	     c->ticks[c->n / 2], c->ticks[0], c->ticks[c->n - 1], c->cpu_ns / c->n);
}

/*
 * What is left to workers comes in the pause, and is not in these numbers.
 */
static void pause_workers(void)
{
	sleep_ms(30);
}

static unsigned int times(void)
{
	unsigned int n = opt.bouts ? opt.bouts : LOADS;

	return n < ARRAY_SIZE(((struct cost *)0)->ticks) ? n :
	       ARRAY_SIZE(((struct cost *)0)->ticks);
}

static void module_cost(const char *pattern)
{
	static struct cost load, unload;
	struct image im;

	memset(&load, 0, sizeof(load));
	memset(&unload, 0, sizeof(unload));
	image_read(&im, pattern);
	/* The first ones set up what all others use too. */
	for (unsigned int i = 0; i < times() + 2; i++) {
		bool ok, count = i >= 2;
		int err;

		cost_begin(&load);
		err = image_load(&im, "lab_cst");
		if (count)
			cost_end(&load);
		if (err)
			give_up("loads: loading %s: %s", pattern, strerror(err));
		pause_workers();
		cost_begin(&unload);
		ok = module_unload("lab_cst");
		if (count)
			cost_end(&unload);
		if (!ok)
			give_up("loads: removing %s: %s", pattern, strerror(errno));
		pause_workers();
	}
	cost_print(&load, "load", pattern);
	cost_print(&unload, "remove", pattern);
}

/*
 * The first program makes the pack that others find room in, so its cost is that of
 * the memory too.
 */
static void bpf_cost(unsigned int insns, bool first)
{
	static struct cost load, unload;
	unsigned int seed = opt.seed;
	struct bpf_program other;
	char name[16];

	memset(&load, 0, sizeof(load));
	memset(&unload, 0, sizeof(unload));
	snprintf(name, sizeof(name), first ? "bpf_first" : "bpf_%u", insns);
	bpf_prepare(&other, &seed, insns);
	if (!first && bpf_load(&other))
		give_up("loads: %s: %s", name, strerror(errno));
	for (unsigned int i = 0; i < times() + 2; i++) {
		bool count = i >= 2;
		struct bpf_program p;
		int err;

		bpf_prepare(&p, &seed, insns);
		cost_begin(&load);
		err = bpf_load(&p);
		if (count)
			cost_end(&load);
		if (err)
			give_up("loads: %s: %s", name, strerror(err));
		bpf_run(&p);
		pause_workers();
		cost_begin(&unload);
		close(p.fd);
		if (count)
			cost_end(&unload);
		pause_workers();
	}
	if (!first)
		close(other.fd);
	pause_workers();
	cost_print(&load, "load", name);
	cost_print(&unload, "remove", name);
}

static void loads_worker(unsigned int *seed)
{
	(void)seed;
	module_cost("lab_tiny");
	module_cost("lab_text");
	module_cost("lab_data");
	module_cost("lab_user");
	bpf_cost(16, true);
	bpf_cost(16, false);
	bpf_cost(256, false);
}

/*
 * loads_check() - the result @name; the host compares what it prints
 */
void loads_check(const char *name)
{
	bool ok;

	if (ticks_per_second() != 1000000000) {
		ktap_not_ok(name, "the counter does not count instructions: run.sh -i does");
		return;
	}
	ok = module_load("lab_export", "") && run_child(loads_worker, 1, 0);
	ok &= module_unload("lab_export");
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}
