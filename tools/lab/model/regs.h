/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registers that the model touches, with the names and the fields that
 * the Arm Architecture Reference Manual (DDI 0487) gives them. Nothing in
 * here decides anything; which bit is set, and why, stands where it is set.
 */
#ifndef REGS_H
#define REGS_H

#ifndef __ASSEMBLER__
#include <stdint.h>

#define BIT(n)			(1UL << (n))
#define FIELD(value, shift)	((uint64_t)(value) << (shift))
#define BITS(value, high, low)	(((value) >> (low)) & (BIT((high) - (low) + 1) - 1))

#define STRING_(text)		#text
#define STRING(text)		STRING_(text)
#define read_sysreg(name) ({							\
	uint64_t value__;							\
	asm volatile("mrs %0, " STRING(name) : "=r" (value__) : : "memory");	\
	value__;								\
})
#define write_sysreg(name, value)						\
	asm volatile("msr " STRING(name) ", %x0" : : "rZ" ((uint64_t)(value)) : "memory")

#define isb()			asm volatile("isb" : : : "memory")
#define dsb(domain)		asm volatile("dsb " #domain : : : "memory")
#else
#define BIT(n)			(1 << (n))
#define FIELD(value, shift)	((value) << (shift))
#endif

/* Names that the assembler does not know yet. */
#define HCRX_EL2		S3_4_C1_C2_2
#define HFGRTR_EL2		S3_4_C1_C1_4
#define HFGWTR_EL2		S3_4_C1_C1_5
#define HFGITR_EL2		S3_4_C1_C1_6
#define HDFGRTR_EL2		S3_4_C3_C1_4
#define HDFGWTR_EL2		S3_4_C3_C1_5
#define TCR2_EL1		S3_0_C2_C0_3
#define PIR_EL1			S3_0_C10_C2_3
#define SMCR_EL2		S3_4_C1_C2_6
#define ZCR_EL2			S3_4_C1_C2_0
#define ICC_SRE_EL2		S3_4_C12_C9_5
#define ICH_HCR_EL2		S3_4_C12_C11_0

/* SCTLR_EL2, SCTLR_EL1 */
#define SCTLR_M			BIT(0)
#define SCTLR_C			BIT(2)
#define SCTLR_I			BIT(12)
#define SCTLR_SPAN		BIT(23)
#define SCTLR_EL2_RES1		0x30c50830
#define SCTLR_EL1_RES1		0x30d00800
#ifndef __ASSEMBLER__
#define SCTLR_DSSBS		BIT(44)
#endif

/* TCR_EL2 (HCR_EL2.E2H is 0), VTCR_EL2 */
#define TCR_T0SZ(bits)		(64 - (bits))
#define TCR_IRGN0_WBWA		FIELD(1, 8)
#define TCR_ORGN0_WBWA		FIELD(1, 10)
#define TCR_SH0_INNER		FIELD(3, 12)
#define TCR_TG0_4K		FIELD(0, 14)
#define TCR_PS(value)		FIELD(value, 16)
#define TCR_EL2_RES1		(FIELD(1, 31) | FIELD(1, 23))
#define VTCR_SL0_LEVEL1		FIELD(1, 6)
#define VTCR_RES1		FIELD(1, 31)
#define VTTBR_VMID(value)	FIELD(value, 48)

/* MAIR_EL2: Attr0 is Normal, write-back; Attr1 is Device-nGnRE. */
#define MAIR_NORMAL		0
#define MAIR_DEVICE		1
#define MAIR_EL2_VALUE		(FIELD(0xff, 8 * MAIR_NORMAL) | FIELD(0x04, 8 * MAIR_DEVICE))

/* Descriptors of both stages */
#define DESC_VALID		BIT(0)
#define DESC_TABLE		BIT(1)	/* below level 3, above it says "page" */
#define DESC_SH_INNER		FIELD(3, 8)
#define DESC_AF			BIT(10)
#define DESC_ADDRESS		0x0000fffffffff000UL

/* Stage 1 of EL2 */
#define DESC_ATTRINDX(n)	FIELD(n, 2)
#define DESC_XN			(1 << 54)

/* Stage 2 */
#define S2_MEMATTR_DEVICE	FIELD(0x1, 2)	/* Device-nGnRE */
#define S2_MEMATTR_NORMAL	FIELD(0xf, 2)	/* write-back: stage 1 decides */
#define S2_S2AP_READ		BIT(6)
#define S2_S2AP_WRITE		BIT(7)
#define S2_XN			FIELD(2, 53)	/* neither EL1 nor EL0 */
#define S2_WATCHED		BIT(55)		/* for software: the auditor's */

