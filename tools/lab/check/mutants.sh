# shellcheck shell=bash disable=SC2016,SC2034
# Sourced: the list of mutants. mutants calls, for each,
#
#	mutant NAME CASE|audit:RULE FILE PERL-EXPRESSION [MACHINE [WORDS]]
#
# NAME        of the mistake
# CASE        of KUnit, that must fail; or the auditor's rule that must be broken
# FILE        in arch/arm64/, which PERL-EXPRESSION breaks (perl -0p: the file is one string)
# MACHINE     run.sh's options for it behind -m (bbml3), WORDS more for the command line
#
# The step mutants makes and boots each; the step quick only counts.

# One for each kind of mistake: each is a link and a boot.
core='no-tlbi no-exclusion merge-invalid no-secondary-wait last-level-tlbi break-before-make'

mutants() {
mutant no-tlbi flush_after_replace mm/collapse.c 's/\tflush_replaced_table\(addr, addr \+ size\);\n//'
mutant single-va-tlbi flush_after_replace mm/collapse.c 's/flush_replaced_table\(addr, addr \+ size\)/flush_replaced_table(addr, addr + PAGE_SIZE)/'
mutant tlbi-before-store flush_after_replace mm/collapse.c 's/(\tleaf_entry_set\(slot->entry, slot->level, leaf\);\n)(\tflush_replaced_table\(addr, addr \+ size\);\n)/$2$1/'
mutant no-fold-tlbi flush_after_fold mm/collapse.c 's/\tflush_folded_leaves\(first, last\);\n//'
mutant no-exclusion excluded_by_change mm/collapse.c 's/down_write_trylock\(&region->lock\)/true/; s/\t\tup_write\(&region->lock\);\n//; s/\tlockdep_assert_held_write.*\n//'
mutant no-ptdump-lock excluded_by_readers mm/collapse.c 's/!mmap_read_trylock\(&init_mm\)/0/; s/\tmmap_read_unlock\(&init_mm\);\n//'
mutant free-at-once grace_period mm/kernel_pgtable.c 's/call_rcu_hurry\(&pt->pt_rcu_head, pgtable_free_rcu_cb\)/pgtable_free_rcu_cb(&pt->pt_rcu_head)/'
mutant merge-invalid rule_uniform_bits mm/kernel_leaf.c 's/\tif \(\(want & PTE_TYPE_MASK\) != type\)/\tif (((want ^ type) & PTE_TYPE_MASK) > PTE_VALID)/'
mutant ignore-pxntable rule_table_attrs mm/kernel_leaf.c 's/\tif \(\(table & PMD_TABLE_PXN\) && !\(leaf & PTE_PXN\)\)\n\t\treturn KERNEL_LEAF_TABLE_ATTRS;\n//'
mutant ignore-last-entry rule_every_bit mm/kernel_leaf.c 's/for \(unsigned int i = 0; i < LEAF_BATCH; i\+\+, expect/for (unsigned int i = 0; i < LEAF_BATCH - 1; i++, expect/'
mutant trust-any-group rule_groups mm/kernel_leaf.c 's/\(READ_ONCE\(\*entries\) \^ want\) == PTE_CONT\)/((READ_ONCE(*entries) ^ want) | PTE_CONT) == PTE_CONT)/'
mutant no-deposit deposit mm/kernel_pgtable.c 's/if \(!__is_lm_address\(addr\) \|\| !leaf_is_default\(leaf, addr\)\)/if (0)/'
mutant keep-deposits deposit mm/kernel_pgtable.c 's/if \(READ_ONCE\(nr_deposits\) && __is_lm_address\(addr\) &&/if (0 \&\& __is_lm_address(addr) \&\&/'
mutant shared-is-default deposit_shared mm/kernel_leaf.c 's/ &&\n\t       __pte_to_phys\(__pte\(leaf\)\) == __pa\(addr\);/;/' 'bbml3 -R'
mutant half-done-stays split_half_done mm/pageattr.c 's/\t\t\tcollapse_tables_at\(start\);\n\t\t\tcollapse_tables_at\(next - 1\);\n//'
mutant image-alias image_alias_stays mm/kernel_leaf.c 's/if \(!collapse_image_alias \&\&/if (0 \&\&/'
mutant no-queue worker_heals mm/pageattr.c 's/if \(change->collapse\)\n/if (0)\n/g; s/if \(change->collapse && pmd_table\(val\)\)/if (0)/'
mutant page-in-a-group flush_after_fold mm/pageattr.c 's/if \(group_is_cont\(__ptep_get\(PTR_ALIGN_DOWN\(ptep/if (0 \&\& group_is_cont(__ptep_get(PTR_ALIGN_DOWN(ptep/'
mutant split-for-nothing split_nothing_to_change mm/split.c 's/\t\tif \(kernel_leaf_unchanged\(pud_val\(pud\), change\)\)\n\t\t\tgoto out;\n//; s/\t\tif \(kernel_leaf_unchanged\(pmd_val\(pmd\), change\)\)\n\t\t\tgoto out;\n//'
mutant alloc-under-lock split_alloc_failure mm/split.c 's/\t\t\tret = kernel_leaf_pool_fill\(pool, pool->want\);/\t\t\tdown_read(&region->lock);\n\t\t\tret = kernel_leaf_pool_fill(pool, pool->want);\n\t\t\tup_read(&region->lock);/'
mutant no-secondary-wait boot_repaint kernel/smp.c 's/\tlinear_map_secondary_start\(\);\n//' mixed
mutant no-atomic-split boot_served mm/split.c 's/return irqs_disabled\(\) && !cpu_online\(smp_processor_id\(\)\);/return false;/'
mutant no-realm-init boot_served kernel/rsi.c 's/\tlinear_map_realm_init\(\);\n//' 'bbml3 -R' rodata=off
# Where KFENCE is not to come late, or the linear map is of pages.
mutant realm-left-in-blocks boot_served mm/linear_map.c 's/\t\tlinear_map_split_early\(\);/\t\t;/' 'nobbml3 -R' 'rodata=off kfence.sample_interval=100'
mutant exec-no-collapse execmem_write_and_restore mm/init.c 's/\treturn kernel_collapse_vmap\(start, start \+ get_vm_area_size\(vm\)\);/\treturn start ? 0 : 1;/'
mutant exec-alias-writable execmem_write_and_restore mm/pageattr.c 's/(int execmem_arch_make_rw\(unsigned long addr, int numpages\)\n\{\n)/$1\tif (!set_memory_nx(addr, numpages))\n\t\treturn set_memory_rw(addr, numpages);\n/'
mutant exec-programs-near execmem_one_leaf mm/init.c 's/\t\tfar_start = max3/\t\tfar_start += 0 * max3/'
mutant exec-unfrozen execmem_frozen ../../mm/execmem.c 's/queue_delayed_work\(system_freezable_wq, &execmem_cache_free_work, 0\)/queue_delayed_work(system_percpu_wq, \&execmem_cache_free_work, 0)/'
mutant data-is-reset execmem_plain_data ../../mm/execmem.c 's/\tif \(type != EXECMEM_MODULE_DATA\)\n\t\tvm_flags/\tvm_flags/'
mutant data-is-never-reset execmem_plain_data ../../mm/vmalloc.c 's/\tset_area_direct_map\(area, (true|false)\);\n//g'
mutant exec-no-guard execmem_areas ../../mm/execmem.c 's/\tif \(range->flags & EXECMEM_ADJACENT_BLOCKS\)\n//'
# Where a block has a table of its own.
[ "$flavour" != kunit ] || {
mutant exec-one-attempt execmem_collapse_later ../../mm/execmem.c 's/if \(execmem_arch_collapse\(vm\) == -EAGAIN\)\n\t\tqueue_delayed_work\(system_freezable_wq, &execmem_cache_collapse_work,\n\t\t\t\t   COLLAPSE_DELAY\);/execmem_arch_collapse(vm);/'
mutant exec-pxntable execmem_half_a_block mm/split.c 's/ && __is_lm_address\(addr\)\)\n\t\ttableprot/)\n\t\ttableprot/'
}
# QEMU has no walk cache, invalidates more than it is asked to, all CPUs at once, and lets any block become a table.
mutant last-level-tlbi audit:walk mm/collapse.c 's/\t__flush_tlb_kernel_pgtable_range\(start, end\);/\tflush_tlb_kernel_range(start, end);/'
flush='\t__flush_tlb_kernel_pgtable_range\(start, end\);'
by_hand='for (; start < end; start += PAGE_SIZE)\n\t\t__tlbi(vaae1is, (start >> 12) \& GENMASK(43, 0));'
unless_large='\tif (end - start > PMD_SIZE) {\n\t\t__flush_tlb_kernel_pgtable_range(start, end);\n\t\treturn;\n\t}\n'
store='if (slot->level == PGTABLE_LEVEL_PMD) {\n\t\tWRITE_ONCE(*slot->entry, leaf);\n'
store+='\t\tfor (unsigned long a = addr; a < addr + size; a += PAGE_SIZE)\n\t\t\t__tlbi(vaae1is, (a >> 12) \& GENMASK(43, 0));\n\t\tdsb(ish);\n\t} else {'
mutant tlbi-no-dsb-before audit:order mm/collapse.c "s/(\tleaf_entry_set\(slot->entry, slot->level, leaf\);\n\tflush_replaced_table\(addr, addr \+ size\);\n)/\t$store\n\$1\t}\n/"
mutant tlbi-no-dsb-behind audit:order mm/collapse.c "s/$flush/$unless_large\tdsb(ishst);\n\t$by_hand/"
mutant split-no-dsb audit:order mm/split.c 's/(visible to the table walker by the time\n\t \* the pmd entry that points to the ptes is visible.\n\t \*\/\n)\tdsb\(ishst\);\n(\t__pmd_populate\(pmdp, pte_phys, tableprot\);\n\tkernel_leaf_event)/$1$2/'
mutant tlbi-of-this-cpu audit:walk mm/collapse.c "s/$flush/$unless_large\tdsb(ishst);\n\t${by_hand/vaae1is/vaae1}\n\tdsb(ish);/"
mutant tlbi-short audit:stale mm/collapse.c 's/__flush_tlb_kernel_pgtable_range\(start, end\)/__flush_tlb_kernel_pgtable_range(start + PAGE_SIZE, end)/'
mutant change-no-tlbi audit:stale mm/pageattr.c 's/\t\tflush_tlb_kernel_range\(start, start \+ size\);\n\treturn ret;/\t\t;\n\treturn ret;/'
mutant break-before-make audit:gap mm/collapse.c 's/(\tleaf_entry_set\(slot->entry, slot->level, )leaf(\);\n)(\tflush_replaced_table\(addr, addr \+ size\);\n)/${1}0$2$3$1leaf$2$3/'
mutant half-a-group audit:cont mm/collapse.c 's/(i = 0; i < LEAF_BATCH)(; i\+\+\)\n\t\t\t__set_pte_nosync)/$1 - 1$2/'
mutant no-bbml3 audit:resize mm/collapse.c 's/if \(!kernel_collapse_wanted \|\| !kernel_leaf_may_split\(PAGE_OFFSET\)\)/if (!kernel_collapse_wanted)/' nobbml3
mutant exec-wx audit:wx mm/pageattr.c 's/__pgprot\(PTE_WRITE \| PTE_PXN\),/__pgprot(PTE_WRITE),/'
# Where a PMD table spans regions.
[ "$flavour" != kunit ] || flavour=kunit-16k obj=$BUILD/obj/spare-kunit-16k
[[ $flavour != *16k ]] ||
	mutant first-region-only excluded_by_change_of_block mm/collapse.h 's/return min\(table_span\(level\), KERNEL_LEAF_MAX_SIZE\);/return table_span(level);/'
}
