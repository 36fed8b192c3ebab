// SPDX-License-Identifier: GPL-2.0
/*
 * What a little text costs a small machine: one module, one BPF program, one
 * kprobe; a module when there is hardly any memory; one that comes and goes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab.h"

#define MODULE		"lab_tiny"
#define KIB		1024ull
#define CYCLES		100
#define BLOCK_PAGES	((2048 * KIB) / geometry.page)

static void must_write(const char *path, const char *text)
{
	if (!append_file(path, text))
		give_up("small: %s to %s: %s", text, path, strerror(errno));
}

static void must_load(void)
{
	if (!module_load(MODULE, ""))
		give_up("small: loading " MODULE ": %s", strerror(errno));
}

static void must_unload(void)
{
	if (!module_unload(MODULE))
		give_up("small: removing " MODULE ": %s", strerror(errno));
}

/*
 * Pages that the allocator gives out. It does not trace those that it gives out in
 * bulk. A probe sees them, but its slot takes a block, where there are blocks.
 */
static bool count_bulk(void)
{
	static char words[4096];

	return read_file("/proc/cmdline", words, sizeof(words)) > 0 &&
	       strstr(words, "nohugevmalloc");
}

static void pages_begin(void)
{
	must_write(TRACEFS "/buffer_size_kb", "4096");
	write_file(TRACEFS "/trace", "");
	if (count_bulk()) {
		must_write(TRACEFS "/kprobe_events",
			   "p:small/bulk alloc_pages_bulk_noprof nr=%x3:u32");
		must_write(TRACEFS "/events/small/bulk/enable", "1");
	}
	must_write(TRACEFS "/events/kmem/mm_page_alloc/enable", "1");
}

/* @blocks: how often it was as much as a block at once */
static uint64_t pages_end(uint64_t *blocks)
{
	uint64_t pages = 0;
	char line[512];
	FILE *f;

	must_write(TRACEFS "/events/kmem/mm_page_alloc/enable", "0");
	if (count_bulk())
		must_write(TRACEFS "/events/small/bulk/enable", "0");
	*blocks = 0;
	f = fopen(TRACEFS "/trace", "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *bulk = strstr(line, " nr="), *order = strstr(line, " order=");

		if (strstr(line, "LOST"))
			give_up("small: the trace has holes");
		if (strstr(line, ": bulk: ") && bulk)
			pages += strtoul(bulk + 4, NULL, 0);
		else if (order && !strstr(line, " pfn=0x0 ")) {
			uint64_t n = 1ull << strtoul(order + 7, NULL, 10);

			pages += n;
			*blocks += n == BLOCK_PAGES;
		}
	}
	if (f)
		fclose(f);
	/* This empties the trace. */
	if (count_bulk())
		must_write(TRACEFS "/kprobe_events", "-:small/bulk");
	return pages;
}

/* With what each CPU keeps for itself. */
static uint64_t free_kib(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	uint64_t pages = 0, n;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " count: %" SCNu64, &n) == 1 ||
		    sscanf(line, " pages free %" SCNu64, &n) == 1)
			pages += n;
	}
	if (f)
		fclose(f);
	return pages * geometry.page / KIB;
}

static void small_worker(unsigned int *seed)
{
	uint64_t before, module, bpf, probe, pages, blocks;
	struct bpf_program p;
	struct text text;
	int err;

	bpf_prepare(&p, seed, 16);
	/* What all of it needs once, and keeps. */
	pages_begin();
	pages_end(&blocks);
	sleep_ms(200);

	before = free_kib();
	pages_begin();
	must_load();
	sleep_ms(100);
	pages = pages_end(&blocks);
	if (!pages)
		give_up("small: the trace is empty");
	module = free_kib();
	if (!opt.cache && !(text_read(&text) && text.kib < 2048 / 4))
		give_up("small: %" PRIu64 " KiB of text for one module", text.kib);
	err = bpf_load(&p);
	if (err)
		give_up("small: a program: %s", strerror(err));
	sleep_ms(100);
	bpf = free_kib();
	must_write(TRACEFS "/kprobe_events", "p:small/one ksys_read+32");
	must_write(TRACEFS "/events/small/one/enable", "1");
	sleep_ms(100);
	probe = free_kib();
	note("small pages=%" PRIu64 " blocks=%" PRIu64 " module_kib=%" PRId64 " bpf_kib=%" PRId64
	     " probe_kib=%" PRId64 " kib=%" PRId64, pages, blocks, before - module, module - bpf,
	     bpf - probe, before - probe);
	module_run(MODULE);
	bpf_run(&p);
	must_write(TRACEFS "/events/small/one/enable", "0");
	must_write(TRACEFS "/kprobe_events", "-:small/one");
	must_unload();
	close(p.fd);
	/* What is given back comes late. */
	sleep_ms(opt.heal_ms);
	probe = free_kib();
	note("small left left_kib=%" PRIu64, before > probe ? before - probe : 0);
}

