// SPDX-License-Identifier: GPL-2.0
/*
 * Reading /sys/kernel/debug/page_tables/kernel of x86-64 (the format is that of
 * arch/x86/mm/dump_pagetables.c):
 *
 *	---[ Low Kernel Mapping ]---
 *	0xffff888000200000-0xffff88803fe00000  1020M  RW  PSE  GLB NX pmd
 *	0xffff88803ffff000-0xffff888040000000     4K                  pte
 *
 * A line is a run of equal entries of one level; one without attributes is not
 * present. There are other words than arm64's, and no contiguous leaves.
 */
#include <inttypes.h>
#include <string.h>

#include "../pt.h"

#define KIB(n)	((uint64_t)(n) << 10)
#define MIB(n)	((uint64_t)(n) << 20)
#define GIB(n)	((uint64_t)(n) << 30)

static const struct pt_geometry four_levels = {
	.page = KIB(4),
	.leaf = { [PT_PTE] = KIB(4), [PT_PMD] = MIB(2), [PT_PUD] = GIB(1) },
	.table_span = { MIB(2), GIB(1), GIB(512) },
};

static const struct {
	const char *name;
	enum pt_level level;
	enum pt_leaf leaf;
} levels[] = {
	{ "pgd", PT_LEVEL_PGD, PT_LEAVES },
	{ "p4d", PT_LEVEL_P4D, PT_LEAVES },
	{ "pud", PT_LEVEL_PUD, PT_PUD },
	{ "pmd", PT_LEVEL_PMD, PT_PMD },
	{ "pte", PT_LEVEL_PTE, PT_PTE },
};

static const struct {
	const char *word;
	unsigned int attr;
} attr_words[] = {
	{ "USR", PT_USER },
	{ "RW",  0 },
	{ "ro",  PT_RO },
	{ "NX",  PT_NX },
	{ "x",   0 },
	{ "PSE", PT_BLOCK },
	/* The size of a leaf does not depend on these, nor what it allows. */
	{ "PWT", 0 },
	{ "PCD", 0 },
	{ "PAT", 0 },
	{ "GLB", 0 },
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

const struct pt_format pt_format = {
	.file = "/sys/kernel/debug/page_tables/kernel",
	.image_in_areas = false,
};

bool pt_geometry(struct pt_geometry *g, uint64_t page)
{
	*g = four_levels;
	return page == four_levels.page;
}

enum pt_section pt_section(const char *marker, enum pt_section was)
{
	(void)was;
	if (strstr(marker, "[ Low Kernel Mapping ]"))
		return PT_LINEAR;
	if (strstr(marker, "[ vmalloc() Area ]") || strstr(marker, "[ Modules ]"))
		return PT_AREAS;
	return PT_ELSEWHERE;
}

static bool parse_word(struct pt_line *line, const char *word)
{
	for (size_t i = 0; i < COUNT(attr_words); i++) {
		if (!strcmp(word, attr_words[i].word)) {
			line->attrs |= attr_words[i].attr;
			line->hole = false;
			return true;
		}
	}
	return false;
}

enum pt_parsed pt_parse(const struct pt_geometry *g, const char *text,
			struct pt_line *line)
{
	char copy[256], size[24], *word, *rest, *level = NULL;
	int used = 0;

	if (!strncmp(text, "---[ ", 5))
		return PT_IS_MARKER;
	if (strncmp(text, "0x", 2))
		return PT_IS_OTHER;

	memset(line, 0, sizeof(*line));
	if (sscanf(text, "0x%16" SCNx64 "-0x%16" SCNx64 " %23s%n",
		   &line->start, &line->end, size, &used) != 3)
		return PT_IS_BAD;
	if (line->end - 1 < line->start)
		return PT_IS_BAD;

	line->hole = true;
	snprintf(copy, sizeof(copy), "%s", text + used);
	for (word = strtok_r(copy, " \t\r\n", &rest); word;
	     word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (level)
			return PT_IS_BAD;
		if (!parse_word(line, word))
			level = word;
	}
	for (size_t i = 0; level && i < COUNT(levels); i++) {
		if (strcmp(level, levels[i].name))
			continue;
		line->level = levels[i].level;
		line->leaf = levels[i].leaf;
		if (line->hole)
			return PT_IS_LINE;
		if (line->leaf == PT_LEAVES)
			return PT_IS_BAD;
		line->torn = (line->start | (line->end - line->start)) % g->leaf[line->leaf];
		return PT_IS_LINE;
	}
	return PT_IS_BAD;
}
