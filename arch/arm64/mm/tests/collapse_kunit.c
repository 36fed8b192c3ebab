// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the collapse of kernel leaf mappings: the rule of what may be
 * merged, every level up and down again, what excludes what, and what becomes of
 * the tables.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kfence.h>
#include <linux/kthread.h>

#include <asm/kfence.h>

#include "kernel_leaf_test.h"

/* The rule, on tables that no walker ever sees. */

static const struct rule_run {
	const char *name;
	enum pgtable_level level;
	unsigned int nr;
	unsigned int cont;
	unsigned long size;
	ptval_t type;
} rule_runs[] = {
	{ "contpte", PGTABLE_LEVEL_PTE, CONT_PTES, CONT_PTES, PAGE_SIZE, PTE_TYPE_PAGE },
	{ "pte table", PGTABLE_LEVEL_PTE, PTRS_PER_PTE, CONT_PTES, PAGE_SIZE, PTE_TYPE_PAGE },
	{ "contpmd", PGTABLE_LEVEL_PMD, CONT_PMDS, CONT_PMDS, PMD_SIZE, PMD_TYPE_SECT },
	{ "pmd table", PGTABLE_LEVEL_PMD, PTRS_PER_PTE, CONT_PMDS, PMD_SIZE, PMD_TYPE_SECT },
};

KUNIT_ARRAY_PARAM_DESC(rule, rule_runs, name);

static int rule_init(struct kunit *test)
{
	test->priv = kunit_kcalloc(test, PTRS_PER_PTE, sizeof(ptval_t), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

/* The run anew, aligned to any leaf that there is. */
static ptval_t *rule_fill(struct kunit *test, pgprot_t prot)
{
	const struct rule_run *r = test->param_value;
	const phys_addr_t phys = 1ULL << 46;
	ptval_t attrs = (pgprot_val(prot) & ~PTE_TYPE_MASK) | r->type;
	ptval_t *run = test->priv;

	for (unsigned int n = 0; n < r->nr; n++)
		run[n] = __phys_to_pte_val(phys + n * r->size) | attrs;
	return run;
}

static enum kernel_leaf_refusal rule_check(struct kunit *test)
{
	const struct rule_run *r = test->param_value;

	return leaf_run_check(test->priv, r->level, r->nr);
}

/* Any bit that differs anywhere keeps the run apart, but for the one. */
static void rule_every_bit(struct kunit *test)
{
	const struct rule_run *r = test->param_value;
	const unsigned int at[] = { 0, r->nr / 2, r->nr - 1 };
	ptval_t *run = rule_fill(test, pgprot_tagged(PAGE_KERNEL));

	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, rule_check(test));
	for (int bit = 0; bit < 64; bit++) {
		for (int k = 0; k < ARRAY_SIZE(at); k++) {
			run[at[k]] ^= BIT(bit);
			KUNIT_EXPECT_EQ_MSG(test, BIT(bit) == PTE_CONT,
					    rule_check(test) == KERNEL_LEAF_OK,
					    "bit %d of entry %u", bit, at[k]);
			run[at[k]] ^= BIT(bit);
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
		{ PTE_PRESENT_INVALID, PTE_VALID, KERNEL_LEAF_INVALID, "present-invalid" },
		{ 0, PTE_AF, KERNEL_LEAF_ATTRS, "old" },
		{ PTE_RDONLY, 0, KERNEL_LEAF_ATTRS, "hw clean" },
		{ PTE_SPECIAL, 0, KERNEL_LEAF_ATTRS, "special" },
		{ PTE_USER, 0, KERNEL_LEAF_ATTRS, "user" },
	};
	const struct rule_run *r = test->param_value;

	for (int c = 0; c < ARRAY_SIZE(cases); c++) {
		ptval_t *run = rule_fill(test, pgprot_tagged(PAGE_KERNEL));

		for (unsigned int n = 0; n < r->nr; n++)
			run[n] = (run[n] & ~cases[c].clear) | cases[c].set;
		KUNIT_EXPECT_EQ_MSG(test, cases[c].why, rule_check(test),
				    "all of it %s", cases[c].name);
	}
}

/* Output addresses: aligned, contiguous, ascending. And no tables among them. */
static void rule_addresses(struct kunit *test)
{
	const struct rule_run *r = test->param_value;
	ptval_t *run = rule_fill(test, PAGE_KERNEL);

	for (unsigned int n = 0; n < r->nr; n++)
		run[n] += __phys_to_pte_val(r->size);
	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ALIGN, rule_check(test));

	run = rule_fill(test, PAGE_KERNEL);
	swap(run[1], run[2]);
	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ADDRESS, rule_check(test));

	run = rule_fill(test, PAGE_KERNEL);
	run[r->nr - 1] = run[r->nr - 2];
	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ADDRESS, rule_check(test));

	/* Memory that a Realm shares is at another address. */
	run = rule_fill(test, PAGE_KERNEL);
	run[r->nr / 2] |= __phys_to_pte_val(1ULL << 47);
	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ADDRESS, rule_check(test));

	if (r->level == PGTABLE_LEVEL_PTE)
		return;
	for (unsigned int n = 0; n < r->nr; n++) {
		rule_fill(test, PAGE_KERNEL)[n] = (1ULL << 40) | PMD_TYPE_TABLE;
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_TABLE, rule_check(test));
	}
}

