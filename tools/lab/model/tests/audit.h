/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of el2.audit: part of guest.c. For each rule there are sequences that
 * break it, and near ones that do not. Every sequence has a part of a level 2
 * table of its own; the auditor is asked behind each, by a call, which rules it saw
 * broken since the last one. With el2.inject, so that its reports fail no run.
 */

#define AUDIT_CHECK	0xc600a0d1

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

/* Behind whatever was stored before. */
static void store(u64 *entry, u64 value)
{
	asm volatile("dmb ishst" : : : "memory");
	*(volatile u64 *)entry = value;
}

static u64 leaf(u64 pa, int level, u64 attributes)
{
	return pa | (g.ds ? 0 : SH) | AF | PXN | UXN | VALID | (level == 3 ? TABLE_OR_PAGE : 0) | attributes;
}

static u64 table(const u64 *t)
{
	return (u64)t | VALID | TABLE_OR_PAGE;
}

#define tlbi(op, argument) \
	asm volatile("dsb ishst\n\ttlbi " #op ", %0\n\tdsb ish\n\tisb" : : "r" (argument) : "memory")
#define tlbi_all(op, before, after) \
	asm volatile("dsb " #before "\n\ttlbi " #op "\n\tdsb " #after "\n\tisb" : : : "memory")
/* Range TLBIs, which the assembler does not know for every -march: RVAAE1IS, RVAALE1IS */
#define tlbi_range(op2, argument) \
	asm volatile("dsb ishst\n\tsys #0, c8, c2, #" #op2 ", %0\n\tdsb ish\n\tisb" : : "r" (argument) : "memory")

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
		l2[0] = leaf(SOME_PA, 2, attributes);
	}
	asm volatile("dsb ishst" : : : "memory");
	if (!part)
		store(&l1[parts / PARTS], table(l2));
	asm volatile("dsb ishst\n\tisb" : : : "memory");
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
	call(AUDIT_CHECK, 0, 0, 0, 0);
	same_value(name, out[2], rules);
	lazy = out[5];
	/* What is left over concerns no other sequence. */
	tlbi_all(vmalle1is, ishst, ish);
}

static void invalidate(u64 va)
{
	tlbi(vaale1is, va_argument(va));
}

static void audit_contents(void)
{
	begin(PAGES, 0);
	store(&l3[1], leaf(OTHER_PA, 3, 0));
	expect_rules("oa", OA);

	begin(PAGES, 0);
	store(&l3[1], 0);
	invalidate(here + size_of(3));
	store(&l3[1], leaf(OTHER_PA, 3, 0));
	expect_rules("oa-break-before-make", 0);

	begin(PAGES, 0);
	store(&l3[1], 0);
	store(&l3[1], leaf(OTHER_PA, 3, 0));
	expect_rules("oa-break-without-tlbi", OA);

	begin(PAGES, 0);
	store(&l3[1], 0);
	invalidate(here);
	store(&l3[1], leaf(OTHER_PA, 3, 0));
	expect_rules("oa-tlbi-of-another-address", OA);

	begin(PAGES, 0);
	store(&l3[1], 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0));
	expect_rules("back-as-it-was", 0);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	tlbi(vaale1is, va_argument(here + size_of(3)));
	store(&l2[0], leaf(OTHER_PA, 2, 0));
	expect_rules("oa-tlbi-of-any-address-in-a-block", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, TYPE_NC));
	expect_rules("type", TYPE);

	if (!g.ds) {
		begin(PAGES, 0);
		store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0) & ~(1UL << 8));
		expect_rules("share", SHARE);
	}

	begin(PAGES, NG);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0));
	expect_rules("global", GLOBAL);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, NG));
	invalidate(here + size_of(3));
	expect_rules("not-global-any-more", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 1UL << 55));
	expect_rules("software-bits", 0);

	/* The root's own last entry: what is there has the level that the walk begins with. */
	entry_of(-size_of(2));
	store((u64 *)audit_root + BIT(64 - g.t1sz - g.shift - (3 - audit_start) * g.bits) - 1, table((u64 *)page()));
	tlbi_all(vmalle1is, ishst, ish);
	expect_rules("another-table-at-the-root", WALK);
}

