// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the boot decides about the leaves of the linear map: whether they can be
 * split, and how they become pages where a CPU cannot do that.
 */
#include <linux/cpu.h>
#include <linux/cpufeature.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/rwsem.h>
#include <linux/sched/clock.h>
#include <linux/stop_machine.h>

#include <asm/linear_map.h>
#include <asm/mmu.h>
#include <asm/sections.h>
#include <asm/tlbflush.h>

#include "collapse.h"
#include "kernel_leaf.h"

/*
 * Walk all of the linear map, except the kernel linear map alias, and split all
 * mappings to PTE. The kernel alias remains static throughout runtime so can
 * continue to be safely mapped with large mappings.
 */
static int __init linear_map_to_ptes(struct kernel_leaf_pool *pool)
{
	unsigned long lstart = _PAGE_OFFSET(vabits_actual);
	unsigned long lend = PAGE_END;
	unsigned long kstart = (unsigned long)lm_alias(_stext);
	unsigned long kend = (unsigned long)lm_alias(__init_begin);
	int ret;

	ret = range_split_to_ptes(lstart, kstart, pool);
	if (!ret)
		ret = range_split_to_ptes(kend, lend, pool);

	return ret;
}

/*
 * Wait, with interrupts off, until the boot CPU has repainted the linear map:
 * with the idmap active and init_mm inactive, so that this CPU neither holds
 * nor makes any TLB entry of what is being changed.
 */
static void linear_map_wait_for_repaint(void)
{
	typeof(wait_linear_map_split_to_ptes) *wait_fn;

	wait_fn = (void *)__pa_symbol(wait_linear_map_split_to_ptes);

	cpu_install_idmap();
	wait_fn();
	cpu_uninstall_idmap();
}

struct linear_map_repaint {
	unsigned int cpus;
	struct kernel_leaf_pool pool;
};

static int __init linear_map_split_to_ptes(void *data)
{
	struct linear_map_repaint *repaint = data;

	/*
	 * Repainting the linear map must be done by CPU0 (the boot CPU) because
	 * that's the only CPU that we know supports BBML3. The other CPUs will
	 * be held in a waiting area with the idmap active.
	 */
	if (!smp_processor_id()) {
		int ret;

		/*
		 * Wait for all secondary CPUs to be put into the waiting area.
		 */
		smp_cond_load_acquire(&idmap_kpti_bbml3_flag, VAL == repaint->cpus);

		ret = linear_map_to_ptes(&repaint->pool);
		if (ret)
			panic("Failed to split linear map\n");
		flush_tlb_kernel_range(_PAGE_OFFSET(vabits_actual), PAGE_END);

		/*
		 * Relies on dsb in flush_tlb_kernel_range() to avoid reordering
		 * before any page table split operations.
		 */
		WRITE_ONCE(idmap_kpti_bbml3_flag, 0);
	} else {
		/*
		 * At least one secondary CPU doesn't support BBML3 so cannot
		 * tolerate the size of the live mappings changing. So have the
		 * secondary CPUs wait for the boot CPU to make the changes.
		 */
		linear_map_wait_for_repaint();
	}

	return 0;
}

/*
 * Make pages of all leaves of the linear map, for good. A CPU that is started
 * but not online yet may be in the waiting area already.
 */
static void __init linear_map_repaint(int starting_cpu)
{
	struct linear_map_repaint repaint = {
		.cpus = num_online_cpus() + (starting_cpu < 0 ? 0 : 1),
		.pool = { .gfp = GFP_ATOMIC },
	};
	u64 start = local_clock();
	char who[16] = "a CPU";

	lockdep_assert_cpus_held();
	lockdep_assert_held_write(&kernel_leaf_resize_lock);

	/* Nobody is between a look at the tables and a store to them. */
	for (int i = 0; i < KERNEL_LEAF_REGIONS; i++)
		down_write_nest_lock(&kernel_leaf_regions[i].lock,
				     &kernel_leaf_resize_lock);

	stop_machine_cpuslocked(linear_map_split_to_ptes, &repaint,
				cpu_online_mask);
	WRITE_ONCE(linear_map_requires_bbml3, false);

	for (int i = 0; i < KERNEL_LEAF_REGIONS; i++)
		up_write(&kernel_leaf_regions[i].lock);

	if (starting_cpu >= 0)
		snprintf(who, sizeof(who), "CPU%d", starting_cpu);
	pr_info("linear map: %s lacks BBML3: made pages of %lu leaves in %llu us\n",
		who, repaint.pool.splits,
		div_u64(local_clock() - start, NSEC_PER_USEC));
}

