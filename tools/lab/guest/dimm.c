// SPDX-License-Identifier: GPL-2.0
/*
 * DIMMs that come and go: plugged in by the host (run.sh -d), which is asked for
 * it on the console, or, where it has none, by modules/lab_dimm.c with memory that
 * mem= has kept from the kernel.
 *
 * Wants memhp_default_state=online_movable, so that what comes can go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define MIB		(1ull << 20)
#define MEMORY		"/sys/devices/system/memory"
#define ORDER		"/sys/module/lab_dimm/parameters/order"
#define PLUG_MS		60000
#define REFUSED_MS	15000
#define STILL_MS	2000
#define COUNT_MS	60000

static uint64_t block_size;

static uint64_t dimm_at(unsigned int i)
{
	return (opt.hot_at + (uint64_t)i * opt.hot_mib) * MIB;
}

static void block_path(char *path, size_t len, uint64_t phys)
{
	snprintf(path, len, MEMORY "/memory%" PRIu64 "/state", phys / block_size);
}

enum blocks {
	BLOCKS_GONE,
	BLOCKS_ONLINE,
	BLOCKS_MIXED,
};

/* Of all DIMMs. */
static enum blocks blocks_state(void)
{
	unsigned int n = 0, there = 0, online = 0;
	char path[96], state[32];

	for (uint64_t at = dimm_at(0); at < dimm_at(opt.dimms); at += block_size, n++) {
		block_path(path, sizeof(path), at);
		if (read_file(path, state, sizeof(state)) < 0)
			continue;
		there++;
		online += !strncmp(state, "online", 6);
	}
	return !there ? BLOCKS_GONE : online == n ? BLOCKS_ONLINE : BLOCKS_MIXED;
}

static bool blocks_wait(enum blocks state, unsigned int limit_ms)
{
	uint64_t begun = now_ms();

	do {
		if (blocks_state() == state)
			return true;
		sleep_ms(10);
	} while (now_ms() - begun < limit_ms);
	return false;
}

static bool order(const char *verb, uint64_t start, uint64_t size)
{
	char text[80];

	snprintf(text, sizeof(text), "%s %#" PRIx64 " %#" PRIx64, verb, start, size);
	return write_file(ORDER, text);
}

/* lab_dimm, which is loaded, splits what maps a range, whoever has its memory. */
bool dimm_shatter(uint64_t at, uint64_t size)
{
	return order("shatter", at, size);
}

static bool plug(void)
{
	for (unsigned int i = 0; i < opt.dimms; i++) {
		if (opt.host)
			note("host plug %u at %#" PRIx64, i, dimm_at(i));
		else if (!order("add", dimm_at(i), opt.hot_mib * MIB))
			return false;
	}
	return true;
}

/* Back to back: no DIMM waits for the one before. */
static void unplug(void)
{
	for (unsigned int i = 0; i < opt.dimms; i++) {
		if (opt.host)
			note("host unplug %u", i);
		else
			order("remove", dimm_at(i), opt.hot_mib * MIB);
	}
}

static uint64_t count_leaves(const char *phase, unsigned int round)
{
	struct leaves l;

	if (!leaves_read(&l))
		return 0;
	leaves_print(&l, phase, round);
	return l.dump.linear.total;
}

static bool leaves_heal(uint64_t whole)
{
	uint64_t begun = now_ms();
	struct leaves l;

	do {
		if (leaves_read(&l) && l.dump.linear.total <= whole)
			return true;
		/* Reading keeps a collapse from detaching tables. */
		sleep_ms(250);
	} while (now_ms() - begun < opt.heal_ms);
	leaves_print(&l, "unhealed", 0);
	return false;
}

/*
 * All of a kernel's tables, those of processes apart, once their number stands
 * still: they are freed by a worker, after a grace period.
 *
 * Return: how many, or -1 if it does not stand still.
 */
static int64_t count_tables(void)
{
	uint64_t begun = now_ms(), since = begun;
	int64_t tables = -1, now;
	struct leaves l;

	do {
		if (!leaves_read(&l))
			return -1;
		now = (int64_t)l.pt_pages - (int64_t)l.process_pt;
		if (now != tables) {
			tables = now;
			since = l.at_ms;
		} else if (l.at_ms - since >= STILL_MS) {
			return tables;
		}
		/* Reading keeps a collapse from detaching tables. */
		sleep_ms(250);
	} while (now_ms() - begun < COUNT_MS);
	return -1;
}

