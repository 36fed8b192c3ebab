// SPDX-License-Identifier: GPL-2.0-only
/*
 * Churn of kernel leaf mappings: threads on several CPUs change permissions in
 * the linear map and in vmalloc space in an order that follows from a seed, and
 * look whether every page is mapped as it should be, and holds what it should.
 *
 * Each page belongs to one thread, which knows what its mappings must permit (the
 * model). In the shared blocks neighbours belong to different threads: they split
 * and collapse each other's leaves all the time, and no page must show it.
 *
 * What a thread does in its n-th operation follows from seed, thread and n, and
 * from what the thread has done before, but not from the other threads: with the
 * same parameters every thread does the same in each run. In which order threads
 * come to each other's leaves does not repeat, except with one thread. Nor does
 * with leaf_fuzz.fail=, which allocation it is that fails.
 *
 *	kunit.enable=1 kunit.filter_glob=kernel_leaf_fuzz leaf_fuzz.seed=7
 *
 * or, later, by way of /sys/module/leaf_fuzz/parameters and
 * /sys/kernel/debug/kunit/kernel_leaf_fuzz/run.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/execmem.h>
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/mmu_context.h>
#include <linux/pagewalk.h>
#include <linux/prandom.h>
#include <linux/ptdump.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kernel_leaf_test.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "leaf_fuzz."

static unsigned int seed = 1;
module_param(seed, uint, 0644);
MODULE_PARM_DESC(seed, "what all the rest follows from");

static unsigned int ops = 1000;
module_param(ops, uint, 0644);
MODULE_PARM_DESC(ops, "operations of each thread");

static unsigned int threads = 4;
module_param(threads, uint, 0644);
MODULE_PARM_DESC(threads, "number of threads, 1 to 8, on the CPUs in turn");

static unsigned int mask = ~0;
module_param(mask, uint, 0644);
MODULE_PARM_DESC(mask, "bit n: operation n of the table is among them");

static unsigned int fail;
module_param(fail, uint, 0644);
MODULE_PARM_DESC(fail, "percentage of operations in which an allocation fails");

static unsigned int delay;
module_param(delay, uint, 0644);
MODULE_PARM_DESC(delay, "disturb the schedule: 1 by timers, 2 at the edges of locks, 3 both");

static unsigned int seconds = 120;
module_param(seconds, uint, 0644);
MODULE_PARM_DESC(seconds, "when to end, whatever is still to do");

static bool alone = true;
module_param(alone, bool, 0644);
MODULE_PARM_DESC(alone, "nobody else makes page tables, so that those left over can be counted");

#define MAX_THREADS	8
#define MAX_AREAS	6
#define MAX_REPORTS	8
/* A block that may be one leaf, unless that is of 512M, as with 64K pages. */
#define SPAN_ORDER	(IS_ENABLED(CONFIG_ARM64_64K_PAGES) ? 9 : PMD_SHIFT - PAGE_SHIFT)
#define SPAN_SIZE	(PAGE_SIZE << SPAN_ORDER)
#define SPAN_PAGES	((unsigned int)(SPAN_SIZE >> PAGE_SHIFT))
#define AREA_PAGES	(SZ_4M >> PAGE_SHIFT)
/* The largest leaf that lies in a block of ours. */
#define SPAN_LEAF	(IS_ALIGNED(SPAN_SIZE, PMD_SIZE) ? PMD_SIZE : CONT_PTE_SIZE)
/* Words of a page that are looked at in passing; all of them at the end. */
#define SAMPLES		8

/* How many neighbours in a shared block belong to the same thread. */
static const unsigned int strides[] = { 1, 8, CONT_PTES, SPAN_PAGES / 8 };

/* What a mapping permits. */
#define CAN_READ	BIT(0)
#define CAN_WRITE	BIT(1)
#define CAN_EXEC	BIT(2)
#define CAN_ALL		(CAN_READ | CAN_WRITE)

/* Changes. What each makes of the above is said by after(). */
enum change {
	TO_INVALID,
	TO_DEFAULT,	/* valid and writable, of the linear map */
	TO_VALID,
	TO_RO,
	TO_RW,
	TO_X,
	TO_NX,
	TO_ROX,
	TO_RW_NX,
	NR_CHANGES
};

static const char * const change_names[NR_CHANGES] = {
	"invalid", "default", "valid", "ro", "rw", "x", "nx", "rox", "rw-nx",
};

struct fuzz_page {
	struct page *page;
	unsigned long addr;
	unsigned int gen;
	u8 may;
};

enum area_kind { NO_AREA, SMALL_AREA, HUGE_AREA, VMAP_AREA, EXEC_AREA };

/**
 * struct fuzz_area - an area of vmalloc space
 * @kind:	what it is made by
 * @reset:	vfree() resets the direct map of its pages
 * @cached:	it is a part of a block of execmem's cache
 * @collapsed:	kernel_collapse_vmap() may keep tables for it
 * @ptr:	its address
 * @addr:	the same without a tag
 * @nr:		pages
 * @base:	attributes of a page that is valid, writable and not executable
 * @pages:	what it maps
 * @own:	of VMAP_AREA: indices of the thread's own pages
 * @gen:	generation of the data
 * @may:	what the area permits, by page
 * @alias:	what the linear map permits, by page
 */
struct fuzz_area {
	enum area_kind kind;
	bool reset;
	bool cached;
	bool collapsed;
	void *ptr;
	unsigned long addr;
	unsigned int nr;
	ptval_t base;
	struct page **pages;
	unsigned int *own;
	unsigned int *gen;
	u8 *may;
	u8 *alias;
};

/**
 * struct fuzz_thread - a thread and what belongs to it
 * @fuzz:	all of them
 * @nr:		which one it is
 * @op:		which operation is under way
 * @name:	its name
 * @rnd:	random numbers of this operation
 * @disturb:	random numbers for delays, which must not change the others
 * @digest:	of all that was done and came of it
 * @pages:	pages of the linear map: the private block, then the others
 * @nr_pages:	how many
 * @areas:	areas in vmalloc space
 * @armed:	an allocation of this operation is to fail
 * @pool_fails:	a split of this operation gets no tables
 * @tables:	what this operation was given for splits
 * @nr_tables:	how many these are
 * @done:	operations, by index into fuzz_ops
 * @errors:	operations that were refused for lack of memory
 * @collapsed:	pages found in a leaf of a block of more than one thread
 */
struct fuzz_thread {
	struct fuzz *fuzz;
	unsigned int nr;
	unsigned int op;
	const char *name;
	struct task_struct *task;
	struct rnd_state rnd;
	struct rnd_state disturb;
	u64 digest;
	struct fuzz_page *pages;
	unsigned int nr_pages;
	struct fuzz_area areas[MAX_AREAS];
	bool armed;
	bool pool_fails;
	struct page *tables[16];
	unsigned int nr_tables;
	unsigned long done[16];
	unsigned long errors;
	unsigned long collapsed;
	struct completion ended;
};

struct fuzz {
	struct kunit *test;
	unsigned int nr_threads;
	unsigned int nr_blocks;
	struct page *blocks[ARRAY_SIZE(strides) + MAX_THREADS];
	unsigned long size[ARRAY_SIZE(strides) + MAX_THREADS];
	ptval_t base;
	unsigned long until;
	atomic_t failures;
	bool stop;
	struct fuzz_thread threads[MAX_THREADS];
};

static struct fuzz *the_fuzz;

static u32 below(struct fuzz_thread *t, u32 limit)
{
	return prandom_u32_state(&t->rnd) % limit;
}

