// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the collapse of kernel leaf mappings: the rule of what may be
 * merged, every level up and down again, what excludes what, and what becomes of
 * the tables.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kfence.h>
#include <linux/kthread.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>

#include <asm/kfence.h>

#include "kernel_leaf_test.h"

/* Long enough for the worker to have looked at what was queued. */
#define HEAL_MS		3000

static int collapse_suite_init(struct kunit *test)
{
	if (!kernel_collapse_enabled())
		kunit_skip(test, "nothing is collapsed here (no BBML3, or off)");

	return 0;
}

/* Collapse now; a ptdump or a worker that is at it may be in the way. */
static void collapse_now(struct kunit *test, unsigned long addr,
			 unsigned long size)
{
	int ret = -EAGAIN;

	for (int i = 0; i < 1000 && ret == -EAGAIN; i++) {
		ret = kernel_collapse_range(addr, addr + size);
		if (ret)
			fsleep(USEC_PER_MSEC);
	}
	KUNIT_EXPECT_EQ(test, 0, ret);
}

/*
 * The rule, on tables that no walker ever sees.
 */

static const struct {
	enum pgtable_level level;
	unsigned int nr;
	unsigned long size;
	ptval_t type;
	const char *name;
} rule_runs[] = {
	{ PGTABLE_LEVEL_PTE, CONT_PTES, PAGE_SIZE, PTE_TYPE_PAGE, "contpte" },
	{ PGTABLE_LEVEL_PTE, PTRS_PER_PTE, PAGE_SIZE, PTE_TYPE_PAGE, "pte table" },
	{ PGTABLE_LEVEL_PMD, CONT_PMDS, PMD_SIZE, PMD_TYPE_SECT, "contpmd" },
	{ PGTABLE_LEVEL_PMD, PTRS_PER_PTE, PMD_SIZE, PMD_TYPE_SECT, "pmd table" },
};

static void rule_fill(ptval_t *run, int i, pgprot_t prot)
{
	/* Aligned to any leaf that there is. */
	const phys_addr_t phys = 1ULL << 46;
	ptval_t attrs = (pgprot_val(prot) & ~PTE_TYPE_MASK) | rule_runs[i].type;

	for (unsigned int n = 0; n < rule_runs[i].nr; n++)
		run[n] = __phys_to_pte_val(phys + n * rule_runs[i].size) | attrs;
}

static enum kernel_leaf_refusal rule_check(const ptval_t *run, int i)
{
	return leaf_run_check(run, rule_runs[i].level, rule_runs[i].nr);
}

/* Any bit that differs anywhere keeps the run apart, but for the one. */
static void rule_every_bit(struct kunit *test)
{
	ptval_t *run = kunit_kcalloc(test, PTRS_PER_PTE, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);

	for (int i = 0; i < ARRAY_SIZE(rule_runs); i++) {
		const unsigned int at[] = { 0, rule_runs[i].nr / 2,
					    rule_runs[i].nr - 1 };

		rule_fill(run, i, pgprot_tagged(PAGE_KERNEL));
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, rule_check(run, i));

		for (int bit = 0; bit < 64; bit++) {
			for (int k = 0; k < ARRAY_SIZE(at); k++) {
				enum kernel_leaf_refusal why;

				run[at[k]] ^= BIT(bit);
				why = rule_check(run, i);
				run[at[k]] ^= BIT(bit);

				KUNIT_EXPECT_EQ_MSG(test, BIT(bit) == PTE_CONT,
						    why == KERNEL_LEAF_OK,
						    "%s: bit %d of entry %u: %d",
						    rule_runs[i].name, bit, at[k],
						    why);
			}
		}
	}
}

/* Bits that are the same everywhere: what may be merged and what may not. */
static void rule_uniform_bits(struct kunit *test)
{
	static const struct {
		ptval_t set, clear;
		enum kernel_leaf_refusal why;
		const char *name;
	} cases[] = {
		{ PTE_CONT, 0, KERNEL_LEAF_OK, "contiguous" },
		{ PTE_RDONLY, PTE_WRITE, KERNEL_LEAF_OK, "read-only" },
		{ PTE_NG, 0, KERNEL_LEAF_OK, "not global" },
		{ 0, PTE_PXN, KERNEL_LEAF_OK, "executable" },
		{ PTE_GP, PTE_PXN, KERNEL_LEAF_OK, "guarded" },
		{ PTE_PO_IDX_0, 0, KERNEL_LEAF_OK, "overlay index" },
		{ 0, PTE_DIRTY, KERNEL_LEAF_OK, "sw clean" },
		{ 0, PTE_VALID, KERNEL_LEAF_INVALID, "invalid" },
		{ PTE_PRESENT_INVALID, PTE_VALID, KERNEL_LEAF_INVALID,
		  "present-invalid" },
		{ 0, PTE_AF, KERNEL_LEAF_ATTRS, "old" },
		{ PTE_RDONLY, 0, KERNEL_LEAF_ATTRS, "hw clean" },
		{ PTE_SPECIAL, 0, KERNEL_LEAF_ATTRS, "special" },
		{ PTE_USER, 0, KERNEL_LEAF_ATTRS, "user" },
	};
	ptval_t *run = kunit_kcalloc(test, PTRS_PER_PTE, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);

	for (int i = 0; i < ARRAY_SIZE(rule_runs); i++) {
		for (int c = 0; c < ARRAY_SIZE(cases); c++) {
			rule_fill(run, i, pgprot_tagged(PAGE_KERNEL));
			for (unsigned int n = 0; n < rule_runs[i].nr; n++)
				run[n] = (run[n] & ~cases[c].clear) | cases[c].set;
			KUNIT_EXPECT_EQ_MSG(test, cases[c].why, rule_check(run, i),
					    "%s, all of it %s", rule_runs[i].name,
					    cases[c].name);
		}
	}
}