/*
 * A contiguous group is one leaf, and its first entry says which. Of any other
 * every entry is looked at, though its neighbours are contiguous.
 */
static void rule_groups(struct kunit *test)
{
	const struct rule_run *r = test->param_value;
	ptval_t *run;

	if (r->nr == r->cont)
		return;

	for (unsigned int alone = 0; alone < r->nr; alone += r->cont) {
		run = rule_fill(test, PAGE_KERNEL);
		for (unsigned int n = 0; n < r->nr; n++)
			if (n - alone >= r->cont)
				run[n] |= PTE_CONT;
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, rule_check(test));

		for (unsigned int n = 0; n < r->nr; n++) {
			if (n % r->cont && n - alone >= r->cont)
				continue;
			run[n] ^= PTE_PXN;
			KUNIT_EXPECT_EQ(test, KERNEL_LEAF_ATTRS, rule_check(test));
			run[n] ^= PTE_PXN;
		}
	}

	/* In every build: what a checker does not run it does not check. */
	run = rule_fill(test, PAGE_KERNEL);
	for (unsigned int n = 0; n < r->nr; n++)
		run[n] ^= n % r->cont ? PTE_CONT | PTE_PXN : PTE_CONT;
	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, rule_check(test));
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

	KUNIT_EXPECT_EQ(test, KERNEL_LEAF_OK, leaf_table_check(table | PMD_TABLE_AF, leaf));
	/* APTable and NSTable, whatever the leaf permits itself. */
	for (int bit = 61; bit < 64; bit++)
		KUNIT_EXPECT_EQ(test, KERNEL_LEAF_TABLE_ATTRS,
				leaf_table_check(table | BIT(bit), leaf | PTE_RDONLY |
						 PTE_PXN | PTE_UXN));
}

