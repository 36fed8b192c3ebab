// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel text outside the kernel's image, of modules, BPF programs and probes:
 * what maps it, and what it takes of the addresses that the image's branches
 * reach.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

#define WINDOW		(128ul << 20)	/* of a direct branch */
#define BLOCK		(2ul << 20)	/* one leaf with each page size */
#define MAX_AREAS	16384

struct area {
	uint64_t start;
	uint64_t end;
};

static struct area areas[MAX_AREAS];

static int by_start(const void *a, const void *b)
{
	const struct area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The image's areas are those that map where /proc/iomem has the kernel. */
static bool find_image(struct area *phys)
{
	FILE *f = fopen("/proc/iomem", "re");
	uint64_t start, end;
	char line[256];

	*phys = (struct area){ UINT64_MAX, 0 };
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, ": Kernel ") ||
		    sscanf(line, " %" SCNx64 "-%" SCNx64, &start, &end) != 2)
			continue;
		if (start < phys->start)
			phys->start = start & -BLOCK;
		if (end > phys->end)
			phys->end = end;
	}
	if (f)
		fclose(f);
	return phys->end;
}

/* Areas that hold what is executed, or what belongs to it. */
static const char * const text_callers[] = {
	"execmem", "module", "bpf", "insn_page", NULL,
};

/* Stacks of processes and workers, of which there are more or fewer. */
static const char * const stack_callers[] = {
	"kernel_clone", "copy_process", "dup_task_struct", NULL,
};

static bool is_of(const char *line, const char * const *callers)
{
	while (*callers && !strstr(line, *callers))
		callers++;
	return *callers;
}

static bool read_areas(struct text *t, struct area *image, unsigned int *n,
		       uint64_t *stack_pages)
{
	struct area phys;
	char line[512];
	FILE *f;

	/* With 0 addresses are hashed, for root too. */
	if (!find_image(&phys) || !write_file("/proc/sys/kernel/kptr_restrict", "1"))
		return false;
	f = fopen("/proc/vmallocinfo", "re");
	if (!f)
		return false;
	*n = 0;
	*stack_pages = 0;
	*image = (struct area){ UINT64_MAX, 0 };
	while (fgets(line, sizeof(line), f) && *n < MAX_AREAS) {
		struct area *a = &areas[*n];
		const char *at = strstr(line, " phys=");
		uint64_t where = at ? strtoull(at + 6, NULL, 0) : 0;

		if (strstr(line, "unpurged") ||
		    sscanf(line, "0x%" SCNx64 "-0x%" SCNx64, &a->start, &a->end) != 2)
			continue;
		++*n;
		if (where >= phys.start && where <= phys.end) {
			if (a->start < image->start)
				image->start = a->start;
			/* Its last area alone has a guard page. */
			if (a->end - geometry.page > image->end)
				image->end = a->end - geometry.page;
		} else if (is_of(line, stack_callers)) {
			at = strstr(line, " pages=");
			*stack_pages += at ? strtoull(at + 7, NULL, 10) : 0;
		} else if (is_of(line, text_callers)) {
			t->areas++;
			t->area_kib += (a->end - a->start) >> 10;
		}
	}
	fclose(f);
	qsort(areas, *n, sizeof(*areas), by_start);
	return (image->end || !pt_format.image_in_areas) && *n < MAX_AREAS;
}

/* For the reader of a failure. */
static void print_areas(void)
{
	FILE *f = fopen("/proc/vmallocinfo", "re");
	unsigned int n = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f) && n < 40) {
		if (!is_of(line, text_callers))
			continue;
		note("area %.*s", (int)strcspn(line, "\n"), line);
		n++;
	}
	if (f)
		fclose(f);
}

static void count_hole(struct text *t, uint64_t start, uint64_t end)
{
	uint64_t first = (start + BLOCK - 1) & -BLOCK;

	if (end <= start)
		return;
	t->window_free += end - start;
	if (end - start > t->window_hole)
		t->window_hole = end - start;
	if (end > first)
		t->window_blocks += (end - first) / BLOCK;
}

/*
 * Without KASLR the window ends where the image does (module_init_limits()); with
 * it only the kernel knows.
 */
static void read_window(struct text *t, const struct area *image, unsigned int n)
{
	uint64_t at = image->end - WINDOW;
	static char words[4096];

	t->window = image->end && read_file("/proc/cmdline", words, sizeof(words)) > 0 &&
		    strstr(words, "nokaslr");
	for (unsigned int i = 0; t->window && i < n && at < image->start; i++) {
		if (areas[i].end <= at)
			continue;
		count_hole(t, at, areas[i].start < image->start ?
				  areas[i].start : image->start);
		at = areas[i].end;
	}
}