static void audit_tlbis(void)
{
	u64 second;

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	expect_rules("tighter-without-tlbi", STALE);

	begin(PAGES, RO);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0));
	expect_rules("looser-without-tlbi", 0);

	begin(PAGES, 0);
	second = here + size_of(3);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi(vaale1is, ttl(second, g.tg, 3));
	expect_rules("ttl", 0);

	begin(PAGES, 0);
	second = here + size_of(3);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi(vaale1is, ttl(second, g.tg, 2));
	expect_rules("ttl-of-another-level", STALE);

	begin(PAGES, 0);
	second = here + size_of(3);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi(vaale1is, ttl(second, g.tg % 3 + 1, 3));
	expect_rules("ttl-of-another-granule", STALE);

	begin(PAGES, 0);
	store(&l3[15], leaf(SOME_PA + 15 * size_of(3), 3, RO));
	tlbi_range(7, range(here, 0, 7, 3));
	expect_rules("range", 0);

	begin(PAGES, 0);
	store(&l3[16], leaf(SOME_PA + 16 * size_of(3), 3, RO));
	tlbi_range(7, range(here, 0, 7, 3));
	expect_rules("range-too-short", STALE);

	begin(PAGES, 0);
	store(&l3[15], leaf(SOME_PA + 15 * size_of(3), 3, RO));
	tlbi_range(7, range(here, 0, 7, 2));
	expect_rules("range-ttl-of-another-level", STALE);

	begin(PAGES, 0);
	for (u32 i = 0; i < 32; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, RO));
	invalidate(here + 7 * size_of(3));
	for (u32 i = 0; i < 32; i++) {
		if (i != 7 && i != 20)
			invalidate(here + i * size_of(3));
	}
	expect_rules("one-of-many-left-out", STALE);

	/* The last pages that there are: what is left behind a TLBI ends at address 0. */
	for (u64 i = 3; i; i--) {
		u64 *entry = entry_of(-i * size_of(3));

		store(entry, *entry | RO);
	}
	invalidate(-3 * size_of(3));
	expect_rules("last-pages-left-out", STALE);

	begin(PAGES, 0);
	store(&l3[1], 0);
	expect_rules("linear-map-lazily", STALE);

	/* Where a kernel with 52 bits has the end of the linear map, it has it with fewer. */
	second = -BIT(64 - g.t1sz <= 48 ? 63 - g.t1sz : g.shift == 14 ? 46 : 47);
	store(entry_of(second - size_of(3)), 0);
	expect_rules("end-of-linear-map-lazily", STALE);
	store(entry_of(second), 0);
	expect_rules("vmalloc-lazily", 0);
	same_value("vmalloc-lazily-is-counted", lazy, 1);

	/* By ASID */
	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi(vae1is, va_argument(here + size_of(3)));
	expect_rules("asid-of-a-global-page", 0);

	begin(PAGES, NG);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, NG | RO));
	tlbi(vae1is, va_argument(here + size_of(3)));
	expect_rules("asid-of-one-that-is-not", STALE);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	for (u64 va = here; va < here + size_of(2); va += size_of(3))
		tlbi(vae1is, va_argument(va));
	expect_rules("collapse-by-asid", WALK);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	for (u64 va = here; va < here + size_of(2); va += 64 * size_of(3))
		tlbi_range(1, range(va, 1, 0, 0));
	expect_rules("collapse-by-asid-and-range", WALK);

	/* A hint of level 2 is for addresses that begin there. */
	begin(BLOCK, 0);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	tlbi_range(7, range(here, 0, 15, 2));
	expect_rules("range-ttl-aligned", 0);

	begin(BLOCK, 0);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	tlbi_range(7, range(here + size_of(2) / 2, 0, 15, 2));
	expect_rules("range-ttl-not-aligned", STALE);

	begin(BLOCK, 0);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	tlbi_range(7, range(here + size_of(2) / 2, 0, 15, 0));
	expect_rules("range-not-aligned-without-ttl", 0);
}

