// SPDX-License-Identifier: GPL-2.0
/*
 * Does the linear map heal? Pages leave it and come back, by memfd_secret(), BPF
 * programs and a module. What that splits is counted in /proc/vmstat, and so is
 * what becomes whole again. Where debugfs shows the kernel's page tables, these
 * are looked at, too.
 *
 *	linear_map [MODULE.ko]
 *
 * Loads that module. Without an argument it is dummy, by modprobe.
 *
 * What a machine or a kernel lacks is skipped and named. A kernel that splits
 * but never collapses (kernel_collapse=off) fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"

#ifndef __NR_memfd_secret
#define __NR_memfd_secret	447
#endif

#define PTDUMP		"/sys/kernel/debug/kernel_page_tables"
#define SPACE		"\n "
#define PREFIX		"direct_map_"

/* Settling takes half a second; execmem keeps what is free for two. */
#define HEAL_MS		15000
/* One page in so many. */
#define STRIDE		7
#define SECRET_MIB	64
#define PROGRAMS	64
#define INSNS		1000

/* Leaves that became tables, and tables that became leaves. */
struct events {
	unsigned long splits;
	unsigned long collapses;
	unsigned long group_splits;
	unsigned long group_collapses;
	bool known;
};

/* What ptdump says of the linear map. */
struct map {
	unsigned long leaves;
	unsigned long bytes;
	unsigned long page_bytes;	/* mapped by single pages */
	unsigned long torn;		/* lines that are no whole number of leaves */
	unsigned long gaps;
	unsigned long wx;		/* bytes anywhere that can be written and executed */
	bool known;
};

static bool events_read(struct events *e)
{
	FILE *f = fopen("/proc/vmstat", "r");
	unsigned int found = 0;
	unsigned long value;
	char name[80];

	memset(e, 0, sizeof(*e));
	while (f && fscanf(f, "%79s %lu", name, &value) == 2) {
		if (strncmp(name, PREFIX, strlen(PREFIX)))
			continue;
		found++;
		if (!strncmp(name, PREFIX "cont_", strlen(PREFIX "cont_"))) {
			if (strstr(name, "_splits"))
				e->group_splits += value;
			else
				e->group_collapses += value;
		} else if (strstr(name, "_splits")) {
			e->splits += value;
		} else {
			e->collapses += value;
		}
	}
	if (f)
		fclose(f);
	e->known = found;
	return e->known;
}

/* How many more tables there are than before. */
static long in_pieces(const struct events *before, const struct events *now)
{
	return (long)(now->splits - before->splits) -
	       (long)(now->collapses - before->collapses);
}

static unsigned long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ul + t.tv_nsec / 1000000;
}

/* Until all that was split since then is whole. */
static bool healed(const struct events *before, struct events *now, unsigned long *ms)
{
	unsigned long since = now_ms();

	do {
		events_read(now);
		*ms = now_ms() - since;
		if (in_pieces(before, now) <= 0)
			return true;
		usleep(50000);
	} while (*ms < HEAL_MS);

	return false;
}

/* The size of a leaf, by its level and whether it is contiguous; 0: no leaf. */
static unsigned long leaf_size(const char *level, bool cont)
{
	const unsigned long page = sysconf(_SC_PAGESIZE);
	const unsigned long entries = page / 8;
	unsigned long size = page, group = page == 4096 ? 16 : 32;

	if (!strcmp(level, "PTE")) {
		if (page == 16384)
			group = 128;
	} else if (!strcmp(level, "PMD")) {
		size *= entries;
	} else if (!strcmp(level, "PUD")) {
		size *= entries * entries;
		group = 1;
	} else {
		return 0;
	}
	return cont ? size * group : size;
}

/* A line of ptdump without attributes is a hole. */
static void map_line(struct map *m, char *line, bool linear, unsigned long *last)
{
	bool cont = false, block = false, invalid = false, ro = false, nx = false;
	unsigned long start, end, size;
	char level[8], *word, *rest;
	int at = 0, attrs = 0;

	if (sscanf(line, "0x%lx-0x%lx %*s %7s%n", &start, &end, level, &at) != 3)
		return;
	for (word = strtok_r(line + at, SPACE, &rest); word; word = strtok_r(NULL, SPACE, &rest)) {
		attrs++;
		cont |= !strcmp(word, "CON");
		block |= !strcmp(word, "BLK");
		invalid |= !strcmp(word, "F");
		ro |= !strcmp(word, "ro");
		nx |= !strcmp(word, "NX");
	}
	if (linear && *last && start != *last)
		m->gaps++;
	*last = end;
	if (!attrs)
		return;
	if (!invalid && !ro && !nx)
		m->wx += end - start;
	size = leaf_size(level, cont);
	if (!linear || !size)
		return;
	if ((end - start) % size)
		m->torn++;
	m->leaves += (end - start) / size;
	m->bytes += end - start;
	if (!cont && !block)
		m->page_bytes += end - start;
}