static void digest(struct fuzz_thread *t, u64 value)
{
	t->digest = (t->digest ^ value) * GOLDEN_RATIO_64;
	t->digest ^= t->digest >> 29;
}

/* The first failures are told, and end the run. */
static __printf(3, 4) void failed(struct fuzz_thread *t, unsigned long addr,
				  const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	WRITE_ONCE(t->fuzz->stop, true);
	if (atomic_inc_return(&t->fuzz->failures) > MAX_REPORTS)
		return;

	va_start(args, fmt);
	vaf.va = &args;
	kunit_err(t->fuzz->test, "seed %u thread %u op %u (%s) at %#lx: %pV\n",
		  seed, t->nr, t->op, t->name, addr, &vaf);
	va_end(args);
}

/*
 * The model.
 */

static u8 after(enum change change, u8 may)
{
	switch (change) {
	case TO_INVALID:
		return may & ~CAN_READ;
	case TO_DEFAULT:
		return may | CAN_READ | CAN_WRITE;
	case TO_VALID:
		return may | CAN_READ;
	case TO_RO:
		return may & ~CAN_WRITE;
	case TO_RW:
		return may | CAN_WRITE;
	case TO_X:
		return may | CAN_EXEC;
	case TO_NX:
		return may & ~CAN_EXEC;
	case TO_ROX:
		return (may & ~CAN_WRITE) | CAN_EXEC;
	case TO_RW_NX:
		return (may & ~CAN_EXEC) | CAN_WRITE;
	default:
		return may;
	}
}

/* The attributes that say so, if these are those of CAN_READ | CAN_WRITE. */
static ptval_t attrs_of(ptval_t base, u8 may)
{
	if (!(may & CAN_WRITE))
		base = (base & ~PTE_WRITE) | PTE_RDONLY;
	if (may & CAN_EXEC)
		base = (base & ~PTE_PXN) | PTE_MAYBE_GP;
	if (!(may & CAN_READ))
		base = (base & ~PTE_PRESENT_VALID_KERNEL) | PTE_PRESENT_INVALID;

	return base;
}

/* All of an entry that has nothing to do with its place: not the leaf's size. */
static ptval_t entry_attrs(ptval_t val)
{
	val &= ~__phys_to_pte_val(__pte_to_phys(__pte(val)));

	return val & ~(PTE_CONT | (PTE_TYPE_MASK & ~PTE_VALID));
}

/* The same, of the leaf that maps addr, and what addr is mapped to. */
static ptval_t attrs_at(unsigned long addr, phys_addr_t *phys, unsigned long *size)
{
	unsigned long entry;
	ptval_t val;

	*size = leaf_at(addr, &val);
	entry = *size;
	if (entry == CONT_PTE_SIZE)
		entry = PAGE_SIZE;
	else if (entry == CONT_PMD_SIZE)
		entry = PMD_SIZE;
	*phys = entry ? __pte_to_phys(__pte(val)) + (addr & (entry - 1)) : 0;

	return entry_attrs(val);
}

static bool check_leaf(struct fuzz_thread *t, unsigned long addr, struct page *page,
		       ptval_t base, u8 may)
{
	ptval_t want = attrs_of(base, may), val;
	unsigned long size;
	phys_addr_t phys;

	val = attrs_at(addr, &phys, &size);
	if (phys != page_to_phys(page)) {
		failed(t, addr, "mapped to %pa, not to %#llx, by %#lx bytes", &phys,
		       (u64)page_to_phys(page), size);
		return false;
	}
	if (val != want) {
		failed(t, addr, "attributes %#llx, expected %#llx (%c%c%c), by %#lx bytes",
		       (u64)val, (u64)want, may & CAN_READ ? 'r' : '-',
		       may & CAN_WRITE ? 'w' : '-', may & CAN_EXEC ? 'x' : '-', size);
		return false;
	}
	/* And the hardware's walker says so too. */
	phys = hw_translate(addr, false);
	if (phys != (may & CAN_READ ? page_to_phys(page) : -1)) {
		failed(t, addr, "translated to %pa", &phys);
		return false;
	}

	return true;
}

/* The CPU, which may know the mapping from its TLB, obeys the permissions. */
static bool check_access(struct fuzz_thread *t, unsigned long *ptr, u8 may)
{
	unsigned long word;
	bool done = !copy_from_kernel_nofault(&word, ptr, sizeof(word));

	if (done != !!(may & CAN_READ)) {
		failed(t, (unsigned long)ptr, done ? "can be read" : "cannot be read");
		return false;
	}
	if (!done || may & CAN_WRITE)
		return true;
	if (!copy_to_kernel_nofault(ptr, &word, sizeof(word))) {
		failed(t, (unsigned long)ptr, "can be written");
		return false;
	}

	return true;
}

static unsigned long pattern(struct fuzz_thread *t, unsigned int id, unsigned int gen)
{
	return (((unsigned long)seed << 32 | t->nr << 28 | id) + 1) *
	       GOLDEN_RATIO_64 + gen;
}

#define PAGE_WORDS	(PAGE_SIZE / sizeof(unsigned long))

static void fill(unsigned long *ptr, unsigned long word, bool whole)
{
	const unsigned int step = whole ? 1 : PAGE_WORDS / SAMPLES + 1;

	for (unsigned int i = 0; i < PAGE_WORDS; i += step)
		WRITE_ONCE(ptr[i], word ^ i);
}

static bool check_data(struct fuzz_thread *t, unsigned long *ptr, unsigned long word,
		       bool whole)
{
	const unsigned int step = whole ? 1 : PAGE_WORDS / SAMPLES + 1;

	for (unsigned int i = 0; i < PAGE_WORDS; i += step) {
		unsigned long found = READ_ONCE(ptr[i]);

		if (found == (word ^ i))
			continue;
		failed(t, (unsigned long)&ptr[i], "data %#lx, expected %#lx", found,
		       word ^ i);
		return false;
	}

	return true;
}

/*
 * Pages of the linear map.
 */

static bool check_page(struct fuzz_thread *t, unsigned int i, bool access, bool whole)
{
	struct fuzz_page *p = &t->pages[i];
	unsigned long *ptr = page_address(p->page);

	if (!check_leaf(t, p->addr, p->page, t->fuzz->base, p->may))
		return false;
	if (kernel_page_present(p->page) != !!(p->may & CAN_READ)) {
		failed(t, p->addr, "kernel_page_present() is wrong");
		return false;
	}
	if (access && !check_access(t, ptr, p->may))
		return false;

	return !(p->may & CAN_READ) ||
	       check_data(t, ptr, pattern(t, i, p->gen), whole);
}

/* What was touched, and, as it may have been too much, some that was not. */
static void check_pages(struct fuzz_thread *t, unsigned int first, unsigned int nr)
{
	for (unsigned int i = first; i < first + nr; i++)
		if (!check_page(t, i, i == first || i == first + nr - 1, false))
			return;
	if (first && !check_page(t, first - 1, false, false))
		return;
	if (first + nr < t->nr_pages)
		check_page(t, first + nr, false, false);
	for (unsigned int i = 0; i < 2; i++)
		check_page(t, below(t, t->nr_pages), false, false);
}

static void arm(struct fuzz_thread *t)
{
	t->armed = below(t, 100) < fail;
	if (!t->armed)
		return;

	/* Tables for splits alone, or whatever is allocated. */
	t->pool_fails = below(t, 2);
#ifdef CONFIG_FAULT_INJECTION
	if (!t->pool_fails)
		current->fail_nth = 1 + below(t, 16);
#endif
}

static void disarm(struct fuzz_thread *t)
{
	t->armed = false;
	t->pool_fails = false;
#ifdef CONFIG_FAULT_INJECTION
	current->fail_nth = 0;
#endif
}

