/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The entry points of the model, its own translation table, its vectors.
 *
 * The header is that of an arm64 Image (Documentation/arch/arm64/booting.rst),
 * because QEMU places the initrd and the device tree, and hands the latter
 * over in X0, for an Image alone.
 */
#include "model.h"
#include "regs.h"

	.section .head, "ax"
	b	primary_start
	.long	0
	.quad	MODEL_TEXT_OFFSET
	.quad	model_end_offset		// model.lds
	.quad	2				// flags: little-endian, 4K
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

/* 39 bits of address, as el2_table has them; TCR_EL2.PS: 40. */
#define TCR_EL2_VALUE	(TCR_T0SZ(39) | TCR_IRGN0_WBWA | TCR_ORGN0_WBWA | TCR_SH0_INNER | \
			 TCR_TG0_4K | TCR_PS(2) | TCR_EL2_RES1)

	.text

/*
 * Turns EL2's MMU on. Until then every access of this CPU is to Device memory
 * and past the caches, so that nothing that another CPU wrote may be read
 * before this, and exclusives do not work: no C runs before it. What the
 * instructions here read is as the loader left it.
 */
	.macro	mmu_on
	ldr	x1, =MAIR_EL2_VALUE
	msr	mair_el2, x1
	ldr	x1, =TCR_EL2_VALUE
	msr	tcr_el2, x1
	adr	x1, el2_table
	msr	ttbr0_el2, x1
	tlbi	alle2
	tlbi	alle1
	dsb	nsh
	isb
	ldr	x1, =(SCTLR_EL2_RES1 | SCTLR_M | SCTLR_C | SCTLR_I)
	msr	sctlr_el2, x1
	isb
	adr	x1, vectors
	msr	vbar_el2, x1
	.endm

primary_start:
	mov	x19, x0
	mrs	x20, CurrentEL
	cmp	x20, #(2 << 2)
	b.ne	1f
	mmu_on
1:	adrp	x0, bss_start
	add	x0, x0, :lo12:bss_start
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
2:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	2b
	adrp	x0, stacks + STACK_SIZE
	mov	sp, x0
	mov	x0, x19
	mov	x1, x20
	adr	x2, secondary_start
	bl	boot

/* PSCI CPU_ON of QEMU comes in here, with the CPU's index in X0. */
secondary_start:
	mov	x19, x0
	mmu_on
	adrp	x0, stacks + STACK_SIZE
	mov	x1, #STACK_SIZE
	madd	x0, x19, x1, x0
	mov	sp, x0
	mov	x0, x19
	bl	secondary_boot

	.macro	vector row
	.balign	0x80
	sub	sp, sp, #REGS_SIZE
	stp	x0, x1, [sp]
	mov	x1, #\row
	b	save
	.endm

	.balign	0x800
vectors:
	.irp	row, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vector	\row
	.endr

/* trap(regs, row), with everything of the guest's that C may change saved. */
save:
	stp	x2, x3, [sp, #16 * 1]
	stp	x4, x5, [sp, #16 * 2]
	stp	x6, x7, [sp, #16 * 3]
	stp	x8, x9, [sp, #16 * 4]
	stp	x10, x11, [sp, #16 * 5]
	stp	x12, x13, [sp, #16 * 6]
	stp	x14, x15, [sp, #16 * 7]
	stp	x16, x17, [sp, #16 * 8]
	stp	x18, x19, [sp, #16 * 9]
	stp	x20, x21, [sp, #16 * 10]
	stp	x22, x23, [sp, #16 * 11]
	stp	x24, x25, [sp, #16 * 12]
	stp	x26, x27, [sp, #16 * 13]
	stp	x28, x29, [sp, #16 * 14]
	mrs	x2, elr_el2
	stp	x30, x2, [sp, #16 * 15]
	mrs	x3, spsr_el2
	str	x3, [sp, #16 * 16]
	mov	x0, sp
	bl	trap
	mov	x0, sp
	b	enter_guest

/*
 * EL2's stage 1: one level 1 table, 39 bits of address, each entry a block of
 * 1 GiB mapped to itself. Memory is Normal, so that caches and exclusives
 * work; everything else is Device. It is made by the assembler: no code has
 * to run with the MMU off for it.
 */
	.section .rodata
	.balign	0x1000
el2_table:
	.set	block, 0
	.rept	512
	.if	block >= RAM_BASE / GIB && block < RAM_BASE / GIB + MAX_RAM_GIB
	.quad	(block * GIB) | DESC_ATTRINDX(MAIR_NORMAL) | DESC_SH_INNER | DESC_AF | DESC_VALID
	.else
	.quad	(block * GIB) | DESC_ATTRINDX(MAIR_DEVICE) | DESC_XN | DESC_AF | DESC_VALID
	.endif
	.set	block, block + 1
	.endr
