// SPDX-License-Identifier: GPL-2.0
/*
 * set_memory_*() and text patching through what the kernel itself has: the
 * instruction slots of kprobes, and ftrace over everything that is loaded.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define PROBES	16

static const char * const targets[] = {
	"ksys_read", "ksys_write", "filename_lookup", "do_sys_openat2",
};

static void must_append(const char *path, const char *text)
{
	if (!append_file(path, text))
		give_up("setmem: %s to %s: %s", text, path, strerror(errno));
}

static void kprobes(unsigned int *seed)
{
	static char page[4096];
	unsigned int order[PROBES];
	char cmd[128];

	for (unsigned int i = 0; i < PROBES; i++) {
		snprintf(cmd, sizeof(cmd), "p:lab/p%u %s", i,
			 targets[i % ARRAY_SIZE(targets)]);
		must_append(TRACEFS "/kprobe_events", cmd);
	}
	must_append(TRACEFS "/events/lab/enable", "1");
	read_file("/proc/self/status", page, sizeof(page));
	must_append(TRACEFS "/events/lab/enable", "0");

	shuffle(seed, order, PROBES);
	for (unsigned int i = 0; i < PROBES; i++) {
		snprintf(cmd, sizeof(cmd), "-:lab/p%u", order[i]);
		must_append(TRACEFS "/kprobe_events", cmd);
	}
}

static void ftrace(void)
{
	if (!write_file(TRACEFS "/set_ftrace_filter", "*_page_*"))
		give_up("setmem: set_ftrace_filter: %s", strerror(errno));
	must_append(TRACEFS "/current_tracer", "function");
	sleep_ms(5);
	must_append(TRACEFS "/current_tracer", "nop");
	write_file(TRACEFS "/set_ftrace_filter", "");
}

/*
 * setmem_bout() - probes in and out, tracing on and off
 */
void setmem_bout(unsigned int *seed)
{
	if (access(TRACEFS "/kprobe_events", F_OK))
		give_up("setmem: no kprobe_events in " TRACEFS);
	kprobes(seed);
	ftrace();
}

/*
 * ptdump_bout() - read the page tables and look whether they make sense
 *
 * The reader does not hold off who changes CONT on a row of entries, so a line
 * may show half of it.
 */
void ptdump_bout(unsigned int *seed)
{
	struct pt_dump d;

	(void)seed;
	if (!pt_count_file(&geometry, &d, PTDUMP) || d.bad)
		give_up("ptdump: %s can't be understood: %s", PTDUMP, d.first_bad);
	__atomic_add_fetch(&shared->torn, d.torn, __ATOMIC_RELAXED);
	if (d.linear.wx || d.other.wx)
		give_up("ptdump: memory is writable and executable");
}