/* Was there an error, and may there have been one? */
static bool refused(struct fuzz_thread *t, unsigned long addr, int ret)
{
	if (!ret)
		return false;
	if (ret != -ENOMEM || !t->armed)
		failed(t, addr, "error %d", ret);
	t->errors++;

	return true;
}

static int change_pages(struct fuzz_thread *t, unsigned int first, unsigned int nr,
			enum change change)
{
	struct fuzz_page *p = &t->pages[first];
	unsigned long size = nr * PAGE_SIZE;
	int ret;

	switch (change) {
	case TO_INVALID:
	case TO_DEFAULT:
		if (nr > 1)
			ret = set_direct_map_valid_noflush(p->page, nr,
							   change == TO_DEFAULT);
		else if (change == TO_DEFAULT)
			ret = set_direct_map_default_noflush(p->page);
		else
			ret = set_direct_map_invalid_noflush(p->page);
		flush_tlb_kernel_range(p->addr, p->addr + size);
		break;
	case TO_VALID:
		ret = set_memory_valid(p->addr, nr, 1);
		break;
	case TO_RO:
		ret = leaf_change(p->addr, size, &to_ro);
		break;
	case TO_RW:
		ret = leaf_change(p->addr, size, &to_rw);
		break;
	default:
		return -EINVAL;
	}
	/* All or nothing. */
	if (!ret)
		for (unsigned int i = 0; i < nr; i++)
			p[i].may = after(change, p[i].may);

	return ret;
}

/* Some pages in a row, as many as one, a group, or the block. */
static unsigned int some_pages(struct fuzz_thread *t, unsigned int *first)
{
	unsigned int nr = 1, i = below(t, t->nr_pages);

	switch (below(t, 8)) {
	case 0 ... 3:
		break;
	case 4 ... 5:
		nr = 1 + below(t, 2 * CONT_PTES);
		break;
	case 6:
		i = round_down(i, CONT_PTES);
		nr = CONT_PTES;
		break;
	default:
		i = round_down(i, SPAN_PAGES);
		nr = SPAN_PAGES;
	}

	*first = i;
	for (unsigned int n = 1; n < nr; n++)
		if (i + n == t->nr_pages ||
		    t->pages[i + n].addr != t->pages[i].addr + n * PAGE_SIZE)
			return n;

	return nr;
}

static void op_change(struct fuzz_thread *t)
{
	static const enum change changes[] = {
		TO_INVALID, TO_DEFAULT, TO_DEFAULT, TO_VALID, TO_RO, TO_RW,
	};
	enum change change = changes[below(t, ARRAY_SIZE(changes))];
	unsigned int first, nr = some_pages(t, &first);

	refused(t, t->pages[first].addr, change_pages(t, first, nr, change));
	disarm(t);
	digest(t, (u64)first << 32 | nr << 8 | change);
	check_pages(t, first, nr);
}

static bool all_default(struct fuzz_thread *t, unsigned int first, unsigned int nr)
{
	for (unsigned int i = first; i < first + nr; i++)
		if (t->pages[i].may != CAN_ALL)
			return false;

	return true;
}

/*
 * There and back. Whatever memory there is, there is enough for the way back of
 * what was changed as such: leaves that were there before may have to be split.
 */
static void op_blink(struct fuzz_thread *t)
{
	static const enum change changes[][2] = {
		{ TO_INVALID, TO_DEFAULT }, { TO_RO, TO_RW }, { TO_RO, TO_DEFAULT },
	};
	const enum change *change = changes[below(t, ARRAY_SIZE(changes))];
	unsigned int first, nr = some_pages(t, &first);
	unsigned int rest = below(t, 4) ? 0 : below(t, 200);
	const bool must = all_default(t, first, nr);
	int ret;

	digest(t, (u64)first << 32 | nr << 8 | change[0]);
	if (refused(t, t->pages[first].addr, change_pages(t, first, nr, change[0]))) {
		disarm(t);
		check_pages(t, first, nr);
		return;
	}
	check_pages(t, first, nr);
	if (rest)
		fsleep(rest);
	ret = change_pages(t, first, nr, change[1]);
	if (ret && must)
		failed(t, t->pages[first].addr, "restoring %u pages: error %d", nr, ret);
	else
		refused(t, t->pages[first].addr, ret);
	disarm(t);
	check_pages(t, first, nr);
}

/* Give back all that is not as it was at first. */
static void settle(struct fuzz_thread *t, unsigned int first, unsigned int end)
{
	for (unsigned int i = first, nr; i < end; i += nr) {
		nr = 1;
		if (t->pages[i].may == CAN_ALL)
			continue;
		while (i + nr < end && t->pages[i + nr].may != CAN_ALL &&
		       t->pages[i + nr].addr == t->pages[i].addr + nr * PAGE_SIZE)
			nr++;
		if (refused(t, t->pages[i].addr, change_pages(t, i, nr, TO_DEFAULT)))
			break;
	}
}

static void op_settle(struct fuzz_thread *t)
{
	/* What is private is settled less often: it is there to be changed. */
	unsigned int first = below(t, 4) ? SPAN_PAGES : 0;

	settle(t, first, t->nr_pages);
	disarm(t);
	for (unsigned int i = 0; i < 8; i++)
		check_page(t, first + below(t, t->nr_pages - first), true, false);
}

/*
 * A block that becomes read-only bit by bit has a table, and keeps it for the way
 * back when it is collapsed: there need not be memory for another.
 */
static void op_deposit(struct fuzz_thread *t)
{
	unsigned int i = below(t, SPAN_PAGES);
	unsigned long addr = t->pages[i].addr;
	int ret;

	disarm(t);
	settle(t, 0, SPAN_PAGES);
	if (refused(t, addr, change_pages(t, i, 1, TO_RO)) ||
	    refused(t, addr, change_pages(t, 0, SPAN_PAGES, TO_RO)))
		return;
	kernel_collapse_range(addr, addr + 1);
	check_pages(t, i, 1);

	t->pool_fails = true;
	ret = change_pages(t, i, 1, TO_DEFAULT);
	if (ret)
		failed(t, addr, "restoring a part of a block: error %d", ret);
	disarm(t);
	check_pages(t, i, 1);
	settle(t, 0, SPAN_PAGES);
	check_pages(t, 0, SPAN_PAGES);
}

static void op_write(struct fuzz_thread *t)
{
	unsigned int first, nr = some_pages(t, &first);

	disarm(t);
	for (unsigned int i = first; i < first + nr; i++) {
		if (t->pages[i].may != CAN_ALL)
			continue;
		t->pages[i].gen++;
		fill(page_address(t->pages[i].page), pattern(t, i, t->pages[i].gen),
		     true);
	}
	check_pages(t, first, nr);
}

static void op_collapse(struct fuzz_thread *t)
{
	unsigned int i = below(t, t->nr_pages);
	unsigned long addr = t->pages[i].addr;
	int ret;

	if (below(t, 2))
		addr = ALIGN_DOWN(addr, SPAN_SIZE);
	disarm(t);
	ret = kernel_collapse_range(addr, addr + (below(t, 2) ? 1 : SPAN_SIZE));
	if (ret != -EAGAIN && ret != (kernel_collapse_enabled() ? 0 : -EOPNOTSUPP))
		failed(t, addr, "collapse: error %d", ret);
	if (i >= SPAN_PAGES && leaf_size(t->pages[i].addr) >= SPAN_LEAF)
		t->collapsed++;
	check_pages(t, i, 1);
}

