// SPDX-License-Identifier: GPL-2.0
/*
 * Why is the linear map in pieces? Prints arm64's as a strip of characters and as
 * a table of leaves by size, and says of every leaf smaller than a block (2M with
 * 4K pages) what holds that block apart.
 *
 *	leafmap [-j] [-w SECONDS [-n TIMES]]
 *	leafmap [-j] -p PAGESIZE [-i IOMEM] FILE
 *
 * It reads /sys/kernel/debug/kernel_page_tables and /proc/iomem, or copies of
 * these. With -w it looks again after so many seconds, until it is stopped or
 * TIMES are over, and says what has changed and, by the tracepoint kernel_leaf,
 * who split and why what did not come back. With -j each look is one line of JSON.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PTDUMP		"/sys/kernel/debug/kernel_page_tables"
#define IOMEM		"/proc/iomem"
#define VMSTAT		"/proc/vmstat"
#define KFENCE_PARAMETERS	"/sys/module/kfence"
#define TRACING		"/sys/kernel/tracing/instances/leafmap"
#define SPACE		"\n\t "

#define die(...)	errx(1, __VA_ARGS__)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define TOP		10
#define STRIP		512
#define STRIP_COLUMNS	64

enum leaf { PTE, CONT_PTE, PMD, CONT_PMD, PUD, LEAVES };

static const char leaf_chars[] = ".:oO#";

static const struct geometry {
	unsigned long page;
	unsigned long size[LEAVES];	/* 0: there is none */
} geometries[] = {
	{ 4096,  { 1ul << 12, 1ul << 16, 1ul << 21, 1ul << 25, 1ul << 30 } },
	{ 16384, { 1ul << 14, 1ul << 21, 1ul << 25, 1ul << 30, 0 } },
	{ 65536, { 1ul << 16, 1ul << 21, 1ul << 29, 1ul << 34, 0 } },
};

static const struct geometry *geo;

/* What holds a block apart: the first of these that is in it. */
enum holder { IMAGE, KFENCE, INVALID, READONLY, TYPE, BORDER, SHARED, MADE, UNSEEN, HOLDERS };

static const struct {
	const char *name;
	const char *words;
} holders[HOLDERS] = {
	[IMAGE]	   = { "image", "the kernel image: its text, read-only data and data" },
	[KFENCE]   = { "kfence", "KFENCE, by the pattern of its guard pages" },
	[INVALID]  = { "invalid", "pages that were taken out: memfd_secret() and the like" },
	[READONLY] = { "read-only", "read-only pages: text of modules, BPF programs, kprobes" },
	[TYPE]	   = { "type", "pages of another memory type" },
	[BORDER]	   = { "edge", "the edge of memory: a block would reach beyond it" },
	[SHARED]   = { "shared", "pages that this Realm shares with its host" },
	[MADE]	   = { "made", "nothing: the map was made of pages, as where a CPU lacks BBML3" },
	[UNSEEN]   = { "unseen", "nothing that is printed: shared with a host, or soon whole" },
};

/* What the tracepoint says where nothing was split and nothing became a leaf. */
static const struct {
	const char *name;
	const char *words;
} reasons[] = {
	{ "busy", "somebody was changing or reading it: tried again" },
	{ "range", "no leaf may be so large here: image, KFENCE, or memory that may go" },
	{ "table", "a part of it is still in pieces" },
	{ "invalid", "a page of it is taken out" },
	{ "align", "its memory is not aligned" },
	{ "address", "its memory does not follow on: shared with a host" },
	{ "attrs", "its pages differ in what they permit" },
	{ "table-attrs", "the table restricts what its leaves permit" },
};

/* A run of equal leaves. */
struct run {
	unsigned long start, end;
	enum leaf leaf;
	bool invalid, ro;
	char type[40];	/* all else that is the same in most of the map */
};

/* A block that is made of smaller leaves. */
struct block {
	unsigned long start;
	unsigned long leaves;
	enum holder holder;
};