/* What the linear map is made with needs no deposit; all else does. */
static void rule_default(struct kunit *test)
{
	unsigned long addr = ALIGN_DOWN((unsigned long)__tag_reset(test->priv), PAGE_SIZE);
	const ptval_t attrs[] = { PTE_VALID, PTE_WRITE, PTE_RDONLY, PTE_PXN, PTE_NG,
				  PTE_ATTRINDX(7) };
	ptval_t leaf = __phys_to_pte_val(__pa(addr)) |
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

/* Live mappings. */

static int collapse_suite_init(struct kunit *test)
{
	if (!kernel_collapse_enabled())
		kunit_skip(test, "nothing is collapsed here (no BBML3, or off)");
	return 0;
}

static int collapse_at(unsigned long addr)
{
	return kernel_collapse_range(addr, addr + 1);
}

/* Collapse now; a ptdump or a worker that is at it may be in the way. */
static void collapse_now(struct kunit *test, unsigned long addr)
{
	KUNIT_EXPECT_TRUE(test, soon(!collapse_at(addr)));
}

static void collapse_to(struct kunit *test, unsigned long addr, unsigned long size)
{
	collapse_now(test, addr);
	KUNIT_EXPECT_GE(test, leaf_size(addr), size);
}

/* A block that is the test's as a whole, in a leaf of at least this size. */
static struct leaf_pages *block_get(struct kunit *test, unsigned long size)
{
	if (get_order(PMD_SIZE) > MAX_PAGE_ORDER || leaf_max_size() < size)
		kunit_skip(test, "no such block can be allocated here");

	return leaf_pages_get(test, get_order(PMD_SIZE), size);
}

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
	collapse_now(test, p->addr);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));

	KUNIT_ASSERT_EQ(test, 0, set_direct_map_default_noflush(p->page));
	collapse_to(test, p->addr, span);
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
		leaf_touch(test, p->addr, PAGE_SIZE);
		collapse_now(test, p->addr);
		KUNIT_ASSERT_GE(test, leaf_size(p->addr), PMD_SIZE);
	}
	/* Neither kept nor, which would show the other way, accounted twice. */
	KUNIT_EXPECT_LT(test, abs(pgtable_pages() - tables), 50);
}

static void make_noncont(unsigned long group)
{
	pte_t *ptep = pte_offset_kernel(pmd_off_k(group), group);

	for (int i = 0; i < CONT_PTES; i++)
		__set_pte(ptep + i, pte_mknoncont(__ptep_get(ptep + i)));
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
	collapse_now(test, p->addr);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(other));

	/* Split by hand the group next door; it is folded again. */
	make_noncont(other);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(other));
	collapse_now(test, p->addr);
	KUNIT_EXPECT_EQ(test, CONT_PTE_SIZE, leaf_size(other));

	/* The block next door: PMD or larger, in spite of the page here. */
	leaf_touch(test, q->addr, PAGE_SIZE);
	collapse_now(test, q->addr);
	if (ALIGN_DOWN(q->addr, PMD_SIZE) != block)
		KUNIT_EXPECT_GE(test, leaf_size(q->addr), PMD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	collapse_to(test, p->addr, leaf_max_size());
}

/*
 * Pages made invalid one by one do not become a block, nor a group; and a
 * restriction that only the table makes keeps the table.
 */
static void stays_apart(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE);
	pmd_t *pmdp, pmd;

	for (unsigned int i = 0; i < CONT_PTES; i++)
		KUNIT_ASSERT_EQ(test, 0, set_direct_map_invalid_noflush(p->page + i));
	flush_tlb_kernel_range(p->addr, p->addr + CONT_PTE_SIZE);
	collapse_now(test, p->addr);
	for (unsigned int i = 0; i < CONT_PTES; i++) {
		KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr + i * PAGE_SIZE));
		KUNIT_ASSERT_EQ(test, 0, set_direct_map_default_noflush(p->page + i));
	}
	collapse_to(test, p->addr, PMD_SIZE);

	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	pmdp = pmd_off_k(p->addr);
	pmd = pmdp_get(pmdp);
	KUNIT_ASSERT_TRUE(test, pmd_table(pmd));

	/* APTable: no access from EL0, which the leaves do not grant either. */
	set_pmd(pmdp, __pmd(pmd_val(pmd) | BIT(61)));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	collapse_now(test, p->addr);
	KUNIT_EXPECT_LT(test, leaf_size(p->addr), PMD_SIZE);

	set_pmd(pmdp, pmd);
	collapse_to(test, p->addr, PMD_SIZE);
}

/*
 * What is no linear map is left alone, and so is the image's alias: a group of it
 * that was unfolded by hand stays so.
 */