/* Pages of others, which may change just now: what must hold all the same. */
static void op_look(struct fuzz_thread *t)
{
	struct fuzz *f = t->fuzz;
	unsigned int block = below(t, f->nr_blocks);
	struct page *page = f->blocks[block] + below(t, SPAN_PAGES);
	unsigned long addr = (unsigned long)lowmem_page_address(page);
	unsigned long size;
	ptval_t attrs, odd;
	phys_addr_t phys;

	disarm(t);
	addr = __tag_reset(addr);
	attrs = attrs_at(addr, &phys, &size);
	odd = PTE_WRITE | PTE_RDONLY | PTE_PRESENT_VALID_KERNEL | PTE_PRESENT_INVALID;
	if (phys != page_to_phys(page) || (attrs ^ f->base) & ~odd)
		failed(t, addr, "somebody's page: %pa, attributes %#llx", &phys,
		       (u64)attrs);
	kernel_page_present(page);
}

#ifdef CONFIG_PTDUMP
static void note_pte(struct ptdump_state *st, unsigned long addr, pte_t pte) { }
static void note_pmd(struct ptdump_state *st, unsigned long addr, pmd_t pmd) { }
static void note_pud(struct ptdump_state *st, unsigned long addr, pud_t pud) { }
static void note_p4d(struct ptdump_state *st, unsigned long addr, p4d_t p4d) { }
static void note_pgd(struct ptdump_state *st, unsigned long addr, pgd_t pgd) { }
static void note_flush(struct ptdump_state *st) { }

static void op_ptdump(struct fuzz_thread *t)
{
	unsigned int i = below(t, t->nr_pages);
	unsigned long addr = ALIGN_DOWN(t->pages[i].addr, SPAN_SIZE);
	struct ptdump_range range[] = { { addr, addr + SPAN_SIZE }, {} };
	struct ptdump_state st = {
		.note_page_pte = note_pte,
		.note_page_pmd = note_pmd,
		.note_page_pud = note_pud,
		.note_page_p4d = note_p4d,
		.note_page_pgd = note_pgd,
		.note_page_flush = note_flush,
		.range = range,
	};

	disarm(t);
	ptdump_walk_pgd(&st, &init_mm, NULL);
}
#else
static void op_ptdump(struct fuzz_thread *t)
{
	disarm(t);
}
#endif

/*
 * Areas of vmalloc space.
 */

static unsigned int area_id(struct fuzz_thread *t, struct fuzz_area *a, unsigned int i)
{
	return (a - t->areas + 1) << 20 | i;
}

static unsigned long area_word(struct fuzz_thread *t, struct fuzz_area *a, unsigned int i)
{
	if (a->kind == VMAP_AREA)
		return pattern(t, a->own[i], t->pages[a->own[i]].gen);
	return pattern(t, area_id(t, a, i), a->gen[i]);
}

/* The linear map's view of a page is that of the area, or of the thread's own. */
static u8 alias_may(struct fuzz_thread *t, struct fuzz_area *a, unsigned int i)
{
	return a->kind == VMAP_AREA ? t->pages[a->own[i]].may : a->alias[i];
}

static bool check_area(struct fuzz_thread *t, struct fuzz_area *a, unsigned int first,
		       unsigned int nr)
{
	for (unsigned int i = first; i < first + nr; i++) {
		unsigned long addr = a->addr + i * PAGE_SIZE;
		unsigned long *ptr = a->ptr + i * PAGE_SIZE;
		unsigned long alias = (unsigned long)page_address(a->pages[i]);
		u8 may = alias_may(t, a, i);

		if (!check_leaf(t, addr, a->pages[i], a->base, a->may[i]) ||
		    !check_leaf(t, __tag_reset(alias), a->pages[i], t->fuzz->base, may))
			return false;
		if (a->may[i] & CAN_READ && vmalloc_to_page(ptr) != a->pages[i]) {
			failed(t, addr, "vmalloc_to_page() is wrong");
			return false;
		}
		if ((i == first || i == first + nr - 1) &&
		    (!check_access(t, ptr, a->may[i]) ||
		     !check_access(t, (void *)alias, may)))
			return false;
		if (a->may[i] & CAN_READ)
			if (!check_data(t, ptr, area_word(t, a, i), false))
				return false;
		if (may & CAN_READ)
			if (!check_data(t, (void *)alias, area_word(t, a, i), false))
				return false;
	}

	return true;
}

/* Some of an area's pages, or all of them. */
static unsigned int some_of_area(struct fuzz_thread *t, struct fuzz_area *a,
				 unsigned int *first)
{
	unsigned int nr = below(t, 4) ? 1 + below(t, min(a->nr, 2 * CONT_PTES)) : a->nr;

	*first = below(t, a->nr - nr + 1);
	if (!below(t, 4) && *first >= CONT_PTES)
		*first = round_down(*first, CONT_PTES);

	return nr;
}