struct map {
	struct run *runs;
	size_t nr_runs;
	struct block *blocks;
	size_t nr_blocks;
	unsigned long leaf[LEAVES];
	unsigned long bytes[LEAVES];
	unsigned long mapped;
	unsigned long held[HOLDERS];	/* leaves */
	unsigned long parts[HOLDERS];	/* blocks */
	unsigned long first[HOLDERS];	/* where one of them is */
	const char *common;
};

static struct {
	unsigned long start, end;
} image;

static bool json;
static bool may_have_kfence;

static void *grow(void *array, size_t nr, size_t size)
{
	/* At each power of two. */
	if (nr & (nr - 1))
		return array;
	array = realloc(array, (nr ? 2 * nr : 1) * size);
	if (!array)
		die("no memory");
	return array;
}

static const char *size_name(unsigned long size)
{
	static char names[4][24];
	static unsigned int next;
	const char *unit = "BKMGT";
	char *name = names[next++ % ARRAY_SIZE(names)];

	for (; size && !(size & 1023) && unit[1]; unit++)
		size >>= 10;
	snprintf(name, sizeof(names[0]), "%lu%c", size, *unit);
	return name;
}

/* Returns false for a hole. */
static bool run_parse(struct run *r, char *line)
{
	bool cont = false, attrs = false;
	char *at = line, *word, *rest;
	const char *level;

	memset(r, 0, sizeof(*r));
	r->start = strtoul(at, &at, 16);
	if (*at != '-')
		die("not a line of page tables: %.40s", line);
	r->end = strtoul(at + 1, &at, 16);
	if (!strtok_r(at, SPACE, &rest))
		die("not a line of page tables: %.40s", line);
	level = strtok_r(NULL, SPACE, &rest);
	while ((word = strtok_r(NULL, SPACE, &rest))) {
		attrs = true;
		if (!strcmp(word, "CON"))
			cont = true;
		else if (!strcmp(word, "F"))
			r->invalid = true;
		else if (!strcmp(word, "ro"))
			r->ro = true;
		else if (strcmp(word, "RW") && strcmp(word, "BLK") &&
			 strlen(r->type) + strlen(word) + 2 < sizeof(r->type))
			strcat(strcat(r->type, *r->type ? " " : ""), word);
	}
	if (!attrs)
		return false;
	if (level && !strcmp(level, "PTE"))
		r->leaf = cont ? CONT_PTE : PTE;
	else if (level && !strcmp(level, "PMD"))
		r->leaf = cont ? CONT_PMD : PMD;
	else if (level && !strcmp(level, "PUD"))
		r->leaf = PUD;
	else
		die("no leaf of arm64's: %.40s", line);
	if (!geo->size[r->leaf])
		die("pages of %s have no leaf of that kind: %.40s", size_name(geo->page), line);
	return true;
}

static void map_read(struct map *m, const char *path)
{
	FILE *f = fopen(path, "r");
	bool linear = false, seen = false;
	char *line = NULL;
	size_t room = 0;
	struct run r;

	if (!f)
		die("%s: %s%s", path, strerror(errno), strcmp(path, PTDUMP) ? "" :
		    "; CONFIG_PTDUMP_DEBUGFS, debugfs and root are needed");
	while (getline(&line, &room, f) > 0) {
		if (!strncmp(line, "---[", 4)) {
			linear = strstr(line, "Linear Mapping start");
			seen |= linear;
			continue;
		}
		if (!linear || !run_parse(&r, line))
			continue;
		m->runs = grow(m->runs, m->nr_runs, sizeof(r));
		m->runs[m->nr_runs++] = r;
	}
	free(line);
	fclose(f);
	if (!seen || !m->nr_runs)
		die("%s: no linear map in it", path);
}