/*
 * small_check() - the result @name; the host compares what it prints
 */
void small_check(const char *name)
{
	if (run_child(small_worker, 1, 0))
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}

static void load_worker(unsigned int *seed)
{
	(void)seed;
	must_load();
}

/*
 * scarce_check() - the result @name: a module is loaded while no more than
 * lab.free_kib are free, and takes little of it
 */
void scarce_check(const char *name)
{
	uint64_t kib = free_kib(), took = 0, then;
	char *hog;
	bool ok;

	/* The module's file is in memory, and what reads it has been run. */
	must_load();
	must_unload();
	sleep_ms(opt.heal_ms);
	append_file("/proc/self/oom_score_adj", "-1000");
	/* What a CPU keeps for itself is not given to others in time. */
	write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "10000");
	/* Nor what is held back because kinds of memory were mixed. */
	write_file("/proc/sys/vm/watermark_boost_factor", "0");
	hog = mmap(NULL, kib * KIB, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	while (hog != MAP_FAILED && took < kib && free_kib() > opt.free_kib) {
		memset(hog + took * KIB, 1, 64 * KIB);
		took += 64;
	}
	kib = free_kib();
	ok = run_child(load_worker, 1, 0);
	then = free_kib();
	note("scarce free_kib=%" PRIu64 " then=%" PRIu64, kib, then);
	munmap(hog, took * KIB);
	ok &= module_unload(MODULE);
	if (!ok)
		ktap_not_ok(name, "no module with %" PRIu64 " KiB free", kib);
	else if (then + 1024 < kib)
		ktap_not_ok(name, "a module takes %" PRIu64 " KiB of %" PRIu64, kib - then, kib);
	else
		ktap_ok(name);
}

static uint64_t text_address(void)
{
	char line[512];
	uint64_t at = 0;
	FILE *f = fopen("/proc/modules", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, MODULE " ", strlen(MODULE) + 1) && strrchr(line, 'x'))
			at = strtoull(strrchr(line, 'x') + 1, NULL, 16);
	}
	if (f)
		fclose(f);
	return at;
}

/* For the host to count its instructions: tools/lab/bench/count.sh */
static void again_worker(unsigned int *seed)
{
	(void)seed;
	for (unsigned int i = 0; i < opt.bouts; i++) {
		must_load();
		sleep_ms(30);
		must_unload();
		sleep_ms(30);
	}
}

void again_check(const char *name)
{
	if (run_child(again_worker, 1, 0))
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}

static void cycles_worker(unsigned int *seed)
{
	uint64_t pages, blocks, at[CYCLES], places = 0;

	(void)seed;
	write_file("/proc/sys/kernel/kptr_restrict", "0");
	pages_begin();
	for (unsigned int i = 0; i < CYCLES; i++) {
		must_load();
		at[i] = text_address();
		for (unsigned int j = 0; j <= i; j++) {
			if (j == i)
				places++;
			else if (at[j] == at[i])
				break;
		}
		must_unload();
		sleep_ms(30);
	}
	pages = pages_end(&blocks);
	note("cycles n=%u pages=%" PRIu64 " blocks=%" PRIu64 " places=%" PRIu64,
	     CYCLES, pages / CYCLES, blocks, places);
}

/*
 * cycles_check() - the result @name: a module comes and goes a hundred times; the
 * host judges how many blocks that took, and how many places it was in
 */
void cycles_check(const char *name)
{
	if (run_child(cycles_worker, 1, 0))
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}

static void first_worker(unsigned int *seed)
{
	(void)seed;
	write_file("/proc/sys/kernel/kptr_restrict", "0");
	must_load();
	note("first text=%#" PRIx64 " .", text_address());
	must_unload();
}

/*
 * address_check() - the result @name: where the first module of this boot is
 */
void address_check(const char *name)
{
	if (run_child(first_worker, 1, 0))
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}