static bool map_read(struct map *m)
{
	FILE *f = fopen(PTDUMP, "r");
	bool linear = false;
	unsigned long last = 0;
	char line[256];

	memset(m, 0, sizeof(*m));
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "---[", 4)) {
			linear = strstr(line, "Linear Mapping start");
			last = 0;
			continue;
		}
		map_line(m, line, linear, &last);
	}
	if (f)
		fclose(f);
	m->known = m->leaves;
	return m->known;
}

static bool made_of_pages(const struct map *m)
{
	return m->known && m->page_bytes > m->bytes / 2;
}

static size_t secret_size(void)
{
	unsigned long free = (unsigned long)sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
	unsigned long want = (unsigned long)SECRET_MIB << 20;

	return want < free / 4 ? want : free / 4 & ~((1ul << 20) - 1);
}

/* Some pages leave the linear map; what that splits heals when they are back. */
static void test_secretmem(const struct map *map)
{
	static const char split[] = "secretmem: leaves are split", heal[] = "secretmem: they heal";
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	size_t size = secret_size(), step = STRIDE * sysconf(_SC_PAGESIZE);
	struct events before, open, after;
	unsigned long ms;
	char *at;
	int fd;

	if (!events_read(&before)) {
		ksft_test_result_skip("%s: no counters\n", split);
		ksft_test_result_skip("%s: no counters\n", heal);
		return;
	}
	setrlimit(RLIMIT_MEMLOCK, &all);
	fd = syscall(__NR_memfd_secret, 0);
	if (fd < 0) {
		/* The kernel has none, or rodata= does not let the map change. */
		ksft_test_result_skip("%s: no memfd_secret(): %m\n", split);
		ksft_test_result_skip("%s: no memfd_secret()\n", heal);
		return;
	}
	at = ftruncate(fd, size) ? MAP_FAILED :
	     mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		ksft_test_result_fail("%s: %zu MiB: %s\n", split, size >> 20, strerror(errno));
		ksft_test_result_skip("%s: nothing was split\n", heal);
		close(fd);
		return;
	}
	for (size_t i = 0; i < size; i += step)
		at[i] = 1;
	events_read(&open);
	munmap(at, size);
	close(fd);

	if (open.splits == before.splits && open.group_splits == before.group_splits) {
		if (map->known && !made_of_pages(map))
			ksft_test_result_fail("%s: there are blocks, and none was\n", split);
		else
			ksft_test_result_skip("%s: it is made of pages: no BBML3\n", split);
		ksft_test_result_skip("%s: nothing was split\n", heal);
		return;
	}
	ksft_test_result_pass("%s\n", split);
	ksft_print_msg("%lu leaves became tables, %lu groups were unfolded\n",
		       open.splits - before.splits, open.group_splits - before.group_splits);
	if (healed(&before, &after, &ms))
		ksft_test_result_pass("%s\n", heal);
	else
		ksft_test_result_fail("%s: %ld more in pieces, %d s later (kernel_collapse=off?)\n",
				      heal, in_pieces(&before, &after), HEAL_MS / 1000);
	ksft_print_msg("%lu tables became leaves, after %lu ms\n",
		       after.collapses - before.collapses, ms);
}

static void result_healed(const char *name, const struct events *before)
{
	struct events after;
	unsigned long ms;

	if (healed(before, &after, &ms))
		ksft_test_result_pass("%s\n", name);
	else
		ksft_test_result_fail("%s: %ld more are in pieces after %d s\n", name,
				      in_pieces(before, &after), HEAL_MS / 1000);
	ksft_print_msg("%lu leaves became tables, %lu tables leaves, after %lu ms\n",
		       after.splits - before->splits, after.collapses - before->collapses, ms);
}