/* Linear addresses of the kernel image: physical ones, and where RAM begins. */
static void image_find(const struct map *m, const char *path)
{
	unsigned long start, end, ram = 0;
	FILE *f = fopen(path, "r");
	char *line = NULL;
	bool any = false;
	size_t room = 0;

	memset(&image, 0, sizeof(image));
	while (f && getline(&line, &room, f) > 0) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (strstr(line, "System RAM") && !any) {
			ram = start;
			any = true;
		}
		if (!strstr(line, "Kernel code") && !strstr(line, "Kernel data"))
			continue;
		if (!image.end || start < image.start)
			image.start = start;
		if (end + 1 > image.end)
			image.end = end + 1;
	}
	free(line);
	if (f)
		fclose(f);
	if (!any || !image.end)
		return;
	image.start += m->runs[0].start - ram;
	image.end += m->runs[0].start - ram;
}

/* What most of the map has. */
static void common_find(struct map *m)
{
	unsigned long most = 0;

	for (size_t i = 0; i < m->nr_runs; i++) {
		unsigned long bytes = 0;

		/* One of the first is it, unless the map is in shreds. */
		if (i && !strcmp(m->runs[i].type, m->common))
			continue;
		for (size_t k = 0; k < m->nr_runs; k++)
			if (!strcmp(m->runs[k].type, m->runs[i].type))
				bytes += m->runs[k].end - m->runs[k].start;
		if (bytes > most) {
			most = bytes;
			m->common = m->runs[i].type;
		}
		if (most > m->mapped / 2)
			break;
	}
}

/* KFENCE makes every other page invalid. */
static bool is_kfence(const struct map *m, size_t i, unsigned long start, unsigned long end)
{
	unsigned long odd = 0, even = 0;

	for (; i < m->nr_runs && m->runs[i].start < end; i++) {
		const struct run *r = &m->runs[i];
		unsigned long at = r->start > start ? r->start : start;

		for (; at < r->end && at < end && r->invalid; at += geo->page) {
			if (at / geo->page % 2)
				odd++;
			else
				even++;
		}
	}
	/* The end of the pool may be another block's. */
	return odd > (end - start) / geo->page / 4 && even < odd / 2;
}

static enum holder holder_find(const struct map *m, size_t i, unsigned long start)
{
	unsigned long end = start + geo->size[PMD], covered = 0;
	bool invalid = false, ro = false, type = false;

	if (image.end && start < image.end && image.start < end)
		return IMAGE;
	for (size_t k = i; k < m->nr_runs && m->runs[k].start < end; k++) {
		const struct run *r = &m->runs[k];
		unsigned long from = r->start > start ? r->start : start;

		covered += (r->end < end ? r->end : end) - from;
		invalid |= r->invalid;
		ro |= r->ro;
		type |= strcmp(r->type, m->common);
	}
	if (invalid)
		return may_have_kfence && is_kfence(m, i, start, end) ? KFENCE : INVALID;
	if (ro)
		return READONLY;
	if (type)
		return TYPE;
	if (covered < geo->size[PMD])
		return BORDER;
	return m->bytes[PTE] > m->mapped / 2 ? MADE : UNSEEN;
}

static void map_judge(struct map *m)
{
	unsigned long block = geo->size[PMD];

	for (size_t i = 0; i < m->nr_runs; i++) {
		struct run *r = &m->runs[i];
		unsigned long size = r->end - r->start;

		m->leaf[r->leaf] += (size + geo->size[r->leaf] - 1) / geo->size[r->leaf];
		m->bytes[r->leaf] += size;
		m->mapped += size;
	}
	common_find(m);

	for (size_t i = 0; i < m->nr_runs; i++) {
		struct run *r = &m->runs[i];
		unsigned long at = r->start, next, start;
		struct block *b;

		for (; r->leaf < PMD && at < r->end; at = next) {
			start = at / block * block;
			next = r->end < start + block ? r->end : start + block;
			b = m->nr_blocks ? &m->blocks[m->nr_blocks - 1] : NULL;
			if (!b || b->start != start) {
				m->blocks = grow(m->blocks, m->nr_blocks, sizeof(*b));
				b = &m->blocks[m->nr_blocks++];
				b->start = start;
				b->leaves = 0;
				b->holder = holder_find(m, i, start);
			}
			b->leaves += (next - at + geo->size[r->leaf] - 1) / geo->size[r->leaf];
		}
	}
}