static void audit_sizes(void)
{
	u64 *other;

	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	invalidate(here + size_of(3));
	expect_rules("split", 0);

	begin(BLOCK, 0);
	l3[7] = 0;
	store(&l2[0], table(l3));
	invalidate(here);
	expect_rules("split-with-a-hole", HOLE);

	begin(BLOCK, 0);
	l3[7] = leaf(OTHER_PA, 3, 0);
	store(&l2[0], table(l3));
	invalidate(here);
	expect_rules("split-to-another-page", OA);

	begin(BLOCK, 0);
	l3[7] = leaf(SOME_PA + 7 * size_of(3), 3, TYPE_NC);
	store(&l2[0], table(l3));
	invalidate(here);
	expect_rules("split-to-another-type", TYPE);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	flush_l3(false);
	expect_rules("collapse", 0);
	store(&l3[5], 0x1234);
	expect_rules("collapse-and-reuse", 0);
	same_value("collapse-and-reuse-value", l3[5], 0x1234);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	expect_rules("collapse-without-tlbi", WALK | STALE);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	flush_l3(true);
	expect_rules("collapse-last-level", WALK);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	tlbi(vaae1is, va_argument(here));
	expect_rules("collapse-single-address", STALE);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	tlbi(vaae1is, va_argument(here));
	store(&l2[9], 0x1000); /* invalid, but a change */
	tlbi_all(vmalle1is, ishst, ish);
	expect_rules("collapse-single-address-hidden-by-a-later-tlbi", STALE);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	for (u64 va = here; va < here + size_of(2); va += size_of(3))
		tlbi(vaae1is, va_argument(va));
	store(&l2[9], 0x1000);
	expect_rules("collapse-address-by-address", 0);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	tlbi(vaae1is, ttl(here, g.tg, 2));
	flush_l3(true);
	expect_rules("collapse-ttl-of-the-block", WALK);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	store(&l3[5], 0x1234);
	expect_rules("collapse-and-reuse-without-tlbi", WALK | STALE | REUSE);

	begin(PAGES, 0);
	flush_l3(false);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	expect_rules("collapse-behind-the-tlbi", WALK | STALE);

	begin(PAGES, 0);
	store(&l3[9], leaf(OTHER_PA, 3, 0) & ~VALID);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	flush_l3(false);
	expect_rules("collapse-over-a-hole", HOLE);

	begin(PAGES, 0);
	store(&l2[0], leaf(OTHER_PA, 2, 0));
	flush_l3(false);
	expect_rules("collapse-elsewhere", OA);

	begin(PAGES, 0);
	store(&l2[0], 0);
	flush_l3(false);
	store(&l2[0], leaf(OTHER_PA, 2, 0));
	expect_rules("collapse-break-before-make", 0);

	begin(PAGES, 0);
	store(&l2[0], 0);
	flush_l3(true);
	store(&l2[0], leaf(OTHER_PA, 2, 0));
	expect_rules("break-last-level", WALK);

	begin(PAGES, 0);
	store(&l2[0], 0);
	flush_l3(true);
	store(&l2[0], table((u64 *)page()));
	expect_rules("another-table-last-level", WALK);

	begin(PAGES, 0);
	store(&l2[0], 0);
	flush_l3(false);
	store(&l2[0], table((u64 *)page()));
	expect_rules("another-table", 0);

	/* What a table had that has nothing now may be cached. */
	begin(NOTHING, 0);
	store(&l2[0], table(l3));
	store(&l3[1], leaf(SOME_PA, 3, 0));
	store(&l3[1], 0);
	other = (u64 *)page();
	other[1] = leaf(OTHER_PA, 3, 0);
	store(&l2[0], table(other));
	flush_l3(false);
	expect_rules("another-table-for-an-empty-one", OA);

	begin(NOTHING, 0);
	store(&l2[0], table(l3));
	store(&l3[1], leaf(SOME_PA, 3, 0));
	store(&l3[1], 0);
	invalidate(here + size_of(3));
	other = (u64 *)page();
	other[1] = leaf(OTHER_PA, 3, 0);
	store(&l2[0], table(other));
	flush_l3(false);
	expect_rules("another-table-for-an-empty-one-behind-a-tlbi", 0);

	begin(NOTHING, 0);
	store(&l2[0], table(l3));
	other = (u64 *)page();
	other[2] = leaf(OTHER_PA, 3, CONTIGUOUS);
	store(&l2[0], table(other));
	flush_l3(false);
	expect_rules("another-table-with-half-a-group", CONT);
}

void store_by_another(u64 *entry, u64 value);
void invalidate_by_another(u64 argument);