/*
 * Which CPU that lacks BBML3 may wait for the repaint, before it does anything
 * else, and does one?
 *
 *	from		to		by whom and when
 *
 *	NO_SECONDARY	CPU		the boot CPU, before it starts it
 *	CPU		SECONDARY_WAITS	that CPU, before it waits
 *	SECONDARY_WAITS	CPU		the boot CPU, when it has repainted: the
 *					CPU goes on
 *	CPU		NO_SECONDARY	the boot CPU: the other one is online, or
 *					its start has failed, or took too long
 *	SECONDARY_WAITS	NO_SECONDARY	the boot CPU: it came, though its start has
 *					failed; it is let out of the idmap, and dies
 *
 * Two can leave CPU, by cmpxchg(), and SECONDARY_WAITS only the boot CPU. So no
 * CPU waits whom nobody lets out, and none is counted that does not wait. One
 * that finds anything but its own number was given up, and dies: it may not
 * share the machine with whoever repaints for another.
 */
#define NO_SECONDARY	(-1)
#define SECONDARY_WAITS	(-2)

static int linear_map_secondary = NO_SECONDARY;

static bool linear_map_may_be_repainted(void)
{
	return !system_capabilities_finalized() && !linear_map_from_pages &&
	       READ_ONCE(linear_map_requires_bbml3);
}

/**
 * linear_map_secondary_start() - a CPU has been started
 *
 * On a machine whose linear map has blocks, waits until it has none if this CPU
 * lacks BBML3. Once the capabilities are final such a CPU does not come here.
 *
 * Context: on that CPU, with interrupts off, before it is online.
 */
void linear_map_secondary_start(void)
{
	const int cpu = smp_processor_id();

	if (!linear_map_may_be_repainted() || cpu_supports_bbml3())
		return;

	if (cmpxchg(&linear_map_secondary, cpu, SECONDARY_WAITS) != cpu)
		cpu_die_early();

	linear_map_wait_for_repaint();
	/* Until the boot CPU has let go of its locks, too. */
	if (smp_cond_load_acquire(&linear_map_secondary,
				  VAL != SECONDARY_WAITS) != cpu)
		cpu_die_early();
}

/**
 * linear_map_cpu_up_begin() - a CPU is about to be started
 * @cpu:	the CPU
 *
 * Until linear_map_cpu_up_end() no live leaf changes its size but by the repaint.
 *
 * Context: process context, cpu_hotplug_lock held for write.
 */
void linear_map_cpu_up_begin(unsigned int cpu)
{
	down_write(&kernel_leaf_resize_lock);

	WRITE_ONCE(linear_map_secondary, cpu);
	if (linear_map_may_be_repainted())
		init_idmap_kpti_bbml3_flag();
}

/**
 * linear_map_cpu_up_wait() - wait for a CPU that has been started
 * @cpu:	the CPU
 * @online:	completed by the CPU once it is online
 * @timeout:	when to give up, in jiffies
 *
 * Serves the repaint should the CPU wait for one.
 */
void __ref linear_map_cpu_up_wait(unsigned int cpu, struct completion *online,
				  unsigned long timeout)
{
	unsigned long deadline = jiffies + timeout;

	for (;;) {
		/* It can't send an interrupt yet: look at it time and again. */
		bool look = linear_map_may_be_repainted();

		if (wait_for_completion_timeout(online, look ? 1 : timeout))
			return;
		if (time_before(jiffies, deadline)) {
			if (READ_ONCE(linear_map_secondary) != SECONDARY_WAITS)
				continue;
		} else if (cmpxchg(&linear_map_secondary, cpu,
				   NO_SECONDARY) != SECONDARY_WAITS) {
			return;
		}

		linear_map_repaint(cpu);
		/* Pairs with linear_map_secondary_start(). */
		smp_store_release(&linear_map_secondary, cpu);
		/* With much memory that alone may have taken as long. */
		deadline = jiffies + timeout;
	}
}

/**
 * linear_map_cpu_up_end() - the CPU is up, or is not coming
 * @cpu:	the CPU
 *
 * From now on it may not wait, should it come after all.
 */
void linear_map_cpu_up_end(unsigned int cpu)
{
	if (cmpxchg(&linear_map_secondary, cpu, NO_SECONDARY) == SECONDARY_WAITS) {
		/* Not before it waits, or it would for ever. */
		smp_cond_load_acquire(&idmap_kpti_bbml3_flag, VAL == 2);
		WRITE_ONCE(idmap_kpti_bbml3_flag, 0);
		/* Pairs with linear_map_secondary_start(). */
		smp_store_release(&linear_map_secondary, NO_SECONDARY);
	}

	up_write(&kernel_leaf_resize_lock);
}

/*
 * A CPU may have been seen to lack BBML3 and then have been sent away for another
 * reason, before linear_map_secondary_start().
 */
void __init linear_map_maybe_split_to_ptes(void)
{
	guard(cpus_read_lock)();
	guard(rwsem_write)(&kernel_leaf_resize_lock);

	if (!linear_map_requires_bbml3 || system_supports_bbml3())
		return;

	if (linear_map_from_pages) {
		WRITE_ONCE(linear_map_requires_bbml3, false);
		return;
	}

	init_idmap_kpti_bbml3_flag();
	linear_map_repaint(-1);
}

static bool __init maps_linear_table(ptval_t val, int level, unsigned long addr)
{
	return level < 3 && (val & PMD_TYPE_MASK) == PMD_TYPE_TABLE &&
	       addr >= PAGE_OFFSET && addr < PAGE_END;
}

