// SPDX-License-Identifier: GPL-2.0
/*
 * The machine: is it the one that was asked for, and do its CPUs come and go?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define CPU_DIR		"/sys/devices/system/cpu"
#define BBML3		"BBM Level 3"

/* The last CPU of a list as in "0-2,5". */
static int last_cpu(const char *list)
{
	char text[64], *at = text;

	if (read_file(list, text, sizeof(text)) <= 0)
		return -1;
	for (char *c = text; *c; c++) {
		if (*c == '-' || *c == ',')
			at = c + 1;
	}
	return atoi(at);
}

static bool is_online(int cpu)
{
	char path[64], text[8];

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/online", cpu);
	/* One that can't be taken offline has no such file. */
	return read_file(path, text, sizeof(text)) <= 0 || text[0] == '1';
}

static bool set_online(int cpu, bool online)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/online", cpu);
	return write_file(path, online ? "1" : "0") && is_online(cpu) == online;
}

bool is_realm(void)
{
	return !access("/sys/devices/platform/arm-cca-dev", F_OK);
}

static bool as_asked(const char *name, const char *what, int asked, int got)
{
	if (asked < 0 || asked == got)
		return true;
	ktap_not_ok(name, "lab.%s=%d was asked for, the kernel has %d", what, asked, got);
	return false;
}

/*
 * machine_check() - the result @name: lab.realm, lab.bbml3 and lab.cpus are so
 */
void machine_check(const char *name)
{
	char line[200], midr[200] = "", path[80];
	int last = last_cpu(CPU_DIR "/present");
	bool bbml3, realm = is_realm();
	size_t n = 0;

	bbml3 = log_find(line, sizeof(line), "detected: " BBML3, NULL);
	for (int cpu = 0; cpu <= last && n < sizeof(midr) - 20; cpu++) {
		snprintf(path, sizeof(path),
			 CPU_DIR "/cpu%d/regs/identification/midr_el1", cpu);
		if (read_file(path, line, sizeof(line)) > 0)
			n += snprintf(midr + n, sizeof(midr) - n, "%s%#llx", n ? "," : "",
				      strtoull(line, NULL, 16));
	}
	note("machine realm=%d bbml3=%d cpus=%u midr=%s", realm, bbml3, cpus(), midr);
	if (as_asked(name, "realm", opt.realm, realm) &&
	    as_asked(name, "bbml3", opt.bbml3, bbml3) &&
	    as_asked(name, "cpus", opt.cpus, cpus()))
		ktap_ok(name);
}

/*
 * late_check() - the result @name: what becomes of a CPU that comes late
 *
 * The last CPU was kept back (maxcpus=). If the kernel uses BBML3 and the CPU
 * has none, the kernel must refuse it and say so (lab.late=refused); any other
 * must come online.
 */
void late_check(const char *name)
{
	int cpu = last_cpu(CPU_DIR "/present");
	char line[200] = "no conflict";
	bool online, conflict;

	if (cpu < 1 || is_online(cpu)) {
		ktap_not_ok(name, "CPU %d is online already; keep it back with maxcpus=", cpu);
		return;
	}
	online = set_online(cpu, true);
	conflict = log_find(line, sizeof(line), "Detected conflict for capability",
			    BBML3);
	note("late cpu=%d %s: %s", cpu, online ? "online" : "refused", line);
	if (online == opt.late_refused)
		ktap_not_ok(name, "CPU %d is %s", cpu, online ? "online" : "refused");
	else if (conflict != opt.late_refused)
		ktap_not_ok(name, "the kernel says: %s", line);
	else
		ktap_ok(name);
}

/*
 * hotplug_check() - the result @name: each CPU but the first goes and comes
 */
void hotplug_check(const char *name)
{
	int last = last_cpu(CPU_DIR "/present"), moved = 0;
	unsigned int n = cpus();

	for (int cpu = 1; cpu <= last; cpu++) {
		if (!is_online(cpu))
			continue;
		if (!set_online(cpu, false) || cpus() != n - 1) {
			ktap_not_ok(name, "CPU %d does not go offline: %s", cpu,
				    strerror(errno));
			return;
		}
		if (!set_online(cpu, true) || cpus() != n) {
			ktap_not_ok(name, "CPU %d does not come back: %s", cpu,
				    strerror(errno));
			return;
		}
		moved++;
	}
	note("hotplug cpus=%d", moved);
	if (moved)
		ktap_ok(name);
	else
		ktap_not_ok(name, "there is one CPU only");
}