/* Stage 1 of EL1, as the guest writes it */
#define S1_ATTRINDX(desc)	BITS(desc, 4, 2)
#define S1_AP_EL0		BIT(6)
#define S1_AP_RO		BIT(7)	/* with S1PIE: nDirty */
#define S1_SH(desc)		BITS(desc, 9, 8)
#define S1_NG			BIT(11)
#define S1_DBM			BIT(51)
#define S1_CONT			BIT(52)
#define S1_PXN			BIT(53)
#define S1_UXN			BIT(54)
#define S1_SOFTWARE		FIELD(0xf, 55)
#define S1_PXN_TABLE		BIT(59)
#define S1_UXN_TABLE		BIT(60)
#define S1_AP_TABLE_EL0		BIT(61)
#define S1_AP_TABLE_RO		BIT(62)
#define S1_PIINDEX(desc)	(BITS(desc, 54, 53) << 2 | BITS(desc, 51, 51) << 1 | BITS(desc, 6, 6))

/* TCR_EL1, TCR2_EL1, TTBR1_EL1 */
#define TCR_T1SZ(tcr)		BITS(tcr, 21, 16)
#define TCR_EPD1		BIT(23)
#define TCR_TG1(tcr)		BITS(tcr, 31, 30)
#define TCR_TG1_16K		1
#define TCR_TG1_4K		2
#define TCR_TG1_64K		3
#define TCR_DS			BIT(59)
#define TCR2_PIE		BIT(1)
#define TTBR_BADDR(ttbr)	((ttbr) & 0x0000ffffffffffc0UL)

/* HCR_EL2 */
#define HCR_VM			BIT(0)	/* stage 2 on */
#define HCR_SWIO		BIT(1)	/* set/way invalidation cleans, too */
#define HCR_TID3		BIT(18)	/* ID registers trap */
#define HCR_TSC			BIT(19)	/* SMC traps */
#define HCR_TTLB		BIT(25)	/* TLBIs of EL1 trap */
#define HCR_HCD			BIT(29)	/* HVC is UNDEFINED */
#define HCR_RW			BIT(31)	/* EL1 is AArch64 */
#define HCR_APK			BIT(40)	/* no trap: pointer authentication keys */
#define HCR_API			BIT(41)	/* no trap: its instructions */
#define HCR_EnSCXT		BIT(53)	/* no trap: SCXTNUM_EL1, EL0 */
#define HCR_ATA			BIT(56)	/* no trap: allocation tags */

/* HCRX_EL2: a zero traps or hides the feature */
#define HCRX_EnAS0		BIT(0)
#define HCRX_EnALS		BIT(1)
#define HCRX_EnASR		BIT(2)
#define HCRX_MSCEn		BIT(11)
#define HCRX_TCR2En		BIT(14)
#define HCRX_SCTLR2En		BIT(15)
#define HCRX_D128En		BIT(17)
#define HCRX_GCSEn		BIT(22)
#define HCRX_EnFPM		BIT(23)

/* HFGWTR_EL2: a one traps */
#define HFGW_TTBR1_EL1		BIT(37)
/* HFGRTR_EL2 and HFGWTR_EL2: these too trap when they are zero */
#define HFG_nACCDATA_EL1	BIT(50)
#define HFG_nGCS_EL0		BIT(52)
#define HFG_nGCS_EL1		BIT(53)
#define HFG_nSMPRI_EL1		BIT(54)
#define HFG_nTPIDR2_EL0		BIT(55)
#define HFG_nPIRE0_EL1		BIT(57)
#define HFG_nPIR_EL1		BIT(58)
#define HFG_nPOR_EL0		BIT(59)
#define HFG_nPOR_EL1		BIT(60)
#define HFG_nMAIR2_EL1		BIT(62)
#define HFG_nAMAIR2_EL1		BIT(63)
/* HFGITR_EL2 */
#define HFGITR_nGCSPUSHM_EL1	BIT(57)
#define HFGITR_nGCSSTR_EL1	BIT(58)
#define HFGITR_nGCSEPP		BIT(59)

/* CPTR_EL2 (E2H is 0): all ones but TZ (bit 8), TFP (10) and TSM (12) */
#define CPTR_EL2_NO_TRAPS	0x22ff
#define ZCR_LEN_MAX		0xf
#define SMCR_LEN_MAX		0xf
#define SMCR_EZT0		BIT(30)
#define SMCR_FA64		BIT(31)

#define CNTHCTL_EL1PCTEN	BIT(0)
#define CNTHCTL_EL1PCEN		BIT(1)
#define ICC_SRE_SRE		BIT(0)
#define ICC_SRE_DFB		BIT(1)
#define ICC_SRE_DIB		BIT(2)
#define ICC_SRE_Enable		BIT(3)
#define PMCR_N(pmcr)		BITS(pmcr, 15, 11)	/* = MDCR_EL2.HPMN */