/* Output addresses: aligned, contiguous, ascending. */
static void rule_addresses(struct kunit *test)
{
	ptval_t *run = kunit_kcalloc(test, PTRS_PER_PTE, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);

	for (int i = 0; i < ARRAY_SIZE(rule_runs); i++) {
		const ptval_t step = __phys_to_pte_val(rule_runs[i].size);
		const unsigned int nr = rule_runs[i].nr;

		rule_fill(run, i, PAGE_KERNEL);
		for (unsigned int n = 0; n < nr; n++)
			run[n] += step;
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ALIGN, rule_check(run, i));

		rule_fill(run, i, PAGE_KERNEL);
		swap(run[1], run[2]);
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ADDRESS, rule_check(run, i));

		rule_fill(run, i, PAGE_KERNEL);
		run[nr - 1] = run[nr - 2];
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ADDRESS, rule_check(run, i));

		/* Memory that a Realm shares is at another address. */
		rule_fill(run, i, PAGE_KERNEL);
		run[nr / 2] |= __phys_to_pte_val(1ULL << 47);
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ADDRESS, rule_check(run, i));
	}
}

/*
 * A contiguous group is one leaf, and its first entry says which. Of any other
 * every entry is looked at, though its neighbours are contiguous.
 */
static void rule_groups(struct kunit *test)
{
	ptval_t *run = kunit_kcalloc(test, PTRS_PER_PTE, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);

	for (int i = 0; i < ARRAY_SIZE(rule_runs); i++) {
		const unsigned int nr = rule_runs[i].nr;
		const unsigned int cont = rule_runs[i].level == PGTABLE_LEVEL_PTE ?
					  CONT_PTES : CONT_PMDS;

		if (nr == cont)
			continue;

		for (unsigned int alone = 0; alone < nr; alone += cont) {
			rule_fill(run, i, PAGE_KERNEL);
			for (unsigned int n = 0; n < nr; n++)
				if (n - alone >= cont)
					run[n] |= PTE_CONT;
			KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, rule_check(run, i));

			for (unsigned int n = alone; n < alone + cont; n++) {
				run[n] ^= PTE_PXN;
				KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ATTRS,
						rule_check(run, i));
				run[n] ^= PTE_PXN;
			}
			for (unsigned int n = 0; n < nr; n += cont) {
				run[n] ^= PTE_PXN;
				KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ATTRS,
						rule_check(run, i));
				run[n] ^= PTE_PXN;
			}
		}

		/* In every build: what a checker does not run it does not check. */
		rule_fill(run, i, PAGE_KERNEL);
		for (unsigned int n = 0; n < nr; n++)
			run[n] ^= n % cont ? PTE_CONT | PTE_PXN : PTE_CONT;
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, rule_check(run, i));
	}
}

/* A table among the entries, at the levels that have tables. */
static void rule_tables(struct kunit *test)
{
	ptval_t *run = kunit_kcalloc(test, PTRS_PER_PTE, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);

	for (int i = 0; i < ARRAY_SIZE(rule_runs); i++) {
		if (rule_runs[i].level == PGTABLE_LEVEL_PTE)
			continue;
		for (unsigned int n = 0; n < rule_runs[i].nr; n++) {
			rule_fill(run, i, PAGE_KERNEL);
			run[n] = (1ULL << 40) | PMD_TYPE_TABLE;
			KUNIT_EXPECT_EQ(test, KERNEL_LEAF_TABLE,
					rule_check(run, i));
		}
	}
}

/* PXNTable and UXNTable against PXN and UXN, and bits that nobody set. */
static void rule_table_attrs(struct kunit *test)
{
	const ptval_t table = __phys_to_pte_val(1ULL << 40) | PMD_TYPE_TABLE;
	const ptval_t leaf = PTE_TYPE_PAGE | PTE_AF;

	for (int m = 0; m < 16; m++) {
		ptval_t t = table | (m & 1 ? PMD_TABLE_PXN : 0) |
				    (m & 2 ? PMD_TABLE_UXN : 0);
		ptval_t l = leaf | (m & 4 ? PTE_PXN : 0) | (m & 8 ? PTE_UXN : 0);
		bool ok = (!(m & 1) || (m & 4)) && (!(m & 2) || (m & 8));

		KUNIT_EXPECT_EQ_MSG(test, ok ? KERNEL_LEAF_OK :
					       KERNEL_LEAF_TABLE_ATTRS,
				    leaf_table_check(t, l), "combination %d", m);
	}

	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK,
			leaf_table_check(table | PMD_TABLE_AF, leaf));
	/* APTable and NSTable, whatever the leaf permits itself. */
	for (int bit = 61; bit < 64; bit++)
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_TABLE_ATTRS,
				leaf_table_check(table | BIT(bit),
						 leaf | PTE_RDONLY | PTE_PXN |
						 PTE_UXN));
}