/* The kernel's own mapping must not go for a while so that its size can change. */
static void audit_gaps(void)
{
	u64 *other;

	begin(BLOCK, 0);
	store(&l2[0], 0);
	invalidate(here);
	store(&l2[0], table(l3));
	expect_rules("gap-split", GAP);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	invalidate(here);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	expect_rules("gap-block", 0);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	invalidate(here);
	store(&l2[0], table((u64 *)page()));
	expect_rules("gap-empty-table", 0);
	store((u64 *)(l2[0] & (BIT(48) - BIT(g.shift))) + 5, leaf(SOME_PA + 5 * size_of(3), 3, 0));
	expect_rules("gap-split-page-by-page", GAP);

	/* What is invalid is split, and a page of it comes back: nobody broke what he uses. */
	begin(BLOCK, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0) & ~VALID);
	invalidate(here);
	for (u32 i = 0; i < entries; i++)
		l3[i] &= ~VALID;
	store(&l2[0], table(l3));
	store(&l3[5], leaf(SOME_PA + 5 * size_of(3), 3, 0));
	expect_rules("gap-page-of-an-invalid-block", 0);

	begin(BLOCK, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0) & ~VALID);
	invalidate(here);
	store(&l2[0], table(l3));
	expect_rules("gap-split-of-an-invalid-block", GAP);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	invalidate(here);
	for (u32 i = 0; i < entries; i++)
		l3[i] = leaf(OTHER_PA + i * size_of(3), 3, 0);
	store(&l2[0], table(l3));
	expect_rules("gap-split-elsewhere", 0);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	invalidate(here);
	for (u32 i = 0; i < entries; i++)
		l3[i] = leaf(SOME_PA + i * size_of(3), 3, TYPE_NC);
	store(&l2[0], table(l3));
	expect_rules("gap-split-to-another-type", 0);

	begin(PAGES, 0);
	store(&l2[0], 0);
	tlbi_all(vmalle1is, ishst, ish);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	expect_rules("gap-collapse", GAP);

	begin(PAGES, 0);
	store(&l2[0], 0);
	tlbi_all(vmalle1is, ishst, ish);
	store(&l2[0], table(l3));
	expect_rules("gap-table", 0);

	/* As if it were removed, and came back much later. */
	begin(PAGES, 0);
	store(&l2[0], 0);
	for (u32 i = 0; i < 2 * g.cont + 16; i++)
		invalidate(here);
	tlbi_all(vmalle1is, ishst, ish);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	expect_rules("gap-collapse-long-after", 0);

	begin(PAGES, 0);
	store(&l2[0], 0);
	tlbi_all(vmalle1is, ishst, ish);
	store_by_another(&l2[0], leaf(SOME_PA, 2, 0));
	expect_rules("gap-collapse-by-another-thread", 0);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++) {
		store(&l3[i], 0);
		invalidate(here + i * size_of(3));
	}
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	flush_l3(true);
	expect_rules("gap-fold", GAP);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++) {
		store(&l3[i], l3[i] & ~VALID);
		invalidate(here + i * size_of(3));
	}
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	flush_l3(true);
	expect_rules("gap-fold-of-what-is-kept", GAP);

	begin(PAGES, CONTIGUOUS);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], l3[i] & ~VALID);
	tlbi_all(vmalle1is, ishst, ish);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], l3[i] & ~CONTIGUOUS);
	store(&l3[3], leaf(SOME_PA + 3 * size_of(3), 3, 0));
	expect_rules("gap-page-of-an-invalid-group", 0);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], 0);
	flush_l3(true);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, 0));
	expect_rules("gap-pages", 0);

	/* Where nothing is that the kernel can't do without. */
	other = entry_of(-3 * size_of(2));
	for (u32 i = 0; i < g.cont; i++)
		store(&other[i], 0);
	tlbi_all(vmalle1is, ishst, ish);
	for (u32 i = 0; i < g.cont; i++)
		store(&other[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	tlbi_all(vmalle1is, ishst, ish);
	expect_rules("gap-fold-of-vmalloc", 0);
}

/* Between a store and its TLBI others may do much, but not the thread itself. */
static void audit_patience(void)
{
	const u64 elsewhere = va_argument(here - size_of(2));
	const u32 much = 16384;

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	for (u32 i = 0; i < much; i++)
		invalidate_by_another(elsewhere);
	tlbi_all(vmalle1is, ishst, ish);
	expect_rules("preempted-before-the-tlbi", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	for (u32 i = 0; i < much; i++)
		tlbi(vaale1is, elsewhere);
	tlbi_all(vmalle1is, ishst, ish);
	expect_rules("long-before-the-tlbi", STALE);
}

static void audit_groups(void)
{
	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	flush_l3(true);
	expect_rules("fold", 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, 0));
	store(&l3[3], leaf(SOME_PA + 3 * size_of(3), 3, RO));
	invalidate(here + 3 * size_of(3));
	expect_rules("unfold-and-change-one", 0);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	expect_rules("fold-without-tlbi", STALE);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont / 2; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	flush_l3(true);
	expect_rules("half-a-group", CONT);

	/* Preempted half-way, for somebody who invalidates a range in which this is. */
	begin(PAGES, CONTIGUOUS);
	for (u32 i = 0; i < g.cont / 2; i++)
		store(&l3[i], 0);
	invalidate_by_another(va_argument(here));
	for (u32 i = g.cont / 2; i < g.cont; i++)
		store(&l3[i], 0);
	flush_l3(true);
	expect_rules("half-a-group-in-a-range-of-another", 0);

	begin(PAGES, 0);
	for (u32 i = 1; i <= g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	flush_l3(true);
	expect_rules("group-not-aligned", CONT);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS | (i == 5 ? RO : 0)));
	flush_l3(true);
	expect_rules("group-not-uniform", CONT);

	begin(NOTHING, 0);
	fill(l3, 3, SOME_PA, 0);
	l3[2] |= CONTIGUOUS;
	store(&l2[0], table(l3));
	expect_rules("table-with-half-a-group", CONT);
	l3[2] &= ~CONTIGUOUS; /* a store to a live table, too */
	flush_l3(true);
	expect_rules("group-mended", 0);
}