static void *area_alloc(struct fuzz_thread *t, struct fuzz_area *a)
{
	static const enum execmem_type types[] = {
		EXECMEM_MODULE_TEXT, EXECMEM_BPF, EXECMEM_KPROBES,
	};
	const gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	u32 r = below(t, 16), n = below(t, 48), type = below(t, ARRAY_SIZE(types));
	unsigned long flags = 0;

	a->reset = r & 1;
	a->cached = false;
	a->collapsed = false;
	a->nr = 1 + n;

	switch (r) {
	case 0 ... 5:
		a->kind = SMALL_AREA;
		break;
	case 6 ... 7:
		a->kind = HUGE_AREA;
		a->nr = AREA_PAGES >> (n & 1);
		flags = VM_ALLOW_HUGE_VMAP;
		break;
	case 8 ... 10: {
		struct page **pages = a->pages;

		a->kind = VMAP_AREA;
		for (unsigned int i = 0; i < a->nr; i++) {
			a->own[i] = below(t, t->nr_pages);
			a->pages[i] = t->pages[a->own[i]].page;
		}
		if (!a->reset)
			return vmap(pages, a->nr, VM_MAP, PAGE_KERNEL);

		/* Here it is vfree() that gives back the pages. */
		pages = kmemdup_array(pages, a->nr, sizeof(*pages), GFP_KERNEL);
		if (pages) {
			void *ptr;

			for (unsigned int i = 0; i < a->nr; i++)
				get_page(pages[i]);
			ptr = vmap(pages, a->nr, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
			if (ptr)
				return ptr;
			for (unsigned int i = 0; i < a->nr; i++)
				put_page(pages[i]);
			kfree(pages);
		}
		return NULL;
	}
	default:
		if (!IS_ENABLED(CONFIG_EXECMEM)) {
			a->kind = SMALL_AREA;
			break;
		}
		a->kind = EXEC_AREA;
		a->reset = true;
		a->cached = execmem_is_rox(types[type]);
		/* Without a cache some are not writable when they are new. */
		if (!a->cached)
			type = 0;
		if (r == 15 && n < 4)
			a->nr = SZ_2M >> PAGE_SHIFT;
		return execmem_alloc_rw(types[type], a->nr * PAGE_SIZE);
	}

	/* How BPF and others had it before execmem's cache: told after the fact. */
	if (a->reset && n & 2)
		flags |= VM_FLUSH_RESET_PERMS;

	return __vmalloc_node_range(a->nr * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END,
				    gfp, PAGE_KERNEL, flags, NUMA_NO_NODE,
				    __builtin_return_address(0));
}

static void area_new(struct fuzz_thread *t, struct fuzz_area *a)
{
	unsigned long size;
	phys_addr_t phys;

	a->ptr = area_alloc(t, a);
	disarm(t);
	digest(t, a->kind << 16 | a->nr);
	if (!a->ptr) {
		t->errors++;
		a->kind = NO_AREA;
		return;
	}
	if (a->reset && !a->cached && a->kind != VMAP_AREA)
		set_vm_flush_reset_perms(a->ptr);

	a->addr = (unsigned long)kasan_reset_tag(a->ptr);
	a->base = attrs_at(a->addr, &phys, &size);
	if ((a->base & (PTE_VALID | PTE_WRITE | PTE_RDONLY | PTE_PXN)) !=
	    (PTE_VALID | PTE_WRITE | PTE_PXN))
		failed(t, a->addr, "new, with attributes %#llx", (u64)a->base);

	for (unsigned int i = 0; i < a->nr; i++) {
		a->may[i] = CAN_ALL;
		if (a->kind == VMAP_AREA)
			continue;
		a->pages[i] = vmalloc_to_page(a->ptr + i * PAGE_SIZE);
		a->alias[i] = a->cached && rodata_full ? CAN_READ : CAN_ALL;
		a->gen[i] = t->op;
		fill(a->ptr + i * PAGE_SIZE, area_word(t, a, i), false);
	}
	check_area(t, a, 0, a->nr);
}

static int change_area_by(struct fuzz_area *a, unsigned long addr, unsigned int nr,
			  enum change change)
{
#ifdef CONFIG_ARCH_HAS_EXECMEM_ROX
	if (a->cached && change == TO_ROX)
		return execmem_restore_rox((void *)addr, nr * PAGE_SIZE);
	if (a->cached && change == TO_RW_NX)
		return execmem_arch_make_rw(addr, nr);
#endif
	switch (change) {
	case TO_INVALID:
		return set_memory_valid(addr, nr, 0);
	case TO_VALID:
		return set_memory_valid(addr, nr, 1);
	case TO_RO:
		return set_memory_ro(addr, nr);
	case TO_RW:
		return set_memory_rw(addr, nr);
	case TO_X:
		return set_memory_x(addr, nr);
	case TO_NX:
		return set_memory_nx(addr, nr);
	case TO_ROX:
		return set_memory_rox(addr, nr);
	default:
		return -EINVAL;
	}
}

/*
 * What became of one mapping of a page by a change that failed: what it was, or
 * what it should have become.
 */
static void resync(struct fuzz_thread *t, unsigned long addr, ptval_t base, u8 *may, u8 now)
{
	unsigned long size;
	phys_addr_t phys;

	if (attrs_at(addr, &phys, &size) == attrs_of(base, now))
		*may = now;
}

/*
 * Changes that take more than one step may be left after any of them: the linear
 * map of some pages, then that of all, then the area's read-only, then the area's
 * executable. Whatever step it was, a range of one mapping changes as a whole, so
 * the area is looked at once.
 */
static void change_failed(struct fuzz_thread *t, struct fuzz_area *a, unsigned int first,
			  unsigned int nr, enum change change)
{
	bool alias = !a->cached && rodata_full &&
		     (change == TO_RO || change == TO_RW || change == TO_ROX);
	unsigned long size;
	phys_addr_t phys;
	ptval_t attrs;

	for (unsigned int i = first; alias && i < first + nr; i++)
		resync(t, __tag_reset((unsigned long)page_address(a->pages[i])),
		       t->fuzz->base, &a->alias[i],
		       change == TO_RW ? CAN_ALL : CAN_READ);

	if (change != TO_ROX || a->cached)
		return;
	attrs = attrs_at(a->addr + first * PAGE_SIZE, &phys, &size);
	if (attrs == attrs_of(a->base, after(TO_RO, a->may[first])) &&
	    attrs != attrs_of(a->base, a->may[first]))
		for (unsigned int i = first; i < first + nr; i++)
			a->may[i] = after(TO_RO, a->may[i]);
}

static void change_area(struct fuzz_thread *t, struct fuzz_area *a, unsigned int first,
			unsigned int nr, enum change change)
{
	unsigned long addr = a->addr + first * PAGE_SIZE;
	bool never = a->kind == VMAP_AREA ||
		     (a->kind == HUGE_AREA && !kernel_leaf_may_split(addr));
	int ret;

	/* set_memory_valid() trusts its callers. */
	if (never && (change == TO_INVALID || change == TO_VALID))
		return;

	ret = change_area_by(a, addr, nr, change);
	if (never) {
		if (ret != -EINVAL)
			failed(t, addr, "%s: %d, not -EINVAL", change_names[change], ret);
		return;
	}
	if (refused(t, addr, ret)) {
		change_failed(t, a, first, nr, change);
		return;
	}
	for (unsigned int i = first; i < first + nr; i++) {
		a->may[i] = after(change, a->may[i]);
		if (a->cached || !rodata_full)
			continue;
		if (change == TO_RO || change == TO_ROX)
			a->alias[i] &= ~CAN_WRITE;
		else if (change == TO_RW)
			a->alias[i] |= CAN_WRITE;
	}
}

static bool any_may(const struct fuzz_area *a, unsigned int first, unsigned int nr, u8 may)
{
	for (unsigned int i = first; i < first + nr; i++)
		if (a->may[i] & may)
			return true;

	return false;
}

static void area_change(struct fuzz_thread *t, struct fuzz_area *a)
{
	static const enum change changes[] = {
		TO_INVALID, TO_VALID, TO_VALID, TO_RO, TO_RW, TO_X, TO_NX, TO_ROX,
	};
	enum change change = changes[below(t, ARRAY_SIZE(changes))];
	unsigned int first, nr = some_of_area(t, a, &first);

	if (a->cached)
		change = change % 2 ? TO_ROX : TO_RW_NX;
	/* Nobody has memory that may be written and run. */
	if (change == TO_X && any_may(a, first, nr, CAN_WRITE))
		change = TO_ROX;
	if (change == TO_RW && any_may(a, first, nr, CAN_EXEC))
		change = TO_NX;

	digest(t, (u64)first << 32 | nr << 8 | change);
	change_area(t, a, first, nr, change);
	disarm(t);
	if (!check_area(t, a, first, nr))
		return;
	if (first)
		check_area(t, a, first - 1, 1);
	if (first + nr < a->nr)
		check_area(t, a, first + nr, 1);
}

static void area_write(struct fuzz_thread *t, struct fuzz_area *a)
{
	unsigned int first, nr = some_of_area(t, a, &first);

	disarm(t);
	for (unsigned int i = first; i < first + nr; i++) {
		if (a->may[i] != CAN_ALL)
			continue;
		if (a->kind == VMAP_AREA)
			t->pages[a->own[i]].gen++;
		else
			a->gen[i]++;
		fill(a->ptr + i * PAGE_SIZE, area_word(t, a, i), a->kind == VMAP_AREA);
	}
	check_area(t, a, first, nr);
}

static void area_collapse(struct fuzz_thread *t, struct fuzz_area *a)
{
	int ret;

	disarm(t);
	/* The cache does that itself. */
	if (a->cached)
		return;
	ret = kernel_collapse_vmap(a->addr, a->addr + a->nr * PAGE_SIZE);
	if (ret != -EAGAIN && ret != (kernel_collapse_enabled() ? 0 : -EOPNOTSUPP))
		failed(t, a->addr, "collapse: error %d", ret);
	a->collapsed = true;
	check_area(t, a, 0, a->nr);
}

static void area_free(struct fuzz_thread *t, struct fuzz_area *a)
{
	const bool own = a->kind != VMAP_AREA && !a->cached;
	unsigned int i;

	if (own && !a->reset) {
		/* Nobody but the owner makes it what memory has to be. */
		disarm(t);
		change_area(t, a, 0, a->nr, TO_VALID);
		change_area(t, a, 0, a->nr, TO_NX);
		change_area(t, a, 0, a->nr, TO_RW);
		check_area(t, a, 0, a->nr);
	}
	if (a->collapsed)
		deposits_drop(a->addr, a->addr + a->nr * PAGE_SIZE);

	for (i = 0; own && i < a->nr; i++)
		get_page(a->pages[i]);
	if (a->kind == EXEC_AREA)
		execmem_free(a->ptr);
	else if (a->kind == VMAP_AREA && !a->reset)
		vunmap(a->ptr);
	else
		vfree(a->ptr);
	disarm(t);

	/* Whoever gets the page next can write to it. */
	for (i = 0; own && i < a->nr; i++) {
		unsigned long *alias = page_address(a->pages[i]);
		unsigned long addr = __tag_reset((unsigned long)alias);

		if (check_leaf(t, addr, a->pages[i], t->fuzz->base, CAN_ALL)) {
			check_data(t, alias, area_word(t, a, i), false);
			WRITE_ONCE(*alias, 0);
		}
		put_page(a->pages[i]);
	}
	a->kind = NO_AREA;
}

static struct fuzz_area *some_area(struct fuzz_thread *t)
{
	struct fuzz_area *a = &t->areas[below(t, MAX_AREAS)];

	if (a->kind)
		return a;
	area_new(t, a);
	return NULL;
}

static void op_area(struct fuzz_thread *t)
{
	struct fuzz_area *a = some_area(t);

	if (a)
		area_change(t, a);
}

static void op_area_write(struct fuzz_thread *t)
{
	struct fuzz_area *a = some_area(t);

	if (a)
		area_write(t, a);
}

static void op_area_collapse(struct fuzz_thread *t)
{
	struct fuzz_area *a = some_area(t);

	if (a)
		area_collapse(t, a);
}

static void op_area_free(struct fuzz_thread *t)
{
	struct fuzz_area *a = some_area(t);

	if (a)
		area_free(t, a);
}

/* The bits of leaf_fuzz.mask, in this order, and how often each is taken. */
static const struct {
	const char *name;
	unsigned int weight;
	void (*run)(struct fuzz_thread *t);
} fuzz_ops[] = {
	{ "change", 10, op_change },
	{ "blink", 12, op_blink },
	{ "settle", 6, op_settle },
	{ "deposit", 2, op_deposit },
	{ "write", 3, op_write },
	{ "collapse", 6, op_collapse },
	{ "look", 4, op_look },
	{ "ptdump", 1, op_ptdump },
	{ "area", 12, op_area },
	{ "area-write", 3, op_area_write },
	{ "area-collapse", 3, op_area_collapse },
	{ "area-free", 4, op_area_free },
};

/*
 * Disturbing the schedule.
 *
 * Timers: on each CPU one that comes when it pleases, stays for a while, and has
 * the CPU schedule: anything may happen anywhere, if rarely just where it hurts.
 * Edges: where a lock has just been taken or will soon be released, and between a
 * store to the tables and its TLBI, things take longer.
 */

#define DISTURB_TIMERS	1
#define DISTURB_EDGES	2

struct disturber {
	struct hrtimer timer;
	struct rnd_state rnd;
	bool on;
};

static DEFINE_PER_CPU(struct disturber, disturbers);

static enum hrtimer_restart disturber_fires(struct hrtimer *timer)
{
	struct disturber *d = container_of(timer, struct disturber, timer);
	u32 r = prandom_u32_state(&d->rnd);

	udelay(r % 64);
	if (r & BIT(31)) {
		set_tsk_need_resched(current);
		set_preempt_need_resched();
	}
	hrtimer_forward_now(timer, ns_to_ktime((100 + (r >> 8) % 1024) * NSEC_PER_USEC));

	return HRTIMER_RESTART;
}

static void disturber_start(void *unused)
{
	struct disturber *d = this_cpu_ptr(&disturbers);

	prandom_seed_state(&d->rnd, seed ^ (u64)smp_processor_id() << 32);
	hrtimer_setup(&d->timer, disturber_fires, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&d->timer, ns_to_ktime(NSEC_PER_MSEC),
		      HRTIMER_MODE_REL_PINNED_HARD);
	d->on = true;
}

static void disturbers_stop(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct disturber *d = per_cpu_ptr(&disturbers, cpu);

		if (d->on)
			hrtimer_cancel(&d->timer);
		d->on = false;
	}
}