/* What the linear map is made with needs no deposit; all else does. */
static void rule_default(struct kunit *test)
{
	unsigned long addr = (unsigned long)kunit_kmalloc(test, 1, GFP_KERNEL);
	const ptval_t attrs[] = { PTE_VALID, PTE_WRITE, PTE_RDONLY, PTE_PXN, PTE_NG,
				  PTE_ATTRINDX(7) };
	ptval_t leaf;

	KUNIT_ASSERT_NE(test, 0UL, addr);
	addr = ALIGN_DOWN(__tag_reset(addr), PAGE_SIZE);
	leaf = __phys_to_pte_val(__pa(addr)) |
	       pgprot_val(pgprot_tagged(PAGE_KERNEL));

	KUNIT_EXPECT_TRUE(test, leaf_is_default(leaf, addr));
	KUNIT_EXPECT_TRUE(test, leaf_is_default(leaf | PTE_CONT, addr));
	for (int i = 0; i < ARRAY_SIZE(attrs); i++)
		KUNIT_EXPECT_FALSE_MSG(test, leaf_is_default(leaf ^ attrs[i], addr),
				       "%#llx", (u64)attrs[i]);
	/* The shared alias of a Realm, and another page. */
	KUNIT_EXPECT_FALSE(test, leaf_is_default(leaf ^ BIT(40), addr));
	KUNIT_EXPECT_FALSE(test, leaf_is_default(leaf, addr ^ PAGE_SIZE));
}

/*
 * Live mappings.
 */

/* From the largest leaf to a page and back, as far as one page can tell. */
static void levels_down_and_up(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, leaf_max_size());
	unsigned long span = leaf_max_size();
	unsigned long base = ALIGN_DOWN(p->addr, span);
	ptval_t val = leaf_val(p->addr);

	memset((void *)p->addr, 0xa5, PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, 0, set_direct_map_invalid_noflush(p->page));
	flush_tlb_kernel_range(p->addr, p->addr + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(p->addr, false));
	KUNIT_EXPECT_FALSE(test, kernel_page_present(p->page));

	/* All around it is whole, and stays so while the page is away. */
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));

	KUNIT_ASSERT_EQ(test, 0, set_direct_map_default_noflush(p->page));
	collapse_now(test, p->addr, 1);

	KUNIT_EXPECT_EQ(test, span, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, val, leaf_val(p->addr));
	KUNIT_EXPECT_PTR_EQ(test, NULL, memchr_inv((void *)p->addr, 0xa5, PAGE_SIZE));

	for (unsigned long a = base; a < base + span; a += PMD_SIZE)
		KUNIT_EXPECT_EQ(test, __pa(a), hw_translate(a, true));
}

/* What is split for the hundredth time has not cost a hundred tables. */
static void tables_come_back(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	long tables = pgtable_pages();

	for (int i = 0; i < 100; i++) {
		KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
		KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
		collapse_now(test, p->addr, 1);
		KUNIT_ASSERT_GE(test, leaf_size(p->addr), PMD_SIZE);
	}
	/* Neither kept nor, which would show the other way, accounted twice. */
	KUNIT_EXPECT_LT(test, abs(pgtable_pages() - tables), 50);
}

/* Each size of leaf comes back where the next one cannot. */
static void levels_partial(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, leaf_max_size());
	struct leaf_pages *q = leaf_pages_get(test, 0, PMD_SIZE);
	unsigned long block = ALIGN_DOWN(p->addr, PMD_SIZE);
	unsigned long group = ALIGN_DOWN(p->addr, CONT_PTE_SIZE);
	unsigned long other = group == block ? group + CONT_PTE_SIZE : block;

	/* One page apart: the groups around it are contPTE. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(other));

	/* Split by hand the group next door; it is folded again. */
	for (unsigned long a = other; a < other + CONT_PTE_SIZE; a += PAGE_SIZE) {
		pte_t *ptep = pte_offset_kernel(pmd_off_k(a), a);

		__set_pte(ptep, pte_mknoncont(__ptep_get(ptep)));
	}
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(other));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(other));

	/* The block next door: PMD or larger, in spite of the page here. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(q->addr, PAGE_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(q->addr, PAGE_SIZE, &to_rw));
	collapse_now(test, q->addr, 1);
	if (ALIGN_DOWN(q->addr, PMD_SIZE) != block)
		KUNIT_EXPECT_GE(test, leaf_size(q->addr), PMD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, leaf_max_size(), leaf_size(p->addr));
}

/* Pages made invalid one by one do not become a block, nor a group. */
static void invalid_stays_apart(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, get_order(CONT_PTE_SIZE),
					      PMD_SIZE);

	for (unsigned int i = 0; i < CONT_PTES; i++)
		KUNIT_ASSERT_EQ(test, 0,
				set_direct_map_invalid_noflush(p->page + i));
	flush_tlb_kernel_range(p->addr, p->addr + CONT_PTE_SIZE);
	collapse_now(test, p->addr, 1);
	for (unsigned int i = 0; i < CONT_PTES; i++)
		KUNIT_EXPECT_EQ(test, PAGE_SIZE,
				leaf_size(p->addr + i * PAGE_SIZE));
	for (unsigned int i = 0; i < CONT_PTES; i++)
		KUNIT_ASSERT_EQ(test, 0,
				set_direct_map_default_noflush(p->page + i));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