static int program_load(void)
{
	static struct bpf_insn insns[INSNS];
	union bpf_attr attr;

	for (int i = 0; i < INSNS - 1; i++) {
		insns[i].code = BPF_ALU64 | BPF_MOV | BPF_K;
		insns[i].imm = i;
	}
	insns[INSNS - 1].code = BPF_JMP | BPF_EXIT;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = INSNS;
	attr.license = (uintptr_t)"GPL";
	return syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static void test_bpf(void)
{
	static const char name[] = "bpf: what programs split heals";
	int fds[PROGRAMS], n = 0, n_loaded, err = 0;
	struct events before;

	if (!events_read(&before)) {
		ksft_test_result_skip("%s: no counters\n", name);
		return;
	}
	for (; n < PROGRAMS; n++) {
		fds[n] = program_load();
		if (fds[n] < 0) {
			err = errno;
			break;
		}
	}
	n_loaded = n;
	while (n)
		close(fds[--n]);
	/* A kernel without it, or locked down. */
	if (err && !n_loaded) {
		ksft_test_result_skip("%s: no bpf(): %s\n", name, strerror(err));
		return;
	}
	if (err) {
		ksft_test_result_fail("%s: bpf(): %s\n", name, strerror(err));
		return;
	}
	result_healed(name, &before);
}

static bool modprobe(const char *flag, const char *module, const char *param)
{
	pid_t pid = fork();
	int status = 1;

	if (!pid) {
		execlp("modprobe", "modprobe", flag, module, param, NULL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* Takes the name that the file has. */
static bool module_come_and_go(const char *file)
{
	char name[64];
	const char *base;
	int fd, ret;

	if (!file) {
		return access("/sys/module/dummy", F_OK) &&
		       modprobe("-q", "dummy", "numdummies=0") &&
		       modprobe("-qr", "dummy", NULL);
	}

	base = strrchr(file, '/');
	snprintf(name, sizeof(name), "%s", base ? base + 1 : file);
	name[strcspn(name, ".")] = 0;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	ret = syscall(__NR_finit_module, fd, "", 0);
	if (fd >= 0)
		close(fd);
	return !ret && !syscall(__NR_delete_module, name, O_NONBLOCK);
}

static void test_module(const char *file)
{
	static const char name[] = "module: what it splits heals";
	struct events before;

	if (!events_read(&before)) {
		ksft_test_result_skip("%s: no counters\n", name);
		return;
	}
	if (!module_come_and_go(file)) {
		ksft_test_result_skip("%s: no module: %s does not load and go\n", name,
				      file ? file : "dummy");
		return;
	}
	result_healed(name, &before);
}

static bool rodata_is_off(void)
{
	char line[4096] = "";
	FILE *f = fopen("/proc/cmdline", "r");
	bool is;

	is = f && fgets(line, sizeof(line), f) && strstr(line, "rodata=off");
	if (f)
		fclose(f);
	return is;
}

/* One part in fifty, and what others do meanwhile. */
static void test_tables(const struct map *before, const struct events *since)
{
	static const char whole[] = "tables: the linear map is whole",
		wx[] = "tables: nothing can be written and executed",
		same[] = "tables: no more leaves than before";
	unsigned long most = before->leaves + before->leaves / 50 + 64;
	struct events now;
	struct map m;

	if (!before->known || !map_read(&m)) {
		const char *why = "no " PTDUMP " (CONFIG_PTDUMP_DEBUGFS, debugfs)";

		ksft_test_result_skip("%s: %s\n", whole, why);
		ksft_test_result_skip("%s: %s\n", wx, why);
		ksft_test_result_skip("%s: %s\n", same, why);
		return;
	}
	/* What others split meanwhile may show in the middle of a change. */
	for (int i = 0; i < 10 && (m.torn || m.gaps || m.leaves > most); i++) {
		usleep(500000);
		map_read(&m);
	}

	if (m.torn || m.gaps)
		ksft_test_result_fail("%s: %lu gaps, %lu broken leaves\n", whole,
				      m.gaps, m.torn);
	else
		ksft_test_result_pass("%s\n", whole);

	if (m.wx && rodata_is_off())
		ksft_test_result_skip("%s: rodata=off asks for it\n", wx);
	else if (m.wx)
		ksft_test_result_fail("%s: %lu KiB can\n", wx, m.wx >> 10);
	else
		ksft_test_result_pass("%s\n", wx);

	if (!events_read(&now))
		ksft_test_result_skip("%s: no counters: this kernel may not collapse\n", same);
	else if (now.splits == since->splits)
		ksft_test_result_skip("%s: nothing was split\n", same);
	else if (m.leaves > most)
		ksft_test_result_fail("%s: %lu, %lu at first\n", same, m.leaves,
				      before->leaves);
	else
		ksft_test_result_pass("%s\n", same);
	ksft_print_msg("%lu leaves at first, %lu now\n", before->leaves, m.leaves);
}

int main(int argc, char **argv)
{
	struct events first;
	struct map map;

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("not root\n");
	ksft_set_plan(8);

	if (events_read(&first))
		ksft_test_result_pass("counters: /proc/vmstat has " PREFIX "*\n");
	else
		ksft_test_result_skip("counters: /proc/vmstat has no " PREFIX
				      "* (CONFIG_ARCH_HAS_DIRECT_MAP_EVENTS, CONFIG_VM_EVENT_COUNTERS)\n");
	map_read(&map);
	test_secretmem(&map);
	test_bpf();
	test_module(argc > 1 ? argv[1] : NULL);
	test_tables(&map, &first);
	ksft_finished();
}
