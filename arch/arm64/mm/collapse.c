// SPDX-License-Identifier: GPL-2.0-only
/*
 * Live collapse of kernel leaf mappings. A permission change splits the leaf that
 * it hits (split.c). Once all entries agree again, a leaf comes back: PTEs ->
 * contPTE, PTE table -> PMD -> contPMD, PMD table -> PUD.
 *
 * All CPUs have BBML3, so a live leaf may change its size without
 * break-before-make. An access that hits an old and a new TLB entry uses one of
 * them as a whole and takes no abort (Arm ARM, "Support levels for changing
 * table or block size"). Both have the same output address and attributes.
 *
 *	1. Take region->lock for write: no change is now between its look at
 *	   the tables and its last store.
 *	2. Store the leaf over the table entry, by one 64-bit store.
 *	3. DSB ISHST; TLBI VAAE1IS for all that the leaf maps; DSB ISH; ISB.
 *	   Now no CPU has an old PTE or a pointer to the table. A last-level
 *	   TLBI would leave the pointer in walk caches.
 *	4. Release region->lock. Changes may split the leaf again.
 *	5. Free the table after a grace period. Lockless software walkers, like
 *	   vmalloc_to_page(), fetch each entry once, under RCU.
 *
 * Step 3 ends before step 4, because the next change splits the leaf into a new
 * table and invalidates its page by last-level TLBI only. A CPU with a pointer
 * to the old table would still read the old entry there. ptdump sleeps and is
 * no RCU reader: it holds init_mm's mmap lock for write, steps 2 and 3 for read.
 *
 * A contiguous group has no table. The bit is set in each entry, then the group
 * is invalidated by last-level TLBI. All checks come before the first store:
 * nothing is rolled back or allocated. "Without a lock" in
 * Documentation/arch/arm64/kernel-leaf-proof.rst has all lockless reads.
 */
#define pr_fmt(fmt) "kernel-collapse: " fmt

#include <linux/init.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/unroll.h>
#include <linux/workqueue.h>

#include <asm/tlbflush.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "collapse.h"
#include "kernel_leaf.h"

/* As the tracepoint prints them. */
static_assert(KERNEL_LEAF_BUSY == 1 && KERNEL_LEAF_TABLE_ATTRS == 8);

/* Set once, when every CPU is known to have BBML3. */
DEFINE_STATIC_KEY_FALSE(kernel_collapse_key);

/* One collapse at a time. Held for one table: execmem's users wait for it. */
static DEFINE_MUTEX(kernel_collapse_mutex);

/* Walkers that sleep: kernel_collapse_pause(). Under kernel_collapse_mutex. */
static unsigned int collapse_pauses;

/*
 * Tables that may have become uniform, on one of two lists, oldest first.
 * queue_lock protects all that follows, and of these tables pt_list (the link)
 * and pt_index (the key). pt_list is empty only while a table is not queued.
 *
 * A table leaves the queue in the write section of region->lock in which it is
 * looked at. A change holds the lock for read: if it finds the table queued,
 * without queue_lock, the look comes later and sees what the change stores.
 */
static LIST_HEAD(queue_settling);
static LIST_HEAD(queue_due);
/* When all that settles is due, in jiffies. */
static unsigned long settled_at;
/* The last table that the worker picked; NULL once it is off the queue. */
static struct ptdesc *queue_picked;
static DEFINE_SPINLOCK(queue_lock);

/* Freed memory is often taken again soon, and one close() frees many pages. */
#define COLLAPSE_DELAY		(HZ / 2)
/* Tables in one run of the worker, for which a freeze has to wait. */
#define COLLAPSE_BATCH		1024
/* How often the worker tries to get a lock before it takes the next table. */
#define COLLAPSE_SPINS		256

static void kernel_collapse_worker(struct work_struct *work);
static DECLARE_DELAYED_WORK(collapse_work, kernel_collapse_worker);
static struct workqueue_struct *collapse_wq;

