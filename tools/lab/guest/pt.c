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

/**
 * pt_size_name() - 65536 as "64K"
 * @size: bytes
 * @buf: where to write the name
 * @len: size of @buf
 *
 * Return: @buf.
 */
const char *pt_size_name(uint64_t size, char *buf, size_t len)
{
	static const char units[] = "BKMGT";
	const char *unit = units;

	while (size && !(size & 1023) && unit[1]) {
		size >>= 10;
		unit++;
	}
	snprintf(buf, len, "%" PRIu64 "%c", size, *unit);
	return buf;
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

/**
 * pt_ideal() - the fewest leaves that map a range of equal permissions
 * @g: the geometry
 * @start: first address
 * @end: first address behind the range
 *
 * Virtual and physical addresses agree up to the largest block in the linear
 * map, so the virtual address alone says what is possible.
 *
 * Return: the number of leaves.
 */
uint64_t pt_ideal(const struct pt_geometry *g, uint64_t start, uint64_t end)
{
	uint64_t n = 0;

	while (start != end) {
		int kind = PT_LEAVES - 1;

		while (kind && (!g->leaf[kind] || start % g->leaf[kind] ||
				end - start < g->leaf[kind]))
			kind--;
		start += g->leaf[kind];
		n++;
	}
	return n;
}

static void end_run(const struct pt_geometry *g, struct pt_counts *c)
{
	if (c->run.end != c->run.start)
		c->ideal += pt_ideal(g, c->run.start, c->run.end);
	c->run.start = c->run.end = 0;
}

static void count_run(const struct pt_geometry *g, struct pt_counts *c,
		      const struct pt_line *line)
{
	unsigned int attrs = line->attrs & ~PT_SIZE_ATTRS;

	if (line->start != c->run.end || attrs != c->run.attrs ||
	    strcmp(line->type, c->run.type)) {
		end_run(g, c);
		c->run.start = line->start;
		c->run.attrs = attrs;
		memcpy(c->run.type, line->type, sizeof(line->type));
	}
	c->run.end = line->end;
}

/*
 * An entry of a level, even an empty one, shows that there is a table of that
 * level and one of each level above. A run may span many tables.
 */
static void count_tables(const struct pt_geometry *g, struct pt_counts *c,
			 const struct pt_line *line)
{
	for (int i = 0; i < 3; i++) {
		uint64_t first, last;

		if (!g->table_span[i] || (int)line->level < PT_LEVEL_PTE - i)
			continue;
		first = line->start / g->table_span[i] + 1;
		last = (line->end - 1) / g->table_span[i] + 1;
		if (first == c->last_table[i])
			first++;
		if (first > last)
			continue;
		c->tables += last - first + 1;
		c->last_table[i] = last;
	}
}

/**
 * pt_count_cut() - the next line is no part of the run before it
 * @g: the geometry
 * @d: the counts so far
 *
 * For a difference that is not printed.
 */
void pt_count_cut(const struct pt_geometry *g, struct pt_dump *d)
{
	end_run(g, d->in_linear ? &d->linear : &d->other);
}

/**
 * pt_count_line() - add one line of entries, or a part of one
 * @g: the geometry
 * @d: the counts so far
 * @line: the line
 */
void pt_count_line(const struct pt_geometry *g, struct pt_dump *d,
		   const struct pt_line *line)
{
	struct pt_counts *c = d->in_linear ? &d->linear : &d->other;
	uint64_t size = line->end - line->start, leaves;

	d->lines++;
	count_tables(g, c, line);
	if (line->hole)
		return;

	if (line->torn)
		d->torn++;
	leaves = (size + g->leaf[line->leaf] - 1) / g->leaf[line->leaf];
	c->leaf[line->leaf] += leaves;
	c->total += leaves;
	if (line->attrs & PT_INVALID)
		c->invalid += size / g->page;
	else if (line->attrs & PT_RO)
		c->readonly += size / g->page;
	else if (!(line->attrs & PT_NX))
		c->wx += size / g->page;
	count_run(g, c, line);
}

/**
 * pt_count_text() - add what one line of text says
 * @g: the geometry
 * @d: the counts so far, all zero before the first line
 * @text: the line
 */
void pt_count_text(const struct pt_geometry *g, struct pt_dump *d,
		   const char *text)
{
	struct pt_line line;

	switch (pt_parse(g, text, &line)) {
	case PT_IS_MARKER:
		pt_count_cut(g, d);
		if (!strncmp(text, PT_LINEAR_START, strlen(PT_LINEAR_START)))
			d->in_linear = true;
		else if (!strncmp(text, PT_LINEAR_END, strlen(PT_LINEAR_END)))
			d->in_linear = false;
		return;
	case PT_IS_BAD:
		if (!d->bad++)
			snprintf(d->first_bad, sizeof(d->first_bad), "%.*s",
				 (int)strcspn(text, "\r\n"), text);
		return;
	case PT_IS_OTHER:
		return;
	case PT_IS_LINE:
		pt_count_line(g, d, &line);
	}
}

/**
 * pt_count_end() - after the last line
 * @g: the geometry
 * @d: the counts, which are complete now
 */
void pt_count_end(const struct pt_geometry *g, struct pt_dump *d)
{
	end_run(g, &d->linear);
	end_run(g, &d->other);
}

/**
 * pt_count_file() - count a whole dump
 * @g: the geometry
 * @d: the counts, cleared first
 * @path: the dump
 *
 * Return: false if @path can't be read or holds no linear map.
 */
bool pt_count_file(const struct pt_geometry *g, struct pt_dump *d,
		   const char *path)
{
	char *text = NULL;
	size_t room = 0;
	FILE *f = fopen(path, "r");

	memset(d, 0, sizeof(*d));
	if (!f)
		return false;
	while (getline(&text, &room, f) > 0)
		pt_count_text(g, d, text);
	pt_count_end(g, d);
	free(text);
	fclose(f);
	return d->lines && d->linear.total;
}
