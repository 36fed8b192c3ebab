/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading the kernel's page tables, as debugfs has them: one parser for the
 * guest's init and for the host's checker. What is said of leaves is arm64's;
 * another architecture has some of it (x86/format.c).
 */
#ifndef LAB_PT_H
#define LAB_PT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Leaf sizes from small to large; the granule says what each one measures. */
enum pt_leaf {
	PT_PTE,
	PT_CONTPTE,
	PT_PMD,
	PT_CONTPMD,
	PT_PUD,
	PT_LEAVES
};

enum pt_level {
	PT_LEVEL_PGD,
	PT_LEVEL_P4D,
	PT_LEVEL_PUD,
	PT_LEVEL_PMD,
	PT_LEVEL_PTE,
};

/**
 * struct pt_geometry - what the granule decides
 * @page: size of a page
 * @leaf: size of each kind of leaf, 0 where the granule has none
 * @table_span: bytes that one table of PTEs, PMDs, PUDs maps, from [0] on
 */
struct pt_geometry {
	uint64_t page;
	uint64_t leaf[PT_LEAVES];
	uint64_t table_span[3];
};

/* What a line says besides its address and level. */
enum pt_attr {
	PT_INVALID	= 1 << 0,	/* present, but not valid */
	PT_USER		= 1 << 1,
	PT_RO		= 1 << 2,
	PT_NX		= 1 << 3,
	PT_UXN		= 1 << 4,
	PT_GP		= 1 << 5,
	PT_NG		= 1 << 6,
	PT_AF		= 1 << 7,
	PT_SHARED	= 1 << 8,
	PT_CONT		= 1 << 9,
	PT_BLOCK	= 1 << 10,
};

/* The bits that are about the leaf's size, and not about what it allows. */
#define PT_SIZE_ATTRS	(PT_CONT | PT_BLOCK)

/**
 * struct pt_line - one line of the dump: a run of equal entries, or a hole
 * @start: first address
 * @end: first address behind it; 0 at the top of the address space
 * @level: level of the entries
 * @hole: no entries here; @attrs, @leaf and @type mean nothing
 * @torn: no whole number of leaves: the kernel was just splitting or folding
 * @attrs: bits of &enum pt_attr
 * @leaf: kind of leaf
 * @type: memory type, as printed
 */
struct pt_line {
	uint64_t start;
	uint64_t end;
	enum pt_level level;
	bool hole;
	bool torn;
	unsigned int attrs;
	enum pt_leaf leaf;
	char type[24];
};

enum pt_parsed {
	PT_IS_LINE,
	PT_IS_MARKER,
	PT_IS_OTHER,
	PT_IS_BAD,
};

/* Neighbouring lines with equal permissions, for pt_ideal(). */
struct pt_run {
	uint64_t start;
	uint64_t end;
	unsigned int attrs;
	char type[24];
};

/**
 * struct pt_counts - what stands in one part of the address space
 * @leaf: number of leaves of each kind
 * @total: number of all leaves
 * @tables: table pages needed for what is there (PTE, PMD and PUD tables)
 * @invalid: pages that are present but not valid
 * @readonly: pages that are read-only
 * @wx: pages that are writable and executable
 * @ideal: number of leaves, were each run of equal permissions mapped with
 *	the largest leaves that its alignment allows; what is invalid stays as it is
 * @last_table: internal, the last table counted at each level, plus one
 * @run: internal, the run that is being read
 */
struct pt_counts {
	uint64_t leaf[PT_LEAVES];
	uint64_t total;
	uint64_t tables;
	uint64_t invalid;
	uint64_t readonly;
	uint64_t wx;
	uint64_t ideal;
	uint64_t last_table[3];
	struct pt_run run;
};

/**
 * struct pt_dump - counts of a whole dump
 * @linear: the linear map
 * @other: everything else (modules, vmalloc, vmemmap, fixmap...)
 * @in_linear: internal, the section being read
 * @lines: number of lines understood
 * @torn: number of lines that show half a change, see &struct pt_line
 * @bad: number of lines not understood
 * @first_bad: the first of them
 */
struct pt_dump {
	struct pt_counts linear;
	struct pt_counts other;
	bool in_linear;
	uint64_t lines;
	uint64_t torn;
	uint64_t bad;
	char first_bad[128];
};

/* The parts of the address space that are looked at. */
enum pt_section {
	PT_ELSEWHERE,
	PT_LINEAR,
	PT_AREAS,	/* modules and vmalloc() */
};

/**
 * struct pt_format - what the architecture decides
 * @file: the dump
 * @image_in_areas: the kernel's image is mapped among what vmalloc() maps
 */
struct pt_format {
	const char *file;
	bool image_in_areas;
};

extern const struct pt_format pt_format;

enum pt_section pt_section(const char *marker, enum pt_section was);
bool pt_geometry(struct pt_geometry *g, uint64_t page);
enum pt_parsed pt_parse(const struct pt_geometry *g, const char *text,
			struct pt_line *line);
void pt_count_text(const struct pt_geometry *g, struct pt_dump *d,
		   const char *text);
void pt_count_line(const struct pt_geometry *g, struct pt_dump *d,
		   const struct pt_line *line);
void pt_count_cut(const struct pt_geometry *g, struct pt_dump *d);
void pt_count_end(const struct pt_geometry *g, struct pt_dump *d);
bool pt_count_file(const struct pt_geometry *g, struct pt_dump *d,
		   const char *path);
uint64_t pt_ideal(const struct pt_geometry *g, uint64_t start, uint64_t end);
const char *pt_size_name(uint64_t size, char *buf, size_t len);

#endif
