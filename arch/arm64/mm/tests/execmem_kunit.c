// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for execmem's cache of read-only blocks on arm64: that a block is
 * one leaf, in vmalloc space and in the linear map; what becomes of the two
 * while parts of it are written to; and that nothing is left behind.
 */
#include <linux/cacheflush.h>
#include <linux/delay.h>
#include <linux/execmem.h>
#include <linux/mmu_context.h>
#include <linux/workqueue.h>

#include <asm/insn.h>

#include "kernel_leaf_test.h"

#define BLOCK	EXECMEM_BLOCK_SIZE

static unsigned long alias_of(unsigned long addr)
{
	return (unsigned long)page_address(vmalloc_to_page((void *)addr));
}

KUNIT_DEFINE_ACTION_WRAPPER(execmem_release, execmem_free, void *);

/* A range of the cache, which the test gives back at its end at the latest. */
static unsigned long get(struct kunit *test, enum execmem_type type, size_t size,
			 bool rw)
{
	void *p = rw ? execmem_alloc_rw(type, size) : execmem_alloc(type, size);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, execmem_release, p));
	return (unsigned long)p;
}

/*
 * A block of which nobody else has a part, nor had one that a work still has to
 * free: what takes two blocks does not fit into what other cases have left.
 */
static unsigned long own_block(struct kunit *test, bool rw)
{
	return get(test, EXECMEM_MODULE_TEXT, 2 * BLOCK, rw);
}

static int restore(unsigned long addr, size_t size)
{
	return execmem_restore_rox((void *)addr, size);
}

#define ROX_BITS	(PTE_RDONLY | PTE_WRITE | PTE_PXN)

static bool is_rox(unsigned long addr)
{
	return (leaf_val(addr) & (ROX_BITS | PTE_GP | PTE_VALID)) ==
	       (PTE_RDONLY | PTE_MAYBE_GP | PTE_VALID);
}

static bool is_rw_nx(unsigned long addr)
{
	return (leaf_val(addr) & ROX_BITS) == (PTE_WRITE | PTE_PXN) &&
	       hw_translate(addr, true) != (phys_addr_t)-1;
}

static bool is_block(unsigned long addr)
{
	return leaf_size(addr) >= BLOCK;
}

/*
 * The alias: nobody can write to it, and it is whole, if not at once: memory that
 * somebody else had may still be in pieces when the cache gets it.
 */
static void expect_alias_ro(struct kunit *test, unsigned long alias)
{
	KUNIT_EXPECT_TRUE(test, soon(is_block(alias)));
	if (rodata_full)
		KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(alias, true));
}

/* What is not written to is one leaf, filled with what traps. */
static void execmem_one_leaf(struct kunit *test)
{
	unsigned long m = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, false);
	unsigned long p = get(test, EXECMEM_BPF, PAGE_SIZE, false);
	unsigned long k = get(test, EXECMEM_KPROBES, PAGE_SIZE, false);

	KUNIT_EXPECT_TRUE(test, execmem_is_rox(EXECMEM_KPROBES));
	KUNIT_EXPECT_TRUE(test, execmem_is_rox(EXECMEM_FTRACE));
	KUNIT_EXPECT_TRUE(test, execmem_is_rox(EXECMEM_BPF));
	KUNIT_EXPECT_FALSE(test, execmem_is_rox(EXECMEM_MODULE_DATA));

	KUNIT_EXPECT_EQ(test, BLOCK, leaf_size(p));
	KUNIT_EXPECT_EQ(test, BLOCK, leaf_size(m));
	KUNIT_EXPECT_TRUE(test, is_rox(p));
	KUNIT_EXPECT_TRUE(test, is_rox(m));
	for (unsigned long a = p; a < p + PAGE_SIZE; a += AARCH64_INSN_SIZE)
		KUNIT_EXPECT_EQ(test, 0, *(u32 *)a); /* UDF #0 */
	expect_alias_ro(test, alias_of(p));
	expect_alias_ro(test, alias_of(m));

	/* A program must not take what modules can reach by a branch. */
	KUNIT_EXPECT_NE(test, ALIGN_DOWN(p, BLOCK), ALIGN_DOWN(m, BLOCK));
	/* A probe takes a page of a block that is there. */
	KUNIT_EXPECT_EQ(test, ALIGN_DOWN(k, BLOCK), ALIGN_DOWN(m, BLOCK));
}

