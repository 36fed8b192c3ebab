// SPDX-License-Identifier: GPL-2.0
/*
 * PSCI 1.1 (DEN 0022) towards the guest, on top of QEMU's own PSCI.
 *
 * QEMU would start a secondary at EL2, at the guest's address: so CPU_ON is
 * taken apart into one for the model's entry point and one for the guest's.
 * CPU_OFF really turns the CPU off, so that each start is one from reset.
 */
#include "model.h"

#define PSCI_VERSION		0x84000000
#define PSCI_CPU_SUSPEND	0x84000001
#define PSCI_CPU_OFF		0x84000002
#define PSCI_CPU_ON		0x84000003
#define PSCI_AFFINITY_INFO	0x84000004
#define PSCI_SYSTEM_RESET	0x84000009
#define PSCI_FEATURES		0x8400000a
#define SMC64			0x40000000	/* the same function with 64-bit arguments */

#define PSCI_VERSION_1_1	0x10001
#define PSCI_SUCCESS		0
#define PSCI_NOT_SUPPORTED	((u64)-1)
#define PSCI_INVALID_PARAMETERS	((u64)-2)
#define PSCI_ALREADY_ON		((u64)-4)
#define PSCI_ON_PENDING		((u64)-5)
#define PSCI_INTERNAL_FAILURE	((u64)-6)
#define PSCI_INVALID_ADDRESS	((u64)-9)
#define AFFINITY_ON		0
#define AFFINITY_OFF		1
#define AFFINITY_ON_PENDING	2

static struct lock psci_lock;
static u64 secondary_start;	/* where QEMU is to start a CPU */

/* psci_init() - secondary CPUs begin there */
void psci_init(u64 secondary)
{
	secondary_start = secondary;
}

/*
 * PSCI's MPIDR has the affinity fields alone. With at most 8 CPUs QEMU puts
 * all of them into one cluster: Aff0 is the index, which fdt.c has checked.
 */
static struct cpu *find_cpu(u64 mpidr)
{
	return mpidr < machine.ncpus ? &machine.cpu[mpidr] : NULL;
}

/* QEMU's view; of a CPU that the model has turned off it may still be ON for a moment. */
static bool really_off(const struct cpu *cpu)
{
	return smc(PSCI_AFFINITY_INFO | SMC64, cpu->index, 0, 0) == AFFINITY_OFF;
}

/* A CPU id that lies. PSCI has an error code for it, but no guest has a reason to use one. */
static u64 no_such_cpu(const struct regs *regs, const char *function, u64 mpidr, u64 address)
{
	fault(regs, address, "%s of the MPIDR 0x%lx, which no CPU has; expected 0 to 0x%x",
	      function, mpidr, machine.ncpus - 1);
	return PSCI_INVALID_PARAMETERS;
}

static u64 cpu_on(const struct regs *regs, u64 mpidr, u64 entry, u64 context)
{
	struct cpu *cpu = find_cpu(mpidr);
	enum power power;
	u64 error;

	if (!cpu)
		return no_such_cpu(regs, "CPU_ON", mpidr, entry);
	if (!in_guest_ram(entry) || (entry & 3)) {
		fault(regs, entry,
		      "CPU_ON with this entry point; expected a multiple of 4 in the guest's memory");
		return PSCI_INVALID_ADDRESS;
	}

	lock(&psci_lock);
	power = cpu->power;
	if (power == POWER_OFF) {
		cpu->power = POWER_PENDING;
		cpu->entry = entry;
		cpu->context = context;
	}
	unlock(&psci_lock);
	if (power != POWER_OFF)
		return power == POWER_ON ? PSCI_ALREADY_ON : PSCI_ON_PENDING;

	/* It may be between cpu_off()'s unlock and its SMC, which waits for nothing. */
	while (!really_off(cpu))
		asm volatile("yield");
	error = smc(PSCI_CPU_ON | SMC64, cpu->index, secondary_start, cpu->index);
	if (error)
		fail("QEMU does not start CPU %u: PSCI error 0x%lx", cpu->index, error);
	if (machine.cpu_on_fails & BIT(cpu->index)) {
		/* A firmware that says so only when the CPU has come a long way. */
		u64 end = read_sysreg(cntpct_el0) + read_sysreg(cntfrq_el0);

		while (read_sysreg(cntpct_el0) < end)
			asm volatile("yield");
		return PSCI_INTERNAL_FAILURE;
	}
	return PSCI_SUCCESS;
}