/* With region->lock held for write nobody queues the table meanwhile. */
static void table_unqueue(struct ptdesc *pt)
{
	if (list_empty(&pt->pt_list))
		return;

	guard(spinlock)(&queue_lock);
	if (!list_empty(&pt->pt_list)) {
		list_del_init(&pt->pt_list);
		if (queue_picked == pt)
			queue_picked = NULL;
	}
}

/* Returns true if no other table settles: then there may be no timer. */
static bool table_settle(struct ptdesc *pt)
{
	bool first = list_empty(&queue_settling);

	lockdep_assert_held(&queue_lock);
	if (first)
		settled_at = jiffies + COLLAPSE_DELAY;
	list_move_tail(&pt->pt_list, &queue_settling);
	return first;
}

/**
 * kernel_collapse_queue() - have the worker look at a table of the linear map
 * @entry:	an entry of the table
 * @addr:	an address that it translates
 * @level:	its level, PGTABLE_LEVEL_PTE or PGTABLE_LEVEL_PMD
 *
 * Allocates nothing, cannot fail. Reads one cache line if the table is queued.
 * Context: a task, also with interrupts off; region->lock held.
 */
void kernel_collapse_queue(void *entry, unsigned long addr,
			   enum pgtable_level level)
{
	struct ptdesc *pt;
	bool first;

	lockdep_assert_held(&kernel_leaf_region(addr)->lock);
	/* The top-level table is part of the kernel image. */
	if (PMDS_ARE_TOP && level == PGTABLE_LEVEL_PMD)
		entry = lm_alias(entry);
	pt = virt_to_ptdesc(entry);

	/* Pairs with table_unqueue(), by region->lock; with pgtable_ctor(). */
	if (!list_empty(&pt->pt_list))
		return;

	scoped_guard(spinlock, &queue_lock) {
		if (!list_empty(&pt->pt_list))
			return;
		pt->pt_index = table_key(addr, level);
		first = table_settle(pt);
	}
	/* The first sets the timer, and so does the worker at its end. */
	if (first)
		queue_delayed_work(collapse_wq, &collapse_work, COLLAPSE_DELAY);
}

/* Queue the tables that translate an address, where nobody else would. */
void collapse_tables_at(unsigned long addr)
{
	struct kernel_leaf_region *region = kernel_leaf_region(addr);
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;

	if (!kernel_collapse_enabled() || !__is_lm_address(addr) ||
	    kernel_leaf_region_enter(region))
		return;

	pudp = kernel_pud_find(addr);
	if (!pudp)
		goto out;
	pud = pudp_get(pudp);
	if (pud_none(pud) || pud_leaf(pud))
		goto out;

	pmdp = pmd_offset(pudp, addr);
	pmd = pmdp_get(pmdp);
	kernel_collapse_queue(pmdp, addr, PGTABLE_LEVEL_PMD);
	if (pmd_table(pmd))
		kernel_collapse_queue(pte_offset_kernel(&pmd, addr), addr,
				      PGTABLE_LEVEL_PTE);
out:
	up_read(&region->lock);
}

VISIBLE_IF_KUNIT
void flush_replaced_table(unsigned long start, unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(flush_replaced_table, start, end);
	__flush_tlb_kernel_pgtable_range(start, end);
}

VISIBLE_IF_KUNIT
void flush_folded_leaves(unsigned long start, unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(flush_folded_leaves, start, end);
	flush_tlb_kernel_range(start, end);
}

static void set_group_cont(ptval_t *group, enum pgtable_level level)
{
	ptval_t *end = group + leaf_levels[level].cont;

	if (level == PGTABLE_LEVEL_PMD) {
		for (; group != end; group++)
			set_pmd((pmd_t *)group, __pmd(READ_ONCE(*group) | PTE_CONT));
		return;
	}

	/* Changes wait for this. */
	for (; group != end; group += LEAF_BATCH) {
		unrolled_count(LEAF_BATCH)
		for (unsigned int i = 0; i < LEAF_BATCH; i++)
			__set_pte_nosync((pte_t *)&group[i],
					 __pte(READ_ONCE(group[i]) | PTE_CONT));
	}
}

