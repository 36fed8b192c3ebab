// SPDX-License-Identifier: GPL-2.0
/*
 * Aborts of stage 2: whose fault was it, and what does a real machine do?
 */
#include "model.h"

/*
 * HPFAR_EL2 has the page of the IPA, unless the fault is one of permissions on something
 * else than the stage 1 walk: then it is UNKNOWN, and the stage 1 translation
 * is made again.
 *
 * Return: false if stage 1 does not translate the address any more, because
 * another CPU changed the tables: the guest does it again, and takes its own
 * fault if there is one.
 */
static bool fault_ipa(u64 esr, u64 *ipa)
{
	u64 far = read_sysreg(far_el2);

	if (esr & ISS_S1PTW) {
		/* FAR_EL2 is what was to be translated; where in the page the walk was nobody says. */
		*ipa = HPFAR_FIPA(read_sysreg(hpfar_el2));
		return true;
	}
	if (FSC_TYPE(ISS_FSC(esr)) != FSC_PERMISSION) {
		*ipa = HPFAR_FIPA(read_sysreg(hpfar_el2)) | (far & (GRANULE - 1));
		return true;
	}
	return translate(far, ipa);
}

/*
 * The exception that EL1 takes for a synchronous external abort, as if there
 * were no EL2 (DDI 0487, AArch64.TakeException): to EL1h, everything masked,
 * the syndrome of the same access with another status code. Of a table walk,
 * too: stage 2 does not say at which level of stage 1 it was.
 */
static void inject_sea(struct regs *regs, u64 esr)
{
	u64 sctlr = read_sysreg(sctlr_el1), iss = FSC_EXTERNAL, ec, offset;
	bool from_el0 = (regs->pstate & PSR_nRW) || PSR_MODE(regs->pstate) == PSR_EL0t;

	if (ESR_EC(esr) == EC_IABT_LOWER)
		ec = from_el0 ? EC_IABT_LOWER : EC_IABT_SAME;
	else
		ec = from_el0 ? EC_DABT_LOWER : EC_DABT_SAME;
	if (ESR_EC(esr) == EC_DABT_LOWER)
		iss |= esr & (ISS_WnR | ISS_CM);
	write_sysreg(esr_el1, FIELD(ec, ESR_EC_SHIFT) | ESR_IL | iss);
	write_sysreg(far_el1, read_sysreg(far_el2));
	write_sysreg(elr_el1, regs->pc);
	write_sysreg(spsr_el1, regs->pstate);

	/* VBAR_EL1: from the same EL with SP_EL0, with SP_EL1, from AArch64, from AArch32. */
	if (regs->pstate & PSR_nRW)
		offset = 0x600;
	else if (from_el0)
		offset = 0x400;
	else
		offset = PSR_MODE(regs->pstate) == PSR_EL1t ? 0 : 0x200;
	regs->pc = read_sysreg(vbar_el1) + offset;

	regs->pstate = (regs->pstate & (PSR_NZCV | PSR_DIT | PSR_PAN)) | PSR_DAIF | PSR_EL1h;
	if (!(sctlr & SCTLR_SPAN))
		regs->pstate |= PSR_PAN;
	if (sctlr & SCTLR_DSSBS)
		regs->pstate |= PSR_SSBS;
	if (id_field(ID_AA64PFR1_EL1, ID_AA64PFR1_MTE) > 1)
		regs->pstate |= PSR_TCO;
}

static const char *what(u64 esr)
{
	if (esr & ISS_S1PTW)
		return "a stage 1 table walk";
	if (ESR_EC(esr) == EC_IABT_LOWER)
		return "an instruction fetch";
	if (esr & ISS_CM)
		return "cache maintenance";
	return esr & ISS_WnR ? "a write" : "a read";
}

