/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sequences that split, collapse, fold and unfold: sequences.h.
 */

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
