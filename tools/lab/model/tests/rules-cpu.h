/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sequences in which it matters what CPUs there are: sequences.h.
 */

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
	tlbi(vaale1, va_argument(here + size_of(3)));
	expect_rules("local-tlbi-of-what-others-hold", STALE);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi(vaale1, va_argument(here + size_of(3)));
	have(3, DROP_TLB);
	expect_rules("local-tlbi-on-both", 0);

	begin(PAGES, 0);
	store(&l3[1], leaf(SOME_PA + size_of(3), 3, RO));
	tlbi(vaale1, va_argument(here + size_of(3)));
	stop(3);
	expect_rules("local-tlbi-and-the-other-off", 0);
}