/*
 * What there is of areas, whatever they are made of: all of an area can be used,
 * and vfree() is to reset its alias. Those without a guard page are whole blocks,
 * and lie where addresses are scarce.
 */
static void expect_area(struct kunit *test, enum execmem_type type, size_t size)
{
	void *p = (void *)get(test, type, size, false), *start;
	struct vm_struct *vm = find_vm_area(p);
	size_t area_size, leaf;

	KUNIT_ASSERT_NOT_NULL(test, vm);
	start = kasan_reset_tag(vm->addr);
	area_size = get_vm_area_size(vm);
	leaf = PAGE_SIZE << vm->page_order;

	KUNIT_EXPECT_TRUE(test, p + size <= start + area_size);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(area_size, leaf));
	KUNIT_EXPECT_EQ(test, area_size, vm->nr_pages * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, vm->flags & VM_FLUSH_RESET_PERMS);
	if (vm->flags & VM_NO_GUARD) {
		KUNIT_EXPECT_EQ(test, EXECMEM_MODULE_TEXT, type);
		KUNIT_EXPECT_GE(test, leaf, BLOCK);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(area_size, BLOCK));
	}

	/* KASAN knows of all of it. */
	for (size_t off = 0; off < area_size; off += PAGE_SIZE)
		READ_ONCE(*(u8 *)(start + off + PAGE_SIZE - 1));
}

/* Also with nohugevmalloc, where there are no blocks. */
static void execmem_areas(struct kunit *test)
{
	static const size_t sizes[] = {
		PAGE_SIZE, CONT_PTE_SIZE + PAGE_SIZE, BLOCK, BLOCK + PAGE_SIZE,
	};

	for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
		expect_area(test, EXECMEM_MODULE_TEXT, sizes[i]);
		expect_area(test, EXECMEM_BPF, sizes[i]);
	}
}