static void audit_rights(void)
{
	begin(PAGES, RO);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0) & ~PXN);
	flush_l3(true);
	expect_rules("wx", WX);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	flush_l3(true);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO) & ~PXN);
	expect_rules("w-then-x", 0);

	begin(NOTHING, 0);
	fill(l3, 3, SOME_PA, RO);
	for (u32 i = 0; i < entries; i++)
		l3[i] &= ~PXN;
	store(&l2[0], table(l3) | PXN_TABLE);
	store(&l2[0], leaf(SOME_PA, 2, RO) & ~PXN);
	flush_l3(false);
	expect_rules("pxntable-lost-by-collapse", GRANT);

	begin(NOTHING, 0);
	fill(l3, 3, SOME_PA, RO);
	store(&l2[0], table(l3) | PXN_TABLE);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	flush_l3(false);
	expect_rules("pxntable-made-up-for", 0);

	begin(NOTHING, 0);
	fill(l3, 3, SOME_PA, RO);
	l3[8] &= ~PXN;
	store(&l2[0], table(l3) | PXN_TABLE);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("pxntable-dropped", GRANT);

	begin(NOTHING, 0);
	fill(l3, 3, SOME_PA, 0);
	l3[8] &= ~PXN;
	store(&l2[0], table(l3));
	expect_rules("wx-in-a-table", WX);

	begin(NOTHING, 0);
	fill(l3, 3, SOME_PA, 0);
	l3[8] &= ~PXN;
	store(&l2[0], table(l3) | PXN_TABLE);
	expect_rules("wx-in-a-table-with-pxntable", 0);

	/* A table entry that forbids more than before is cached, and limits what is below. */
	for (u32 i = 0; i < 4; i++) {
		static const struct {
			const char *name;
			u64 rules;
		} ends[] = {
			{ "pxntable-without-tlbi", STALE | WALK }, { "pxntable-last-level", WALK },
			{ "pxntable", 0 }, { "pxntable-and-back", GRANT },
		};

		begin(NOTHING, 0);
		fill(l3, 3, SOME_PA, RO);
		l3[8] &= ~PXN;
		store(&l2[0], table(l3));
		store(&l2[0], table(l3) | PXN_TABLE);
		if (i == 3)
			store(&l2[0], table(l3));
		else if (i)
			flush_l3(i == 1);
		expect_rules(ends[i].name, ends[i].rules);
	}

	begin(NOTHING, 0);
	l3[8] = leaf(SOME_PA, 3, RO) & ~UXN;
	store(&l2[0], table(l3));
	store(&l2[0], table(l3) | UXN_TABLE);
	expect_rules("uxntable-without-tlbi", STALE | WALK);

	begin(PAGES, 0);
	store(&l2[0], table(l3) | RO_TABLE);
	expect_rules("aptable-without-tlbi", STALE | WALK);

	begin(PAGES, 0);
	store(&l2[0], table(l3) | RO_TABLE);
	flush_l3(false);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	flush_l3(false);
	expect_rules("aptable", 0);

	begin(PAGES, 0);
	store(&l2[0], table(l3) | RO_TABLE);
	store(&l2[0], leaf(SOME_PA, 2, RO));
	flush_l3(false);
	expect_rules("aptable-and-collapse-at-once", 0);

	begin_apart(PAGES, 0);
	store(&l1[parts / PARTS - 1], table(l2) | RO_TABLE);
	flush_l3(true);
	expect_rules("aptable-of-level-1-last-level", WALK);

	begin_apart(PAGES, 0);
	store(&l1[parts / PARTS - 1], table(l2) | RO_TABLE);
	tlbi(vaae1is, va_argument(here));
	expect_rules("aptable-of-level-1-single-address", STALE);

	/* The entry of level 1 goes, that below it stays. */
	begin_apart(PAGES, 0);
	store(&l1[parts / PARTS - 1], table(l2) | RO_TABLE);
	tlbi(vaae1is, va_argument(here + size_of(2)));
	flush_l3(true);
	expect_rules("aptable-of-level-1-elsewhere", WALK);

	begin_apart(PAGES, 0);
	store(&l1[parts / PARTS - 1], table(l2) | RO_TABLE);
	flush_l3(false);
	expect_rules("aptable-of-level-1", 0);
}

/* A function each: the auditor looks at its text. */
void tlbi_no_dsb_before(u64 argument);
void tlbi_no_dsb_behind(u64 argument);
void tlbi_dsb_on_one_path(u64 argument, u64 which);
void tlbi_dsb_of_loads(u64 argument);
void tlbi_loop(u64 argument, u64 count);
void tlbi_called_behind_dsb(u64 argument);
void tlbi_called(u64 argument);
void tlbi_no_dsb_before_loop(u64 argument, u64 count);
void tlbi_dsb_before_loop(u64 argument, u64 count);
void link_filled(u64 *entry, u64 table, u64 *in_table, u64 leaf);
void link_filled_ld(u64 *entry, u64 table, u64 *in_table, u64 leaf);
void link_filled_one_path(u64 *entry, u64 table, u64 *in_table, u64 leaf, u64 which);
void link_filled_loop(u64 *entry, u64 table, u64 *in_table, u64 leaf, u64 count);