static void fold_groups(ptval_t *group, unsigned long addr, unsigned long size,
			enum pgtable_level level)
{
	const unsigned int cont = leaf_levels[level].cont;
	const unsigned long span = leaf_levels[level].size * cont;
	/* Mostly all of a table of PTEs is in range. */
	const bool in_range = level == PGTABLE_LEVEL_PTE &&
			      !leaf_range_check(addr, size);
	unsigned long first = 0, run = 0, last = 0;
	unsigned long end = addr + size;

	lazy_mmu_mode_enable();
	for (; addr != end; addr += span, group += cont) {
		/* Groups are folded and unfolded as a whole. */
		if (READ_ONCE(*group) & PTE_CONT ||
		    leaf_run_check(group, level, cont) ||
		    (!in_range && leaf_range_check(addr, span)))
			continue;
		set_group_cont(group, level);
		if (!last) {
			first = addr;
			run = addr;
		} else if (addr != last) {
			kernel_leaf_event(run, (last - run) / span, level, true,
					  KERNEL_LEAF_COLLAPSE);
			run = addr;
		}
		last = addr + span;
	}
	lazy_mmu_mode_disable();
	if (!last)
		return;
	flush_folded_leaves(first, last);
	/* Groups side by side are reported at once: a change may wait for us. */
	kernel_leaf_event(run, (last - run) / span, level, true,
			  KERNEL_LEAF_COLLAPSE);
}

/* Store a PMD or PUD. The caller's TLB maintenance has the barriers. */
static void leaf_entry_set(ptval_t *entry, enum pgtable_level level, ptval_t val)
{
	if (level == PGTABLE_LEVEL_PMD)
		set_pmd((pmd_t *)entry, __pmd(val));
	else
		set_pud((pud_t *)entry, __pud(val));
}

/* Steps 2, 3 and 5 at the top of this file. */
static enum kernel_leaf_refusal replace_table(struct leaf_slot *slot,
					      ptval_t *table, unsigned long addr)
{
	const enum pgtable_level level = slot->level - 1;
	const unsigned long size = table_span(level);
	ptval_t leaf = (READ_ONCE(table[0]) & ~(PTE_TYPE_MASK | PTE_CONT)) |
		       PMD_TYPE_SECT;
	enum kernel_leaf_refusal why;

	why = leaf_range_check(addr, size) ?:
	      leaf_run_check(table, level, leaf_levels[level].entries) ?:
	      leaf_table_check(slot->val, leaf);
	if (why)
		return why;

	/* Excludes ptdump. Waiting inside somebody's read lock may deadlock. */
	if (!mmap_read_trylock(&init_mm))
		return KERNEL_LEAF_BUSY;

	leaf_entry_set(slot->entry, slot->level, leaf);
	flush_replaced_table(addr, addr + size);
	mmap_read_unlock(&init_mm);
	kernel_leaf_event(addr, 1, slot->level, false, KERNEL_LEAF_COLLAPSE);
	/* Only tables of the linear map are ever queued. */
	if (__is_lm_address(addr))
		table_unqueue(virt_to_ptdesc(table));
	table_retire(virt_to_ptdesc(table), addr, level, leaf);
	return KERNEL_LEAF_OK;
}

/*
 * A new leaf may complete a contiguous group, which is folded at once, and its
 * table, which is queued behind those that are due: they may be in it.
 */
static void leaf_created(const struct leaf_slot *slot, unsigned long addr)
{
	struct ptdesc *pt;

	if (slot->level != PGTABLE_LEVEL_PMD)
		return;
	fold_groups(PTR_ALIGN_DOWN(slot->entry, sizeof(ptval_t) * CONT_PMDS),
		    ALIGN_DOWN(addr, CONT_PMD_SIZE), CONT_PMD_SIZE, slot->level);
	/* The top-level table is none, and part of the kernel image. */
	if (!table_may_be_leaf(slot->level))
		return;
	pt = virt_to_ptdesc(slot->entry);
	if (!list_empty(&pt->pt_list))
		return;
	/* Needs no timer: whoever collapses also sees to what that completes. */
	scoped_guard(spinlock, &queue_lock) {
		pt->pt_index = table_key(addr, slot->level);
		list_add_tail(&pt->pt_list, &queue_due);
	}
}

