// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: what a descriptor means.
 */
#include "books.h"

struct audit_setup setup;
struct audit_calls calls;
struct geometry geo;
struct audit_registers regime;
struct audit_counts counts;

/* Those whose EL2 shows them to have BBML3. */
u32 cpus_without_bbml3(u32 cpus)
{
	return cpus & (BIT(setup.cpus) - 1) & ~setup.bbml3;
}

u8 table_limits(u64 desc)
{
	return (desc & S1_PXN_TABLE ? RIGHT_X : 0) | (desc & S1_UXN_TABLE ? RIGHT_UX : 0) |
	       (desc & S1_AP_TABLE_RO ? RIGHT_W : 0) | (desc & S1_AP_TABLE_EL0 ? RIGHT_U | RIGHT_UX : 0);
}

/*
 * What a leaf permits. With indirect permissions (FEAT_S1PIE) EL1's come from
 * PIR_EL1, and are taken as if no page were clean: hardware may make it dirty.
 */
u8 rights(u64 desc, u8 limits)
{
	u8 may = (desc & S1_AP_EL0 ? RIGHT_U : 0) | (desc & S1_UXN ? 0 : RIGHT_UX);

	if (regime.pie) {
		u32 permission = BITS(regime.pir, 4 * S1_PIINDEX(desc) + 3, 4 * S1_PIINDEX(desc));

		/* 5: RW, 6: RWX with WXN, 7: RWX, 12: RW, 14: RWX; 2: X, 3: RX, 10: RX */
		if (BIT(permission) & (BIT(5) | BIT(6) | BIT(7) | BIT(12) | BIT(14)))
			may |= RIGHT_W;
		if (BIT(permission) & (BIT(2) | BIT(3) | BIT(7) | BIT(10) | BIT(14)))
			may |= RIGHT_X;
	} else {
		if (!(desc & S1_AP_RO))
			may |= RIGHT_W;
		if (!(desc & S1_PXN))
			may |= RIGHT_X;
	}
	return may & ~limits;
}

u8 memory_type(u64 desc)
{
	return regime.mair >> 8 * S1_ATTRINDX(desc);
}

static bool is_tagged_pair(u8 a, u8 b)
{
	return (a == 0xff && b == 0xf0) || (a == 0xf0 && b == 0xff);
}

/**
 * content_differs() - may a leaf be used while another of the same address is cached?
 * @old: the cached one
 * @old_level: its level
 * @old_va: where it begins
 * @new: the other one
 * @new_level: its level
 * @new_va: where it begins
 * @rule: filled in
 *
 * Return: what is different, or NULL. Permissions may be.
 */
const char *content_differs(u64 old, int old_level, u64 old_va, u64 new, int new_level, u64 new_va,
			    enum rule *rule)
{
	if (leaf_address(old, old_level) - old_va != leaf_address(new, new_level) - new_va) {
		*rule = RULE_OA;
		return "the output address changes while the old one may be cached";
	}
	if (memory_type(old) != memory_type(new) &&
	    !((setup.allow & AUDIT_ALLOW_TAGGED) && is_tagged_pair(memory_type(old), memory_type(new)))) {
		*rule = RULE_TYPE;
		return "the memory type changes while the old one may be cached";
	}
	if (!geo.lpa && S1_SH(old) != S1_SH(new)) {
		*rule = RULE_SHARE;
		return "the shareability changes while the old one may be cached";
	}
	if ((old & S1_NG) && !(new & S1_NG)) {
		*rule = RULE_GLOBAL;
		return "it becomes global while one that is not may be cached";
	}
	return NULL;
}

/* What one TLB entry may cover. */
u64 tlb_unit(u64 desc, int level)
{
	return level_span(level) * (desc & S1_CONT ? level_cont(level) : 1);
}

/*
 * Addresses that Linux keeps its linear map at: nothing there is invalidated
 * lazily. It ends where it would with the fewest bits that the kernel can do
 * with (VA_BITS_MIN), which without 52 of them are 47 with 16K pages.
 */
bool in_linear_map(u64 va)
{
	u32 most = geo.page_shift == 14 ? 47 : 48, bits = geo.va_bits > 48 ? most : geo.va_bits;

	return va < -BIT(bits - 1);
}
