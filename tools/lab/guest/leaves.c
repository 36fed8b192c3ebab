// SPDX-License-Identifier: GPL-2.0
/*
 * The linear map: how many leaves of which size, how many pages its tables
 * take, and whether it came back to what it was at boot.
 */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

static struct leaves boot;

/*
 * Table pages of processes are counted with the kernel's own; what they have
 * is in VmPTE, which leaves out the one page of the PGD.
 */
static uint64_t process_tables(void)
{
	struct dirent *d;
	uint64_t pages = 0;
	DIR *proc = opendir("/proc");

	if (!proc)
		return 0;
	while ((d = readdir(proc))) {
		char path[300];
		uint64_t kib;

		if (!isdigit(d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", d->d_name);
		kib = read_field(path, "VmPTE");
		if (kib)
			pages += kib * 1024 / geometry.page + 1;
	}
	closedir(proc);
	return pages;
}

/*
 * leaves_read() - take a snapshot
 */
bool leaves_read(struct leaves *l)
{
	char discard[8];

	visit_cpus();
	/* Folds the counters that each CPU keeps for itself. */
	read_file("/proc/sys/vm/stat_refresh", discard, sizeof(discard));
	l->at_ms = now_ms();
	l->pt_pages = read_field("/proc/vmstat", "nr_page_table_pages");
	l->process_pt = process_tables();
	return pt_count_file(&geometry, &l->dump, PTDUMP) && !l->dump.bad;
}

/* The kernel's table pages, as far as the counter knows them. */
static int64_t kernel_pt(const struct leaves *l)
{
	return (int64_t)l->pt_pages - (int64_t)l->process_pt;
}

void leaves_print(const struct leaves *l, const char *phase, unsigned int round)
{
	const struct pt_counts *c = &l->dump.linear;
	char sizes[160] = "", name[24];
	size_t n = 0;

	for (int i = 0; i < PT_LEAVES; i++) {
		if (geometry.leaf[i])
			n += snprintf(sizes + n, sizeof(sizes) - n, " %s=%" PRIu64,
				      pt_size_name(geometry.leaf[i], name, sizeof(name)),
				      c->leaf[i]);
	}
	note("phase=%s round=%u t_ms=%" PRIu64 " leaves=%" PRIu64 "%s ideal=%" PRIu64
	     " tables=%" PRIu64 " invalid=%" PRIu64 " ro=%" PRIu64 " other_tables=%" PRIu64
	     " pt_pages=%" PRIu64 " kernel_pt=%" PRId64,
	     phase, round, l->at_ms, c->total, sizes, c->ideal, c->tables,
	     c->invalid, c->readonly, l->dump.other.tables, l->pt_pages, kernel_pt(l));
}

/*
 * leaves_phase() - snapshot and print
 */
void leaves_phase(const char *phase, unsigned int round)
{
	struct leaves l;

	if (!opt.snapshots)
		return;
	if (leaves_read(&l))
		leaves_print(&l, phase, round);
	else
		note("phase=%s: %s can't be understood: %s", phase, PTDUMP,
		     l.dump.first_bad);
}

/*
 * leaves_boot() - take the snapshot that healing is measured against
 */
bool leaves_boot(void)
{
	/* The first reading sets up what all others use too. */
	if (!leaves_read(&boot) || !leaves_read(&boot))
		return false;
	leaves_print(&boot, "boot", 0);
	return true;
}

static uint64_t with_slack(uint64_t n)
{
	return n + n * opt.slack / 100;
}

/*
 * Memory still in use with other permissions (a module's text, a pack of BPF
 * programs) is not to heal. The map can do with dump.linear.ideal leaves as
 * it is used now; what that is above boot is granted. Such a leaf needs a
 * table too: the first page apart in a gigabyte costs two tables and about
 * ninety leaves, so one table for sixteen leaves is generous.
 */
struct limits {
	uint64_t leaves;
	uint64_t tables;
	int64_t kernel_pt;
};

static struct limits find_limits(const struct leaves *l)
{
	const struct pt_counts *c = &l->dump.linear, *b = &boot.dump.linear;
	uint64_t in_use = c->ideal > b->ideal ? c->ideal - b->ideal : 0;
	int64_t grown = l->dump.other.tables - boot.dump.other.tables;

	return (struct limits) {
		.leaves = with_slack(b->total) + in_use,
		.tables = with_slack(b->tables) + in_use / 16,
		.kernel_pt = kernel_pt(&boot) + grown + in_use / 16 +
			     boot.pt_pages * opt.slack / 100,
	};
}

static bool is_healed(const struct leaves *l)
{
	struct limits max = find_limits(l);

	return !l->dump.torn &&
	       l->dump.linear.total <= max.leaves &&
	       l->dump.linear.tables <= max.tables &&
	       kernel_pt(l) <= max.kernel_pt;
}

/**
 * heal_wait() - poll until the map is as at boot, or the time is up
 * @ms: set to the time since the last workload ended
 */
bool heal_wait(uint64_t *ms)
{
	struct leaves l;
	bool ok;

	for (;;) {
		if (!leaves_read(&l))
			return false;
		*ms = l.at_ms - shared->last_close_ms;
		ok = is_healed(&l);
		if (ok || *ms > opt.heal_ms)
			return ok && *ms <= opt.heal_ms;
		sleep_ms(50);
	}
}

/**
 * heal_check() - the result "NAME-heal"
 * @after: the step that fragmented the map
 */
void heal_check(const char *after)
{
	struct leaves l;
	struct limits max;
	char name[64], phase[64];
	uint64_t ms = 0;
	bool ok;

	snprintf(name, sizeof(name), "%s-heal", after);
	snprintf(phase, sizeof(phase), "%s-later", after);
	if (opt.expect == EXPECT_HEAL) {
		ok = heal_wait(&ms);
	} else {
		ms = now_ms() - shared->last_close_ms;
		if (ms < opt.heal_ms)
			sleep_ms(opt.heal_ms - ms);
		ok = true;
	}

	if (!leaves_read(&l)) {
		ktap_not_ok(name, "%s can't be understood", PTDUMP);
		return;
	}
	leaves_print(&l, phase, 0);
	max = find_limits(&l);
	note("heal=%s after=%s ms=%" PRIu64 " leaves=%" PRIu64 " limit=%" PRIu64
	     " tables=%" PRIu64 " limit=%" PRIu64 " kernel_pt=%" PRId64 " limit=%" PRId64,
	     is_healed(&l) ? "yes" : "no", after, ms, l.dump.linear.total, max.leaves,
	     l.dump.linear.tables, max.tables, kernel_pt(&l), max.kernel_pt);
	if (opt.expect == EXPECT_NOTHING)
		ktap_skip(name, "healing is not expected of this kernel");
	else if (opt.expect == EXPECT_SPLIT && is_healed(&l))
		ktap_not_ok(name, "healed, which this kernel is known not to do");
	else if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "not healed within %u ms", opt.heal_ms);
}

/* What ptdump does not say; loading the module may split leaves. */
static bool map_lines(void)
{
	char *text = NULL;
	size_t room = 0;
	bool ok;
	FILE *f;

	if (!module_load("lab_map", ""))
		return false;
	f = fopen(LAB_MAP, "re");
	ok = f;
	while (f && getline(&text, &room, f) > 0)
		note("map %.*s", (int)strcspn(text, "\n"), text);
	if (f)
		fclose(f);
	free(text);
	if (ok)
		note("map end");
	return module_unload("lab_map") && ok;
}

static void iomem_lines(void)
{
	static const char * const wanted[] = { "System RAM", "Kernel code", "Kernel data" };
	FILE *f = fopen("/proc/iomem", "re");
	char *text = NULL;
	size_t room = 0;

	while (f && getline(&text, &room, f) > 0) {
		text[strcspn(text, "\n")] = 0;
		for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
			if (strstr(text, wanted[i]))
				note("iomem %s", text + strspn(text, " "));
		}
	}
	if (f)
		fclose(f);
	free(text);
}

/*
 * dump_lines() - the page tables and the memory map, for the host's checker
 *
 * The tables are read before anything else happens, and printed last. With
 * @whole comes what a module of the lab says of them.
 *
 * Return: false if something was not to be had.
 */
bool dump_lines(bool whole)
{
	char *all = NULL, *line, *rest;
	unsigned int n = 0;
	size_t size = 0;
	FILE *out = open_memstream(&all, &size);
	bool ok = copy_file(out, PTDUMP);

	fclose(out);
	raw_line("# lab: dump begin");
	note("page=%" PRIu64, geometry.page);
	iomem_lines();
	if (whole)
		ok &= map_lines();
	for (line = strtok_r(all, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		raw_line(line);
		/* The console's thread has to keep up with the log's buffer. */
		if (!(++n % 1000))
			sleep_ms(300);
	}
	free(all);
	note("dump end lines=%u", n);
	return ok;
}