static void image_alias_stays(struct kunit *test)
{
	const unsigned long end = (unsigned long)lm_alias(__init_begin);
	unsigned long alias = ALIGN((unsigned long)lm_alias(_text), CONT_PTE_SIZE);
	unsigned long text = (unsigned long)_text, area;
	pte_t *ptep;

	KUNIT_EXPECT_EQ(test, -EINVAL, kernel_collapse_range(text, (unsigned long)_end));
	area = (unsigned long)vmalloc(CONT_PTE_SIZE);
	KUNIT_ASSERT_NE(test, 0UL, area);
	KUNIT_EXPECT_EQ(test, -EINVAL, collapse_at(area));
	vfree((void *)area);

	while (alias + CONT_PTE_SIZE <= end && leaf_size(alias) != CONT_PTE_SIZE)
		alias += CONT_PTE_SIZE;
	if (alias + CONT_PTE_SIZE > end)
		kunit_skip(test, "the image's alias holds no contPTE group");

	make_noncont(alias);
	collapse_now(test, alias);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(alias));

	ptep = pte_offset_kernel(pmd_off_k(alias), alias);
	for (int i = 0; i < CONT_PTES; i++)
		__set_pte(ptep + i, pte_mkcont(__ptep_get(ptep + i)));
	flush_tlb_kernel_range(alias, alias + CONT_PTE_SIZE);
}

/*
 * TLB maintenance: once the leaf is there, before the table goes, for all that
 * the table mapped. QEMU's TLB would not tell.
 */
struct flush_ctx {
	struct page *table;
	unsigned long addr, start, end, size_then;
	bool fold, locked_then, table_then;
	int calls;
};

/* How things are at the first flush of the kind. */
static void flush_note(bool fold, unsigned long start, unsigned long end)
{
	struct flush_ctx *ctx = kunit_get_current_test()->priv;

	if (ctx->fold != fold || ctx->calls++)
		return;
	ctx->start = start;
	ctx->end = end;
	ctx->size_then = leaf_size(ctx->addr);
	ctx->locked_then = rwsem_is_locked(&kernel_leaf_region(start)->lock);
	ctx->table_then = folio_test_pgtable(page_folio(ctx->table));
}

static void flush_table_stub(unsigned long start, unsigned long end)
{
	flush_note(false, start, end);
	__flush_tlb_kernel_pgtable_range(start, end);
}

static void flush_folded_stub(unsigned long start, unsigned long end)
{
	flush_note(true, start, end);
	flush_tlb_kernel_range(start, end);
}

/* Makes a page what all around it is, and collapses that to the given size. */
static void flush_by_collapse(struct kunit *test, struct flush_ctx *ctx,
			      unsigned long size)
{
	KUNIT_ASSERT_EQ(test, 0, leaf_change(ctx->addr, PAGE_SIZE, &to_ro));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(ctx->addr));
	ctx->table = pmd_page(pmdp_get(pmd_off_k(ctx->addr)));
	KUNIT_ASSERT_TRUE(test, folio_test_pgtable(page_folio(ctx->table)));

	/* Not before the change is undone, so that it is this thread's turn. */
	kernel_collapse_pause();
	KUNIT_EXPECT_EQ(test, 0, leaf_change(ctx->addr, PAGE_SIZE, &to_rw));
	test->priv = ctx;
	kunit_activate_static_stub(test, flush_replaced_table, flush_table_stub);
	kunit_activate_static_stub(test, flush_folded_leaves, flush_folded_stub);
	kernel_collapse_resume();
	collapse_now(test, ctx->addr);
	kunit_deactivate_static_stub(test, flush_replaced_table);
	kunit_deactivate_static_stub(test, flush_folded_leaves);

	KUNIT_EXPECT_GE(test, ctx->calls, 1);
	KUNIT_EXPECT_EQ(test, size, ctx->size_then);
	KUNIT_EXPECT_TRUE(test, ctx->table_then);
}

static void flush_after_replace(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);
	unsigned long block = ALIGN_DOWN(p->addr, PMD_SIZE);
	struct flush_ctx ctx = { .addr = p->addr };

	flush_by_collapse(test, &ctx, PMD_SIZE);
	KUNIT_EXPECT_EQ(test, block, ctx.start);
	KUNIT_EXPECT_EQ(test, block + PMD_SIZE, ctx.end);
	KUNIT_EXPECT_TRUE(test, ctx.locked_then);
}