static bool set_state(uint64_t phys, const char *state)
{
	char path[96];

	block_path(path, sizeof(path), phys);
	return write_file(path, state);
}

/* Without a table for the split a block stays, and so does the leaf. */
static const char *no_table(uint64_t whole)
{
	uint64_t at = dimm_at(0) + opt.hot_mib * MIB / 2;
	bool gone;

	if (!write_file(ORDER, "nomem 1"))
		return "allocations can't be made to fail";
	gone = set_state(at, "offline");
	if (gone || errno != ENOMEM || blocks_state() != BLOCKS_ONLINE)
		return "a block did not stay online for want of a table";
	if (count_leaves("no-table", 0) > whole)
		return "a split that failed has split something";
	return NULL;
}

/*
 * One block in the middle goes offline, or almost. Its edges are leaves' edges
 * for as long as it may go, and no longer.
 */
static const char *one_block(uint64_t whole)
{
	uint64_t at = dimm_at(0) + opt.hot_mib * MIB / 2, split;

	if (!write_file(ORDER, "veto 1") || set_state(at, "offline"))
		return "a veto did not keep a block online";
	if (count_leaves("vetoed", 0) <= whole)
		return "nothing was split for a block that was to go";
	if (!leaves_heal(whole))
		return "what was split for a block that stayed did not heal";
	if (!set_state(at, "offline"))
		return "a block did not go offline";
	split = count_leaves("offline", 0);
	/* A neighbour has the worker look at all of them. */
	if (!order("shatter", dimm_at(0), block_size) || !leaves_heal(split))
		return "a block beside one that is offline did not heal";
	sleep_ms(2000);
	if (count_leaves("beside", 0) <= whole)
		return "a leaf reaches across the edge of what is offline";
	if (!opt.host) {
		if (!order("remove", at, block_size))
			return "a block in the middle was not removed";
		count_leaves("removed", 0);
		if (!order("add", at, block_size))
			return "a block in the middle did not come back";
	} else if (!set_state(at, "online_movable")) {
		return "a block did not come online again";
	}
	if (!leaves_heal(whole))
		return "what came back is not one leaf with its neighbours";
	return NULL;
}

/*
 * dimm_check() - the result @name: lab.dimms of lab.hot_mib MiB each, at lab.hot_at
 * and up, come, are split all over, heal, and go, lab.rounds times
 *
 * lab.unplug=refused if they are to stay, as a kernel does that does not split.
 */
void dimm_check(const char *name)
{
	char text[32];
	int64_t tables = 0, first = 0;
	const char *why = NULL;

	if (read_file(MEMORY "/block_size_bytes", text, sizeof(text)) < 0 ||
	    !opt.hot_mib || !module_load("lab_dimm", "")) {
		ktap_not_ok(name, "no memory hotplug, no lab.hot_at= and lab.hot_mib=, or no lab_dimm");
		return;
	}
	block_size = strtoull(text, NULL, 16);

	for (unsigned int r = 0; r < opt.rounds && !why; r++) {
		uint64_t begun, whole;

		if (!plug() || !blocks_wait(BLOCKS_ONLINE, PLUG_MS)) {
			why = "the memory did not come";
			break;
		}
		whole = count_leaves("plugged", r);
		if (opt.unplug_refused) {
			unplug();
			if (blocks_wait(BLOCKS_GONE, REFUSED_MS))
				why = "it went, which this kernel is known not to let it";
			break;
		}
		if (opt.expect == EXPECT_HEAL && !r)
			why = no_table(whole);
		for (unsigned int i = 0; i < opt.dimms && !why; i++) {
			if (!order("shatter", dimm_at(i), opt.hot_mib * MIB))
				why = "its leaves can't be split";
		}
		count_leaves("shattered", r);
		if (!why && opt.expect == EXPECT_HEAL && !leaves_heal(whole))
			why = "it did not heal";
		if (!why && opt.expect == EXPECT_HEAL && !r)
			why = one_block(whole);
		if (why)
			break;

		begun = now_ms();
		unplug();
		if (!blocks_wait(BLOCKS_GONE, PLUG_MS))
			why = "it did not go";
		begun = now_ms() - begun;
		tables = count_tables();
		if (!r)
			first = tables;
		if (!why && tables < 0)
			why = "the number of tables does not stand still, or can't be read";
		note("dimm round=%u ms=%" PRIu64 " tables=%" PRId64, r, begun, tables);
	}
	if (!why && tables > first)
		why = "more tables are left than at first";
	if (why)
		ktap_not_ok(name, "%s", why);
	else
		ktap_ok(name);
}