/* Two parts of a block are written to, and each is restored in its turn. */
static void execmem_write_and_restore(struct kunit *test)
{
	unsigned long keep = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, false);
	unsigned long a = get(test, EXECMEM_MODULE_TEXT, 3 * PAGE_SIZE, true);
	unsigned long b = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, true);
	unsigned long alias = alias_of(a);

	KUNIT_EXPECT_TRUE(test, is_rw_nx(a));
	KUNIT_EXPECT_TRUE(test, is_rw_nx(b));
	KUNIT_EXPECT_TRUE(test, is_rox(keep));
	expect_alias_ro(test, alias);
	memset((void *)a, 0xa5, 3 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, 0, restore(a, 3 * PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, is_rox(a));
	KUNIT_EXPECT_TRUE(test, is_rw_nx(b));
	KUNIT_EXPECT_FALSE(test, is_block(b));

	KUNIT_EXPECT_EQ(test, 0, restore(b, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, is_rox(b));
	KUNIT_EXPECT_TRUE(test, soon(is_block(a)));
	KUNIT_EXPECT_EQ(test, 0xa5, *(u8 *)(a + 3 * PAGE_SIZE - 1));
	expect_alias_ro(test, alias);
}

/* What is written there can be run. */
static void execmem_runs(struct kunit *test)
{
	unsigned long addr = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, true);
	__le32 *p = (__le32 *)addr;
	int (*fn)(void) = (void *)p;

	if (IS_ENABLED(CONFIG_CFI))
		kunit_skip(test, "there is no type in front of the function");

	p[0] = cpu_to_le32(aarch64_insn_gen_hint(AARCH64_INSN_HINT_BTIC));
	p[1] = cpu_to_le32(aarch64_insn_gen_movewide(AARCH64_INSN_REG_0, 42, 0,
						     AARCH64_INSN_VARIANT_32BIT,
						     AARCH64_INSN_MOVEWIDE_ZERO));
	p[2] = cpu_to_le32(aarch64_insn_gen_branch_reg(AARCH64_INSN_REG_LR,
						       AARCH64_INSN_BRANCH_RETURN));
	flush_icache_range(addr, (unsigned long)&p[3]);
	KUNIT_ASSERT_EQ(test, 0, restore(addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 42, fn());
}

/*
 * A block that is writable as a whole is split to restore the half of it. The
 * new table must not keep the half from being executed.
 */
static void execmem_half_a_block(struct kunit *test)
{
	unsigned long p = own_block(test, true);
	pmd_t pmd;

	KUNIT_EXPECT_TRUE(test, is_block(p));
	KUNIT_EXPECT_TRUE(test, is_rw_nx(p));

	KUNIT_EXPECT_EQ(test, 0, restore(p, BLOCK / 2));
	KUNIT_EXPECT_TRUE(test, is_rox(p));
	KUNIT_EXPECT_TRUE(test, is_rw_nx(p + BLOCK / 2));
	pmd = pmdp_get(pmd_off_k(p));
	KUNIT_EXPECT_TRUE(test, pmd_table(pmd));
	KUNIT_EXPECT_EQ(test, 0, pmd_val(pmd) & PMD_TABLE_PXN);

	KUNIT_EXPECT_EQ(test, 0, restore(p, BLOCK));
	KUNIT_EXPECT_TRUE(test, soon(is_block(p)));
}

/* Who reads the tables meanwhile delays the collapse, but does not prevent it. */
static void execmem_collapse_later(struct kunit *test)
{
	unsigned long keep = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, false);
	unsigned long p = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, true);

	if (BLOCK == CONT_PTE_SIZE)
		kunit_skip(test, "a block has no table of its own");

	mmap_write_lock(&init_mm);
	KUNIT_EXPECT_EQ(test, 0, restore(p, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, is_rox(p));
	KUNIT_EXPECT_FALSE(test, is_block(p));
	mmap_write_unlock(&init_mm);

	KUNIT_EXPECT_TRUE(test, soon(is_block(keep)));
}

/* Without memory for the split there is an error, and with it all goes on. */
static void execmem_no_memory(struct kunit *test)
{
	unsigned long addr = own_block(test, false);

	KUNIT_EXPECT_TRUE(test, soon(is_block(addr)));
	if (BLOCK == CONT_PTE_SIZE)
		kunit_skip(test, "a block is unfolded without memory");

	/* A table that was kept would be as good as memory. */
	deposits_drop(addr, addr + BLOCK);

	kunit_activate_static_stub(test, kernel_leaf_pool_fill, no_tables);
	KUNIT_EXPECT_NE(test, 0, execmem_arch_make_rw(addr, 1));
	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	KUNIT_EXPECT_TRUE(test, is_rox(addr));
	KUNIT_EXPECT_TRUE(test, is_block(addr));

	/* In the second round there is a table for whoever writes again. */
	for (int i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, 0, execmem_arch_make_rw(addr, 1));
		KUNIT_EXPECT_TRUE(test, is_rw_nx(addr));
		KUNIT_EXPECT_EQ(test, 0, restore(addr, PAGE_SIZE));
		KUNIT_EXPECT_TRUE(test, soon(is_block(addr)));
		if (!i)
			kunit_activate_static_stub(test, kernel_leaf_pool_fill, no_tables);
	}
}

/* A block that is free as a whole is ordinary memory again. */
static void execmem_free_block(struct kunit *test)
{
	void *p = execmem_alloc_rw(EXECMEM_MODULE_TEXT, 2 * BLOCK);
	unsigned long alias[2];

	KUNIT_ASSERT_NOT_NULL(test, p);
	alias[0] = alias_of((unsigned long)p);
	alias[1] = alias_of((unsigned long)p + 2 * BLOCK - PAGE_SIZE);
	execmem_free(p);

	for (int i = 0; i < ARRAY_SIZE(alias); i++) {
		KUNIT_EXPECT_TRUE(test, soon(hw_translate(alias[i], true) == __pa(alias[i])));
		KUNIT_EXPECT_TRUE(test, soon(is_block(alias[i])));
	}
	KUNIT_EXPECT_TRUE(test, soon(!find_vm_area(p)));
}