/* The range is what a table maps, or the part of a region or a vmalloc area. */
static enum kernel_leaf_refusal collapse_table_locked(unsigned long start,
						      unsigned long end,
						      enum pgtable_level level)
{
	const struct leaf_level *l = &leaf_levels[level];
	const bool in_linear_map = __is_lm_address(start);
	enum kernel_leaf_refusal why = KERNEL_LEAF_RANGE;
	struct leaf_slot slot;
	ptval_t *table;
	bool whole;

	lockdep_assert_held(&kernel_collapse_mutex);
	lockdep_assert_held_write(&kernel_leaf_region(start)->lock);
	/* The top-level table is never a leaf, but it has groups. */
	if (PMDS_ARE_TOP && level == PGTABLE_LEVEL_PMD) {
		fold_groups((ptval_t *)pgd_offset_k(start), start, end - start,
			    level);
		return KERNEL_LEAF_RANGE;
	}

	/* Somebody may have been here first. */
	table = leaf_slot_find(&slot, start, level + 1);
	if (!table)
		return KERNEL_LEAF_OK;

	whole = table_may_be_leaf(level) && end - start == table_span(level);
	if (whole)
		why = replace_table(&slot, table, start);

	/* In vmalloc space the neighbours are somebody else's. */
	if (why == KERNEL_LEAF_OK && in_linear_map)
		leaf_created(&slot, start);
	/* There, the owner soon restores what keeps a block apart. */
	if (why == KERNEL_LEAF_OK || why == KERNEL_LEAF_BUSY ||
	    (whole && !in_linear_map))
		return why;

	/* A change in another region may rely on the queue. */
	if (in_linear_map && end - start == table_span(level))
		table_unqueue(virt_to_ptdesc(table));
	fold_groups(table + start / l->size % l->entries, start, end - start,
		    level);
	return why;
}

