/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of the auditor: for each rule there are sequences that break it, and
 * near ones that do not. Every sequence has a part of a level 2 table of its
 * own; the auditor is asked behind each which rules it saw broken since the last
 * one.
 *
 * They run twice. audit.h, in the guest, does them, and the model's auditor
 * looks on; host/test.c tells an auditor on the host what they would do. What is
 * above the line that includes this is of one or the other:
 *
 *	store()			to an entry, behind a DMB
 *	tlbi(), tlbi_all(), tlbi_range()	between two DSBs
 *	barrier()		DSB, ISB
 *	rules_broken()		since it was called last
 *	same_value()		a result
 *	have(), start(), stop()	another CPU
 *	SCRATCH			memory
 *	audit_root ...		what other CPUs set their registers to
 */

/* The auditor's rules, as X2 of its call has them. */
enum { OA = 1, TYPE = 2, SHARE = 4, GLOBAL = 8, RESIZE = 16, CONT = 32, HOLE = 64, STALE = 128,
       WALK = 256, REUSE = 512, ORDER = 1024, WX = 2048, GRANT = 4096, GAP = 8192, FILL = 32768 };

/* Descriptors, as the Arm ARM has them. */
#define VALID		1UL
#define TABLE_OR_PAGE	2UL
#define TYPE_NC		(3UL << 2)	/* MAIR below: 0 Normal, 1 Device, 2 Normal-Tagged, 3 Normal-NC */
#define TYPE_TAGGED	(2UL << 2)
#define RO		(1UL << 7)
#define SH		(3UL << 8)
#define AF		(1UL << 10)
#define NG		(1UL << 11)
#define CONTIGUOUS	(1UL << 52)
#define PXN		(1UL << 53)
#define UXN		(1UL << 54)
#define PXN_TABLE	(1UL << 59)
#define UXN_TABLE	(1UL << 60)
#define RO_TABLE	(1UL << 62)
#define MAIR		0x44f004ffUL
#define SOME_PA		0x100000000UL	/* nothing is there, and nothing is accessed */
#define OTHER_PA	0x200000000UL

static struct {
	u32 shift, bits, tg;	/* page size, entries of a table, TG in a TLBI */
	u32 t1sz, tg1, cont;
	bool ds;
} g;

static u64 *l1, *l2, *l3;	/* of the sequence that runs */
static u64 *l2_page;
static int audit_start;	/* the root's level */
static u64 lazy;	/* left to be invalidated, at the end of the last one */
static u64 pages, here;		/* memory; the address that l2 and l3 translate from */
static u32 sequence, parts, entries;

static u64 page(void)
{
	u64 p = pages;

	pages += BIT(g.shift);
	for (u64 i = 0; i < BIT(g.shift); i += 8)
		*(volatile u64 *)(p + i) = 0;
	return p;
}

static u64 size_of(int level)
{
	return BIT(g.shift + (3 - level) * g.bits);
}

static u64 leaf(u64 pa, int level, u64 attributes)
{
	return pa | (g.ds ? 0 : SH) | AF | PXN | UXN | VALID | (level == 3 ? TABLE_OR_PAGE : 0) | attributes;
}

static u64 table(const u64 *t)
{
	return (u64)t | VALID | TABLE_OR_PAGE;
}

static u64 va_argument(u64 va)
{
	return BITS(va, 55, 12);
}

static u64 ttl(u64 va, u32 tg, u32 level)
{
	return va_argument(va) | (u64)(tg << 2 | level) << 44;
}

/* 2 * (num + 1) pages, if scale is 0 */
static u64 range(u64 va, u32 scale, u32 num, u32 level)
{
	return BITS(va >> (g.ds ? 16 : g.shift), 36, 0) | (u64)level << 37 | (u64)num << 39 |
	       (u64)scale << 44 | (u64)g.tg << 46;
}

/* All of what l3 translates, by ranges; with 4K pages that is one. */
static void flush_l3(bool last_level)
{
	u64 step = g.bits >= 6 ? 64UL << g.shift : 0; /* scale 1, num 0 */

	for (u64 va = here; va < here + size_of(2); va += step) {
		if (last_level)
			tlbi_range(7, range(va, 1, 0, 0));
		else
			tlbi_range(3, range(va, 1, 0, 0));
	}
}

