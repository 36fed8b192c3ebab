// SPDX-License-Identifier: GPL-2.0
/*
 * What stage 1 of the guest says of an address.
 */
#include "model.h"

/*
 * The auditor asks for the same few pages millions of times. What a CPU was
 * told stays true for it as long as no TLBI comes for the kernel's half, as it
 * does for its own TLB; the auditor sees them all, and writes of TTBR1_EL1.
 */
#define REMEMBERED	8

static struct {
	u64 page, pa, generation;
} remembered[MAX_CPUS][REMEMBERED];
static u64 generation = 1;

void translate_forget(void)
{
	__atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED);
}

/**
 * translate() - what stage 1 of the guest says of an address
 * @va: the address, as EL1 reads it
 * @pa: filled in
 *
 * By an AT instruction, which leaves the result in PAR_EL1. That is the
 * guest's, so it gets its own value back.
 *
 * Return: false if it is not translated.
 */
bool translate(u64 va, u64 *pa)
{
	u64 page = va & ~(GRANULE - 1), slot = page / GRANULE % REMEMBERED, saved, par;
	u64 now = __atomic_load_n(&generation, __ATOMIC_RELAXED);
	bool keep = machine.audit && va >> 63;
	u32 cpu = this_cpu()->index;

	if (keep && remembered[cpu][slot].page == page && remembered[cpu][slot].generation == now) {
		*pa = remembered[cpu][slot].pa | (va & (GRANULE - 1));
		return true;
	}
	saved = read_sysreg(par_el1);
	asm volatile("at s1e1r, %0" : : "r" (va) : "memory");
	isb();
	par = read_sysreg(par_el1);
	write_sysreg(par_el1, saved);
	*pa = PAR_PA(par) | (va & (GRANULE - 1));
	if (par & PAR_F)
		return false;
	if (keep) {
		remembered[cpu][slot].page = page;
		remembered[cpu][slot].pa = PAR_PA(par);
		remembered[cpu][slot].generation = now;
	}
	return true;
}

/* fetch_insn() - the code that a CPU executes, by the tables as they are */
bool fetch_insn(u64 pc, u32 *insn)
{
	u64 pa;

	if (!translate(pc, &pa) || !in_guest_ram(pa & ~SHARED))
		return false;
	*insn = *(volatile u32 *)(pa & ~SHARED);
	return true;
}