/*
 * While hibernation copies memory nothing is changed, whoever frees what; what is
 * freed then is made ready later.
 */
static void execmem_frozen(struct kunit *test)
{
#ifdef CONFIG_FREEZER
	unsigned long keep = get(test, EXECMEM_MODULE_TEXT, PAGE_SIZE, false);
	__le32 *p = execmem_alloc_rw(EXECMEM_MODULE_TEXT, PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, p);
	*p = cpu_to_le32(42);
	KUNIT_EXPECT_EQ(test, 0, execmem_restore_rox(p, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, soon(is_block(keep)));

	freeze_workqueues_begin();
	execmem_free(p);
	msleep(50);
	KUNIT_EXPECT_EQ(test, 42, le32_to_cpu(*p));
	KUNIT_EXPECT_TRUE(test, is_block(keep));
	thaw_workqueues();

	KUNIT_EXPECT_TRUE(test, soon(!READ_ONCE(*p)));
#else
	kunit_skip(test, "nothing is ever frozen here");
#endif
}

/* vfree() of data that nobody made read-only does not touch its alias. */
static void execmem_plain_data(struct kunit *test)
{
	void *p = execmem_alloc_rw(EXECMEM_MODULE_DATA, 8 * PAGE_SIZE);
	unsigned long alias[8], size[8];

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (int i = 0; i < ARRAY_SIZE(alias); i++) {
		alias[i] = alias_of((unsigned long)p + i * PAGE_SIZE);
		kernel_collapse_range(alias[i], alias[i] + 1);
	}
	for (int i = 0; i < ARRAY_SIZE(alias); i++)
		size[i] = leaf_size(alias[i]);

	execmem_free(p);
	for (int i = 0; i < ARRAY_SIZE(alias); i++)
		KUNIT_EXPECT_EQ(test, size[i], leaf_size(alias[i]));

	/* While what was made read-only is writable when it is freed. */
	p = execmem_alloc_rw(EXECMEM_MODULE_DATA, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	alias[0] = alias_of((unsigned long)p);
	set_vm_flush_reset_perms(p);
	KUNIT_EXPECT_EQ(test, 0, set_memory_ro((unsigned long)p, 1));
	if (rodata_full)
		KUNIT_EXPECT_EQ(test, (phys_addr_t)-1, hw_translate(alias[0], true));
	execmem_free(p);
	KUNIT_EXPECT_EQ(test, __pa(alias[0]), hw_translate(alias[0], true));
}

static int execmem_test_init(struct kunit *test)
{
	if (!execmem_is_rox(EXECMEM_MODULE_TEXT))
		kunit_skip(test, "execmem has no cache here (CPUs without BBML3)");
	if (!kernel_collapse_enabled())
		kunit_skip(test, "nothing is ever collapsed here");
	return 0;
}

static struct kunit_case execmem_cases[] = {
	KUNIT_CASE(execmem_one_leaf),
	KUNIT_CASE(execmem_areas),
	KUNIT_CASE_SLOW(execmem_write_and_restore),
	KUNIT_CASE(execmem_runs),
	KUNIT_CASE_SLOW(execmem_half_a_block),
	KUNIT_CASE_SLOW(execmem_collapse_later),
	KUNIT_CASE_SLOW(execmem_no_memory),
	KUNIT_CASE_SLOW(execmem_free_block),
	KUNIT_CASE_SLOW(execmem_frozen),
	KUNIT_CASE(execmem_plain_data),
	{}
};

static struct kunit_suite execmem_suite = {
	.name = "kernel_execmem",
	.init = execmem_test_init,
	.test_cases = execmem_cases,
};

kunit_test_suite(execmem_suite);
