// SPDX-License-Identifier: GPL-2.0
/*
 * What a large machine has in use for its page tables, and what it takes to have
 * them back: modules/lab_shatter.c and lab_heal.c do the work.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"

/* More than any machine has. */
#define ALL_BLOCKS	"blocks=4194304 most=1"

/* Pages that each CPU keeps for its next allocations, which are not in MemFree. */
static uint64_t kept_pages(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	uint64_t sum = 0, n;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " count: %" SCNu64, &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return sum;
}

/* The host knows what memory there is, and so what is in use. */
static uint64_t size_note(const char *at)
{
	char discard[8];
	uint64_t tables;

	visit_cpus();
	read_file("/proc/sys/vm/stat_refresh", discard, sizeof(discard));
	tables = read_field("/proc/vmstat", "nr_page_table_pages");
	note("size at=%s free_kib=%" PRIu64 " tables=%" PRIu64, at,
	     read_field("/proc/meminfo", "MemFree") + kept_pages() * (geometry.page >> 10),
	     tables);
	return tables;
}

/**
 * size_check() - the result @name: memory in use after boot, with one page invalid
 * in every block that is free, and lab.heal_ms after they have all been restored
 *
 * With lab.rounds=0 after boot only. lab.expect= says what is to become of the
 * tables.
 */
void size_check(const char *name)
{
	uint64_t boot, split, later;

	sleep_ms(1000);
	boot = size_note("boot");
	if (!opt.rounds) {
		ktap_ok(name);
		return;
	}
	if (!module_load("lab_shatter", ALL_BLOCKS)) {
		ktap_not_ok(name, "lab_shatter: %s", strerror(errno));
		return;
	}
	split = size_note("split");
	if (!module_unload("lab_shatter")) {
		ktap_not_ok(name, "removing lab_shatter: %s", strerror(errno));
		return;
	}
	sleep_ms(opt.heal_ms);
	later = size_note("later");

	if (split < boot + 512)
		ktap_not_ok(name, "%" PRIu64 " tables after boot, no more than %" PRIu64 " later",
			    boot, split);
	else if (opt.expect == EXPECT_HEAL && later > boot + boot * opt.slack / 100 + 8)
		ktap_not_ok(name, "%" PRIu64 " tables after boot, %" PRIu64 " in the end", boot, later);
	else if (opt.expect == EXPECT_SPLIT && later < split / 2)
		ktap_not_ok(name, "of %" PRIu64 " tables %" PRIu64 " are left", split, later);
	else
		ktap_ok(name);
}

/**
 * healall_check() - the result @name: lab.mib of memory, split all over, heal, and
 * lab_heal says what that takes
 */
void healall_check(const char *name)
{
	char params[32];

	snprintf(params, sizeof(params), "all=1 blocks=%u", opt.mib / 2);
	if (module_load("lab_heal", params))
		ktap_ok(name);
	else
		ktap_not_ok(name, "lab_heal: %s", strerror(errno));
}
