// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel itself counts of its linear map, where it does (x86), and what
 * the first text outside the image takes of the machine's memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define KPROBE_EVENTS	TRACEFS "/kprobe_events"
#define FIRST_EVENT	TRACEFS "/events/first/enable"

/* What splits and collapses there were, and what is left, in KiB. */
void direct_note(const char *phase)
{
	note("direct phase=%s splits=%" PRIu64 " collapses=%" PRIu64 " pud_splits=%" PRIu64
	     " pud_collapses=%" PRIu64 " kib_4k=%" PRIu64 " kib_2m=%" PRIu64 " kib_1g=%" PRIu64,
	     phase, read_field("/proc/vmstat", "direct_map_level2_splits"),
	     read_field("/proc/vmstat", "direct_map_level2_collapses"),
	     read_field("/proc/vmstat", "direct_map_level3_splits"),
	     read_field("/proc/vmstat", "direct_map_level3_collapses"),
	     read_field("/proc/meminfo", "DirectMap4k"),
	     read_field("/proc/meminfo", "DirectMap2M"),
	     read_field("/proc/meminfo", "DirectMap1G"));
}

/**
 * direct_check() - the result NAME: there are such counters
 */
void direct_check(const char *name)
{
	static unsigned int n;
	char phase[24];

	snprintf(phase, sizeof(phase), "%u", n++);
	direct_note(phase);
	if (read_field("/proc/meminfo", "DirectMap4k"))
		ktap_ok(name);
	else
		ktap_not_ok(name, "there is no DirectMap4k in /proc/meminfo");
}

/* All pages that the allocator has given to somebody. */
static uint64_t allocated(void)
{
	FILE *f = fopen("/proc/vmstat", "re");
	uint64_t sum = 0, n;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "pgalloc_%*s %" SCNu64, &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return sum;
}

/* Further down than what ftrace has at its start, so that it takes a slot. */
static bool probe(void)
{
	char text[64];

	for (unsigned int at = 12; at < 64; at++) {
		snprintf(text, sizeof(text), "p:first/p ksys_read+%u", at);
		/* Most are the middle of an instruction. */
		if (append_file(KPROBE_EVENTS, text))
			return write_file(FIRST_EVENT, "1");
	}
	return false;
}

/**
 * first_check() - the result NAME: pages that a module and a kprobe take, and what
 * is mapped as text once they are there
 *
 * The host judges how much. They go again. What the kernel makes as it boots, for
 * a test of ftrace, is in the second number alone.
 */
void first_check(const char *name)
{
	uint64_t start, module, kprobe;
	struct text text;
	bool ok;

	/* The first event makes the tracer's buffers what they are by default. */
	ok = write_file(TRACEFS "/buffer_size_kb", "1408");
	allocated();
	start = allocated();
	ok = ok && module_load("lab_tiny", "");
	module = allocated();
	ok = ok && probe();
	kprobe = allocated();
	if (!ok)
		note("failed: %s: %s", name, strerror(errno));
	ok &= text_read(&text);
	note("first pages=%" PRIu64 " module=%" PRIu64 " kprobe=%" PRIu64 " kib=%" PRIu64
	     " leaves=%" PRIu64, kprobe - start, module - start, kprobe - module, text.kib,
	     text.text_leaves);
	ok &= write_file(FIRST_EVENT, "0") && append_file(KPROBE_EVENTS, "-:first/p");
	ok &= module_unload("lab_tiny");
	if (ok && start)
		ktap_ok(name);
	else
		ktap_not_ok(name, "a module or a kprobe does not come or go");
}