static void flush_after_fold(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE);
	struct flush_ctx ctx = { .addr = p->addr + CONT_PTE_SIZE, .fold = true };

	/* The group is whole again, but the block is not. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
	flush_by_collapse(test, &ctx, CONT_PTE_SIZE);
	KUNIT_EXPECT_LE(test, ctx.start, ctx.addr);
	KUNIT_EXPECT_GE(test, ctx.end, ctx.addr + CONT_PTE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
}

/* Between begin and end of a change, nothing around it is collapsed. */
static void change_and_collapse(struct kunit *test, unsigned long addr,
				unsigned long size, unsigned long whole)
{
	struct kernel_leaf_pool pool = {};
	ptval_t val;

	KUNIT_ASSERT_EQ(test, 0, leaf_change(addr, size, &to_ro));
	KUNIT_ASSERT_EQ(test, 0,
			kernel_leaf_change_begin(addr, addr + size, &to_rw, &pool));
	val = kernel_leaf_apply(leaf_val(addr), &to_rw);
	if (size == PAGE_SIZE)
		__set_pte(pte_offset_kernel(pmd_off_k(addr), addr), __pte(val));
	else
		set_pmd(pmd_off_k(addr), __pmd(val));

	/* All is uniform, yet the change might go on, or split a block. */
	KUNIT_EXPECT_EQ(test, -EAGAIN, collapse_at(addr));
	KUNIT_EXPECT_EQ(test, size, leaf_size(addr));

	kernel_leaf_change_end(addr);
	flush_tlb_kernel_range(addr, addr + size);
	kernel_leaf_pool_drain(&pool);
	collapse_to(test, addr, whole);
}

static void excluded_by_change(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);

	change_and_collapse(test, p->addr, PAGE_SIZE, PMD_SIZE);
}

/*
 * With 16K and 64K pages the table of a group of blocks spans regions, and it is
 * the lock of this one that counts.
 */
static void excluded_by_change_of_block(struct kunit *test)
{
	struct leaf_pages *p = block_get(test, CONT_PMD_SIZE);

	change_and_collapse(test, p->addr, PMD_SIZE, CONT_PMD_SIZE);

	/* The worker sees to it, too, be the table the top-level one. */
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
	KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
	KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_rw));
	kernel_collapse_flush();
	KUNIT_EXPECT_GE(test, leaf_size(p->addr), CONT_PMD_SIZE);
}

/* Nor under ptdump and under who copies the tables. No change waits for them. */
static void excluded_by_readers(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, PMD_SIZE);

	for (int copy = 0; copy < 2; copy++) {
		KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
		if (copy)
			kernel_collapse_pause();
		else
			mmap_write_lock(&init_mm);
		KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
		KUNIT_EXPECT_EQ(test, -EAGAIN, collapse_at(p->addr));
		KUNIT_EXPECT_LT(test, leaf_size(p->addr), PMD_SIZE);
		if (copy)
			kernel_collapse_resume();
		else
			mmap_write_unlock(&init_mm);
		collapse_to(test, p->addr, PMD_SIZE);
	}
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

	collapse_to(test, p->addr, leaf_max_size());
}
#endif

/* Two neighbours that are changed, a page at a time, and who collapses them. */
struct halves {
	unsigned long addr;
	atomic_t which, bad, rounds, collapses;
	struct task_struct *threads[3];
};

