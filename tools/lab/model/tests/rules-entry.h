/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sequences of the rules for one entry, groups and permissions: sequences.h.
 */

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
	store(&l3[2], l3[2] & ~CONTIGUOUS);
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
