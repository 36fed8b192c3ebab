// SPDX-License-Identifier: GPL-2.0-only
/* What the boot decides about the leaves of the linear map. */
#include <linux/cpu.h>
#include <linux/cpufeature.h>
#include <linux/delay.h>
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

/* With the idmap active, this CPU has no TLB entry of what is being changed. */
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

/* Make pages of all leaves. A starting CPU may be in the waiting area, too. */
static void __init linear_map_repaint(int starting_cpu)
{
	struct linear_map_repaint repaint = {
		.cpus = num_online_cpus() + (starting_cpu < 0 ? 0 : 1),
		.pool = { .gfp = GFP_ATOMIC },
	};
	u64 start = local_clock();

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

	pr_info("linear map: a CPU lacks BBML3: made pages of %lu leaves in %llu us\n",
		repaint.pool.splits,
		div_u64(local_clock() - start, NSEC_PER_USEC));
}

/*
 * The CPU that is being started, and whether it waits for a repaint:
 *
 *	NO_SECONDARY	CPU		the boot CPU, before it starts it
 *	CPU		SECONDARY_WAITS	that CPU, by cmpxchg(), before it waits
 *	SECONDARY_WAITS	CPU		the boot CPU, after the repaint
 *	CPU		NO_SECONDARY	the boot CPU, by cmpxchg(): the other one is
 *					online, or failed, or took too long
 *	SECONDARY_WAITS	NO_SECONDARY	the boot CPU: it came after its start had
 *					failed; it leaves the idmap and dies
 *
 * So none waits whom nobody lets out, and none is counted that does not wait. A
 * CPU that finds anything but its own number was given up, and dies.
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
 * If it lacks BBML3 and the linear map has blocks, it waits until there are none.
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
	/* The boot CPU has let go of its locks then. */
	if (smp_cond_load_acquire(&linear_map_secondary,
				  VAL != SECONDARY_WAITS) != cpu)
		cpu_die_early();
}

/**
 * linear_map_cpu_up_begin() - a CPU is about to be started
 * @cpu:	the CPU
 *
 * Until linear_map_cpu_up_end() no live leaf changes its size but by the repaint,
 * or by @cpu itself once it is known to have BBML3.
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
 * linear_map_cpu_up_wait() - wait for a started CPU, and repaint if it asks for it
 * @cpu:	the CPU
 * @online:	completed by the CPU once it is online
 * @timeout:	when to give up, in jiffies
 */
void __ref linear_map_cpu_up_wait(unsigned int cpu, struct completion *online,
				  unsigned long timeout)
{
	unsigned long deadline = jiffies + timeout;

	for (;;) {
		/* It cannot send an interrupt yet: poll. */
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
		/* The repaint may have taken as long. */
		deadline = jiffies + timeout;
	}
}

/**
 * linear_map_cpu_up_end() - the CPU is up, or is not coming
 * @cpu:	the CPU
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

/* For a CPU that lacked BBML3 and died before linear_map_secondary_start(). */
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
 * Make pages of all leaves without BBML3, on the boot CPU, by break-before-make:
 *
 *	TTBR1			swapper_pg_dir
 *
 *	swapper_pg_dir		blocks		1. tables are copied
 *	copy			blocks		2. through the idmap, with a TLBI
 *	copy			pages		3. no CPU walks these tables
 *	swapper_pg_dir		pages		4. through the idmap, with a TLBI
 *
 * Nothing uses the linear map in 2 and 4: interrupts are masked, and the image's
 * tables, which the copy shares, map text, data and stack.
 */
static void __init linear_map_split_early(void)
{
	struct kernel_leaf_pool pool = { .early = true };
	int levels = CONFIG_PGTABLE_LEVELS;
	unsigned int entries = PTRS_PER_PGD;
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

	pr_info("linear map: a Realm without BBML3: made pages of %lu leaves\n",
		pool.splits);
}

/**
 * linear_map_realm_init() - this is a Realm, which shares pages with its host
 *
 * From here on the linear map can be split, or is made of pages.
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

/* A table that a change was in the way of is in no queue. */
static void __init collapse_all(unsigned long start, unsigned long end)
{
	for (int i = 0; i < 50; i++) {
		if (kernel_collapse_range(start, end) != -EAGAIN)
			return;
		msleep(20);
	}
	pr_warn("linear map: %#lx-%#lx: not all of it could be collapsed\n", start, end);
}

/* linear_map=pages: make of the pages what map_mem() would have made. */
static int __init kernel_collapse_linear_map(void)
{
	phys_addr_t start, end;
	u64 i;

	if (!linear_map_pages_first)
		return 0;

	collapse_image_alias = true;
	for_each_mem_range(i, &start, &end) {
		start = PAGE_ALIGN(start);
		end = ALIGN_DOWN(end, PAGE_SIZE);
		if (start < end)
			collapse_all((unsigned long)__va(start),
				     (unsigned long)__va(end - 1) + 1);
	}
	collapse_image_alias = false;
	return 0;
}
subsys_initcall_sync(kernel_collapse_linear_map);