static void fill(u64 *t, int level, u64 pa, u64 attributes)
{
	for (u32 i = 0; i < entries; i++)
		t[i] = leaf(pa + i * size_of(level), level, attributes);
}

/*
 * A sequence begins: with a table of pages, with one of blocks, or with nothing.
 * With 64K pages and 48 bits there are 64 entries at level 1, and half of them
 * are of the linear map: eight sequences share one.
 */
enum start { PAGES, BLOCK, NOTHING };
#define PARTS		8

static void begin(enum start start, u64 attributes)
{
	u32 part = parts % PARTS;

	here = -BIT(64 - g.t1sz) + parts / PARTS * size_of(1) + part * (size_of(1) / PARTS);
	l2 = part ? l2_page + part * (entries / PARTS) : (u64 *)page();
	if (!part)
		l2_page = l2;
	l3 = (u64 *)page();
	if (start == PAGES) {
		fill(l3, 3, SOME_PA, attributes);
		store(&l2[0], table(l3));
	} else if (start == BLOCK) {
		fill(l3, 3, SOME_PA, attributes);
		store(&l2[0], leaf(SOME_PA, 2, attributes));
	}
	barrier();
	if (!part)
		store(&l1[parts / PARTS], table(l2));
	barrier();
	parts++;
	sequence++;
}

/* One that shares its level 1 entry with none. */
static void begin_apart(enum start start, u64 attributes)
{
	parts += (PARTS - parts % PARTS) % PARTS;
	begin(start, attributes);
	parts += PARTS - 1;
}

/* The last-level entry of @va; its tables are made and linked, and that of pages is full. */
static u64 *entry_of(u64 va)
{
	u64 *t = (u64 *)audit_root;

	for (int level = audit_start;; level++) {
		u32 shift = g.shift + (3 - level) * g.bits, bits = level == audit_start ? 64 - g.t1sz - shift : g.bits;
		u64 *entry = &t[BITS(va >> shift, bits - 1, 0)];

		if (level == 3)
			return entry;
		if (!(*entry & VALID)) {
			t = (u64 *)page();
			if (level == 2)
				fill(t, 3, SOME_PA, 0);
			store(entry, table(t));
		}
		t = (u64 *)(*entry & (BIT(48) - BIT(g.shift)));
	}
}

/* What it was. */
static void expect_rules(const char *name, u64 rules)
{
	same_value(name, rules_broken(&lazy), rules);
	/* What is left over concerns no other sequence. */
	tlbi_all(vmalle1is, ishst, ish);
}

static void invalidate(u64 va)
{
	tlbi(vaale1is, va_argument(va));
}

/* A root, with a table at each level down to 1. Return: TCR_EL1, as far as it is of TTBR1. */
static u64 tables_begin(u32 shift, u32 va_bits, bool ds)
{
	u64 *root;

	g.shift = shift;
	g.bits = shift - 3;
	g.tg = (shift - 10) / 2;
	g.tg1 = shift == 12 ? 2 : shift == 14 ? 1 : 3;
	g.t1sz = 64 - va_bits;
	g.cont = shift == 12 ? 16 : shift == 14 ? 128 : 32;
	g.ds = ds;
	entries = BIT(g.bits);
	pages = SCRATCH;
	root = (u64 *)page();
	audit_empty = page();
	l1 = root;
	audit_start = 1;
	for (u32 top = va_bits; top > g.shift + 3 * g.bits;) {
		u64 *below = (u64 *)page();

		audit_start--;
		/* One table for each level above 1: the first entry of each. */
		l1[0] = table(below);
		l1 = below;
		if (top <= g.shift + 4 * g.bits)
			break;
		top -= g.bits;
	}
	audit_mair = MAIR;
	audit_root = (u64)root;
	return (u64)g.t1sz << 16 | (u64)g.tg1 << 30 | (ds ? 1UL << 59 : 0);
}