/* The rules of a Realm, for an address that stage 2 does not map. */
static void report_realm(const struct regs *regs, u64 esr, u64 ipa)
{
	u64 pa = ipa & ~SHARED;
	const char *alias = ipa & SHARED ? "shared" : "protected";

	if (!in_guest_ram(pa)) {
		if (ipa & SHARED)
			fault(regs, ipa, "%s of the model's memory; the device tree has none there",
			      what(esr));
		else
			fault(regs, ipa, "%s through the protected alias, where there is no memory "
			      "(RIPAS EMPTY); expected the shared alias 0x%lx for a device",
			      what(esr), pa | SHARED);
		return;
	}
	switch (ripas_get(pa)) {
	case RIPAS_RAM:
		fault(regs, ipa, "%s through the shared alias of a page whose RIPAS is RAM; "
		      "expected the protected alias 0x%lx, or RSI_IPA_STATE_SET to EMPTY first",
		      what(esr), pa);
		break;
	case RIPAS_EMPTY:
		fault(regs, ipa, "%s through the protected alias of a page whose RIPAS is EMPTY; "
		      "expected the shared alias 0x%lx, or RSI_IPA_STATE_SET to RAM first",
		      what(esr), pa | SHARED);
		break;
	case RIPAS_DESTROYED:
		fault(regs, ipa, "%s through the %s alias of a page whose RIPAS is DESTROYED; "
		      "expected RSI_IPA_STATE_SET with RSI_CHANGE_DESTROYED first",
		      what(esr), alias);
		break;
	}
}

/* Stage 2 maps it, but not for that. */
static void report_permission(const struct regs *regs, u64 esr, u64 ipa)
{
	if ((ipa & ~(SHARED | (GRANULE - 1))) == machine.hidden)
		fault(regs, ipa, "%s of the PCI function that the model hides; "
		      "expected nothing more than a look whether there is one",
		      what(esr));
	else if (ESR_EC(esr) == EC_IABT_LOWER)
		fault(regs, ipa, "%s from %s; expected protected memory", what(esr),
		      in_guest_ram(ipa & ~SHARED) ? "a page that the host can write" : "a device");
	else
		fail("cpu %u: stage 2 forbids %s of 0x%lx for no reason that the model knows",
		     this_cpu()->index, what(esr), ipa);
}

static void report(const struct regs *regs, u64 esr, u64 ipa)
{
	if (ipa >> IPA_BITS)
		fault(regs, ipa, "%s beyond the %u bits of IPA; expected an address of the device tree",
		      what(esr), IPA_BITS);
	else if (FSC_TYPE(ISS_FSC(esr)) == FSC_PERMISSION)
		report_permission(regs, esr, ipa);
	else if (machine.realm)
		report_realm(regs, esr, ipa);
	else
		fault(regs, ipa, "%s of the model's memory; the device tree has none there", what(esr));
}

/**
 * abort_handle() - an instruction or data abort of the guest
 * @regs: its registers
 * @esr: ESR_EL2
 *
 * Another CPU may just have changed the entry, or have had it broken for a
 * split, when this one walked. What holds is what the tables say under the
 * lock: if the access is fine by that, the guest does it again.
 */
void abort_handle(struct regs *regs, u64 esr)
{
	u64 type = FSC_TYPE(ISS_FSC(esr)), desc = 0, ipa;
	bool again, watched;

	if (type != FSC_TRANSLATION && type != FSC_PERMISSION)
		fail("cpu %u: an abort that stage 2 can't have (ESR_EL2 0x%lx, pc 0x%lx, FAR_EL2 0x%lx)",
		     this_cpu()->index, esr, regs->pc, read_sysreg(far_el2));
	if (!fault_ipa(esr, &ipa))
		return;

	lock(&s2_lock);
	if (!(ipa >> IPA_BITS))
		desc = s2_lookup(ipa);
	if (type == FSC_TRANSLATION)
		again = desc;
	else if (!desc) /* taken away meanwhile: the next abort is another one */
		again = true;
	else
		again = ESR_EC(esr) == EC_IABT_LOWER ? !(desc & S2_XN) : desc & S2_S2AP_WRITE;
	watched = !again && (desc & S2_WATCHED) && (esr & ISS_WnR) && !(esr & ISS_S1PTW) &&
		  ESR_EC(esr) == EC_DABT_LOWER;
	if (!again && !watched)
		report(regs, esr, ipa);
	unlock(&s2_lock);
	if (watched) {
		auditor_store(regs, esr, ipa);
		return;
	}
	/* Nothing invalidates what is stale of a page that is no longer watched. */
	if (again && machine.audit && type == FSC_PERMISSION)
		asm volatile("tlbi vmalls12e1\n\tdsb nsh\n\tisb" : : : "memory");
	if (!again)
		inject_sea(regs, esr);
}