static bool region_trylock(struct kernel_leaf_region *region)
{
	for (int i = 0; i < COLLAPSE_SPINS; i++) {
		if (down_write_trylock(&region->lock))
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * Returns -EAGAIN if somebody was in the way; a queued table then stays queued.
 * This is what a change may have to wait for: a table is compared twice and stored
 * once at the most, and a TLBI and DSB follow; then the group, if the new leaf
 * completes one, with a TLBI and DSB of its own.
 */
static int collapse_table(unsigned long start, unsigned long end,
			  enum pgtable_level level)
{
	struct kernel_leaf_region *region = kernel_leaf_region(start);
	enum kernel_leaf_refusal why = KERNEL_LEAF_BUSY;

	guard(mutex)(&kernel_collapse_mutex);
	/* A CPU that is being started may turn out to lack BBML3. */
	if (!collapse_pauses && kernel_leaf_resize_trylock()) {
		if (region_trylock(region)) {
			why = collapse_table_locked(start, end, level);
			up_write(&region->lock);
		}
		kernel_leaf_resize_unlock();
	}
	/* A part of a table, in vmalloc space, has groups at the most. */
	if (why && table_may_be_leaf(level) &&
	    (why == KERNEL_LEAF_BUSY || end - start == table_span(level)))
		kernel_leaf_event(start, 1, level + 1, false,
				  KERNEL_LEAF_COLLAPSE + why);
	return why == KERNEL_LEAF_BUSY ? -EAGAIN : 0;
}

/**
 * kernel_collapse_range() - collapse what can be in a range, now
 * @start:	start of the range, in the linear map
 * @end:	end of the range
 *
 * Context: may sleep; not with mem_hotplug_lock held, nor inside a change.
 * Return: 0 if every table that maps any of it was looked at; -EAGAIN if a
 * change, ptdump or a pause was in the way; -EINVAL if it is not all in the
 * linear map; -EOPNOTSUPP where nothing is ever collapsed.
 */
int kernel_collapse_range(unsigned long start, unsigned long end)
{
	int ret = 0;

	if (!kernel_collapse_enabled())
		return -EOPNOTSUPP;
	if (start >= end || !__is_lm_address(start) || !__is_lm_address(end - 1))
		return -EINVAL;

	get_online_mems();
	for (int level = PGTABLE_LEVEL_PTE; level <= PGTABLE_LEVEL_PMD; level++) {
		const unsigned long step = table_step(level);
		unsigned long addr = ALIGN_DOWN(start, step);

		for (; addr < end; addr += step) {
			if (collapse_table(addr, addr + step, level))
				ret = -EAGAIN;
			cond_resched();
		}
	}
	put_online_mems();

	/* New leaves may have queued tables that somebody was in the way of. */
	queue_delayed_work(collapse_wq, &collapse_work, COLLAPSE_DELAY);
	return ret;
}

/**
 * kernel_collapse_vmap() - collapse what can be in an area of vmalloc space, now
 * @start:	start of the area
 * @end:	end of the area
 *
 * Nothing is queued, as vunmap() takes none of these locks. A block's table is
 * kept for deposits_drop(), before the area is unmapped.
 * Context: may sleep. None of the area may be unmapped meanwhile.
 * Return: as kernel_collapse_range(), but never -EINVAL.
 */
int kernel_collapse_vmap(unsigned long start, unsigned long end)
{
	const unsigned long span = table_span(PGTABLE_LEVEL_PTE);
	unsigned long next;
	int ret = 0;

	if (!kernel_collapse_enabled())
		return -EOPNOTSUPP;

	start = ALIGN(start, CONT_PTE_SIZE);
	end = ALIGN_DOWN(end, CONT_PTE_SIZE);
	for (; start < end; start = next) {
		next = min(ALIGN_DOWN(start, span) + span, end);
		if (collapse_table(start, next, PGTABLE_LEVEL_PTE))
			ret = -EAGAIN;
		cond_resched();
	}
	return ret;
}

/* A change relies on the queue until its region is looked at. */
static int collapse_queued(struct ptdesc *pt, unsigned long addr,
			   enum pgtable_level level)
{
	const unsigned long step = table_step(level);
	const unsigned long end = addr + table_span(level);
	int ret = 0;

	if (step == table_span(level))
		return collapse_table(addr, end, level);

	table_unqueue(pt);
	for (; addr != end; addr += step) {
		if (collapse_table(addr, addr + step, level))
			ret = -EAGAIN;
		cond_resched();
	}
	if (!ret)
		return 0;
	guard(spinlock)(&queue_lock);
	/* A change may have been faster. */
	if (list_empty(&pt->pt_list))
		table_settle(pt);
	return ret;
}

/*
 * Look at the table that is due for longest. Returns false if there is none.
 * Whoever is in the way may be about to change it, so it settles once more.
 */
static bool collapse_next(void)
{
	enum pgtable_level level;
	unsigned long addr;
	struct ptdesc *pt;
	int ret;

	scoped_guard(spinlock, &queue_lock) {
		if (list_empty(&queue_due) && time_after_eq(jiffies, settled_at))
			list_splice_init(&queue_settling, &queue_due);
		pt = list_first_entry_or_null(&queue_due, struct ptdesc, pt_list);
		if (!pt)
			return false;
		queue_picked = pt;
		addr = pt->pt_index & PAGE_MASK;
		level = pt->pt_index & ~PAGE_MASK;
	}
	ret = collapse_queued(pt, addr, level);

	/* Off the queue, it may be gone. Else somebody was in the way. */
	guard(spinlock)(&queue_lock);
	if (queue_picked && ret)
		table_settle(queue_picked);
	else if (WARN_ON_ONCE(queue_picked)) /* not linked: not for ever */
		list_del_init(&queue_picked->pt_list);
	return true;
}

/* Does not sleep while a table is due. */
static void kernel_collapse_worker(struct work_struct *work)
{
	unsigned long delay = 0;
	bool found = true;

	for (int i = 0; i < COLLAPSE_BATCH && found; i++) {
		/* Keeps memory, and with it the queued tables, from going. */
		get_online_mems();
		found = collapse_next();
		put_online_mems();
		cond_resched();
	}

	scoped_guard(spinlock, &queue_lock) {
		if (list_empty(&queue_due)) {
			if (list_empty(&queue_settling))
				return;
			if (time_before(jiffies, settled_at))
				delay = settled_at - jiffies;
		}
	}
	/* Somebody may have set the timer to a later time. */
	mod_delayed_work(collapse_wq, &collapse_work, delay);
}

#if IS_ENABLED(CONFIG_KUNIT)
void kernel_collapse_flush(void)
{
	do {
		scoped_guard(spinlock, &queue_lock)
			list_splice_tail_init(&queue_settling, &queue_due);
		flush_delayed_work(&collapse_work);
		cond_resched();
	} while (!list_empty(&queue_settling) || !list_empty(&queue_due));
}
#endif

/**
 * kernel_collapse_forget() - a range of the linear map is about to be unmapped
 * @start:	start of the range
 * @end:	end of the range
 *
 * Drops its deposits and takes its tables off the queue. A queued table is
 * linked, so a walk finds it; the pt_list of a table that was never queued is
 * empty, as of each new page. The caller requeues those that stay.
 * Context: may sleep; mem_hotplug_lock held for write, so no table is detached.
 */
void kernel_collapse_forget(unsigned long start, unsigned long end)
{
	for (int level = PGTABLE_LEVEL_PTE; level <= PGTABLE_LEVEL_PMD; level++) {
		const unsigned long span = table_span(level);
		unsigned long addr = ALIGN_DOWN(start, span);

		if (PMDS_ARE_TOP && level == PGTABLE_LEVEL_PMD)
			continue;

		for (; addr < end; addr += span) {
			struct leaf_slot slot;
			ptval_t *table = leaf_slot_find(&slot, addr, level + 1);

			if (table)
				table_unqueue(virt_to_ptdesc(table));
			cond_resched();
		}
	}

	for (; start < end; start = kernel_leaf_region_end(start, end)) {
		deposits_drop(start, kernel_leaf_region_end(start, end));
		cond_resched();
	}
}

/**
 * kernel_collapse_pause() - let no leaf replace a table
 *
 * Until kernel_collapse_resume(), for walkers that sleep. Splits go on. A collapse
 * that had begun is over.
 * Context: may sleep, for as long as one table takes. get_online_mems(), where it is
 * needed too, comes first.
 */
void kernel_collapse_pause(void)
{
	guard(mutex)(&kernel_collapse_mutex);
	collapse_pauses++;
}

void kernel_collapse_resume(void)
{
	guard(mutex)(&kernel_collapse_mutex);
	collapse_pauses--;
}

static bool kernel_collapse_wanted __initdata = true;

static int __init parse_kernel_collapse(char *arg)
{
	return kstrtobool(arg, &kernel_collapse_wanted);
}
early_param("kernel_collapse", parse_kernel_collapse);

/* All CPUs are up. Whoever asks kernel_collapse_enabled() once comes later. */
static int __init kernel_collapse_init(void)
{
	deposits_init();

	if (!kernel_collapse_wanted || !kernel_leaf_may_split(PAGE_OFFSET))
		return 0;

	collapse_wq = alloc_workqueue("kernel_collapse",
				      WQ_UNBOUND | WQ_FREEZABLE, 1);
	if (!collapse_wq)
		return -ENOMEM;

	static_branch_enable(&kernel_collapse_key);
	pr_info("split leaves of the linear map are collapsed\n");
	return 0;
}
pure_initcall(kernel_collapse_init);
