// SPDX-License-Identifier: GPL-2.0
/*
 * What of the guest traps for the auditor is done here, and made into events.
 * The auditor is audit/; README.md has the rules, and what can't be seen.
 */
#include "observe.h"

static struct audit_event event_of(enum audit_kind kind, const struct regs *regs)
{
	/* A stack of Linux is 16 KiB at least, and aligned so. */
	return (struct audit_event){ .kind = kind, .cpu = this_cpu()->index, .pc = regs->pc,
				     .lr = regs->x[30], .thread = read_sysreg(sp_el1) >> 14 };
}

static void simple_event(enum audit_kind kind, u64 value)
{
	observe(&(struct audit_event){ .kind = kind, .cpu = this_cpu()->index, .value = value });
}

/**
 * auditor_store() - the guest stores to a page that is watched
 * @regs: its registers
 * @esr: ESR_EL2
 * @ipa: where to
 *
 * Returns without having done anything if it is not watched any more, or if
 * somebody took the code away: then the guest does it again.
 */
void auditor_store(struct regs *regs, u64 esr, u64 ipa)
{
	struct audit_event event = event_of(AUDIT_STORE, regs);

	event.address = ipa;
	lock(&audit_lock);
	if (observe(&event))
		simple_event(AUDIT_DONE, store_emulate(regs, esr, ipa));
	unlock(&audit_lock);
}

/**
 * auditor_ttbr1() - the guest writes TTBR1_EL1
 * @ttbr: the value
 */
void auditor_ttbr1(u64 ttbr)
{
	lock(&audit_lock);
	write_sysreg(ttbr1_el1, ttbr);
	isb();
	translate_forget();
	simple_event(AUDIT_TTBR1, ttbr);
	unlock(&audit_lock);
}

/* By CRm and Op2; each is done at EL2 as it is, for EL1 and the guest's VMID. */
#define TLBI(crm, op2)							\
	case (crm) * 8 + (op2):						\
		asm volatile("sys #0, c8, c" #crm ", #" #op2 ", %0" : : "r" (argument) : "memory"); \
		break;
#define TLBI_ROW(crm)	TLBI(crm, 0) TLBI(crm, 1) TLBI(crm, 2) TLBI(crm, 3) TLBI(crm, 5) TLBI(crm, 7)
#define TLBI_RANGE(crm)	TLBI(crm, 1) TLBI(crm, 3) TLBI(crm, 5) TLBI(crm, 7)

static void do_tlbi(const struct regs *regs, u32 crm, u32 op2, u64 argument)
{
	switch (crm * 8 + op2) {
	TLBI_ROW(1)
	TLBI_ROW(3)
	TLBI_ROW(7)
	TLBI_RANGE(2)
	TLBI_RANGE(5)
	TLBI_RANGE(6)
	default:
		fail("cpu %u: a TLBI that the model does not know (CRm %u, Op2 %u, pc 0x%lx)",
		     this_cpu()->index, crm, op2, regs->pc);
	}
}
/**
 * auditor_tlbi() - a TLBI of the guest
 * @regs: its registers
 * @esr: ESR_EL2
 * @argument: Xt
 */
void auditor_tlbi(struct regs *regs, u64 esr, u64 argument)
{
	struct audit_event event = event_of(AUDIT_TLBI, regs);
	u32 crm = ISS_MSR_CRm(esr), op2 = ISS_MSR_Op2(esr);

	do_tlbi(regs, crm, op2, argument);
	event.address = crm * 8 + op2;
	event.value = argument;
	lock(&audit_lock);
	observe(&event);
	unlock(&audit_lock);
}

/* auditor_cpu_off() - this CPU turns itself off, and its TLB with it */
void auditor_cpu_off(void)
{
	lock(&audit_lock);
	simple_event(AUDIT_OFF, 0);
	unlock(&audit_lock);
}

/* auditor_end() - the guest turns the machine off */
void auditor_end(void)
{
	lock(&audit_lock);
	simple_event(AUDIT_END, read_sysreg(vbar_el1));
	unlock(&audit_lock);
}

/*
 * A vendor's call, for guests that know that they are audited: looks now for
 * what is left to be invalidated, and says in X1 how many violations there
 * were, in X2 of which rules since the last call (a bit for each), in X3 and
 * X4 how many stores and TLBIs were audited, in X5 how many entries were left to
 * be invalidated lazily.
 */
#define AUDIT_CALL	0xc600a0d1

/* Another: X1 to X8 are what audit_size_counts() says. */
#define SIZES_CALL	0xc600a0d2

bool auditor_call(struct regs *regs)
{
	struct audit_answer answer;

	if (machine.audit && (u32)regs->x[0] == SIZES_CALL) {
		lock(&audit_lock);
		audit_size_counts(&regs->x[1]);
		unlock(&audit_lock);
		regs->x[0] = 0;
		return true;
	}
	if (!machine.audit || (u32)regs->x[0] != AUDIT_CALL)
		return false;
	lock(&audit_lock);
	simple_event(AUDIT_CHECK, 0);
	audit_ask(&answer);
	unlock(&audit_lock);
	regs->x[0] = 0;
	regs->x[1] = answer.violations;
	regs->x[2] = answer.recent;
	regs->x[3] = answer.stores;
	regs->x[4] = answer.tlbis;
	regs->x[5] = answer.lazy;
	return true;
}

void auditor_init(void)
{
	if (!id_field(ID_AA64MMFR0_EL1, ID_AA64MMFR0_FGT))
		fail("el2.audit needs a CPU with FEAT_FGT: start QEMU with -cpu max");
	observe_init();
}