/* A restriction that only the table makes keeps the table. */
static void table_restriction_stays(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	pmd_t *pmdp, pmd;

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	pmdp = pmd_off_k(p->addr);
	pmd = pmdp_get(pmdp);
	KUNIT_ASSERT_TRUE(test, pmd_table(pmd));

	/* APTable: no access from EL0, which the leaves do not grant either. */
	set_pmd(pmdp, __pmd(pmd_val(pmd) | BIT(61)));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_LT(test, leaf_size(p->addr), PMD_SIZE);

	set_pmd(pmdp, pmd);
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

/* The image's alias and what is no linear map are left alone. */
static void never_touched(struct kunit *test)
{
	unsigned long alias = (unsigned long)lm_alias(_text);
	unsigned long size = leaf_size(alias);
	ptval_t val = leaf_val(alias);
	void *area = vmalloc(CONT_PTE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, area);

	collapse_now(test, alias, (unsigned long)(_end - _text));
	KUNIT_EXPECT_EQ(test, size, leaf_size(alias));
	KUNIT_EXPECT_EQ(test, val, leaf_val(alias));

	size = leaf_size((unsigned long)area);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			kernel_collapse_range((unsigned long)area,
					      (unsigned long)area + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			kernel_collapse_range((unsigned long)_text,
					      (unsigned long)_end));
	KUNIT_EXPECT_EQ(test, size, leaf_size((unsigned long)area));

	vfree(area);
}

/* A group of the alias that was unfolded by hand stays so. */
static void image_alias_stays(struct kunit *test)
{
	const unsigned long end = (unsigned long)lm_alias(__init_begin);
	unsigned long alias = ALIGN((unsigned long)lm_alias(_text), CONT_PTE_SIZE);
	pte_t *ptep;

	while (alias + CONT_PTE_SIZE <= end && leaf_size(alias) != CONT_PTE_SIZE)
		alias += CONT_PTE_SIZE;
	if (alias + CONT_PTE_SIZE > end)
		kunit_skip(test, "the image's alias holds no contPTE group");

	ptep = pte_offset_kernel(pmd_off_k(alias), alias);
	for (int i = 0; i < CONT_PTES; i++)
		__set_pte(ptep + i, pte_mknoncont(__ptep_get(ptep + i)));
	collapse_now(test, alias, 1);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(alias));

	for (int i = 0; i < CONT_PTES; i++)
		__set_pte(ptep + i, pte_mkcont(__ptep_get(ptep + i)));
	flush_tlb_kernel_range(alias, alias + CONT_PTE_SIZE);
}

/*
 * TLB maintenance: once the leaf is there, before the table goes, for all that
 * the table mapped. QEMU's TLB would not tell.
 */
struct flush_ctx {
	unsigned long addr;
	unsigned long start, end;
	unsigned long size_then;
	bool locked_then;
	struct page *table;
	bool table_then;
	int calls;
};

static void flush_table_stub(unsigned long start, unsigned long end)
{
	struct flush_ctx *ctx = kunit_get_current_test()->priv;

	if (!ctx->calls++) {
		ctx->start = start;
		ctx->end = end;
		ctx->size_then = leaf_size(ctx->addr);
		ctx->locked_then = rwsem_is_locked(&kernel_leaf_region(start)->lock);
		ctx->table_then = folio_test_pgtable(page_folio(ctx->table));
	}
	__flush_tlb_kernel_pgtable_range(start, end);
}

static void flush_folded_stub(unsigned long start, unsigned long end)
{
	struct flush_ctx *ctx = kunit_get_current_test()->priv;

	if (!ctx->calls++) {
		ctx->start = start;
		ctx->end = end;
		ctx->size_then = leaf_size(ctx->addr);
	}
	flush_tlb_kernel_range(start, end);
}

static void flush_after_replace(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	unsigned long block = ALIGN_DOWN(p->addr, PMD_SIZE);
	struct flush_ctx ctx = { .addr = p->addr };

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	ctx.table = pmd_page(pmdp_get(pmd_off_k(p->addr)));
	KUNIT_ASSERT_TRUE(test, folio_test_pgtable(page_folio(ctx.table)));

	/* Not before the change is undone, so that it is this thread's turn. */
	kernel_collapse_pause();
	KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	test->priv = &ctx;
	kunit_activate_static_stub(test, flush_replaced_table, flush_table_stub);
	kernel_collapse_resume();
	collapse_now(test, p->addr, 1);
	kunit_deactivate_static_stub(test, flush_replaced_table);

	KUNIT_EXPECT_GE(test, ctx.calls, 1);
	KUNIT_EXPECT_EQ(test, block, ctx.start);
	KUNIT_EXPECT_EQ(test, block + PMD_SIZE, ctx.end);
	KUNIT_EXPECT_EQ(test, PMD_SIZE, ctx.size_then);
	KUNIT_EXPECT_TRUE(test, ctx.locked_then);
	KUNIT_EXPECT_TRUE(test, ctx.table_then);
}

static void flush_after_fold(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, get_order(2 * CONT_PTE_SIZE),
					      PMD_SIZE);
	unsigned long group = p->addr + CONT_PTE_SIZE;
	struct flush_ctx ctx = { .addr = group };

	/* The group is whole again, but the block is not. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(group, PAGE_SIZE, &to_ro));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(group));
	kernel_collapse_pause();
	KUNIT_ASSERT_EQ(test, 0, leaf_change(group, PAGE_SIZE, &to_rw));
	test->priv = &ctx;
	kunit_activate_static_stub(test, flush_folded_leaves, flush_folded_stub);
	kernel_collapse_resume();
	collapse_now(test, p->addr, 1);
	kunit_deactivate_static_stub(test, flush_folded_leaves);

	KUNIT_EXPECT_GE(test, ctx.calls, 1);
	KUNIT_EXPECT_LE(test, ctx.start, group);
	KUNIT_EXPECT_GE(test, ctx.end, group + CONT_PTE_SIZE);
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, ctx.size_then);

	KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
}

/*
 * Exclusion.
 */

