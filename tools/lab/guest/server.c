// SPDX-License-Identifier: GPL-2.0
/*
 * What servers do now and then: memory comes and goes by virtio-mem, KFENCE is
 * switched on late.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define KFENCE		"/sys/module/kfence/parameters/sample_interval"
#define KFENCE_STATS	"/sys/kernel/debug/kfence/stats"
#define RESIZE_MS	60000

static uint64_t total_kib(void)
{
	return read_field("/proc/meminfo", "MemTotal");
}

/* Asks the host for so much, and waits until that much is there, within 64 MiB. */
static bool resize(uint64_t before_kib, unsigned int mib)
{
	uint64_t begun = now_ms(), want = before_kib + mib * 1024ull, is;

	note("host resize %uM", mib);
	do {
		sleep_ms(100);
		is = total_kib();
		if (is + 65536 >= want && is <= want + 65536)
			return true;
	} while (now_ms() - begun < RESIZE_MS);
	note("virtiomem: MemTotal is %" PRIu64 " KiB, %" PRIu64 " are expected", is, want);
	return false;
}

/* All of what has come is split, and it shows. */
static bool shatter(unsigned int round)
{
	struct leaves whole, split;

	if (!leaves_boot() || !leaves_read(&whole) ||
	    !dimm_shatter(opt.hot_at * 1048576ull, opt.hot_mib * 1048576ull) ||
	    !leaves_read(&split))
		return false;
	shared->last_close_ms = now_ms();
	leaves_print(&split, "shattered", round);
	return opt.bbml3 == 0 || split.dump.linear.total > whole.dump.linear.total;
}

/*
 * virtiomem_check() - the results @name and @name-heal: lab.hot_mib come at
 * lab.hot_at, are shattered, heal, go, and come again, lab.rounds times
 *
 * Wants memhp_default_state=online_movable, and lab.bbml3=0 where nothing splits.
 */
void virtiomem_check(const char *name)
{
	uint64_t before = total_kib(), ms;
	const char *why = NULL;
	char heal[64];

	snprintf(heal, sizeof(heal), "%s-heal", name);
	if (!opt.hot_mib || !opt.hot_at || !module_load("lab_dimm", ""))
		why = "no lab.hot_at= and lab.hot_mib=, or no lab_dimm";
	for (unsigned int r = 0; r < opt.rounds && !why; r++) {
		if (!resize(before, opt.hot_mib))
			why = "the memory did not come";
		else if (!shatter(r))
			why = "it was not split";
		else if (opt.expect == EXPECT_HEAL && !heal_wait(&ms))
			why = "it did not heal";
		else if (!resize(before, 0))
			why = "the memory did not go";
	}
	if (!why && !resize(before, opt.hot_mib))
		why = "the memory did not come again";
	if (why)
		ktap_not_ok(name, "%s", why);
	else
		ktap_ok(name);
	if (why || !shatter(opt.rounds))
		ktap_not_ok(heal, "it was not split");
	else
		heal_check(name);
}

/*
 * kfence_check() - the result @name: KFENCE, off at boot, is switched on, and
 * allocates from a pool whose pages it takes out of the map
 */
void kfence_check(const char *name)
{
	uint64_t begun, n;
	char was[16] = "";

	if (read_file(KFENCE, was, sizeof(was)) < 0 || strcmp(was, "0\n")) {
		ktap_not_ok(name, "KFENCE is not there, or is on already: %s", was);
		return;
	}
	if (!write_file(KFENCE, "5")) {
		ktap_not_ok(name, "KFENCE is not switched on: %s", strerror(errno));
		return;
	}
	begun = now_ms();
	do {
		sleep_ms(50);
		n = read_field(KFENCE_STATS, "total allocations");
	} while (!n && now_ms() - begun < 10000);
	note("kfence allocations=%" PRIu64, n);
	leaves_phase("kfence", 0);
	if (n)
		ktap_ok(name);
	else
		ktap_not_ok(name, "KFENCE allocates nothing");
}