static void map_sum(struct map *m)
{
	memset(m->held, 0, sizeof(m->held));
	memset(m->parts, 0, sizeof(m->parts));
	for (size_t i = 0; i < m->nr_blocks; i++) {
		struct block *b = &m->blocks[i];

		if (!m->parts[b->holder]++)
			m->first[b->holder] = b->start;
		m->held[b->holder] += b->leaves;
	}
}

/* The first in a range. */
static struct block *block_in(const struct map *m, unsigned long start, unsigned long size)
{
	size_t low = 0, high = m->nr_blocks;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (m->blocks[mid].start < start)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->nr_blocks && m->blocks[low].start - start < size ? &m->blocks[low] : NULL;
}

static void map_free(struct map *m)
{
	free(m->runs);
	free(m->blocks);
	memset(m, 0, sizeof(*m));
}

/*
 * What the tracepoint says between two looks.
 */

struct splitter {
	char comm[32];
	char function[64];
	unsigned long splits;
};

struct refusal {
	size_t reason;
	enum holder holder;
	bool whole;		/* no block of small leaves is there now */
	unsigned long first;
	unsigned long count;
};

static struct trace {
	bool works;
	struct splitter *splitters;
	size_t nr_splitters;
	struct refusal *refusals;
	size_t nr_refusals;
} trace;