/* Changes one page after the other, and finds each as it left it. */
static int half_changer(void *data)
{
	struct halves *h = data;
	unsigned long addr = h->addr + atomic_fetch_inc(&h->which) * CONT_PTE_SIZE;

	while (!kthread_should_stop()) {
		for (unsigned long a = addr; a < addr + CONT_PTE_SIZE; a += PAGE_SIZE) {
			bool bad = leaf_change(a, PAGE_SIZE, &to_ro) ||
				   hw_translate(a, true) != -1 ||
				   hw_translate(a, false) != __pa(a);

			if (leaf_change(a, PAGE_SIZE, &to_rw) || bad ||
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
		collapse_at(h->addr);
		if (leaf_size(h->addr) >= PMD_SIZE)
			atomic_inc(&h->collapses);
		cond_resched();
	}

	return 0;
}

static void halves_start(struct kunit *test, struct halves *h, int nr)
{
	h->addr = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE)->addr;
	for (int i = 0; i < nr; i++) {
		h->threads[i] = kthread_run(i < 2 ? half_changer : half_collapser,
					    h, "leaf-half-%d", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(h->threads[i]));
	}
}

static void halves_stop(struct kunit *test, struct halves *h, int nr)
{
	for (int i = 0; i < nr; i++)
		kthread_stop(h->threads[i]);
	kunit_info(test, "%d changes, found collapsed %d times\n",
		   atomic_read(&h->rounds), atomic_read(&h->collapses));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&h->bad));
}

/*
 * Two objects in one block, changed on two CPUs, while a third collapses it.
 * Without exclusion a change stores to a table that is no longer the one in
 * use, and does not find the page as it left it.
 */
static void two_halves_and_a_collapse(struct kunit *test)
{
	struct halves h = {};

	halves_start(test, &h, 3);
	msleep(2000);
	halves_stop(test, &h, 3);
	KUNIT_EXPECT_GT(test, atomic_read(&h.rounds), 100);
	KUNIT_EXPECT_GT(test, atomic_read(&h.collapses), 0);
	collapse_to(test, h.addr, PMD_SIZE);
}

struct reader {
	unsigned long addr;
	struct completion inside;
	bool table_gone;
};

/* Stays in an RCU read-side critical section across the collapse. */
static int table_reader(void *data)
{
	struct reader *r = data;
	pmd_t pmd;

	rcu_read_lock();
	pmd = pmdp_get(pmd_off_k(r->addr));
	complete(&r->inside);
	while (!kthread_should_stop())
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
	wait_for_completion(&r.inside);
	KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
	kernel_collapse_resume();

	collapse_to(test, p->addr, PMD_SIZE);
	kthread_stop(thread);
	KUNIT_EXPECT_FALSE(test, r.table_gone);
}

/*
 * A block that is not as the linear map was made keeps its table, so that the
 * way back cannot fail for lack of memory; until it comes back as a whole.
 */
static void deposit(struct kunit *test)
{
	unsigned int before = READ_ONCE(nr_deposits);
	struct leaf_pages *p = block_get(test, PMD_SIZE);

	for (int whole = 0; whole < 2; whole++) {
		/* Stands alone from the start: a larger leaf is not the point here. */
		KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_ro));
		KUNIT_ASSERT_EQ(test, PMD_SIZE, leaf_size(p->addr));
		KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_rw));
		KUNIT_ASSERT_EQ(test, PAGE_SIZE, leaf_size(p->addr));
		KUNIT_ASSERT_EQ(test, 0, leaf_change(p->addr, PAGE_SIZE, &to_ro));
		collapse_now(test, p->addr);
		KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
		KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(p->addr, true));
		KUNIT_EXPECT_EQ(test, before + 1, READ_ONCE(nr_deposits));

		kunit_activate_static_stub(test, kernel_leaf_pool_fill, no_tables);
		for (unsigned long a = p->addr; !whole && a < p->addr + PMD_SIZE; a += PAGE_SIZE)
			KUNIT_EXPECT_EQ(test, 0, leaf_change(a, PAGE_SIZE, &to_rw));
		KUNIT_EXPECT_EQ(test, 0, leaf_change(p->addr, PMD_SIZE, &to_rw));
		kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
		KUNIT_EXPECT_EQ(test, __pa(p->addr), hw_translate(p->addr, true));
		KUNIT_EXPECT_EQ(test, before, READ_ONCE(nr_deposits));
		collapse_to(test, p->addr, PMD_SIZE);
	}
}