/* Between begin and end of a change, nothing around it is collapsed. */
static void excluded_by_change(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	struct kernel_leaf_pool pool = {};
	pte_t *ptep;

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0,
			kernel_leaf_change_begin(p->addr, p->addr + PAGE_SIZE,
						 &to_rw, &pool));
	ptep = pte_offset_kernel(pmd_off_k(p->addr), p->addr);
	__set_pte(ptep, __pte(kernel_leaf_apply(pte_val(__ptep_get(ptep)), &to_rw)));

	/* The table is uniform, yet the change might go on. */
	KUNIT_EXPECT_EQ(test, -EAGAIN, kernel_collapse_range(p->addr, p->addr + 1));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));

	kernel_leaf_change_end(p->addr);
	flush_tlb_kernel_range(p->addr, p->addr + PAGE_SIZE);
	kernel_leaf_pool_drain(&pool);
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

/*
 * Nor is a group of blocks. With 16K and 64K pages their table spans regions, and
 * it is the lock of this one that counts.
 */
static void excluded_by_change_of_block(struct kunit *test)
{
	struct kernel_leaf_pool pool = {};
	struct leaf_pages *p;
	pmd_t *pmdp;

	if (get_order(PMD_SIZE) > MAX_PAGE_ORDER || leaf_max_size() < CONT_PMD_SIZE)
		kunit_skip(test, "no block of a group can be allocated here");

	p = leaf_pages_get(test, get_order(PMD_SIZE), CONT_PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0,
			kernel_leaf_change_begin(p->addr, p->addr + PMD_SIZE,
						 &to_rw, &pool));
	pmdp = pmd_off_k(p->addr);
	set_pmd(pmdp, __pmd(kernel_leaf_apply(pmd_val(pmdp_get(pmdp)), &to_rw)));

	/* The group is uniform, yet somebody might split a block of it now. */
	KUNIT_EXPECT_EQ(test, -EAGAIN, kernel_collapse_range(p->addr, p->addr + 1));
	KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));

	kernel_leaf_change_end(p->addr);
	flush_tlb_kernel_range(p->addr, p->addr + PMD_SIZE);
	kernel_leaf_pool_drain(&pool);
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), CONT_PMD_SIZE);

	/* The worker sees to it, too, be the table the top-level one. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
	KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_rw));
	kernel_collapse_flush();
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), CONT_PMD_SIZE);
}

/* Nor is a table detached under ptdump. */
static void excluded_by_ptdump(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	mmap_write_lock(&init_mm);
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, -EAGAIN, kernel_collapse_range(p->addr, p->addr + 1));
	KUNIT_EXPECT_LT(test, leaf_size(p->addr), PMD_SIZE);
	mmap_write_unlock(&init_mm);
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

/* Nor under who copies the tables, and nobody waits for that. */
static void excluded_by_pause(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	kernel_collapse_pause();
	KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, -EAGAIN, kernel_collapse_range(p->addr, p->addr + 1));
	KUNIT_EXPECT_LT(test, leaf_size(p->addr), PMD_SIZE);
	kernel_collapse_resume();
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

#ifdef CONFIG_KFENCE
/* A KFENCE pool that comes late leaves in pages no more than itself. */
static void late_kfence(struct kunit *test)
{
	const unsigned int order = get_order(KFENCE_POOL_SIZE);
	struct leaf_pages *p;

	if (__kfence_pool || order > MAX_PAGE_ORDER ||
	    leaf_max_size() <= CONT_PMD_SIZE)
		kunit_skip(test, "there is a pool, or no leaf above a group of blocks");

	p = leaf_pages_get(test, order, leaf_max_size());
	__kfence_pool = (char *)p->addr;
	KUNIT_EXPECT_TRUE(test, arch_kfence_init_pool());
	kernel_collapse_flush();
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, CONT_PMD_SIZE, leaf_size(p->addr ^ CONT_PMD_SIZE));
	__kfence_pool = NULL;

	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, leaf_max_size(), leaf_size(p->addr));
}
#endif

struct halves {
	unsigned long addr;
	unsigned long size;
	atomic_t stop;
	atomic_t bad;
	atomic_t rounds;
	atomic_t collapses;
};

/* Changes one page after the other, and finds each as it left it. */
static int half_changer(void *data)
{
	struct halves *h = data;
	static atomic_t which = ATOMIC_INIT(0);
	unsigned long addr = h->addr + (atomic_inc_return(&which) & 1) * h->size;

	while (!kthread_should_stop()) {
		for (unsigned long a = addr; a < addr + h->size; a += PAGE_SIZE) {
			if (leaf_change(a, PAGE_SIZE, &to_ro) ||
			    hw_translate(a, true) != -1 ||
			    hw_translate(a, false) != __pa(a))
				atomic_inc(&h->bad);
			if (leaf_change(a, PAGE_SIZE, &to_rw) ||
			    hw_translate(a, true) != __pa(a))
				atomic_inc(&h->bad);
			atomic_inc(&h->rounds);
			cond_resched();
		}
	}

	return 0;
}

static int half_collapser(void *data)
{
	struct halves *h = data;

	while (!kthread_should_stop()) {
		kernel_collapse_range(h->addr, h->addr + 1);
		if (leaf_size(h->addr) >= PMD_SIZE)
			atomic_inc(&h->collapses);
		cond_resched();
	}

	return 0;
}