static void audit_order(void)
{
	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_loop(va_argument(here), 64);
	expect_rules("order", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_dsb_before_loop(va_argument(here), 64);
	expect_rules("order-in-another-order", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_no_dsb_before_loop(va_argument(here), 64);
	expect_rules("no-dsb-before-loop", ORDER);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_no_dsb_before(va_argument(here + size_of(3)));
	expect_rules("no-dsb-before", ORDER);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_no_dsb_behind(va_argument(here + size_of(3)));
	expect_rules("no-dsb-behind", ORDER);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_dsb_on_one_path(va_argument(here + size_of(3)), 0);
	expect_rules("dsb-on-one-path", ORDER);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi_dsb_of_loads(va_argument(here + size_of(3)));
	expect_rules("dsb-of-loads", ORDER);

	begin(NOTHING, 0);
	link_filled(&l2[0], table(l3), &l3[1], leaf(SOME_PA, 3, 0));
	expect_rules("filled-and-linked", FILL);

	begin(NOTHING, 0);
	link_filled_ld(&l2[0], table(l3), &l3[1], leaf(SOME_PA, 3, 0));
	expect_rules("filled-dmb-of-loads", FILL);

	begin(NOTHING, 0);
	link_filled_one_path(&l2[0], table(l3), &l3[1], leaf(SOME_PA, 3, 0), 0);
	expect_rules("filled-dmb-on-one-path", FILL);

	begin(NOTHING, 0);
	link_filled_loop(&l2[0], table(l3), &l3[0], leaf(SOME_PA, 3, 0), 4);
	expect_rules("filled-in-a-loop", FILL);

	/* A function that calls none is as good as its caller, each time, though the store is the same. */
	for (u32 i = 0; i < 3; i++) {
		begin(PAGES, 0);
		store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
		(i == 1 ? tlbi_called : tlbi_called_behind_dsb)(va_argument(here + size_of(3)));
		expect_rules(i == 1 ? "no-dsb-in-another-caller" : "dsb-in-the-caller", i == 1 ? ORDER : 0);
	}
}

/* Every kind of store changes an output address, so that it is seen, and must leave what it would have. */
u64 store_stp(u64 *to, u64 a, u64 b);
u64 store_pre(u64 *to, u64 a);
u64 store_post(u64 *to, u64 a);
u64 store_stp_pre(u64 *to, u64 a, u64 b);
u64 store_swp(u64 *to, u64 a);
u64 store_cas(u64 *to, u64 old, u64 a);
u64 store_casp(u64 *to, u64 *old, u64 a, u64 b);
u64 store_ldset(u64 *to, u64 bits);
u64 store_ldclr(u64 *to, u64 bits);
u64 store_xchg(u64 *to, u64 a);
u64 store_word(u64 *to, u64 a);
u64 store_zva(u64 *to);
u64 store_set(u64 *to, u64 byte, u64 count);
u64 store_cpy(u64 *to, const u64 *from, u64 count);
u64 store_cpy_any(u64 *to, const u64 *from, u64 count);

static void one_kind(const char *name, u64 *entry, u64 value, u64 rules)
{
	same_value(name, *(volatile u64 *)entry, value);
	expect_rules(name, rules);
}

static void audit_stores(void)
{
	u64 a = leaf(OTHER_PA, 3, 0), b = leaf(OTHER_PA + size_of(3), 3, 0), old, pair[2];

	begin(PAGES, 0);
	store_stp(&l3[2], a, b);
	same_value("stp-first", l3[2], a);
	one_kind("stp", &l3[3], b, OA);
	same_value("str-pre-index-base", store_pre(&l3[4], a), (u64)&l3[5]);
	one_kind("str-pre-index", &l3[5], a, OA);
	same_value("str-post-index-base", store_post(&l3[6], a), (u64)&l3[7]);
	one_kind("str-post-index", &l3[6], a, OA);
	same_value("stp-pre-index-base", store_stp_pre(&l3[10], a, b), (u64)&l3[8]);
	same_value("stp-pre-index-first", l3[8], a);
	one_kind("stp-pre-index", &l3[9], b, OA);
	old = l3[12];
	same_value("swp-loads", store_swp(&l3[12], a), old);
	one_kind("swp", &l3[12], a, OA);
	old = l3[13];
	same_value("cas-loads", store_cas(&l3[13], old, a), old);
	one_kind("cas", &l3[13], a, OA);
	same_value("cas-refused-loads", store_cas(&l3[13], old, b), a);
	one_kind("cas-refused", &l3[13], a, 0);
	pair[0] = l3[14];
	pair[1] = l3[15];
	store_casp(&l3[14], pair, a, b);
	same_value("casp-first", l3[14], a);
	one_kind("casp", &l3[15], b, OA);
	old = l3[16];
	same_value("ldset-loads", store_ldset(&l3[16], OTHER_PA), old);
	one_kind("ldset", &l3[16], old | OTHER_PA, OA);
	old = l3[17];
	same_value("ldclr-loads", store_ldclr(&l3[17], SOME_PA), old);
	one_kind("ldclr", &l3[17], old & ~SOME_PA, OA);
	old = l3[18];
	same_value("stxr-loads", store_xchg(&l3[18], a), old);
	one_kind("stxr", &l3[18], a, OA);
	old = l3[19];
	store_word((u64 *)((u64)&l3[19] + 4), 0);
	one_kind("str-of-a-half", &l3[19], old & 0xffffffff, OA);
	store_zva(&l3[32]);
	invalidate(here + 32 * size_of(3));
	same_value("dc-zva", l3[32] | l3[39], 0);
	flush_l3(true);
	expect_rules("dc-zva", 0);
	if (BITS(read_sysreg(S3_0_C0_C6_2), 19, 16)) { /* ID_AA64ISAR2_EL1.MOPS */
		same_value("set-end", store_set(&l3[64], 0, 200), (u64)&l3[64] + 200);
		same_value("set", l3[64] | l3[88], 0);
		same_value("set-stops", l3[89], leaf(SOME_PA + 89 * size_of(3), 3, 0));
		flush_l3(true);
		expect_rules("set", 0);
		pair[0] = a;
		pair[1] = b;
		store_cpy(&l3[100], pair, 16);
		same_value("cpy-first", l3[100], a);
		one_kind("cpy", &l3[101], b, OA);
	}
}

/* From here on: CPUs without BBML3. */
static void audit_no_bbml3(void)
{
	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("split", RESIZE);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	flush_l3(false);
	store(&l2[0], table(l3));
	expect_rules("split-break-before-make", GAP);

	begin(BLOCK, 0);
	store(&l2[0], 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("split-break-without-tlbi", RESIZE | GAP);

	begin(PAGES, 0);
	store(&l2[0], leaf(SOME_PA, 2, 0));
	flush_l3(false);
	expect_rules("collapse", RESIZE);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	flush_l3(true);
	expect_rules("fold", RESIZE);

	begin(PAGES, 0);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], 0);
	flush_l3(true);
	for (u32 i = 0; i < g.cont; i++)
		store(&l3[i], leaf(SOME_PA + i * size_of(3), 3, CONTIGUOUS));
	expect_rules("fold-break-before-make", GAP);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	invalidate(here + size_of(3));
	expect_rules("permission", 0);
}

static void have(u64 cpu, int what)
{
	job[cpu] = what;
	while (job[cpu] != WAIT)
		;
}

/* CPU 3 lacks BBML3: what it may hold decides. */
static void audit_mixed(void)
{
	start(3, 0);
	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("cpu-without-tables", 0);

	have(3, USE_TABLES);
	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("cpu-with-tables", RESIZE);

	have(3, LEAVE_TABLES);
	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	/* expect_rules() has all TLBs dropped behind the sequence. */
	expect_rules("cpu-that-left-without-tlbi", RESIZE);

	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("cpu-that-left", 0);

	have(3, USE_TABLES);
	have(3, LEAVE_TABLES);
	have(3, DROP_TLB);
	begin(BLOCK, 0);
	store(&l2[0], table(l3));
	flush_l3(false);
	expect_rules("cpu-that-left-with-a-local-tlbi", 0);

	have(3, USE_TABLES);
	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	asm volatile("dsb ishst\n\ttlbi vaale1, %0\n\tdsb ish\n\tisb" : : "r" (va_argument(here + size_of(3))) : "memory");
	expect_rules("local-tlbi-of-what-others-hold", STALE);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	asm volatile("dsb ishst\n\ttlbi vaale1, %0\n\tdsb ish\n\tisb" : : "r" (va_argument(here + size_of(3))) : "memory");
	have(3, DROP_TLB);
	expect_rules("local-tlbi-on-both", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	asm volatile("dsb ishst\n\ttlbi vaale1, %0\n\tdsb ish\n\tisb" : : "r" (va_argument(here + size_of(3))) : "memory");
	stop(3);
	expect_rules("local-tlbi-and-the-other-off", 0);
}

/* One boot: a geometry, and what runs with it. */
static void audit(u32 shift, u32 va_bits, bool ds, void (*const run[])(void))
{
	static u64 idmap[512] __attribute__((aligned(4096)));
	u64 tcr, *root;

	g.shift = shift;
	g.bits = shift - 3;
	g.tg = (shift - 10) / 2;
	g.tg1 = shift == 12 ? 2 : shift == 14 ? 1 : 3;
	g.t1sz = 64 - va_bits;
	g.cont = shift == 12 ? 16 : shift == 14 ? 128 : 32;
	g.ds = ds;
	entries = BIT(g.bits);
	pages = SCRATCH;

	/* The guest itself: 4 GiB mapped to itself, in blocks of 1 GiB. */
	for (u64 i = 0; i < 4; i++)
		idmap[i] = i * GIB | AF | (ds ? 0 : SH) | VALID | UXN | (i ? 0 : 1UL << 2 | PXN);
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
	/* A Realm's devices are at the shared alias, which is beyond what idmap translates. */
	idmap[0] |= uart & SHARED;
	tcr = TCR_T0SZ(39) | (u64)g.t1sz << 16 | (u64)g.tg1 << 30 | 3UL << 32 | (ds ? 1UL << 59 : 0);
	audit_tcr = tcr;
	audit_root = (u64)root;
	write_sysreg(mair_el1, MAIR);
	write_sysreg(ttbr1_el1, audit_empty);
	mmu_on((u64)idmap, tcr);
	uart &= ~SHARED;
	write_sysreg(ttbr1_el1, root);
	isb();
	for (; *run; run++)
		(*run)();
	put("# audit: ");
	put_number(sequence);
	put(" sequences\n");
}

static void (* const audit_all[])(void) = {
	audit_contents, audit_tlbis, audit_sizes, audit_gaps, audit_patience, audit_groups, audit_rights, audit_order, audit_stores, NULL,
};
static void test_audit(void) { audit(12, 48, false, audit_all); }
static void test_audit_39(void) { audit(12, 39, false, audit_all); }
static void test_audit_52(void) { audit(12, 52, true, audit_all); }
static void test_audit_16k(void) { audit(14, 47, false, audit_all); }
static void test_audit_16k_48(void) { audit(14, 48, false, audit_all); }
static void test_audit_16k_52(void) { audit(14, 52, true, audit_all); }
static void test_audit_64k(void) { audit(16, 48, false, audit_all); }
static void test_audit_64k_52(void) { audit(16, 52, false, audit_all); }
static void test_audit_no_bbml3(void) { audit(12, 48, false, (void (* const[])(void)){ audit_no_bbml3, NULL }); }
static void test_audit_mixed(void) { audit(12, 48, false, (void (* const[])(void)){ audit_mixed, NULL }); }

static void tagged(void)
{
	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, TYPE_TAGGED));
	invalidate(here + size_of(3));
	call(AUDIT_CHECK, 0, 0, 0, 0);
	put("# audit: tagged ");
	put_hex(out[2]);
	put("\n");
	result(true, "tagged");
}
static void test_audit_tagged(void) { audit(12, 48, false, (void (* const[])(void)){ tagged, NULL }); }

