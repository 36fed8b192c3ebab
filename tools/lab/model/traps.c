// SPDX-License-Identifier: GPL-2.0
/*
 * Where every exception that comes to EL2 arrives. To trap something else:
 * set its bit in cpu_init(), and add its exception class to the table here.
 */
#include "model.h"

#define SMCCC_VERSION_1_2	0x10002
#define SMCCC_SUCCESS		0

/*
 * A trapped SMC, and a trapped MRS, return to themselves (DDI 0487, preferred
 * exception return address): the model has done them, so go on behind.
 */
static void skip(struct regs *regs)
{
	regs->pc += 4;
}

static bool smccc_call(struct regs *regs)
{
	switch ((u32)regs->x[0]) {
	case SMCCC_VERSION:
		regs->x[0] = SMCCC_VERSION_1_2;
		return true;
	case SMCCC_ARCH_FEATURES:
		switch ((u32)regs->x[1]) {
		case SMCCC_VERSION:
		case SMCCC_ARCH_FEATURES:
			regs->x[0] = SMCCC_SUCCESS;
			break;
		default:
			regs->x[0] = SMCCC_NOT_SUPPORTED;
		}
		return true;
	}
	return false;
}

/*
 * Nothing that the model does not know goes further down: QEMU makes an
 * unknown call an UNDEFINED instruction, while the SMCCC wants an answer.
 */
static void smc_handle(struct regs *regs, u64 esr)
{
	/* Other immediates than 0 are not the SMCCC's. */
	if (ISS_SMC_IMM16(esr) || !(smccc_call(regs) || psci_call(regs) || rsi_call(regs) ||
				     auditor_call(regs)))
		regs->x[0] = SMCCC_NOT_SUPPORTED;
	skip(regs);
}

/*
 * HCR_EL2.TID3 traps reads of the ID registers; with el2.audit HCR_EL2.TTLB
 * traps TLBIs and HFGWTR_EL2 writes of TTBR1_EL1.
 */
static void msr_handle(struct regs *regs, u64 esr)
{
	u32 rt = ISS_MSR_Rt(esr), crm = ISS_MSR_CRm(esr), op2 = ISS_MSR_Op2(esr);

	if (machine.audit && !(esr & ISS_MSR_READ) && (IS_TTBR1_EL1(esr) || IS_TLBI(esr))) {
		u64 value = rt == 31 ? 0 : regs->x[rt];

		if (IS_TLBI(esr))
			auditor_tlbi(regs, esr, value);
		else
			auditor_ttbr1(value);
		skip(regs);
		return;
	}
	if (!(esr & ISS_MSR_READ) || ISS_MSR_Op0(esr) != 3 || ISS_MSR_Op1(esr) ||
	    ISS_MSR_CRn(esr) || !crm || crm > 7)
		fail("cpu %u: a system register trapped that should not (ESR_EL2 0x%lx, pc 0x%lx)",
		     this_cpu()->index, esr, regs->pc);
	skip(regs);
	if (rt != 31) /* XZR */
		regs->x[rt] = id_guest(crm, op2);
}

static void (* const handlers[EC_MAX + 1])(struct regs *regs, u64 esr) = {
	[EC_SMC64]	= smc_handle,
	[EC_MSR]	= msr_handle,
	[EC_IABT_LOWER]	= abort_handle,
	[EC_DABT_LOWER]	= abort_handle,
};

/**
 * trap() - an exception came to EL2
 * @regs: the guest's registers; what they are at return is what it goes on with
 * @vector: the row of the vector table
 */
void trap(struct regs *regs, u64 vector)
{
	u64 esr = read_sysreg(esr_el2);

	halt_if_ending();
	if (host_refused())
		fail("el2.audit.trace= needs a file to write to: start QEMU with "
		     "-semihosting-config enable=on,target=native,arg=FILE");
	if (vector != VECTOR_SYNC_LOWER_64 && vector != VECTOR_SYNC_LOWER_32)
		fail("the model itself took an exception: vector %lu, ESR_EL2 0x%lx, ELR_EL2 0x%lx, "
		     "FAR_EL2 0x%lx", vector, esr, regs->pc, read_sysreg(far_el2));
	if (!handlers[ESR_EC(esr)])
		fail("cpu %u: no handler for exception class 0x%lx (ESR_EL2 0x%lx, pc 0x%lx)",
		     this_cpu()->index, ESR_EC(esr), esr, regs->pc);
	handlers[ESR_EC(esr)](regs, esr);
	halt_if_ending();
}
