// SPDX-License-Identifier: GPL-2.0
/*
 * A CPU: what it says it is, and what of it EL1 may use.
 */
#include "model.h"

static bool is_register(u32 crm, u32 op2, u32 want_crm, u32 want_op2)
{
	return crm == want_crm && op2 == want_op2;
}

/**
 * id_guest() - the same register as the guest is to see it
 * @crm: 1 to 7
 * @op2: 0 to 7
 */
u64 id_guest(u32 crm, u32 op2)
{
	u64 value = id_read(crm, op2);

	if (is_register(crm, op2, ID_AA64MMFR2_EL1)) {
		value &= ~FIELD(0xf, ID_AA64MMFR2_BBM);
		value |= FIELD(this_cpu()->bbm, ID_AA64MMFR2_BBM);
	}
	return value;
}

/* HCRX_EL2 and the fine-grained traps: what each feature needs to work at EL1. */
static const struct feature {
	u32 crm, op2, shift, least;
	u64 hcrx, hfg, hfgitr;
} features[] = {
	{ ID_AA64PFR1_EL1, 24, 1, 0, HFG_nSMPRI_EL1 | HFG_nTPIDR2_EL0, 0 },	/* SME */
	{ ID_AA64PFR1_EL1, 44, 1, HCRX_GCSEn, HFG_nGCS_EL0 | HFG_nGCS_EL1,
	  HFGITR_nGCSPUSHM_EL1 | HFGITR_nGCSSTR_EL1 | HFGITR_nGCSEPP },		/* GCS */
	{ ID_AA64PFR2_EL1, 32, 1, HCRX_EnFPM, 0, 0 },				/* FPMR */
	{ ID_AA64ISAR1_EL1, 60, 1, HCRX_EnALS, 0, 0 },				/* LS64 */
	{ ID_AA64ISAR1_EL1, 60, 2, HCRX_EnASR, 0, 0 },				/* LS64_V */
	{ ID_AA64ISAR1_EL1, 60, 3, HCRX_EnAS0, HFG_nACCDATA_EL1, 0 },		/* LS64_ACCDATA */
	{ ID_AA64ISAR2_EL1, 16, 1, HCRX_MSCEn, 0, 0 },				/* MOPS */
	{ ID_AA64MMFR3_EL1, 0, 1, HCRX_TCR2En, 0, 0 },				/* TCRX */
	{ ID_AA64MMFR3_EL1, 4, 1, HCRX_SCTLR2En, 0, 0 },			/* SCTLRX */
	{ ID_AA64MMFR3_EL1, 8, 1, 0, HFG_nPIR_EL1 | HFG_nPIRE0_EL1, 0 },	/* S1PIE */
	{ ID_AA64MMFR3_EL1, 16, 1, 0, HFG_nPOR_EL1 | HFG_nPOR_EL0, 0 },		/* S1POE */
	{ ID_AA64MMFR3_EL1, 24, 1, 0, HFG_nMAIR2_EL1 | HFG_nAMAIR2_EL1, 0 },	/* AIE */
	{ ID_AA64MMFR3_EL1, 32, 1, HCRX_D128En, 0, 0 },				/* D128 */
};

/*
 * The bits of HCRX_EL2, and those of the fine-grained trap registers whose
 * name begins with n, trap when they are zero, which they are at reset. A bit
 * of a feature that is not there is RES0, so each is set for its feature.
 */
static void open_features(void)
{
	u64 hcrx = 0, hfg = 0, hfgitr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];

		if (id_field(f->crm, f->op2, f->shift) < f->least)
			continue;
		hcrx |= f->hcrx;
		hfg |= f->hfg;
		hfgitr |= f->hfgitr;
	}
	if (id_field(ID_AA64MMFR1_EL1, ID_AA64MMFR1_HCX))
		write_sysreg(HCRX_EL2, hcrx);
	if (id_field(ID_AA64MMFR0_EL1, ID_AA64MMFR0_FGT)) {
		write_sysreg(HFGRTR_EL2, hfg);
		write_sysreg(HFGWTR_EL2, hfg | (machine.audit ? HFGW_TTBR1_EL1 : 0));
		write_sysreg(HFGITR_EL2, hfgitr);
		/* The bits with n in these are of BRBE and SPE, which QEMU does not have. */
		write_sysreg(HDFGRTR_EL2, 0);
		write_sysreg(HDFGWTR_EL2, 0);
	}
}

static void open_vectors(void)
{
	write_sysreg(cptr_el2, CPTR_EL2_NO_TRAPS);
	isb();
	if (id_field(ID_AA64PFR0_EL1, ID_AA64PFR0_SVE))
		write_sysreg(ZCR_EL2, ZCR_LEN_MAX);
	if (id_field(ID_AA64PFR1_EL1, ID_AA64PFR1_SME))
		write_sysreg(SMCR_EL2, SMCR_LEN_MAX | SMCR_EZT0 | SMCR_FA64);
}

/* MDCR_EL2.HPMN: the first of the event counters that EL1 may not have; there is none. */
static void open_counters(void)
{
	u64 version = id_field(ID_AA64DFR0_EL1, ID_AA64DFR0_PMUVer);
	bool there = version && version != ID_AA64DFR0_PMUVer_IMPDEF;

	write_sysreg(mdcr_el2, there ? PMCR_N(read_sysreg(pmcr_el0)) : 0);
}

/**
 * cpu_init() - set this CPU up at EL2
 * @cpu: who it is
 *
 * Interrupts are not routed to EL2 (HCR_EL2.IMO, FMO and AMO are 0): the
 * guest owns the GIC, the timers and the PMU.
 */
void cpu_init(struct cpu *cpu)
{
	u64 hcr = HCR_VM | HCR_SWIO | HCR_TID3 | HCR_TSC | HCR_HCD | HCR_RW | HCR_APK | HCR_API |
		  HCR_EnSCXT;

	write_sysreg(tpidr_el2, cpu);

	/*
	 * VPIDR_EL2 is what a read of MIDR_EL1 at EL1 gives, without a trap.
	 * The ID registers have no such shadow: they trap (TID3).
	 */
	write_sysreg(vpidr_el2, cpu->midr);
	write_sysreg(vmpidr_el2, read_sysreg(mpidr_el1));

	open_counters();
	write_sysreg(hstr_el2, 0);
	write_sysreg(cnthctl_el2, CNTHCTL_EL1PCTEN | CNTHCTL_EL1PCEN);
	write_sysreg(cntvoff_el2, 0);
	write_sysreg(ICC_SRE_EL2, ICC_SRE_SRE | ICC_SRE_DFB | ICC_SRE_DIB | ICC_SRE_Enable);
	isb();
	write_sysreg(ICH_HCR_EL2, 0);
	open_features();
	open_vectors();
	s2_enable();

	if (id_field(ID_AA64PFR1_EL1, ID_AA64PFR1_MTE))
		hcr |= HCR_ATA;
	if (machine.audit)
		hcr |= HCR_TTLB;
	write_sysreg(hcr_el2, hcr);
	write_sysreg(sctlr_el1, SCTLR_EL1_RES1);
	isb();
}