/* Copy a table, and those below it as far as they map the linear map. */
static ptval_t * __init copy_linear_table(ptval_t *table, int level,
					  unsigned long addr)
{
	ptval_t *copy = memblock_alloc(PAGE_SIZE, PAGE_SIZE);

	if (!copy)
		panic("linear map: no memory for a copy of its tables\n");

	for (int i = 0; i < PTRS_PER_PTE; i++) {
		ptval_t val = READ_ONCE(table[i]);
		phys_addr_t phys = __pte_to_phys(__pte(val));

		if (maps_linear_table(val, level, addr)) {
			val &= ~__phys_to_pte_val(phys);
			val |= __phys_to_pte_val(__pa(copy_linear_table(__va(phys),
									level + 1,
									addr)));
		}
		copy[i] = val;
		addr += BIT(ARM64_HW_PGTABLE_LEVEL_SHIFT(level));
	}

	return copy;
}

static void __init free_linear_table(ptval_t *copy, int level, unsigned long addr)
{
	for (int i = 0; i < PTRS_PER_PTE; i++) {
		if (maps_linear_table(copy[i], level, addr))
			free_linear_table(__va(__pte_to_phys(__pte(copy[i]))),
					  level + 1, addr);
		addr += BIT(ARM64_HW_PGTABLE_LEVEL_SHIFT(level));
	}

	memblock_free(copy, PAGE_SIZE);
}

/*
 * Make pages of all leaves of the linear map without BBML3, before there is a
 * second CPU or a page allocator: by running on a copy of the tables meanwhile.
 *
 *	TTBR1			swapper_pg_dir
 *
 *	swapper_pg_dir		blocks		1. tables are copied
 *	copy			blocks		2. through the idmap, with a TLBI
 *	copy			pages		3. no CPU walks these tables
 *	swapper_pg_dir		pages		4. through the idmap, with a TLBI
 *
 * That is break-before-make: no TLB entry of the one is left when the first of
 * the other is made. Interrupts are masked, and text, data and stack are mapped as
 * parts of the kernel image, whose tables the copy shares, so that nothing uses
 * the linear map in 2 and 4.
 */
static void __init linear_map_split_early(void)
{
	struct kernel_leaf_pool pool = { .early = true };
	int levels = CONFIG_PGTABLE_LEVELS;
	unsigned int entries = PTRS_PER_PGD;
	u64 start = read_sysreg(cntvct_el0);
	unsigned long base;
	ptval_t *copy;

	/* A root that is folded at run time is a table of the level below. */
	if ((levels == 5 && !pgtable_l5_enabled()) ||
	    (levels == 4 && !pgtable_l4_enabled())) {
		levels--;
		entries = PTRS_PER_PTE;
	}
	/* The root's last entry maps the top of the address space. */
	base = -((unsigned long)entries << ARM64_HW_PGTABLE_LEVEL_SHIFT(4 - levels));

	copy = copy_linear_table((ptval_t *)swapper_pg_dir, 4 - levels, base);
	dsb(ishst);
	cpu_replace_ttbr1((pgd_t *)copy);

	if (linear_map_to_ptes(&pool))
		panic("linear map: no memory for its tables\n");
	dsb(ishst);
	cpu_replace_ttbr1(lm_alias(swapper_pg_dir));

	free_linear_table(copy, 4 - levels, base);
	linear_map_from_pages = true;

	/* Before there is a clock. */
	pr_info("linear map: a Realm without BBML3: made pages of %lu leaves in %llu us\n",
		pool.splits, div_u64((read_sysreg(cntvct_el0) - start) * USEC_PER_SEC,
				     read_sysreg(cntfrq_el0)));
}

/**
 * linear_map_realm_init() - this is a Realm
 *
 * A Realm shares single pages with its host, whatever rodata= says: from here on
 * the linear map must be one that can be split, or made of pages.
 *
 * Context: boot CPU, interrupts masked, before the page allocator.
 */
void __init linear_map_realm_init(void)
{
	if (linear_map_requires_bbml3 || linear_map_from_pages)
		return;

	if (cpu_supports_bbml3()) {
		linear_map_requires_bbml3 = true;
		/* Should a secondary CPU lack it. */
		create_idmap_flag();
	} else {
		linear_map_split_early();
	}
}

#ifdef CONFIG_ARM64_KERNEL_COLLAPSE
/* linear_map=pages: make of the pages what map_mem() would have made. */
static int __init kernel_collapse_linear_map(void)
{
	phys_addr_t start, end;
	u64 i;

	if (!kernel_collapse_enabled() || !linear_map_wants_collapse())
		return 0;

	collapse_image_alias = true;
	for_each_mem_range(i, &start, &end) {
		start = PAGE_ALIGN(start);
		end = ALIGN_DOWN(end, PAGE_SIZE);
		if (start < end)
			kernel_collapse_range((unsigned long)__va(start),
					      (unsigned long)__va(end - 1) + 1);
	}
	collapse_image_alias = false;
	return 0;
}
subsys_initcall_sync(kernel_collapse_linear_map);
#endif