/* For the form of the report, and its numbers. */
void the_bad_store(u64 *entry, u64 value);

static void bad(void)
{
	begin(PAGES, 0);
	put("# audit: va ");
	put_hex(here + size_of(3));
	put(" pc ");
	put_hex((u64)the_bad_store);
	put("\n");
	the_bad_store(&l3[1], leaf(OTHER_PA, 3, 0));
	invalidate(here + size_of(3));
	result(true, "bad");
}
static void test_audit_bad(void) { audit(12, 48, false, (void (* const[])(void)){ bad, NULL }); }

static void gap(void)
{
	begin(PAGES, 0);
	store(&l3[1], 0);
	invalidate(here + size_of(3));
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, 0));
	expect_rules("gap", 0); /* it is noted */
}
static void test_audit_gap(void) { audit(12, 48, false, (void (* const[])(void)){ gap, NULL }); }

static void gap_split(void)
{
	begin(BLOCK, 0);
	store(&l2[0], 0);
	invalidate(here);
	store(&l2[0], table(l3));
	expect_rules("gap-split", GAP);
}
static void test_audit_gap_split(void) { audit(12, 48, false, (void (* const[])(void)){ gap_split, NULL }); }

/* A copy downwards that begins, and so has its prologue, on a page that is no table. */
static void copy_down(void)
{
	begin(PAGES, 0);
	page();
	store_cpy_any((u64 *)((u64)l3 + BIT(g.shift) - 256), (u64 *)((u64)l3 + BIT(g.shift) - 264), 512);
	result(false, "copy-down");
}
static void test_audit_copy_down(void) { audit(12, 48, false, (void (* const[])(void)){ copy_down, NULL }); }

static void flood(void)
{
	begin(PAGES, 0);
	for (u32 i = 0; i < 100; i++)
		store(&l3[i], leaf(OTHER_PA, 3, 0));
	flush_l3(true);
	result(true, "flood");
}
static void test_audit_flood(void) { audit(12, 48, false, (void (* const[])(void)){ flood, NULL }); }

#define AUDIT_TESTS \
	{ "audit", test_audit }, { "audit-39", test_audit_39 }, { "audit-52", test_audit_52 }, \
	{ "audit-16k", test_audit_16k }, { "audit-16k-48", test_audit_16k_48 }, \
	{ "audit-16k-52", test_audit_16k_52 }, { "audit-64k", test_audit_64k }, \
	{ "audit-64k-52", test_audit_64k_52 }, \
	{ "audit-no-bbml3", test_audit_no_bbml3 }, { "audit-mixed", test_audit_mixed }, \
	{ "audit-tagged", test_audit_tagged }, { "audit-bad", test_audit_bad }, \
	{ "audit-gap", test_audit_gap }, { "audit-gap-split", test_audit_gap_split }, \
	{ "audit-copy-down", test_audit_copy_down }, { "audit-flood", test_audit_flood },
