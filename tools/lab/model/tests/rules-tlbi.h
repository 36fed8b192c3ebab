/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sequences about what TLBIs drop, when, and their barriers: sequences.h.
 */

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
