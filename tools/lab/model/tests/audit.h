/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of el2.audit: part of guest.c. With el2.inject, so that the auditor's
 * reports fail no run.
 */

#define AUDIT_CHECK	0xc600a0d1

/* Behind whatever was stored before. */
static void store(u64 *entry, u64 value)
{
	asm volatile("dmb ishst" : : : "memory");
	*(volatile u64 *)entry = value;
}

static void barrier(void)
{
	asm volatile("dsb ishst\n\tisb" : : : "memory");
}

#define tlbi(op, argument) \
	asm volatile("dsb ishst\n\ttlbi " #op ", %0\n\tdsb ish\n\tisb" : : "r" (argument) : "memory")
#define tlbi_all(op, before, after) \
	asm volatile("dsb " #before "\n\ttlbi " #op "\n\tdsb " #after "\n\tisb" : : : "memory")
/* Range TLBIs, which the assembler does not know for every -march: RVAAE1IS, RVAALE1IS */
#define tlbi_range(op2, argument) \
	asm volatile("dsb ishst\n\tsys #0, c8, c2, #" #op2 ", %0\n\tdsb ish\n\tisb" : : "r" (argument) : "memory")

static u64 rules_broken(u64 *lazy)
{
	call(AUDIT_CHECK, 0, 0, 0, 0);
	*lazy = out[5];
	return out[2];
}

static void have(u64 cpu, int what)
{
	job[cpu] = what;
	while (job[cpu] != WAIT)
		;
}

void store_by_another(u64 *entry, u64 value);
void invalidate_by_another(u64 argument);
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

#include "sequences.h"
#include "rules-cpu.h"
#include "rules-entry.h"
#include "rules-size.h"
#include "rules-tlbi.h"

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

/* One boot: a geometry, and what runs with it. */
static void audit(u32 shift, u32 va_bits, bool ds, void (*const run[])(void))
{
	static u64 idmap[512] __attribute__((aligned(4096)));
	u64 tcr = tables_begin(shift, va_bits, ds);

	/* The guest itself: 4 GiB mapped to itself, in blocks of 1 GiB. */
	for (u64 i = 0; i < 4; i++)
		idmap[i] = i * GIB | AF | (ds ? 0 : SH) | VALID | UXN | (i ? 0 : 1UL << 2 | PXN);
	/* A Realm's devices are at the shared alias, which is beyond what idmap translates. */
	idmap[0] |= uart & SHARED;
	tcr |= TCR_T0SZ(39) | 3UL << 32;
	audit_tcr = tcr;
	write_sysreg(mair_el1, MAIR);
	write_sysreg(ttbr1_el1, audit_empty);
	mmu_on((u64)idmap, tcr);
	uart &= ~SHARED;
	write_sysreg(ttbr1_el1, audit_root);
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
	put("# audit: tagged ");
	put_hex(rules_broken(&lazy));
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