static bool trace_write(const char *file, const char *text)
{
	char path[128];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	fd = open(path, O_WRONLY | O_TRUNC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void trace_end(void)
{
	if (trace.works)
		trace_write("events/kernel_leaf/enable", "0");
	rmdir(TRACING);
}

static void trace_begin(void)
{
	if (mkdir(TRACING, 0700) && errno != EEXIST)
		return;
	trace_write("options/stacktrace", "1");
	trace_write("buffer_size_kb", "4096");
	trace_write("trace", "");
	trace.works = trace_write("events/kernel_leaf/enable", "1");
	atexit(trace_end);
}

/* How one gets to a split, which tells nothing about who wants it. */
static bool is_on_the_way(const char *function)
{
	static const char * const names[] = {
		"split_", "kernel_leaf_", "range_split_", "walk_kernel_", "walk_p", "__walk_page",
		"update_range_prot", "change_memory_common", "__change_memory_common",
		"pageattr_", "set_memory_", "set_direct_map_", "__set_memory_", "trace_",
		"set_area_direct_map", "vm_reset_perms", "execmem_", "__traceiter_",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(function, names[i], strlen(names[i])))
			return true;
	return false;
}

static void splitter_add(const char *comm, const char *function)
{
	struct splitter *s = trace.splitters;

	for (size_t i = 0; i < trace.nr_splitters; i++, s++) {
		if (!strcmp(s->comm, comm) && !strcmp(s->function, function)) {
			s->splits++;
			return;
		}
	}
	trace.splitters = grow(trace.splitters, trace.nr_splitters, sizeof(*s));
	s = &trace.splitters[trace.nr_splitters++];
	snprintf(s->comm, sizeof(s->comm), "%s", comm);
	snprintf(s->function, sizeof(s->function), "%s", function);
	s->splits = 1;
}

static void refusal_add(struct map *m, unsigned long addr, unsigned long size,
			const char *why)
{
	struct block *b = block_in(m, addr, size);
	struct refusal *f = trace.refusals;
	enum holder holder;
	size_t reason = 0;

	while (reason < ARRAY_SIZE(reasons) && strcmp(reasons[reason].name, why))
		reason++;
	if (reason == ARRAY_SIZE(reasons))
		return;
	/* What ptdump does not show. */
	if (b && b->holder == UNSEEN && size == geo->size[PMD] && !strcmp(why, "address"))
		b->holder = SHARED;
	holder = b ? b->holder : UNSEEN;

	for (size_t i = 0; i < trace.nr_refusals; i++, f++) {
		if (f->reason == reason && f->holder == holder && f->whole == !b) {
			f->count++;
			return;
		}
	}
	trace.refusals = grow(trace.refusals, trace.nr_refusals, sizeof(*f));
	f = &trace.refusals[trace.nr_refusals++];
	*f = (struct refusal){ reason, holder, !b, addr, 1 };
}

static int more_splits(const void *a, const void *b)
{
	const struct splitter *x = a, *y = b;

	return x->splits < y->splits ? 1 : -(x->splits > y->splits);
}

static int more_refusals(const void *a, const void *b)
{
	const struct refusal *x = a, *y = b;

	return x->count < y->count ? 1 : -(x->count > y->count);
}

/* The tracepoint has vmalloc space, too. */
static bool in_map(const struct map *m, const char *event)
{
	const char *at = strstr(event, "addr=");
	unsigned long addr = at ? strtoul(at + strlen("addr="), NULL, 16) : 0;

	return addr >= m->runs[0].start && addr < m->runs[m->nr_runs - 1].end;
}

/*
 *	    task-12    [003] d..1.   34.567890: kernel_leaf: addr=0xffff... size=0x200000 what=split
 *	    task-12    [003] d..1.   34.567891: <stack trace>
 *	 => split_pmd
 */
static void trace_read(struct map *m)
{
	char comm[32] = "", *line = NULL, *at, *end, *what;
	FILE *f = fopen(TRACING "/trace", "r");
	bool pending = false;
	size_t room = 0;

	trace.nr_splitters = 0;
	trace.nr_refusals = 0;
	while (f && getline(&line, &room, f) > 0) {
		if (pending && strstr(line, "<stack trace>"))
			continue;
		if (!strncmp(line, " => ", 4)) {
			at = line + 4;
			at[strcspn(at, "+\n")] = 0;
			if (pending && !is_on_the_way(at)) {
				splitter_add(comm, at);
				pending = false;
			}
			continue;
		}
		if (pending)
			splitter_add(comm, "?");
		pending = false;
		at = strstr(line, "kernel_leaf: addr=");
		what = at ? strstr(at, "what=") : NULL;
		if (!what || !in_map(m, at))
			continue;
		what += strlen("what=");
		what[strcspn(what, SPACE)] = 0;
		if (!strcmp(what, "split")) {
			end = strstr(line, " [");
			if (!end)
				continue;
			while (end > line && *end != '-')
				end--;
			*end = 0;
			snprintf(comm, sizeof(comm), "%s", line + strspn(line, " "));
			pending = true;
			continue;
		}
		end = strstr(at, "size=");
		if (end)
			refusal_add(m, strtoul(strchr(at, '=') + 1, NULL, 16),
				    strtoul(end + strlen("size="), NULL, 16), what);
	}
	if (pending)
		splitter_add(comm, "?");
	free(line);
	if (f)
		fclose(f);
	trace_write("trace", "");
	if (trace.nr_splitters)
		qsort(trace.splitters, trace.nr_splitters, sizeof(*trace.splitters), more_splits);
	if (trace.nr_refusals)
		qsort(trace.refusals, trace.nr_refusals, sizeof(*trace.refusals), more_refusals);
}

/*
 * What it prints.
 */

static void print_strip(const struct map *m)
{
	unsigned long from = m->runs[0].start, to = m->runs[m->nr_runs - 1].end;
	unsigned long span = geo->size[PMD];
	char strip[STRIP + 1];
	size_t n;

	/* The top of the address space is 0. */
	while ((to - from + span - 1) / span > STRIP)
		span *= 2;
	from = from / span * span;
	n = (to - from + span - 1) / span;
	if (n > STRIP)
		n = STRIP;
	memset(strip, ' ', sizeof(strip));
	for (size_t i = 0; i < m->nr_runs; i++) {
		const struct run *r = &m->runs[i];

		size_t k = (r->start - from) / span;

		for (; k <= (r->end - 1 - from) / span && k < n; k++) {
			const char *was = strchr(leaf_chars, strip[k]);

			if (!was || was - leaf_chars > (int)r->leaf)
				strip[k] = leaf_chars[r->leaf];
		}
	}
	printf("smallest leaf in each %s:", size_name(span));
	for (int i = 0; i < LEAVES; i++)
		if (geo->size[i])
			printf("  %c %s", leaf_chars[i], size_name(geo->size[i]));
	putchar('\n');
	for (size_t i = 0; i < n; i += STRIP_COLUMNS)
		printf("%#lx |%.*s|\n", from + i * span,
		       (int)(n - i < STRIP_COLUMNS ? n - i : STRIP_COLUMNS), strip + i);
}

static enum holder main_holder(const struct map *m)
{
	enum holder most = 0;

	for (int h = 0; h < HOLDERS; h++)
		if (m->held[h] > m->held[most])
			most = h;
	return most;
}

static void print_map(const struct map *m, const struct map *before)
{
	unsigned long blocks = m->mapped / geo->size[PMD];
	enum holder most = main_holder(m);

	if (m->nr_blocks)
		printf("%zu of %lu blocks of %s are in pieces, most for %s\n\n", m->nr_blocks,
		       blocks, size_name(geo->size[PMD]), holders[most].words);
	else
		printf("no block of %s is in pieces\n\n", size_name(geo->size[PMD]));
	print_strip(m);

	printf("\n%8s %10s %10s%s\n", "leaf", "leaves", "KiB", before ? "     change" : "");
	for (int i = LEAVES - 1; i >= 0; i--) {
		if (!geo->size[i])
			continue;
		printf("%8s %10lu %10lu", size_name(geo->size[i]), m->leaf[i], m->bytes[i] >> 10);
		if (before)
			printf(" %+10ld", (long)(m->leaf[i] - before->leaf[i]));
		putchar('\n');
	}
	if (!m->nr_blocks)
		return;
	printf("\n%8s %10s  %-18s  what holds them apart\n", "blocks", "leaves", "for example");
	for (int h = 0; h < HOLDERS; h++)
		if (m->parts[h])
			printf("%8lu %10lu  %#-18lx  %s\n", m->parts[h], m->held[h], m->first[h],
			       holders[h].words);
}

static void print_trace(void)
{
	if (!trace.works) {
		puts("\nno tracepoint kernel_leaf here: who splits is not known");
		return;
	}
	if (trace.nr_splitters)
		printf("\n%8s  %-16s  from\n", "splits", "by");
	for (size_t i = 0; i < trace.nr_splitters && i < TOP; i++)
		printf("%8lu  %-16s  %s()\n", trace.splitters[i].splits, trace.splitters[i].comm,
		       trace.splitters[i].function);
	if (trace.nr_refusals)
		printf("\n%8s  %-18s  why it did not come back, and what is there\n", "times",
		       "for example");
	for (size_t i = 0; i < trace.nr_refusals && i < TOP; i++) {
		const struct refusal *f = &trace.refusals[i];

		printf("%8lu  %#-18lx  %s; %s\n", f->count, f->first, reasons[f->reason].words,
		       f->whole ? "no small leaf now" : holders[f->holder].words);
	}
}

static void print_vmstat(void)
{
	FILE *f = fopen(VMSTAT, "r");
	const char *between = "";
	unsigned long value;
	char name[80];

	while (f && fscanf(f, "%79s %lu", name, &value) == 2) {
		if (strncmp(name, "direct_map_", 11))
			continue;
		if (json)
			printf("%s\"%s\":%lu", between, name + 11, value);
		else
			printf("%s%s %lu", *between ? ", " : "\nsince boot: ", name + 11, value);
		between = ",";
	}
	if (f)
		fclose(f);
	if (!json && *between)
		putchar('\n');
}

/* Nothing but the name of a task could need it. */
static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar((unsigned char)*text < ' ' ? '?' : *text);
	}
	putchar('"');
}