/*
 * Two objects in one block, changed on two CPUs, while a third collapses it.
 * Without exclusion a change stores to a table that is no longer the one in
 * use, and does not find the page as it left it.
 */
static void two_halves_and_a_collapse(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, get_order(2 * CONT_PTE_SIZE),
					      PMD_SIZE);
	struct halves h = { .addr = p->addr, .size = CONT_PTE_SIZE };
	struct task_struct *threads[3];

	threads[0] = kthread_run(half_changer, &h, "leaf-half-0");
	threads[1] = kthread_run(half_changer, &h, "leaf-half-1");
	threads[2] = kthread_run(half_collapser, &h, "leaf-collapse");
	for (int i = 0; i < ARRAY_SIZE(threads); i++)
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));

	msleep(2000);
	for (int i = 0; i < ARRAY_SIZE(threads); i++)
		kthread_stop(threads[i]);

	kunit_info(test, "%d changes, found collapsed %d times\n",
		   atomic_read(&h.rounds), atomic_read(&h.collapses));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&h.bad));
	KUNIT_EXPECT_GT(test, atomic_read(&h.rounds), 100);
	KUNIT_EXPECT_GT(test, atomic_read(&h.collapses), 0);

	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

/*
 * Lifetime.
 */

struct reader {
	unsigned long addr;
	struct completion inside;
	atomic_t collapsed;
	bool table_gone;
};

/* Stays in an RCU read-side critical section across the collapse. */
static int table_reader(void *data)
{
	struct reader *r = data;
	unsigned long timeout = jiffies + 5 * HZ;
	pmd_t pmd;

	rcu_read_lock();
	pmd = pmdp_get(pmd_off_k(r->addr));
	complete(&r->inside);
	while (!atomic_read(&r->collapsed) && time_before(jiffies, timeout))
		cpu_relax();
	/* Time enough for a callback that does not wait for this reader. */
	mdelay(50);
	r->table_gone = !folio_test_pgtable(page_folio(pmd_page(pmd)));
	rcu_read_unlock();

	return 0;
}

/* A detached table stays what it is until the last lockless reader is gone. */
static void grace_period(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	struct reader r = { .addr = p->addr };
	struct task_struct *thread;

	if (!IS_ENABLED(CONFIG_PREEMPT_RCU) && num_online_cpus() == 1)
		kunit_skip(test, "the reader would have the only CPU for itself");

	init_completion(&r.inside);
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	kernel_collapse_pause();
	thread = kthread_run(table_reader, &r, "leaf-reader");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	get_task_struct(thread);
	wait_for_completion(&r.inside);
	KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	kernel_collapse_resume();

	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
	atomic_set(&r.collapsed, 1);
	kthread_stop(thread);
	put_task_struct(thread);

	KUNIT_EXPECT_FALSE(test, r.table_gone);
}

static int fill_fails(struct kernel_leaf_pool *pool, unsigned int nr)
{
	return -ENOMEM;
}

/*
 * A block that is not as the linear map was made keeps its table, so that the
 * way back cannot fail for lack of memory.
 */
static void deposit(struct kunit *test)
{
	unsigned int before = kernel_collapse_nr_deposits();
	struct leaf_pages *p;

	if (get_order(PMD_SIZE) > MAX_PAGE_ORDER)
		kunit_skip(test, "no block can be allocated at this granule");

	p = leaf_pages_get(test, get_order(PMD_SIZE), PMD_SIZE);
	/* Stands alone from the start: the larger leaf is not the point here. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	KUNIT_ASSERT_EQ(test, PAGE_SIZE, leaf_size(p->addr));

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(p->addr, true));
	KUNIT_EXPECT_EQ(test, before + 1, kernel_collapse_nr_deposits());

	kunit_activate_static_stub(test, kernel_leaf_pool_fill, fill_fails);
	for (unsigned long a = p->addr; a < p->addr + PMD_SIZE; a += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, 0, leaf_change(a, PAGE_SIZE, &to_rw));
	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	KUNIT_EXPECT_EQ(test, __pa(p->addr), hw_translate(p->addr, true));

	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
	KUNIT_EXPECT_EQ(test, before, kernel_collapse_nr_deposits());
}

/* Memory that a Realm shares can be taken back without memory for tables. */
static void deposit_shared(struct kunit *test)
{
	unsigned int before = kernel_collapse_nr_deposits();
	const unsigned int nr = PMD_SIZE >> PAGE_SHIFT;
	struct leaf_pages *p;

	if (!is_realm_world())
		kunit_skip(test, "this is no Realm");
	if (get_order(PMD_SIZE) > MAX_PAGE_ORDER)
		kunit_skip(test, "no block can be allocated at this granule");

	p = leaf_pages_get(test, get_order(PMD_SIZE), PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, set_memory_decrypted(p->addr, nr / 2));
	KUNIT_ASSERT_EQ(test, 0, set_memory_decrypted(p->addr + PMD_SIZE / 2, nr / 2));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, before + 1, kernel_collapse_nr_deposits());
	/* Others are looked at, this one stays. */
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, before + 1, kernel_collapse_nr_deposits());

	kunit_activate_static_stub(test, kernel_leaf_pool_fill, fill_fails);
	KUNIT_EXPECT_EQ(test, 0, set_memory_encrypted(p->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, set_memory_encrypted(p->addr + PAGE_SIZE, nr - 1));
	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	KUNIT_EXPECT_EQ(test, before, kernel_collapse_nr_deposits());
	memset((void *)p->addr, 0xa5, PMD_SIZE);
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
}