/* Memory that a Realm shares can be taken back without memory for tables. */
static void deposit_shared(struct kunit *test)
{
	unsigned int before = READ_ONCE(nr_deposits);
	const unsigned int nr = PMD_SIZE >> PAGE_SHIFT;
	struct leaf_pages *p;

	if (!is_realm_world())
		kunit_skip(test, "this is no Realm");

	p = block_get(test, PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, set_memory_decrypted(p->addr, nr / 2));
	KUNIT_ASSERT_EQ(test, 0, set_memory_decrypted(p->addr + PMD_SIZE / 2, nr / 2));
	/* In the second round others are looked at, this one stays. */
	for (int i = 0; i < 2; i++) {
		collapse_now(test, p->addr);
		KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
		KUNIT_EXPECT_EQ(test, before + 1, READ_ONCE(nr_deposits));
	}

	kunit_activate_static_stub(test, kernel_leaf_pool_fill, no_tables);
	KUNIT_EXPECT_EQ(test, 0, set_memory_encrypted(p->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, set_memory_encrypted(p->addr + PAGE_SIZE, nr - 1));
	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	KUNIT_EXPECT_EQ(test, before, READ_ONCE(nr_deposits));
	memset((void *)p->addr, 0xa5, PMD_SIZE);
	collapse_to(test, p->addr, PMD_SIZE);
}

/* A change that restores a block has it collapsed, without being asked. */
static void worker_heals(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, 0, leaf_max_size());
	struct halves h = {};

	leaf_touch(test, p->addr, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, leaf_size(p->addr));
	KUNIT_EXPECT_TRUE(test, soon(leaf_size(p->addr) == leaf_max_size()));

	/* However busy its neighbours are. */
	halves_start(test, &h, 2);
	if (ALIGN_DOWN(p->addr, PMD_SIZE) != ALIGN_DOWN(h.addr, PMD_SIZE)) {
		leaf_touch(test, p->addr, PAGE_SIZE);
		KUNIT_EXPECT_TRUE(test, soon(leaf_size(p->addr) >= PMD_SIZE));
	}
	halves_stop(test, &h, 2);
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
	c->least = min_not_zero(c->least, ticks() - begin);
}

#define cost_of(test, cost, call) do {		\
	u64 begin = ticks();			\
						\
	KUNIT_EXPECT_EQ(test, 0, call);		\
	cost_add(cost, begin);			\
} while (0)

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
	for (unsigned long a = block; a < block + PMD_SIZE; a += CONT_PTE_SIZE)
		if (leaf_size(a) == CONT_PTE_SIZE)
			leaf_touch(test, a, PAGE_SIZE);
}