static void count_text(struct text *t, const struct pt_line *l)
{
	uint64_t size = l->end - l->start;

	t->leaves += size / geometry.leaf[l->leaf];
	if (l->attrs & PT_INVALID)
		return;
	if (l->attrs & PT_RO)
		t->readonly += size / geometry.page;
	if (l->attrs & PT_NX)
		return;
	t->kib += size >> 10;
	/* A row of entries that is seen half changed counts as what it is in part. */
	t->leaf[l->leaf] += (size + geometry.leaf[l->leaf] - 1) / geometry.leaf[l->leaf];
}

/**
 * text_read() - what there is now
 * @t: filled
 *
 * Return: false if the kernel's files can't be understood.
 */
bool text_read(struct text *t)
{
	uint64_t stack_pages;
	struct area image;
	enum pt_section section = PT_ELSEWHERE;
	struct pt_line line;
	char *text = NULL;
	size_t room = 0;
	unsigned int n;
	FILE *f;

	memset(t, 0, sizeof(*t));
	if (!read_areas(t, &image, &n, &stack_pages))
		return false;
	read_window(t, &image, n);
	f = fopen(PTDUMP, "re");
	while (f && getline(&text, &room, f) > 0) {
		pt_count_text(&geometry, &t->dump, text);
		switch (pt_parse(&geometry, text, &line)) {
		case PT_IS_MARKER:
			section = pt_section(text, section);
			break;
		case PT_IS_LINE:
			/* A guard page keeps them apart. */
			if (section == PT_AREAS && !line.hole &&
			    (line.start < image.start || line.start >= image.end))
				count_text(t, &line);
			break;
		default:
			break;
		}
	}
	pt_count_end(&geometry, &t->dump);
	free(text);
	if (f)
		fclose(f);
	/* Each is a leaf. */
	t->leaves -= stack_pages < t->leaves ? stack_pages : t->leaves;
	for (int i = 0; i < PT_LEAVES; i++)
		t->text_leaves += t->leaf[i];
	return f && !t->dump.bad && t->dump.linear.total;
}

void text_print(const struct text *t, const char *phase)
{
	char sizes[160] = "", window[96] = "unknown", name[24];
	size_t n = 0;

	for (int i = 0; i < PT_LEAVES; i++) {
		if (geometry.leaf[i])
			n += snprintf(sizes + n, sizeof(sizes) - n, " %s=%" PRIu64,
				      pt_size_name(geometry.leaf[i], name, sizeof(name)),
				      t->leaf[i]);
	}
	note("text phase=%s leaves=%" PRIu64 " kib=%" PRIu64 "%s vmalloc_leaves=%" PRIu64
	     " vmalloc_ro=%" PRIu64 " linear_ro=%" PRIu64 " areas=%u area_kib=%" PRIu64,
	     phase, t->text_leaves, t->kib, sizes, t->leaves, t->readonly,
	     t->dump.linear.readonly, t->areas, t->area_kib);
	if (t->window)
		snprintf(window, sizeof(window), "%" PRIu64 " free_kib=%" PRIu64
			 " hole_kib=%" PRIu64 " blocks=%" PRIu64, WINDOW >> 10,
			 t->window_free >> 10, t->window_hole >> 10, t->window_blocks);
	note("window phase=%s kib=%s", phase, window);
}

/*
 * The linear map is read-only where an area in use is, and where it was before;
 * what goes beyond that is memory given back read-only.
 */
int64_t text_stray(const struct text *t, const struct text *before)
{
	return (int64_t)(t->dump.linear.readonly - before->dump.linear.readonly) -
	       (int64_t)(t->readonly - before->readonly);
}

static bool is_gone(const struct text *t, const struct text *before)
{
	return t->text_leaves <= before->text_leaves + before->text_leaves * opt.slack / 100 &&
	       t->leaves <= before->leaves + before->leaves * opt.slack / 100 &&
	       t->areas <= before->areas && text_stray(t, before) <= 0 &&
	       t->dump.linear.invalid <= before->dump.linear.invalid;
}

/**
 * text_gone() - wait until what came after a reading is gone
 * @before: the reading
 * @why: set to what is left, if it is not
 *
 * Memory of programs and of modules' init sections is freed later, by workers.
 */
bool text_gone(const struct text *before, struct text *now, char *why, size_t len)
{
	uint64_t until = now_ms() + opt.heal_ms;

	/* On a busy host one reading may take as long as all of them should. */
	for (unsigned int i = 0; i < 5 || now_ms() < until; i++) {
		if (i)
			sleep_ms(20);
		if (!text_read(now)) {
			snprintf(why, len, "the kernel's files can't be understood");
			return false;
		}
		if (is_gone(now, before))
			return true;
	}
	if (now->areas > before->areas)
		print_areas();
	snprintf(why, len, "left over: text leaves %" PRIu64 " of %" PRIu64
		 ", vmalloc leaves %" PRIu64 " of %" PRIu64 ", areas %u of %u, stray read-only pages %" PRId64
		 ", invalid %" PRIu64 " of %" PRIu64, now->text_leaves, before->text_leaves,
		 now->leaves, before->leaves, now->areas, before->areas, text_stray(now, before),
		 now->dump.linear.invalid, before->dump.linear.invalid);
	return false;
}
