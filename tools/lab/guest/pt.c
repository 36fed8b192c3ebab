// SPDX-License-Identifier: GPL-2.0
/*
 * Counting what a dump of the kernel's page tables says. What its lines look like
 * is the architecture's: format.c, x86/format.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pt.h"

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
	if (line->attrs & PT_INVALID) {
		c->invalid += size / g->page;
		/* No collapse takes what is not valid. */
		end_run(g, c);
		c->ideal += leaves;
		return;
	}
	if (line->attrs & PT_RO)
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
		d->in_linear = pt_section(text, d->in_linear ? PT_LINEAR : PT_ELSEWHERE) ==
			       PT_LINEAR;
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