static void print_json(const struct map *m, bool live)
{
	const char *between = "";

	printf("{\"page\":%lu,\"mapped\":%lu,\"blocks\":%lu,\"in_pieces\":%zu,\"leaves\":{",
	       geo->page, m->mapped, m->mapped / geo->size[PMD], m->nr_blocks);
	for (int i = 0; i < LEAVES; i++) {
		if (!geo->size[i])
			continue;
		printf("%s\"%s\":%lu", between, size_name(geo->size[i]), m->leaf[i]);
		between = ",";
	}
	printf("},\"holders\":[");
	between = "";
	for (int h = 0; h < HOLDERS; h++) {
		if (!m->parts[h])
			continue;
		printf("%s{\"name\":\"%s\",\"blocks\":%lu,\"leaves\":%lu,", between,
		       holders[h].name, m->parts[h], m->held[h]);
		printf("\"first\":\"%#lx\",\"words\":\"%s\"}", m->first[h], holders[h].words);
		between = ",";
	}
	putchar(']');
	if (live) {
		printf(",\"events\":{");
		print_vmstat();
		putchar('}');
	}
	if (trace.works) {
		printf(",\"splitters\":[");
		for (size_t i = 0; i < trace.nr_splitters && i < TOP; i++) {
			printf("%s{\"comm\":", i ? "," : "");
			print_quoted(trace.splitters[i].comm);
			printf(",\"from\":\"%s\",\"splits\":%lu}", trace.splitters[i].function,
			       trace.splitters[i].splits);
		}
		printf("],\"refusals\":[");
		for (size_t i = 0; i < trace.nr_refusals && i < TOP; i++) {
			const struct refusal *f = &trace.refusals[i];

			printf("%s{\"why\":\"%s\",\"there\":\"%s\",", i ? "," : "",
			       reasons[f->reason].name,
			       f->whole ? "whole" : holders[f->holder].name);
			printf("\"times\":%lu,\"first\":\"%#lx\"}", f->count, f->first);
		}
		putchar(']');
	}
	puts("}");
}