/* Says what things cost. Where time is instructions, more is a failure. */
static void costs(struct kunit *test)
{
	struct leaf_pages *p = leaf_pages_get(test, TWO_GROUPS, PMD_SIZE);
	unsigned long last = ALIGN_DOWN(p->addr, PMD_SIZE) + PMD_SIZE - PAGE_SIZE;
	struct page *page = p->page, *other = page + CONT_PTES;
	struct cost change = { "change of a page that stands alone", 380 };
	struct cost restore = { "its way back", 430 };
	struct cost group = { "first change in another group", 750 };
	struct cost first = { "first change in a block", 5100 };
	struct cost block = { "collapse of a table of pages", 3200 };
	struct cost single = { "collapse of a table of single pages", 5900 };
	struct cost vain = { "look at a table that is not uniform", 3800 };
	struct cost longest = { "longest batch", 13000 };
	struct cost large = { "collapse of a table of blocks", 2400 };
	struct cost *all[] = { &change, &restore, &group, &first, &block, &single,
			       &vain, &longest, &large };
	/* A block that is all ours. */
	const bool whole = p->order >= get_order(PMD_SIZE);

	/* A larger leaf than a PMD is split first, and not counted. */
	leaf_touch(test, p->addr, PAGE_SIZE);
	last = min(last, p->addr + (PAGE_SIZE << p->order) - PAGE_SIZE);

	for (int i = 0; i < 4; i++) {
		cost_of(test, &change, set_direct_map_invalid_noflush(page));
		cost_of(test, &restore, set_direct_map_default_noflush(page));

		/* Another group of the block, which nobody has unfolded yet. */
		cost_of(test, &group, set_direct_map_invalid_noflush(other));
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_default_noflush(other));

		/* Looked at in full, and not a block. */
		KUNIT_EXPECT_EQ(test, 0, leaf_change(last, PAGE_SIZE, &to_ro));
		cost_of(test, &vain, collapse_at(p->addr));

		/* And all groups but one to be folded: there is no more to do. */
		if (whole) {
			unfold_groups(test, p->addr);
			cost_of(test, &longest, collapse_at(p->addr));
		}

		KUNIT_EXPECT_EQ(test, 0, leaf_change(last, PAGE_SIZE, &to_rw));
		cost_of(test, &block, collapse_at(p->addr));
		KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);

		/* Not to split a larger leaf as well below. */
		if (whole)
			leaf_touch(test, p->addr, PMD_SIZE);
		cost_of(test, &first, set_direct_map_invalid_noflush(page));
		KUNIT_EXPECT_EQ(test, 0, set_direct_map_default_noflush(page));

		/* Every page of it was in use by itself. */
		if (whole) {
			unfold_groups(test, p->addr);
			cost_of(test, &single, collapse_at(p->addr));
			KUNIT_EXPECT_GE(test, leaf_size(p->addr), PMD_SIZE);
			leaf_touch(test, p->addr, PAGE_SIZE);
		}
	}

	p = leaf_pages_get(test, 0, leaf_max_size());
	for (int i = 0; i < 4; i++) {
		if (p->order < get_order(PMD_SIZE) || leaf_max_size() != PUD_SIZE)
			break;
		leaf_touch(test, p->addr, PMD_SIZE);
		KUNIT_EXPECT_EQ(test, PMD_SIZE, leaf_size(p->addr));
		cost_of(test, &large, collapse_at(p->addr));
		KUNIT_EXPECT_EQ(test, PUD_SIZE, leaf_size(p->addr));
	}

	for (int i = 0; i < ARRAY_SIZE(all); i++)
		cost_report(test, all[i]);
}

static struct kunit_case collapse_rule_cases[] = {
	KUNIT_CASE_PARAM(rule_every_bit, rule_gen_params),
	KUNIT_CASE_PARAM(rule_uniform_bits, rule_gen_params),
	KUNIT_CASE_PARAM(rule_addresses, rule_gen_params),
	KUNIT_CASE_PARAM(rule_groups, rule_gen_params),
	KUNIT_CASE(rule_table_attrs),
	KUNIT_CASE(rule_default),
	{}
};

/* The rule needs no hardware. */
static struct kunit_suite collapse_rule_suite = {
	.name = "kernel_collapse_rule",
	.init = rule_init,
	.test_cases = collapse_rule_cases,
};

static struct kunit_case collapse_cases[] = {
	KUNIT_CASE(levels_down_and_up),
	KUNIT_CASE(tables_come_back),
	KUNIT_CASE(levels_partial),
	KUNIT_CASE(stays_apart),
	KUNIT_CASE(image_alias_stays),
	KUNIT_CASE(flush_after_replace),
	KUNIT_CASE(flush_after_fold),
	KUNIT_CASE(costs),
	KUNIT_CASE(excluded_by_change),
	KUNIT_CASE(excluded_by_change_of_block),
	KUNIT_CASE(excluded_by_readers),
#ifdef CONFIG_KFENCE
	KUNIT_CASE(late_kfence),
#endif
	KUNIT_CASE_SLOW(two_halves_and_a_collapse),
	KUNIT_CASE(grace_period),
	KUNIT_CASE(deposit),
	KUNIT_CASE(deposit_shared),
	KUNIT_CASE_SLOW(worker_heals),
	{}
};

static struct kunit_suite collapse_suite = {
	.name = "kernel_collapse",
	.init = collapse_suite_init,
	.test_cases = collapse_cases,
};

kunit_test_suites(&collapse_rule_suite, &collapse_suite);
