// SPDX-License-Identifier: GPL-2.0
/*
 * Judges dumps of arm64's kernel page tables.
 *
 * A console log holds dumps between "# lab: dump begin" and "# lab: dump end"
 * with the page size and the memory map in front; a plain copy of
 * kernel_page_tables does too, if -p, -r and -k say what stands there.
 *
 * Each rule has a name, which starts its messages:
 *
 *	parse	 each line is understood, and none is missing
 *	order	 the lines of the linear map follow each other without gap
 *	cover	 RAM is mapped, once, and nothing else
 *	wx	 nothing is writable and executable, or executable by users
 *	attrs	 the linear map is RW NX and of one type but for the image
 *	image	 the kernel image's alias is protected as rodata= says
 *	map	 the linear map maps what it should
 *	shared	 a Realm shares some of its RAM, any other machine nothing
 *	size	 the leaves are those of the mode
 *	count	 there are no more leaves than allowed
 *
 * ptdump shows no output addresses. Where "# lab: map" lines stand in front of
 * a dump (see guest/modules/lab_map.c), they say what is mapped elsewhere and
 * what is shared; a shared page can't be in one leaf with one that is not.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../guest/pt.h"

#define MAX_RANGES	32
#define MAX_SHARED	256
#define MAX_SHOWN	5

enum mode {
	ANY_SIZE,
	BLOCKS,
	PAGES,
	PAGES_BUT_IMAGE,
};

enum rodata {
	RODATA_ANY,
	RODATA_ON,
	RODATA_NOALIAS,
	RODATA_OFF,
};

static const char * const rodata_names[] = {
	[RODATA_ANY] = "any",
	[RODATA_ON] = "on",
	[RODATA_NOALIAS] = "noalias",
	[RODATA_OFF] = "off",
};

struct range {
	uint64_t start;
	uint64_t end;
};

struct options {
	enum mode mode;
	uint64_t page;
	uint64_t max_leaves;
	uint64_t readonly_kib;
	unsigned int slack;
	unsigned int only;
	enum rodata rodata;
	bool realm;
	struct range ram[MAX_RANGES];
	unsigned int nr_ram;
	struct range image;
	struct range code;
	struct range data;
};

/**
 * struct judge - one dump being judged
 * @opt: what is asked, and what the dump itself says
 * @g: sizes
 * @counts: leaves and tables
 * @file: where the dump stands
 * @number: which one of that file's
 * @offset: linear address minus physical address
 * @anchored: @offset is known
 * @last: end of the line before, in the linear map
 * @began: there was such a line
 * @next_ram: the range of RAM that is expected next
 * @mapped_to: end of what is mapped
 * @type: memory type of the first mapping outside the image
 * @ng: the same, whether it is not global
 * @readonly: bytes of read-only memory outside the image
 * @wx: bytes that are writable and executable
 * @shared: physical ranges that a Realm shares, from low to high
 * @nr_shared: how many there are
 * @has_map: the dump says what is shared
 * @lines: lines seen
 * @said: number of lines the dump says it has; -1 if it says nothing
 * @broken: rules broken
 */
struct judge {
	struct options opt;
	struct pt_geometry g;
	struct pt_dump counts;
	const char *file;
	unsigned int number;
	uint64_t offset;
	bool anchored;
	uint64_t last;
	bool began;
	unsigned int next_ram;
	uint64_t mapped_to;
	char type[24];
	bool ng;
	uint64_t readonly;
	uint64_t wx;
	struct range shared[MAX_SHARED];
	unsigned int nr_shared;
	bool has_map;
	int64_t lines;
	int64_t said;
	unsigned int broken;
};

