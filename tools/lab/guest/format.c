// SPDX-License-Identifier: GPL-2.0
/*
 * Reading /sys/kernel/debug/kernel_page_tables of arm64 (the format is that
 * of arch/arm64/mm/ptdump.c):
 *
 *	---[ Linear Mapping start ]---
 *	0xffff000000000000-0xffff000000200000   2M PMD  RW NX SHD AF  BLK ...
 *	0xffff000240000000-0xffff008000000000   503G PUD
 *
 * A line is a run of equal entries of one level; one without attributes is a
 * hole. A contiguous leaf shows as CON, a block as BLK.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pt.h"

#define KIB(n)	((uint64_t)(n) << 10)
#define MIB(n)	((uint64_t)(n) << 20)
#define GIB(n)	((uint64_t)(n) << 30)

static const struct pt_geometry geometries[] = {
	{
		.page = KIB(4),
		.leaf = { KIB(4), KIB(64), MIB(2), MIB(32), GIB(1) },
		.table_span = { MIB(2), GIB(1), GIB(512) },
	}, {
		.page = KIB(16),
		.leaf = { KIB(16), MIB(2), MIB(32), GIB(1) },
		.table_span = { MIB(32), GIB(64), GIB(128 * 1024) },
	}, {
		.page = KIB(64),
		.leaf = { KIB(64), MIB(2), MIB(512), GIB(16) },
		.table_span = { MIB(512), GIB(4096), 0 },
	},
};

static const char * const level_names[] = {
	[PT_LEVEL_PGD] = "PGD",
	[PT_LEVEL_P4D] = "P4D",
	[PT_LEVEL_PUD] = "PUD",
	[PT_LEVEL_PMD] = "PMD",
	[PT_LEVEL_PTE] = "PTE",
};

static const struct {
	const char *word;
	unsigned int attr;
} attr_words[] = {
	{ "F",   PT_INVALID },
	{ "USR", PT_USER },
	{ "ro",  PT_RO },
	{ "RW",  0 },
	{ "NX",  PT_NX },
	{ "x",   0 },
	{ "SHD", PT_SHARED },
	{ "AF",  PT_AF },
	{ "NG",  PT_NG },
	{ "CON", PT_CONT },
	{ "BLK", PT_BLOCK },
	{ "UXN", PT_UXN },
	{ "GP",  PT_GP },
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * pt_geometry() - the sizes that follow from a page size
 * @g: filled
 * @page: the page size in bytes
 *
 * Return: false if arm64 has no such page size.
 */
bool pt_geometry(struct pt_geometry *g, uint64_t page)
{
	for (size_t i = 0; i < COUNT(geometries); i++) {
		if (geometries[i].page == page) {
			*g = geometries[i];
			return true;
		}
	}
	return false;
}

const struct pt_format pt_format = {
	.file = "/sys/kernel/debug/kernel_page_tables",
	.image_in_areas = true,
};

/**
 * pt_section() - what follows a marker
 * @marker: the marker's line
 * @was: what came before it
 */
enum pt_section pt_section(const char *marker, enum pt_section was)
{
	static const struct {
		const char *text;
		enum pt_section is;
	} sections[] = {
		{ "---[ Linear Mapping start ]---", PT_LINEAR },
		{ "---[ Linear Mapping end ]---", PT_ELSEWHERE },
		{ "---[ Modules start ]---", PT_AREAS },
		{ "---[ vmalloc() end ]---", PT_ELSEWHERE },
	};

	for (size_t i = 0; i < COUNT(sections); i++) {
		if (!strncmp(marker, sections[i].text, strlen(sections[i].text)))
			return sections[i].is;
	}
	return was;
}

static bool parse_attr(struct pt_line *line, const char *word)
{
	for (size_t i = 0; i < COUNT(attr_words); i++) {
		if (!strcmp(word, attr_words[i].word)) {
			line->attrs |= attr_words[i].attr;
			return true;
		}
	}
	if (!strncmp(word, "MEM/", 4) || !strncmp(word, "DEVICE/", 7)) {
		snprintf(line->type, sizeof(line->type), "%s", word);
		return true;
	}
	return false;
}

/*
 * The kind of leaf follows from the level and CON. BLK is printed for any
 * entry whose type bits say block; an invalid block still has them.
 */
static bool find_leaf(const struct pt_geometry *g, struct pt_line *line)
{
	bool cont = line->attrs & PT_CONT;

	switch (line->level) {
	case PT_LEVEL_PTE:
		line->leaf = cont ? PT_CONTPTE : PT_PTE;
		break;
	case PT_LEVEL_PMD:
		line->leaf = cont ? PT_CONTPMD : PT_PMD;
		break;
	case PT_LEVEL_PUD:
		line->leaf = PT_PUD;
		break;
	default:
		return false;
	}
	if (!g->leaf[line->leaf])
		return false;
	line->torn = (line->start | (line->end - line->start)) % g->leaf[line->leaf];
	return !(line->start % g->page) && !(line->end % g->page);
}

/**
 * pt_parse() - understand one line
 * @g: the geometry
 * @text: the line, with or without its newline
 * @line: filled if it is a line of entries
 *
 * Return: PT_IS_BAD for what starts as a line of entries but can't be one.
 */
enum pt_parsed pt_parse(const struct pt_geometry *g, const char *text,
			struct pt_line *line)
{
	char copy[256], size[24], level[8], *word, *rest;
	int used = 0;

	if (!strncmp(text, "---[ ", 5))
		return PT_IS_MARKER;
	if (strncmp(text, "0x", 2))
		return PT_IS_OTHER;

	memset(line, 0, sizeof(*line));
	if (sscanf(text, "0x%16" SCNx64 "-0x%16" SCNx64 " %23s %7s%n",
		   &line->start, &line->end, size, level, &used) != 4)
		return PT_IS_BAD;
	if (line->end - 1 < line->start)
		return PT_IS_BAD;

	line->hole = true;
	for (line->level = PT_LEVEL_PGD; line->level <= PT_LEVEL_PTE; line->level++)
		if (!strcmp(level, level_names[line->level]))
			break;
	if (line->level > PT_LEVEL_PTE)
		return PT_IS_BAD;

	snprintf(copy, sizeof(copy), "%s", text + used);
	for (word = strtok_r(copy, " \t\r\n", &rest); word;
	     word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (!parse_attr(line, word))
			return PT_IS_BAD;
		line->hole = false;
	}
	if (!line->hole && !find_leaf(g, line))
		return PT_IS_BAD;
	return PT_IS_LINE;
}