/* The fuzz thread that is running, if one is. */
static struct fuzz_thread *this_thread(void)
{
	struct fuzz *f = READ_ONCE(the_fuzz);

	for (unsigned int i = 0; f && i < f->nr_threads; i++)
		if (READ_ONCE(f->threads[i].task) == current)
			return &f->threads[i];

	return NULL;
}

static void disturb(bool may_sleep)
{
	struct fuzz_thread *t = this_thread();
	u32 r;

	if (!(delay & DISTURB_EDGES) || !t)
		return;
	r = prandom_u32_state(&t->disturb);
	if (r & 7)
		return;
	r >>= 3;
	if (may_sleep && r & 1)
		fsleep((r >> 1) % 512);
	else
		udelay((r >> 1) % 64);
}

#ifdef CONFIG_KPROBES
static atomic_long_t edges;

static int edge_handler(struct kprobe *p, struct pt_regs *regs)
{
	atomic_long_inc(&edges);
	disturb(false);
	return 0;
}

/* All but the first are called with the region's lock held. */
static struct kprobe edge_probes[] = {
	{ .symbol_name = "kernel_leaf_change_begin" },
	{ .symbol_name = "walk_kernel_page_table_range_lockless" },
	{ .symbol_name = "kernel_leaf_change_end" },
	{ .symbol_name = "kernel_collapse_queue" },
	{ .symbol_name = "leaf_table_check" },
	{ .symbol_name = "kernel_pgtable_free_rcu" },
};

static void edges_probe(struct fuzz *f)
{
	for (int i = 0; i < ARRAY_SIZE(edge_probes); i++) {
		struct kprobe *p = &edge_probes[i];
		const char *name = p->symbol_name;

		/* What the last run left. */
		memset(p, 0, sizeof(*p));
		p->symbol_name = name;
		p->pre_handler = edge_handler;
		if (register_kprobe(p)) {
			kunit_info(f->test, "no probe at %s\n", name);
			p->pre_handler = NULL;
		}
	}
}

static void edges_unprobe(struct fuzz *f)
{
	for (int i = 0; i < ARRAY_SIZE(edge_probes); i++)
		if (edge_probes[i].pre_handler)
			unregister_kprobe(&edge_probes[i]);
	kunit_info(f->test, "%ld edges\n", atomic_long_xchg(&edges, 0));
}
#else
static void edges_probe(struct fuzz *f) { }
static void edges_unprobe(struct fuzz *f) { }
#endif

/* From a stub of a function, call the function itself. */
#define not_as_test(call)	({					\
	struct kunit *__test = current->kunit_test;			\
									\
	current->kunit_test = NULL;					\
	call;								\
	current->kunit_test = __test;					\
})

/* Hold what is given out for splits, so as to see what becomes of it. */
static void hold_tables(struct fuzz_thread *t, const struct kernel_leaf_pool *pool)
{
	for (unsigned int i = 0; i < pool->nr; i++) {
		struct page *page = ptdesc_page(pool->tables[i]);
		unsigned int k = 0;

		while (k < t->nr_tables && t->tables[k] != page)
			k++;
		if (k < t->nr_tables || k == ARRAY_SIZE(t->tables))
			continue;
		get_page(page);
		t->tables[t->nr_tables++] = page;
	}
}