/* ESR_ELx */
#define ESR_EC(esr)		BITS(esr, 31, 26)
#define ESR_EC_SHIFT		26
#define ESR_IL			BIT(25)
#define EC_SMC64		0x17
#define EC_MSR			0x18
#define EC_IABT_LOWER		0x20
#define EC_IABT_SAME		0x21
#define EC_DABT_LOWER		0x24
#define EC_DABT_SAME		0x25
#define EC_MAX			0x3f
/* ... ISS of an abort */
#define ISS_FSC(esr)		BITS(esr, 5, 0)
#define ISS_WnR			BIT(6)
#define ISS_S1PTW		BIT(7)
#define ISS_CM			BIT(8)
#define ISS_AR			BIT(14)
#define ISS_SF			BIT(15)
#define ISS_SRT(esr)		BITS(esr, 20, 16)
#define ISS_SAS(esr)		BITS(esr, 23, 22)
#define ISS_ISV			BIT(24)
#define FSC_TYPE(fsc)		((fsc) & 0x3c)
#define FSC_TRANSLATION		0x04
#define FSC_PERMISSION		0x0c
#define FSC_EXTERNAL		0x10
/* ... of a trapped MSR, MRS or System instruction */
#define ISS_MSR_READ		BIT(0)
#define ISS_MSR_CRm(esr)	BITS(esr, 4, 1)
#define ISS_MSR_Rt(esr)		BITS(esr, 9, 5)
#define ISS_MSR_CRn(esr)	BITS(esr, 13, 10)
#define ISS_MSR_Op1(esr)	BITS(esr, 16, 14)
#define ISS_MSR_Op2(esr)	BITS(esr, 19, 17)
#define ISS_MSR_Op0(esr)	BITS(esr, 21, 20)
/* ... of an SMC */
#define ISS_SMC_IMM16(esr)	BITS(esr, 15, 0)

#define IS_TTBR1_EL1(esr)	(ISS_MSR_Op0(esr) == 3 && !ISS_MSR_Op1(esr) && ISS_MSR_CRn(esr) == 2 && \
				 !ISS_MSR_CRm(esr) && ISS_MSR_Op2(esr) == 1)
#define IS_TLBI(esr)		(ISS_MSR_Op0(esr) == 1 && !ISS_MSR_Op1(esr) && \
				 (ISS_MSR_CRn(esr) == 8 || ISS_MSR_CRn(esr) == 9))

#define HPFAR_FIPA(hpfar)	(BITS(hpfar, 43, 4) << 12)
#define PAR_F			BIT(0)
#define PAR_PA(par)		((par) & DESC_ADDRESS)

/* PSTATE as SPSR_EL2 and SPSR_EL1 hold it */
#define PSR_MODE(pstate)	((pstate) & 0xf)
#define PSR_EL0t		0x0
#define PSR_EL1t		0x4
#define PSR_EL1h		0x5
#define PSR_nRW			BIT(4)
#define PSR_DAIF		FIELD(0xf, 6)
#define PSR_SSBS		BIT(12)
#define PSR_PAN			BIT(22)
#define PSR_TCO			BIT(25)
#define PSR_NZCV		FIELD(0xf, 28)
#define PSR_DIT			BIT(24)

#define CURRENTEL_EL(value)	BITS(value, 3, 2)

/* ID registers: (CRm, Op2) behind Op0 3, Op1 0, CRn 0 */
#define ID_AA64PFR0_EL1		4, 0
#define ID_AA64PFR1_EL1		4, 1
#define ID_AA64PFR2_EL1		4, 2
#define ID_AA64ISAR1_EL1	6, 1
#define ID_AA64ISAR2_EL1	6, 2
#define ID_AA64DFR0_EL1		5, 0
#define ID_AA64MMFR0_EL1	7, 0
#define ID_AA64MMFR1_EL1	7, 1
#define ID_AA64MMFR2_EL1	7, 2
#define ID_AA64MMFR3_EL1	7, 3
#define ID_AA64MMFR0_PARange	0
#define ID_AA64MMFR0_FGT	56
#define ID_AA64MMFR3_TCRX	0
#define ID_AA64MMFR3_S1PIE	8
#define ID_AA64MMFR1_HCX	40
#define ID_AA64MMFR2_BBM	52
#define ID_AA64DFR0_PMUVer	8
#define ID_AA64DFR0_PMUVer_IMPDEF 0xf
#define ID_AA64PFR0_SVE		32
#define ID_AA64PFR1_SME		24
#define ID_AA64PFR1_MTE		8

#endif