/* A deposit whose block came back as a whole is not kept for ever. */
static void deposit_pruned(struct kunit *test)
{
	unsigned int before = kernel_collapse_nr_deposits();
	struct leaf_pages *p;

	if (get_order(PMD_SIZE) > MAX_PAGE_ORDER)
		kunit_skip(test, "no block can be allocated at this granule");

	p = leaf_pages_get(test, get_order(PMD_SIZE), PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, PMD_SIZE, leaf_size(p->addr));

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	collapse_now(test, p->addr, 1);
	KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, before + 1, kernel_collapse_nr_deposits());

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, before, kernel_collapse_nr_deposits());
	collapse_now(test, p->addr, 1);
}

/*
 * The queue and its worker.
 */

/* A change that restores a block has it collapsed, without being asked. */
static void worker_heals(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, leaf_max_size());
	int ms;

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));

	for (ms = 0; ms < HEAL_MS; ms += 20) {
		if (leaf_size(p->addr) == leaf_max_size())
			break;
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, leaf_max_size(), leaf_size(p->addr));
}

/* It does so however busy its neighbours are. */
static void worker_makes_progress(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	struct leaf_pages *busy = leaf_pages_get(test,
						 get_order(2 * CONT_PTE_SIZE),
						 PMD_SIZE);
	struct halves h = { .addr = busy->addr, .size = CONT_PTE_SIZE };
	struct task_struct *threads[2];
	int ms;

	if (ALIGN_DOWN(p->addr, PMD_SIZE) == ALIGN_DOWN(busy->addr, PMD_SIZE))
		p->addr = ALIGN_DOWN(p->addr, PMD_SIZE);

	threads[0] = kthread_run(half_changer, &h, "leaf-busy-0");
	threads[1] = kthread_run(half_changer, &h, "leaf-busy-1");
	for (int i = 0; i < ARRAY_SIZE(threads); i++)
		KUNIT_ASSERT_FALSE(test, IS_ERR(threads[i]));

	if (ALIGN_DOWN(p->addr, PMD_SIZE) != ALIGN_DOWN(busy->addr, PMD_SIZE)) {
		KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
		KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
		for (ms = 0; ms < 2 * HEAL_MS; ms += 20) {
			if (leaf_size(p->addr) >= PMD_SIZE)
				break;
			msleep(20);
		}
		KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
		kunit_info(test, "%d ms, %d changes next door\n", ms,
			   atomic_read(&h.rounds));
	}

	for (int i = 0; i < ARRAY_SIZE(threads); i++)
		kthread_stop(threads[i]);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&h.bad));
}

/* Ticks of the virtual counter: instructions under QEMU's -icount shift=0. */
static u64 ticks(void)
{
	isb();
	return read_sysreg(cntvct_el0);
}

/* Are they? A thousand instructions then take a thousand and a few each time. */
static bool ticks_are_instructions(void)
{
	for (int i = 0; i < 8; i++) {
		u64 t = ticks();

		asm volatile(".rept 1000\n\tnop\n\t.endr");
		t = ticks() - t;
		if (t < 1000 || t > 1010)
			return false;
	}

	return true;
}

#define COST_ROUNDS	4

/*
 * What things cost, the least of some rounds, as an interrupt may come between;
 * and what they may cost, in instructions of a kernel built for size with 4K
 * pages and five levels, none of which is compiled for debugging.
 */
struct cost {
	const char *name;
	u64 limit;
	u64 least;
};

static void cost_add(struct cost *c, u64 begin)
{
	u64 t = ticks() - begin;

	if (!c->least || t < c->least)
		c->least = t;
}

static void cost_report(struct kunit *test, const struct cost *c)
{
	const bool plain = !IS_ENABLED(CONFIG_DEBUG_VM) &&
			   !IS_ENABLED(CONFIG_PROVE_LOCKING) &&
			   !IS_ENABLED(CONFIG_FUNCTION_TRACER) &&
			   !IS_ENABLED(CONFIG_KASAN);

	if (!c->least)
		return;
	kunit_info(test, "ticks: %s %llu\n", c->name, c->least);
	if (plain && PAGE_SIZE == SZ_4K && ticks_are_instructions())
		KUNIT_EXPECT_LE_MSG(test, c->least, c->limit, "%s", c->name);
}

/* Have no contiguous group left in a block that is split. */
static void unfold_groups(struct kunit *test, unsigned long block)
{
	for (unsigned long addr = block; addr != block + PMD_SIZE;
	     addr += CONT_PTE_SIZE) {
		if (leaf_size(addr) != CONT_PTE_SIZE)
			continue;
		KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, PAGE_SIZE, &to_ro));
		KUNIT_EXPECT_EQ(test, 0, leaf_change(addr, PAGE_SIZE, &to_rw));
	}
}