/* On its way into the guest. */
void psci_started(struct cpu *cpu)
{
	lock(&psci_lock);
	cpu->power = POWER_ON;
	unlock(&psci_lock);
}

static void cpu_off(void)
{
	struct cpu *cpu = this_cpu();

	if (machine.audit)
		auditor_cpu_off();
	lock(&psci_lock);
	cpu->power = POWER_OFF;
	unlock(&psci_lock);
	smc(PSCI_CPU_OFF, 0, 0, 0);
	fail("cpu %u: QEMU does not turn it off", cpu->index);
}

static u64 affinity_info(const struct regs *regs, u64 mpidr, u64 level)
{
	struct cpu *cpu = find_cpu(mpidr);
	enum power power;

	if (!cpu)
		return no_such_cpu(regs, "AFFINITY_INFO", mpidr, 0);
	if (level) /* since PSCI 1.0 nobody has to know of clusters */
		return PSCI_INVALID_PARAMETERS;
	lock(&psci_lock);
	power = cpu->power;
	unlock(&psci_lock);
	if (power == POWER_PENDING)
		return AFFINITY_ON_PENDING;
	/* OFF only when CPU_ON would not have to wait. */
	return power == POWER_OFF && really_off(cpu) ? AFFINITY_OFF : AFFINITY_ON;
}

static u64 features(u32 function)
{
	switch (function) {
	case PSCI_VERSION:
	case PSCI_CPU_SUSPEND:
	case PSCI_CPU_SUSPEND | SMC64:
	case PSCI_CPU_OFF:
	case PSCI_CPU_ON:
	case PSCI_CPU_ON | SMC64:
	case PSCI_AFFINITY_INFO:
	case PSCI_AFFINITY_INFO | SMC64:
	case PSCI_SYSTEM_OFF:
	case PSCI_SYSTEM_RESET:
	case PSCI_FEATURES:
	case SMCCC_VERSION: /* or else Linux takes the SMCCC for 1.0, and never looks for the RSI */
		return PSCI_SUCCESS;
	}
	return PSCI_NOT_SUPPORTED;
}

bool psci_call(struct regs *regs)
{
	u32 function = regs->x[0];
	u64 mask = function & SMC64 ? ~0UL : 0xffffffffUL;
	u64 a1 = regs->x[1] & mask, a2 = regs->x[2] & mask, a3 = regs->x[3] & mask;

	switch (function) {
	case PSCI_VERSION:
		regs->x[0] = PSCI_VERSION_1_1;
		return true;
	case PSCI_FEATURES:
		regs->x[0] = features(a1);
		return true;
	case PSCI_CPU_SUSPEND:
	case PSCI_CPU_SUSPEND | SMC64:
		/* Every state may be answered by a standby; an interrupt ends it, masked or not. */
		asm volatile("wfi" : : : "memory");
		regs->x[0] = PSCI_SUCCESS;
		return true;
	case PSCI_CPU_OFF:
		cpu_off();
		return true;
	case PSCI_CPU_ON:
	case PSCI_CPU_ON | SMC64:
		regs->x[0] = cpu_on(regs, a1, a2, a3);
		return true;
	case PSCI_AFFINITY_INFO:
	case PSCI_AFFINITY_INFO | SMC64:
		regs->x[0] = affinity_info(regs, a1, a2);
		return true;
	case PSCI_SYSTEM_OFF:
		if (machine.audit)
			auditor_end();
		power_off();
	case PSCI_SYSTEM_RESET:
		if (machine.audit)
			auditor_end();
		smc(PSCI_SYSTEM_RESET, 0, 0, 0);
		fail("QEMU does not reset");
	}
	return false;
}