static unsigned long number(const char *text, int option)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end || !n || n > 1000000)
		die("-%c %s: a count from 1 up is expected", option, text);
	return n;
}

int main(int argc, char **argv)
{
	const char *file = PTDUMP, *iomem = IOMEM;
	unsigned long page = 0, every = 0, times = 0;
	struct map map = {}, before = {};
	bool live = true;
	int option;

	while ((option = getopt(argc, argv, "jw:n:p:i:h")) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'w':
			every = number(optarg, option);
			break;
		case 'n':
			times = number(optarg, option);
			break;
		case 'p':
			page = number(optarg, option);
			break;
		case 'i':
			iomem = optarg;
			break;
		default:
			fputs("usage: leafmap [-j] [-w SECONDS [-n TIMES]], or\n"
			      "       leafmap [-j] -p PAGESIZE [-i IOMEM] FILE\n", stderr);
			return option == 'h' ? 0 : 1;
		}
	}
	if (optind < argc) {
		file = argv[optind];
		live = false;
		/* This machine's memory is not that of the file. */
		if (!strcmp(iomem, IOMEM))
			iomem = "";
		if (!page)
			die("%s: -p PAGESIZE is missing", file);
		if (every)
			die("-w looks at this machine, not at %s", file);
	}
	if (argc - optind > 1)
		die("%s: one FILE is expected", argv[optind + 1]);
	if (!page)
		page = sysconf(_SC_PAGESIZE);
	for (size_t i = 0; i < ARRAY_SIZE(geometries); i++)
		if (geometries[i].page == page)
			geo = &geometries[i];
	if (!geo)
		die("arm64 has no pages of %lu bytes", page);

	may_have_kfence = !live || !access(KFENCE_PARAMETERS, F_OK);
	if (every)
		trace_begin();
	for (unsigned long n = 0; ; n++) {
		map_read(&map, file);
		image_find(&map, iomem);
		map_judge(&map);
		if (every && n)
			trace_read(&map);
		map_sum(&map);
		if (json)
			print_json(&map, live);
		else
			print_map(&map, n ? &before : NULL);
		if (!json && every && n)
			print_trace();
		if (!json && live)
			print_vmstat();
		fflush(stdout);
		if (!every || (times && n == times))
			break;
		map_free(&before);
		before = map;
		memset(&map, 0, sizeof(map));
		sleep(every);
		if (!json)
			putchar('\n');
	}
	return 0;
}