/* Says what things cost. Where time is instructions, more is a failure. */
static void costs(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, get_order(2 * CONT_PTE_SIZE),
					      PMD_SIZE);
	unsigned long last = ALIGN_DOWN(p->addr, PMD_SIZE) + PMD_SIZE - PAGE_SIZE;
	struct cost first = { "first change in a block", 5100 };
	struct cost change = { "change of a page that stands alone", 380 };
	struct cost restore = { "its way back", 430 };
	struct cost group = { "first change in another group", 750 };
	struct cost vain = { "look at a table that is not uniform", 3800 };
	struct cost longest = { "longest batch", 13000 };
	struct cost block = { "collapse of a table of pages", 3200 };
	struct cost single = { "collapse of a table of single pages", 5900 };
	struct cost large = { "collapse of a table of blocks", 2400 };
	/* A block that is all ours. */
	const bool whole = p->order >= get_order(PMD_SIZE);
	u64 t;

	/* A larger leaf than a PMD is split first, and not counted. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	last = min(last, p->addr + (PAGE_SIZE << p->order) - PAGE_SIZE);

	for (int i = 0; i < COST_ROUNDS; i++) {
		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_invalid_noflush(p->page));
		cost_add(&change, t);
		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_default_noflush(p->page));
		cost_add(&restore, t);

		/* Another group of the block, which nobody has unfolded yet. */
		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_invalid_noflush(p->page + CONT_PTES));
		cost_add(&group, t);
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_default_noflush(p->page + CONT_PTES));

		/* Looked at in full, and not a block. */
		KUNIT_EXPECT_EQ(test, 0, leaf_change(last, PAGE_SIZE, &to_ro));
		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, kernel_collapse_range(p->addr, p->addr + 1));
		cost_add(&vain, t);

		/* And all groups but one to be folded: there is no more to do. */
		if (whole) {
			unfold_groups(test, p->addr);
			t = ticks();
			KUNIT_EXPECT_EQ(test, 0, kernel_collapse_range(p->addr, p->addr + 1));
			cost_add(&longest, t);
		}

		KUNIT_EXPECT_EQ(test, 0, leaf_change(last, PAGE_SIZE, &to_rw));
		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, kernel_collapse_range(p->addr, p->addr + 1));
		cost_add(&block, t);
		KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);

		/* Not to split a larger leaf as well below. */
		if (whole) {
			KUNIT_EXPECT_EQ(test, 0,
					leaf_change(p->addr, PMD_SIZE, &to_ro));
			KUNIT_EXPECT_EQ(test, 0,
					leaf_change(p->addr, PMD_SIZE, &to_rw));
		}

		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_invalid_noflush(p->page));
		cost_add(&first, t);
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_default_noflush(p->page));

		/* Every page of it was in use by itself. */
		if (whole) {
			unfold_groups(test, p->addr);
			t = ticks();
			KUNIT_EXPECT_EQ(test, 0, kernel_collapse_range(p->addr, p->addr + 1));
			cost_add(&single, t);
			KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
			KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
			KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
		}
	}

	p = leaf_pages_get(test, 0, leaf_max_size());
	for (int i = 0; i < COST_ROUNDS; i++) {
		if (p->order < get_order(PMD_SIZE) || leaf_max_size() != PUD_SIZE)
			break;
		KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
		KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_rw));
		KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
		t = ticks();
		KUNIT_EXPECT_EQ(test, 0, kernel_collapse_range(p->addr, p->addr + 1));
		cost_add(&large, t);
		KUNIT_EXPECT_EQ(test, PUD_SIZE, leaf_size(p->addr));
	}

	cost_report(test, &change);
	cost_report(test, &restore);
	cost_report(test, &group);
	cost_report(test, &first);
	cost_report(test, &block);
	cost_report(test, &single);
	cost_report(test, &vain);
	cost_report(test, &longest);
	cost_report(test, &large);
}

static struct kunit_case collapse_rule_cases[] = {
	KUNIT_CASE(rule_every_bit),
	KUNIT_CASE(rule_uniform_bits),
	KUNIT_CASE(rule_addresses),
	KUNIT_CASE(rule_groups),
	KUNIT_CASE(rule_tables),
	KUNIT_CASE(rule_table_attrs),
	KUNIT_CASE(rule_default),
	{}
};

/* The rule needs no hardware. */
static struct kunit_suite collapse_rule_suite = {
	.name = "kernel_collapse_rule",
	.test_cases = collapse_rule_cases,
};

static struct kunit_case collapse_cases[] = {
	KUNIT_CASE(levels_down_and_up),
	KUNIT_CASE(tables_come_back),
	KUNIT_CASE(levels_partial),
	KUNIT_CASE(invalid_stays_apart),
	KUNIT_CASE(table_restriction_stays),
	KUNIT_CASE(never_touched),
	KUNIT_CASE(image_alias_stays),
	KUNIT_CASE(flush_after_replace),
	KUNIT_CASE(flush_after_fold),
	KUNIT_CASE(costs),
	KUNIT_CASE(excluded_by_change),
	KUNIT_CASE(excluded_by_change_of_block),
	KUNIT_CASE(excluded_by_ptdump),
	KUNIT_CASE(excluded_by_pause),
#ifdef CONFIG_KFENCE
	KUNIT_CASE(late_kfence),
#endif
	KUNIT_CASE_SLOW(two_halves_and_a_collapse),
	KUNIT_CASE(grace_period),
	KUNIT_CASE(deposit),
	KUNIT_CASE(deposit_pruned),
	KUNIT_CASE(deposit_shared),
	KUNIT_CASE_SLOW(worker_heals),
	KUNIT_CASE_SLOW(worker_makes_progress),
	{}
};

static struct kunit_suite collapse_suite = {
	.name = "kernel_collapse",
	.init = collapse_suite_init,
	.test_cases = collapse_cases,
};

kunit_test_suites(&collapse_rule_suite, &collapse_suite);

MODULE_DESCRIPTION("KUnit tests for the collapse of kernel leaf mappings");
MODULE_LICENSE("GPL");
