/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ways out of the model: down to the guest, up to the firmware.
 */
#include "model.h"

	.text

/* u64 smc(function, a1, a2, a3): a call to what is below the model. */
	.global	smc
smc:
	smc	#0
	ret

/* void enter_guest(struct regs *regs): @regs is at the top of the stack. */
	.global	enter_guest
enter_guest:
	mov	sp, x0
	ldp	x30, x2, [sp, #16 * 15]
	ldr	x3, [sp, #16 * 16]
	msr	elr_el2, x2
	msr	spsr_el2, x3
	ldp	x2, x3, [sp, #16 * 1]
	ldp	x4, x5, [sp, #16 * 2]
	ldp	x6, x7, [sp, #16 * 3]
	ldp	x8, x9, [sp, #16 * 4]
	ldp	x10, x11, [sp, #16 * 5]
	ldp	x12, x13, [sp, #16 * 6]
	ldp	x14, x15, [sp, #16 * 7]
	ldp	x16, x17, [sp, #16 * 8]
	ldp	x18, x19, [sp, #16 * 9]
	ldp	x20, x21, [sp, #16 * 10]
	ldp	x22, x23, [sp, #16 * 11]
	ldp	x24, x25, [sp, #16 * 12]
	ldp	x26, x27, [sp, #16 * 13]
	ldp	x28, x29, [sp, #16 * 14]
	ldp	x0, x1, [sp]
	add	sp, sp, #REGS_SIZE
	eret

	.bss
	.balign	0x1000
	.global	stacks
stacks:
	.space	MAX_CPUS * STACK_SIZE