static void breaks(struct judge *j, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void breaks(struct judge *j, const char *rule, const char *fmt, ...)
{
	va_list args;

	if (++j->broken > MAX_SHOWN)
		return;
	printf("%s: dump %u: %s: ", j->file, j->number, rule);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static bool overlaps(const struct range *r, uint64_t start, uint64_t end)
{
	return start < r->end && r->start < end;
}

/* The image's alias as linear addresses, rounded out to @align. */
static struct range image_alias(const struct judge *j, uint64_t align)
{
	struct range r = j->opt.image;

	if (r.end) {
		r.start = (r.start + j->offset) / align * align;
		r.end = (r.end + j->offset + align - 1) / align * align;
	}
	return r;
}

static void check_order(struct judge *j, const struct pt_line *l)
{
	if (j->began && l->start < j->last)
		breaks(j, "order", "0x%" PRIx64 " stands twice", l->start);
	else if (j->began && l->start > j->last)
		breaks(j, "order", "nothing is said about 0x%" PRIx64 "-0x%" PRIx64,
		       j->last, l->start);
	j->began = true;
	j->last = l->end;
}

/* RAM is expected from the lowest address up; so are the lines. */
static void check_cover(struct judge *j, const struct pt_line *l)
{
	uint64_t at, end;

	if (!j->opt.nr_ram)
		return;
	if (!j->anchored) {
		j->offset = l->start - j->opt.ram[0].start;
		j->anchored = true;
	}
	at = l->start - j->offset;
	end = l->end - j->offset;
	while (at < end) {
		const struct range *r = &j->opt.ram[j->next_ram];
		uint64_t want = j->mapped_to > r->start ? j->mapped_to : r->start;

		if (j->next_ram == j->opt.nr_ram || end <= r->start) {
			breaks(j, "cover", "physical 0x%" PRIx64 "-0x%" PRIx64
			       " is mapped, but no RAM", at, end);
			return;
		}
		if (at < r->start)
			breaks(j, "cover", "physical 0x%" PRIx64 "-0x%" PRIx64
			       " is mapped, but no RAM", at, r->start);
		else if (at != want)
			breaks(j, "cover", "RAM at physical 0x%" PRIx64 "-0x%" PRIx64
			       " is not mapped", want, at < r->end ? at : r->end);
		j->mapped_to = end < r->end ? end : r->end;
		at = at > j->mapped_to ? at : j->mapped_to;
		if (j->mapped_to == r->end)
			j->next_ram++;
	}
}

static void check_cover_end(struct judge *j)
{
	for (; j->next_ram < j->opt.nr_ram; j->next_ram++) {
		const struct range *r = &j->opt.ram[j->next_ram];
		uint64_t from = j->mapped_to > r->start ? j->mapped_to : r->start;

		breaks(j, "cover", "RAM at physical 0x%" PRIx64 "-0x%" PRIx64
		       " is not mapped", from, r->end);
	}
}

/* With rodata=off the kernel's text is writable where it runs, and no more. */
static uint64_t may_be_wx(const struct judge *j)
{
	return j->opt.rodata == RODATA_OFF && !j->counts.in_linear ?
	       j->opt.code.end - j->opt.code.start : 0;
}

static void check_wx(struct judge *j, const struct pt_line *l)
{
	if (l->attrs & PT_INVALID)
		return;
	if (!(l->attrs & (PT_RO | PT_NX))) {
		j->wx += l->end - l->start;
		if (j->wx > may_be_wx(j))
			breaks(j, "wx", "0x%" PRIx64 "-0x%" PRIx64
			       " is writable and executable", l->start, l->end);
	}
	if (!(l->attrs & PT_UXN))
		breaks(j, "wx", "0x%" PRIx64 "-0x%" PRIx64 " is not UXN", l->start, l->end);
}

static void check_attrs(struct judge *j, const struct pt_line *l)
{
	/* With LPA2 descriptors have address bits where shareability was. */
	bool lpa2 = l->start < 0xffff000000000000 && j->g.page < 65536;
	const unsigned int need = PT_NX | PT_UXN | PT_AF | (lpa2 ? 0 : PT_SHARED);
	struct range image = image_alias(j, j->g.page);
	bool in_image = l->start >= image.start && l->end <= image.end;

	if ((l->attrs & need) != need || (l->attrs & (PT_USER | PT_GP)) ||
	    strncmp(l->type, "MEM/NORMAL", 10)) {
		breaks(j, "attrs", "0x%" PRIx64 "-0x%" PRIx64 " is not NX UXN SHD AF normal memory",
		       l->start, l->end);
		return;
	}
	if (in_image)
		return;
	if (overlaps(&image, l->start, l->end) && l->attrs & (PT_RO | PT_INVALID)) {
		breaks(j, "attrs", "0x%" PRIx64 "-0x%" PRIx64 " is %s beyond the image's alias",
		       l->start, l->end, l->attrs & PT_RO ? "read-only" : "invalid");
		return;
	}
	if (l->attrs & PT_INVALID) {
		breaks(j, "attrs", "0x%" PRIx64 "-0x%" PRIx64 " is invalid", l->start, l->end);
		return;
	}
	if (!j->type[0]) {
		memcpy(j->type, l->type, sizeof(j->type));
		j->ng = l->attrs & PT_NG;
	}
	if (strcmp(l->type, j->type))
		breaks(j, "attrs", "0x%" PRIx64 "-0x%" PRIx64 " is %s, elsewhere it is %s",
		       l->start, l->end, l->type, j->type);
	if (!!(l->attrs & PT_NG) != j->ng)
		breaks(j, "attrs", "0x%" PRIx64 "-0x%" PRIx64 " is %sNG, elsewhere it is%s",
		       l->start, l->end, j->ng ? "not " : "", j->ng ? "" : " not");
	if (l->attrs & PT_RO) {
		j->readonly += l->end - l->start;
		if (j->readonly > j->opt.readonly_kib << 10)
			breaks(j, "attrs", "0x%" PRIx64 "-0x%" PRIx64
			       " is read-only outside the image's alias", l->start, l->end);
	}
}

/*
 * Text and read-only data are read-only in the alias, whatever rodata= is.
 * Data is invalid there unless rodata=off; where bss ends is not known.
 */
static void check_image(struct judge *j, const struct pt_line *l)
{
	const struct options *o = &j->opt;
	uint64_t data = o->data.start + j->offset;
	bool invalid = l->attrs & PT_INVALID;
	struct range code = {
		.start = o->code.start + j->offset,
		.end = o->code.end + j->offset,
	};

	if (o->rodata == RODATA_ANY || !o->code.end || !o->data.end)
		return;
	if (overlaps(&code, l->start, l->end) && (invalid || !(l->attrs & PT_RO)))
		breaks(j, "image", "0x%" PRIx64 "-0x%" PRIx64
		       " is %s, the alias of the kernel's text", l->start, l->end,
		       invalid ? "invalid" : "writable");
	if (l->start <= data && data < l->end &&
	    (invalid == (o->rodata == RODATA_OFF) || l->attrs & PT_RO))
		breaks(j, "image", "0x%" PRIx64 "-0x%" PRIx64
		       " is %s, the alias of the kernel's data with rodata=%s", l->start, l->end,
		       invalid ? "invalid" : l->attrs & PT_RO ? "read-only" : "valid",
		       rodata_names[o->rodata]);
}

static void check_shared(struct judge *j)
{
	const struct options *o = &j->opt;

	if (o->realm && !j->has_map)
		breaks(j, "shared", "the dump does not say what is shared");
	else if (o->realm && !j->nr_shared)
		breaks(j, "shared", "a Realm that shares nothing");
	for (unsigned int i = 0; i < j->nr_shared; i++) {
		const struct range *s = &j->shared[i];
		bool is_ram = false;

		for (unsigned int r = 0; r < o->nr_ram; r++)
			is_ram |= s->start >= o->ram[r].start && s->end <= o->ram[r].end;
		if (!o->realm)
			breaks(j, "shared", "physical 0x%" PRIx64 "-0x%" PRIx64
			       " is shared, and this is no Realm", s->start, s->end);
		else if (!is_ram || overlaps(&o->image, s->start, s->end))
			breaks(j, "shared", "physical 0x%" PRIx64 "-0x%" PRIx64
			       " is shared, and is %s", s->start, s->end,
			       is_ram ? "the kernel's image" : "no RAM");
	}
}

static void check_size(struct judge *j, const struct pt_line *l)
{
	struct range image = image_alias(j, j->g.leaf[PT_PMD]);
	char size[24];

	if (j->opt.mode < PAGES || l->leaf == PT_PTE)
		return;
	if (j->opt.mode == PAGES_BUT_IMAGE &&
	    l->start >= image.start && l->end <= image.end)
		return;
	breaks(j, "size", "0x%" PRIx64 "-0x%" PRIx64 " is mapped by %s, not by pages",
	       l->start, l->end, pt_size_name(j->g.leaf[l->leaf], size, sizeof(size)));
}

/* Blocks: no more leaves than equal permissions and alignment ask for. */
static void check_counts(struct judge *j)
{
	const struct pt_counts *c = &j->counts.linear;
	uint64_t may = c->ideal + c->ideal * j->opt.slack / 100;

	if (j->opt.mode == BLOCKS && c->total > may)
		breaks(j, "size", "%" PRIu64 " leaves where %" PRIu64 " would do",
		       c->total, may);
	if (j->opt.mode == BLOCKS && !(c->leaf[PT_PMD] + c->leaf[PT_CONTPMD] + c->leaf[PT_PUD]))
		breaks(j, "size", "there is not one block");
	if (j->opt.max_leaves && c->total > j->opt.max_leaves)
		breaks(j, "count", "%" PRIu64 " leaves, %" PRIu64 " are allowed",
		       c->total, j->opt.max_leaves);
}

/*
 * With rodata=off the parts of the image, mapped one by one at boot, look the
 * same as what is around them. Where they meet is not known: any contiguous
 * group of the image's alias may end there; and as text, init and data begin
 * and bss ends in the middle of a group each, so may a few pages.
 */
static bool is_seamed(const struct judge *j, const struct pt_line *l)
{
	struct range image = image_alias(j, j->g.leaf[PT_PMD]);
	bool few = l->end - l->start <= 4 * j->g.leaf[PT_CONTPTE];

	return j->opt.rodata == RODATA_OFF && l->start >= image.start &&
	       l->end <= image.end &&
	       (l->leaf == PT_CONTPTE || (l->leaf == PT_PTE && few));
}

/**
 * next_cut() - where a leaf must end though both sides of it look the same
 * @j: the dump
 * @l: a line
 * @from: an address in it
 *
 * Return: the first such address from @from on, or the end of the line.
 */
static uint64_t next_cut(const struct judge *j, const struct pt_line *l, uint64_t from)
{
	uint64_t next = l->end, size = j->g.leaf[l->leaf];

	if (is_seamed(j, l))
		next = (from + size - 1) / size * size;
	for (unsigned int i = 0; i < j->nr_shared; i++) {
		uint64_t start = j->shared[i].start + j->offset;
		uint64_t end = j->shared[i].end + j->offset;

		if (start >= from && start < next)
			next = start;
		if (end >= from && end < next)
			next = end;
	}
	return next;
}

static void count_linear(struct judge *j, const struct pt_line *l)
{
	struct pt_line part = *l;

	for (; part.start != l->end; part.start = part.end) {
		part.end = next_cut(j, l, part.start + j->g.page);
		if (!l->torn && part.end % j->g.leaf[l->leaf])
			breaks(j, "shared", "a leaf at 0x%" PRIx64 " is shared in part",
			       part.end - part.end % j->g.leaf[l->leaf]);
		if (next_cut(j, l, part.start) == part.start)
			pt_count_cut(&j->g, &j->counts);
		pt_count_line(&j->g, &j->counts, &part);
	}
}

static void judge_line(struct judge *j, const char *text)
{
	bool linear = j->counts.in_linear;
	struct pt_line l;

	switch (pt_parse(&j->g, text, &l)) {
	case PT_IS_BAD:
		breaks(j, "parse", "not understood: %.*s", (int)strcspn(text, "\r\n"), text);
		break;
	case PT_IS_LINE:
		j->lines++;
		if (linear)
			check_order(j, &l);
		if (l.hole) {
			pt_count_line(&j->g, &j->counts, &l);
			return;
		}
		if (l.torn)
			breaks(j, "parse", "0x%" PRIx64 "-0x%" PRIx64 " is no whole number of leaves",
			       l.start, l.end);
		if (linear) {
			check_cover(j, &l);
			check_attrs(j, &l);
			check_image(j, &l);
			check_size(j, &l);
		}
		check_wx(j, &l);
		if (linear)
			count_linear(j, &l);
		else
			pt_count_line(&j->g, &j->counts, &l);
		return;
	case PT_IS_MARKER:
		break;
	case PT_IS_OTHER:
		return;
	}
	j->lines++;
	pt_count_text(&j->g, &j->counts, text);
}

static bool judge_end(struct judge *j)
{
	char sizes[120] = "", name[24];
	size_t n = 0;

	pt_count_end(&j->g, &j->counts);
	if (j->said >= 0 && j->said != j->lines)
		breaks(j, "parse", "%" PRId64 " lines of %" PRId64, j->lines, j->said);
	if (!j->counts.linear.total)
		breaks(j, "parse", "no linear map in the dump");
	check_cover_end(j);
	check_shared(j);
	check_counts(j);
	if (j->broken > MAX_SHOWN)
		printf("%s: dump %u: and %u more\n", j->file, j->number,
		       j->broken - MAX_SHOWN);

	for (int i = 0; i < PT_LEAVES; i++) {
		if (j->g.leaf[i])
			n += snprintf(sizes + n, sizeof(sizes) - n, " %s=%" PRIu64,
				      pt_size_name(j->g.leaf[i], name, sizeof(name)),
				      j->counts.linear.leaf[i]);
	}
	printf("%s: dump %u: %s: leaves=%" PRIu64 "%s tables=%" PRIu64 "\n", j->file,
	       j->number, j->broken ? "fail" : "ok", j->counts.linear.total, sizes,
	       j->counts.linear.tables);
	return !j->broken;
}

static bool parse_range(const char *text, struct range *r)
{
	char *end;

	r->start = strtoull(text, &end, 16);
	if (*end != '-')
		return false;
	r->end = strtoull(end + 1, &end, 16);
	return r->end > r->start;
}

/* "40000000-bfffffff : System RAM": the last address is inclusive. */
static void take_iomem(struct judge *j, const char *text)
{
	struct options *o = &j->opt;
	struct range r;

	if (!parse_range(text, &r))
		return;
	r.end++;
	if (strstr(text, "System RAM") && o->nr_ram < MAX_RANGES) {
		r.start = (r.start + j->g.page - 1) / j->g.page * j->g.page;
		r.end = r.end / j->g.page * j->g.page;
		o->ram[o->nr_ram++] = r;
	} else if (strstr(text, "Kernel code")) {
		o->image.start = r.start;
		o->code = r;
	} else if (strstr(text, "Kernel data")) {
		o->image.end = r.end;
		o->data = r;
	}
}

/* "shared 80000000-80200000", "wrong ffff000040000000 maps 41000000", "end" */
static void take_map(struct judge *j, const char *text)
{
	if (!strncmp(text, "end", 3))
		j->has_map = true;
	else if (strncmp(text, "shared ", 7))
		breaks(j, "map", "%.*s", (int)strcspn(text, "\r\n"), text);
	else if (j->nr_shared == MAX_SHARED ||
		 !parse_range(text + 7, &j->shared[j->nr_shared++]))
		breaks(j, "parse", "not understood: %.*s", (int)strcspn(text, "\r\n"), text);
}

/* Past the time stamp and the level that the console may have put in front. */
static const char *skip_stamp(const char *text)
{
	if (text[0] == '[' && strchr(text, ']')) {
		text = strchr(text, ']') + 1;
		text += strspn(text, " ");
	}
	return text;
}

static void start(struct judge *j, const struct options *opt, const char *file,
		  unsigned int number)
{
	memset(j, 0, sizeof(*j));
	j->opt = *opt;
	j->file = file;
	j->number = number;
	j->said = -1;
	pt_geometry(&j->g, opt->page);
}

/* Return: 0 all well, 1 a rule is broken, 2 there is nothing to judge. */
static int judge_file(const struct options *opt, const char *file)
{
	FILE *f = strcmp(file, "-") ? fopen(file, "r") : stdin;
	bool log = false, inside = false, ok = true;
	unsigned int dumps = 0;
	struct judge j;
	char *line = NULL;
	size_t room = 0;

	if (!f) {
		perror(file);
		return 2;
	}
	start(&j, opt, file, 1);
	while (getline(&line, &room, f) > 0) {
		const char *text = skip_stamp(line), *at;

		if (!strncmp(text, "# lab: dump begin", 17)) {
			start(&j, opt, file, ++dumps);
			log = inside = true;
		}
		if (log && opt->only && opt->only != dumps) {
			inside = false;
		} else if (!strncmp(text, "# lab: dump end", 15) && inside) {
			at = strstr(text, "lines=");
			j.said = at ? strtoll(at + 6, NULL, 10) : -1;
			ok &= judge_end(&j);
			inside = false;
		} else if (!strncmp(text, "# lab: page=", 12)) {
			if (!pt_geometry(&j.g, strtoull(text + 12, NULL, 10)))
				breaks(&j, "parse", "no such page size: %s", text + 12);
		} else if (!strncmp(text, "# lab: iomem ", 13)) {
			take_iomem(&j, text + 13);
		} else if (!strncmp(text, "# lab: map ", 11)) {
			take_map(&j, text + 11);
		} else if (inside || !log) {
			judge_line(&j, text);
		}
	}
	free(line);
	if (f != stdin)
		fclose(f);

	if (inside) {
		breaks(&j, "parse", "the dump has no end");
		ok = false;
	} else if (!log && j.lines) {
		ok = judge_end(&j);
		dumps = 1;
	}
	if (!dumps || opt->only > dumps) {
		printf("%s: no dump\n", file);
		return 2;
	}
	return !ok;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: ptcheck [options] FILE...   (- is standard input)\n"
		"  -m MODE       1: blocks, as large as can be; 2: pages only;\n"
		"                3: pages but for the kernel image's alias\n"
		"  -s PERCENT    leaves above the least that mode 1 may have (default 0)\n"
		"  -l LEAVES     most leaves allowed\n"
		"  -x KIB        read-only memory allowed outside the image (text in use)\n"
		"  -d NUMBER     that dump of a log only\n"
		"  -o RODATA     what rodata= was: on, noalias or off\n"
		"  -R            of a Realm: the dump must say what is shared\n"
		"  -p BYTES      page size (default 4096, or what the dump says)\n"
		"  -r FROM-TO    physical RAM, hexadecimal, TO exclusive; repeat\n"
		"  -k FROM-TO    physical kernel image\n"
		"exit status: 0 ok, 1 a rule is broken, 2 nothing could be judged\n");
	return 2;
}

static enum rodata find_rodata(const char *name)
{
	enum rodata r = RODATA_OFF;

	while (r != RODATA_ANY && strcmp(name, rodata_names[r]))
		r--;
	return r;
}

int main(int argc, char **argv)
{
	struct options opt = { .page = 4096 };
	struct pt_geometry g;
	int worst = 0, c;

	while ((c = getopt(argc, argv, "m:s:l:x:d:o:Rp:r:k:")) != -1) {
		switch (c) {
		case 'm':
			opt.mode = atoi(optarg);
			if (opt.mode < BLOCKS || opt.mode > PAGES_BUT_IMAGE)
				return usage();
			break;
		case 's':
			opt.slack = atoi(optarg);
			break;
		case 'l':
			opt.max_leaves = strtoull(optarg, NULL, 0);
			break;
		case 'x':
			opt.readonly_kib = strtoull(optarg, NULL, 0);
			break;
		case 'd':
			opt.only = atoi(optarg);
			if (!opt.only)
				return usage();
			break;
		case 'o':
			opt.rodata = find_rodata(optarg);
			if (opt.rodata == RODATA_ANY)
				return usage();
			break;
		case 'R':
			opt.realm = true;
			break;
		case 'p':
			opt.page = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			if (opt.nr_ram == MAX_RANGES ||
			    !parse_range(optarg, &opt.ram[opt.nr_ram++]))
				return usage();
			break;
		case 'k':
			if (!parse_range(optarg, &opt.image))
				return usage();
			break;
		default:
			return usage();
		}
	}
	if (optind == argc || !pt_geometry(&g, opt.page))
		return usage();
	for (; optind < argc; optind++) {
		int ret = judge_file(&opt, argv[optind]);

		worst = ret > worst ? ret : worst;
	}
	return worst;
}