/* What is no table now was given back, and ours is the last reference. */
static void check_tables(struct fuzz_thread *t)
{
	while (t->nr_tables) {
		struct page *page = t->tables[--t->nr_tables];
		int ms = 0;

		/* An RCU callback that is at it has both steps to do. */
		while (!PageTable(page) && page_count(page) != 1 && ms++ < 1000)
			fsleep(USEC_PER_MSEC);
		if (ms > 1000)
			failed(t, (unsigned long)page_address(page),
			       "memory for a table is lost, or freed twice");
		put_page(page);
	}
}

static int fuzz_pool_fill(struct kernel_leaf_pool *pool, unsigned int nr)
{
	struct fuzz_thread *t = this_thread();
	int ret;

	disturb(true);
	/* Either no table at all, or not enough of them. */
	if (t && t->pool_fails && nr > 1)
		not_as_test(ret = kernel_leaf_pool_fill(pool, nr - 1));
	else if (!t || !t->pool_fails)
		not_as_test(ret = kernel_leaf_pool_fill(pool, nr));
	if (t)
		hold_tables(t, pool);
	if (t && t->pool_fails)
		return -ENOMEM;
	disturb(true);

	return ret;
}

static void fuzz_flush_table(unsigned long start, unsigned long end)
{
	disturb(true);
	not_as_test(flush_replaced_table(start, end));
	disturb(true);
}

static void fuzz_flush_leaves(unsigned long start, unsigned long end)
{
	disturb(true);
	not_as_test(flush_folded_leaves(start, end));
	disturb(true);
}

/*
 * Threads.
 */

static void one_op(struct fuzz_thread *t)
{
	unsigned int total = 0, r, i;
	u64 start = (u64)seed << 32 ^ (u64)t->nr << 28 ^ t->op;

	prandom_seed_state(&t->rnd, (start + 1) * GOLDEN_RATIO_64);
	for (i = 0; i < ARRAY_SIZE(fuzz_ops); i++)
		total += mask & BIT(i) ? fuzz_ops[i].weight : 0;
	r = below(t, total);
	for (i = 0; ; i++) {
		unsigned int weight = mask & BIT(i) ? fuzz_ops[i].weight : 0;

		if (r < weight)
			break;
		r -= weight;
	}

	t->name = fuzz_ops[i].name;
	t->done[i]++;
	arm(t);
	fuzz_ops[i].run(t);
	disarm(t);
	check_tables(t);
}

static int fuzz_thread_fn(void *data)
{
	struct fuzz_thread *t = data;

	current->kunit_test = t->fuzz->test;
	for (t->op = 0; t->op < ops; t->op++) {
		if (READ_ONCE(t->fuzz->stop) || time_after(jiffies, t->fuzz->until))
			break;
		one_op(t);
		cond_resched();
	}

	/* What it came to. */
	for (unsigned int i = 0; i < t->nr_pages; i++)
		digest(t, (u64)t->pages[i].gen << 8 | t->pages[i].may);
	for (unsigned int i = 0; i < MAX_AREAS; i++)
		for (unsigned int k = 0; t->areas[i].kind && k < t->areas[i].nr; k++)
			digest(t, (u64)t->areas[i].gen[k] << 8 | t->areas[i].may[k]);

	t->name = "end";
	for (unsigned int i = 0; i < MAX_AREAS; i++)
		if (t->areas[i].kind)
			area_free(t, &t->areas[i]);
	settle(t, 0, t->nr_pages);
	for (unsigned int i = 0; i < t->nr_pages; i++)
		if (!check_page(t, i, true, true))
			break;
	check_tables(t);
	current->kunit_test = NULL;
	WRITE_ONCE(t->task, NULL);
	complete(&t->ended);

	return 0;
}

static int thread_set_up(struct fuzz *f, unsigned int nr)
{
	struct fuzz_thread *t = &f->threads[nr];
	unsigned int most = SPAN_PAGES * (ARRAY_SIZE(strides) + 1);

	t->fuzz = f;
	t->nr = nr;
	init_completion(&t->ended);
	prandom_seed_state(&t->disturb, (u64)seed << 32 ^ nr);
	t->pages = kvcalloc(most, sizeof(*t->pages), GFP_KERNEL);
	if (!t->pages)
		return -ENOMEM;

	for (unsigned int block = 0; block < f->nr_blocks; block++) {
		/* The private ones come last, but are the first of a thread's own. */
		unsigned int b = (block + ARRAY_SIZE(strides)) % f->nr_blocks;

		for (unsigned int i = 0; i < SPAN_PAGES; i++) {
			unsigned int owner = b < ARRAY_SIZE(strides) ?
					     i / strides[b] % f->nr_threads :
					     b - ARRAY_SIZE(strides);
			struct fuzz_page *p = &t->pages[t->nr_pages];
			void *ptr = page_address(f->blocks[b] + i);

			if (owner != nr)
				continue;
			p->page = f->blocks[b] + i;
			p->addr = __tag_reset((unsigned long)ptr);
			p->may = CAN_ALL;
			fill(ptr, pattern(t, t->nr_pages, 0), true);
			t->nr_pages++;
		}
	}

	for (unsigned int i = 0; i < MAX_AREAS; i++) {
		struct fuzz_area *a = &t->areas[i];

		a->pages = kvcalloc(AREA_PAGES, sizeof(*a->pages), GFP_KERNEL);
		a->own = kvcalloc(AREA_PAGES, sizeof(*a->own), GFP_KERNEL);
		a->gen = kvcalloc(AREA_PAGES, sizeof(*a->gen), GFP_KERNEL);
		a->may = kvcalloc(AREA_PAGES, 2, GFP_KERNEL);
		if (!a->pages || !a->own || !a->gen || !a->may)
			return -ENOMEM;
		a->alias = a->may + AREA_PAGES;
	}

	return 0;
}

static void thread_tear_down(struct fuzz_thread *t)
{
	for (unsigned int i = 0; i < MAX_AREAS; i++) {
		kvfree(t->areas[i].pages);
		kvfree(t->areas[i].own);
		kvfree(t->areas[i].gen);
		kvfree(t->areas[i].may);
	}
	kvfree(t->pages);
}

static void threads_run(struct fuzz *f)
{
	unsigned int started = 0;
	int cpu = -1;

	for (unsigned int i = 0; i < f->nr_threads; i++) {
		struct task_struct *task;

		cpu = cpumask_next_wrap(cpu, cpu_online_mask);
		task = kthread_create(fuzz_thread_fn, &f->threads[i], "leaf-fuzz/%u", i);
		if (IS_ERR(task)) {
			KUNIT_FAIL(f->test, "thread %u: %pe", i, task);
			WRITE_ONCE(f->stop, true);
			break;
		}
		kthread_bind(task, cpu);
		f->threads[i].task = task;
		started++;
	}
	for (unsigned int i = 0; i < started; i++)
		wake_up_process(f->threads[i].task);
	for (unsigned int i = 0; i < started; i++)
		wait_for_completion(&f->threads[i].ended);
}

/*
 * Tables in use, where changes and collapses and vmalloc() make and free them; a
 * level that is folded into the one above counts once.
 */
static int count_p4d(p4d_t *p4d, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	*(long *)walk->private += pgtable_l4_enabled() && p4d_present(p4dp_get(p4d));
	return 0;
}

static int count_pud(pud_t *pud, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	if (pud_leaf(pudp_get(pud)))
		walk->action = ACTION_CONTINUE;
	else
		*(long *)walk->private += CONFIG_PGTABLE_LEVELS > 2;
	return 0;
}

static int count_pmd(pmd_t *pmd, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	*(long *)walk->private += pmd_table(pmdp_get(pmd));
	walk->action = ACTION_CONTINUE;
	return 0;
}

static const struct mm_walk_ops count_ops = {
	.p4d_entry	= count_p4d,
	.pud_entry	= count_pud,
	.pmd_entry	= count_pmd,
};

/* Tables that there are, but that map nothing and wait for nothing. */
static long lost_tables(void)
{
	long nr = pgtable_pages(), used = 0;

	kernel_collapse_pause();
	walk_kernel_page_table_range_lockless(PAGE_OFFSET, PAGE_END, &count_ops, NULL,
					      &used);
	walk_kernel_page_table_range_lockless(VMALLOC_START, VMALLOC_END, &count_ops,
					      NULL, &used);
	nr -= used + READ_ONCE(nr_deposits);
	kernel_collapse_resume();

	return nr;
}

/*
 * What the worker and others still have to do is given some seconds, and more
 * where others read the tables meanwhile: with KASAN's shadow that takes long.
 */
static bool soon_whole(unsigned long addr, unsigned long size)
{
	const int patience = alone ? 20000 : 100000;

	for (int ms = 0; leaf_size(addr) < size; ms += 20) {
		if (ms > patience)
			return false;
		msleep(20);
	}

	return true;
}

static void check_whole(struct fuzz *f)
{
	for (unsigned int b = 0; b < f->nr_blocks; b++) {
		unsigned long addr = (unsigned long)page_address(f->blocks[b]);

		addr = __tag_reset(addr);
		for (unsigned long a = addr; a < addr + SPAN_SIZE; a += PAGE_SIZE) {
			if (soon_whole(a, f->size[b]))
				continue;
			KUNIT_FAIL(f->test, "block %u is not whole: %#lx bytes at %#lx",
				   b, leaf_size(a), a);
			return;
		}
	}
}

static int blocks_get(struct fuzz *f)
{
	for (unsigned int b = 0; b < f->nr_blocks; b++) {
		unsigned long addr;

		f->blocks[b] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, SPAN_ORDER);
		if (!f->blocks[b])
			return -ENOMEM;
		split_page(f->blocks[b], SPAN_ORDER);
		addr = __tag_reset((unsigned long)page_address(f->blocks[b]));
		for (int i = 0; i < 100; i++) {
			if (kernel_collapse_range(addr, addr + SPAN_SIZE) != -EAGAIN)
				break;
			msleep(20);
		}
		f->size[b] = min(leaf_size(addr), SPAN_LEAF);
	}
	f->base = entry_attrs(leaf_val(__tag_reset((unsigned long)
						   page_address(f->blocks[0]))));

	return 0;
}

static void blocks_put(struct fuzz *f)
{
	for (unsigned int b = 0; b < f->nr_blocks; b++)
		for (unsigned int i = 0; f->blocks[b] && i < SPAN_PAGES; i++)
			__free_page(f->blocks[b] + i);
}

static void report(struct fuzz *f, unsigned int ms)
{
	unsigned long errors = 0, collapsed = 0, done = 0, refs;
	u64 sum = 0;

	for (unsigned int i = 0; i < f->nr_threads; i++) {
		struct fuzz_thread *t = &f->threads[i];

		errors += t->errors;
		collapsed += t->collapsed;
		done += t->op;
		sum += t->digest * (2 * i + 1);
	}
	for (int o = 0; o < ARRAY_SIZE(fuzz_ops); o++) {
		refs = 0;
		for (unsigned int i = 0; i < f->nr_threads; i++)
			refs += f->threads[i].done[o];
		kunit_info(f->test, "%s=%lu\n", fuzz_ops[o].name, refs);
	}
	kunit_info(f->test, "seed=%u ops=%lu refused=%lu collapsed=%lu ms=%u digest=%016llx%s\n",
		   seed, done, errors, collapsed, ms, sum,
		   done < (unsigned long)ops * f->nr_threads ? " (ended early)" : "");
}

static void churn(struct kunit *test)
{
	/* KASAN's shadow of vmalloc space has tables of its own. */
	const bool count = alone && !IS_ENABLED(CONFIG_KASAN_VMALLOC);
	unsigned long began;
	struct fuzz *f;
	long lost = 0;
	int err;

	if (!can_set_direct_map())
		kunit_skip(test, "the linear map is not to be changed by pages (rodata=)");

	f = kvzalloc_obj(*f);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->nr_threads = clamp(threads, 1U, MAX_THREADS);
	f->nr_blocks = ARRAY_SIZE(strides) + f->nr_threads;
	kunit_info(test, "again: kunit.enable=1 kunit.filter_glob=kernel_leaf_fuzz leaf_fuzz.seed=%u leaf_fuzz.ops=%u leaf_fuzz.threads=%u leaf_fuzz.mask=%#x leaf_fuzz.fail=%u leaf_fuzz.delay=%u, on %u CPUs\n",
		   seed, ops, f->nr_threads, mask, fail, delay, num_online_cpus());

	err = blocks_get(f);
	for (unsigned int i = 0; !err && i < f->nr_threads; i++)
		err = thread_set_up(f, i);
	if (err) {
		KUNIT_FAIL(test, "no memory to begin with");
		goto out;
	}
	if (count)
		lost = lost_tables();

	WRITE_ONCE(the_fuzz, f);
	kunit_activate_static_stub(test, kernel_leaf_pool_fill, fuzz_pool_fill);
	kunit_activate_static_stub(test, flush_replaced_table, fuzz_flush_table);
	kunit_activate_static_stub(test, flush_folded_leaves, fuzz_flush_leaves);
	if (delay & DISTURB_EDGES)
		edges_probe(f);
	if (delay & DISTURB_TIMERS)
		on_each_cpu(disturber_start, NULL, true);

	began = jiffies;
	f->until = began + seconds * HZ;
	threads_run(f);
	report(f, jiffies_to_msecs(jiffies - began));

	if (delay & DISTURB_TIMERS)
		disturbers_stop();
	if (delay & DISTURB_EDGES)
		edges_unprobe(f);
	kunit_deactivate_static_stub(test, flush_folded_leaves);
	kunit_deactivate_static_stub(test, flush_replaced_table);
	kunit_deactivate_static_stub(test, kernel_leaf_pool_fill);
	WRITE_ONCE(the_fuzz, NULL);

	KUNIT_EXPECT_EQ_MSG(test, 0, atomic_read(&f->failures),
			    "seed %u found something, see above", seed);
	if (kernel_collapse_enabled())
		check_whole(f);
	if (count) {
		long now = lost_tables();

		/* Execmem frees blocks by way of a worker. */
		for (int ms = 0; now != lost && ms < 5000; ms += 100) {
			msleep(100);
			now = lost_tables();
		}
		KUNIT_EXPECT_EQ_MSG(test, lost, now, "tables lost or freed twice");
	}
out:
	for (unsigned int i = 0; i < f->nr_threads; i++)
		thread_tear_down(&f->threads[i]);
	blocks_put(f);
	kvfree(f);
}

static struct kunit_case leaf_fuzz_cases[] = {
	KUNIT_CASE_SLOW(churn),
	{}
};

static struct kunit_suite leaf_fuzz_suite = {
	.name = "kernel_leaf_fuzz",
	.test_cases = leaf_fuzz_cases,
};

kunit_test_suite(leaf_fuzz_suite);

MODULE_DESCRIPTION("Churn of kernel leaf mappings on arm64");
MODULE_LICENSE("GPL");
