/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The test guest's entry points, its vectors, and the instructions that are
 * to fault: each is the first of a function, so that its address is known.
 */
#include "model.h"
#include "regs.h"

	.section .head, "ax"
head:
	b	primary
	.long	0
	.quad	0				// text_offset: the model ends at a multiple of 2 MiB
	.quad	image_size			// test.lds
	.quad	2				// flags: little-endian, 4K
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

	.text
primary:
	mov	x19, x0
	/* A loader that had no room where this is linked to has put it elsewhere. */
	adr	x0, head
	ldr	x1, =head
	ldr	x2, =bss_start
	ldr	x3, =at_home
	cmp	x0, x1
	b.eq	at_home
1:	ldp	x4, x5, [x0], #16
	stp	x4, x5, [x1], #16
	cmp	x1, x2
	b.lo	1b
	ic	iallu
	dsb	sy
	isb
	br	x3
at_home:
	adrp	x0, bss_start
	add	x0, x0, :lo12:bss_start
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	adrp	x0, stacks + STACK_SIZE
	mov	sp, x0
	adr	x0, vectors
	msr	vbar_el1, x0
	isb
	mov	x0, x19
	bl	primary_main

	.global	secondary
secondary:
	mrs	x1, mpidr_el1
	and	x1, x1, #0xff
	adrp	x2, stacks + STACK_SIZE
	mov	x3, #STACK_SIZE
	madd	x2, x1, x3, x2
	mov	sp, x2
	adr	x2, vectors
	msr	vbar_el1, x2
	isb
	bl	secondary_main

/* Only what the tests provoke comes here: remember it and go on where they want. */
	.balign	0x800
vectors:
	.rept	16
	.balign	0x80
	b	caught
	.endr
caught:
	adrp	x0, taken
	add	x0, x0, :lo12:taken
	mrs	x1, esr_el1
	mrs	x2, far_el1
	stp	x1, x2, [x0]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	stp	x1, x2, [x0, #16]
	/* Every function here is called, and changes no stack. */
	msr	elr_el1, x30
	eret

	.macro	function name
	.global	\name
	.balign	4
\name:
	.endm

	function read_at
	ldr	x0, [x0]
	ret

	function write_at
	str	x1, [x0]
	ret

	function fetch_at
	br	x0

	function do_hvc
	hvc	#0
	ret

/* u64 smc_immediate(u64 function): an SMC that is none of the SMCCC. */
	function smc_immediate
	smc	#1
	ret

/* mmu_on(ttbr0, tcr): the next fetch walks the tables. */
	function mmu_on
	msr	ttbr0_el1, x0
	msr	tcr_el1, x1
	isb
	mrs	x2, sctlr_el1
	orr	x2, x2, #SCTLR_M
	msr	sctlr_el1, x2
	.global	mmu_is_on
mmu_is_on:
	isb
	ret

/* For audit.h: TLBIs with DSBs where they should not be, and stores of every kind. */
	.arch	armv8.8-a+mops
	function link_filled
	str	x3, [x2]
	str	x1, [x0]
	ret

	function link_filled_ld
	str	x3, [x2]
	dmb	ishld
	str	x1, [x0]
	ret

	function link_filled_one_path
	str	x3, [x2]
	cbz	x4, 1f
	dmb	ishst
1:	str	x1, [x0]
	ret

	function link_filled_loop
	dmb	ishst
1:	stp	x3, xzr, [x2], #16
	subs	x4, x4, #1
	b.ne	1b
	str	x1, [x0]
	ret

	function tlbi_no_dsb_before
	tlbi	vaale1is, x0
	dsb	ish
	isb
	ret

	function tlbi_no_dsb_behind
	dsb	ishst
	tlbi	vaale1is, x0
	isb
	ret

	function tlbi_dsb_on_one_path
	dsb	ishst
	tlbi	vaale1is, x0
	cbz	x1, 1f
	dsb	ish
1:	isb
	ret

/* As compilers place it: the DSB behind the loop comes before it in the text. */
	function tlbi_no_dsb_before_loop
	b	2f
1:	dsb	ish
	isb
	ret
2:	tlbi	vaale1is, x0
	add	x0, x0, #1
	sub	x1, x1, #1
	cbnz	x1, 2b
	b	1b

	function tlbi_dsb_before_loop
	dsb	ishst
	b	2f
1:	dsb	ish
	isb
	ret
2:	tlbi	vaale1is, x0
	add	x0, x0, #1
	sub	x1, x1, #1
	cbnz	x1, 2b
	b	1b

	function tlbi_dsb_of_loads
	dsb	ishst
	tlbi	vaale1is, x0
	dsb	ishld
	isb
	ret

	function tlbi_loop
	dsb	ishst
1:	tlbi	vaale1is, x0
	add	x0, x0, #1
	sub	x1, x1, #1
	cbnz	x1, 1b
	b	2f
	nop
2:	dsb	ish
	isb
	ret

	function tlbi_of_caller
	tlbi	vaale1is, x0
	dsb	ish
	isb
	ret

	function tlbi_called_behind_dsb
	stp	x29, x30, [sp, #-16]!
	dsb	ishst
	bl	tlbi_of_caller
	ldp	x29, x30, [sp], #16
	ret

	function tlbi_called
	stp	x29, x30, [sp, #-16]!
	bl	tlbi_of_caller
	ldp	x29, x30, [sp], #16
	ret

/* What has another stack is another thread. */
	function store_by_another
	mov	x2, sp
	sub	sp, sp, #16, lsl #12
	dmb	ishst
	str	x1, [x0]
	mov	sp, x2
	ret

	function invalidate_by_another
	mov	x2, sp
	sub	sp, sp, #16, lsl #12
	dsb	ishst
	tlbi	vaale1is, x0
	dsb	ish
	isb
	mov	sp, x2
	ret

	function store_stp
	stp	x1, x2, [x0]
	ret

	function store_pre
	str	x1, [x0, #8]!
	ret

	function store_post
	str	x1, [x0], #8
	ret

	function store_stp_pre
	stp	x1, x2, [x0, #-16]!
	ret

	function store_swp
	swpal	x1, x0, [x0]
	ret

	function store_cas
	casal	x1, x2, [x0]
	mov	x0, x1
	ret

	function store_casp
	ldp	x4, x5, [x1]
	caspal	x4, x5, x2, x3, [x0]
	mov	x0, x4
	ret

	function store_ldset
	ldsetal	x1, x0, [x0]
	ret

	function store_ldclr
	ldclral	x1, x0, [x0]
	ret

	function store_xchg
1:	ldxr	x2, [x0]
	stlxr	w3, x1, [x0]
	cbnz	w3, 1b
	mov	x0, x2
	ret

	function store_word
	str	w1, [x0], #4
	ret

	function store_zva
	dc	zva, x0
	ret

	function store_set
	setp	[x0]!, x2!, x1
	setm	[x0]!, x2!, x1
	sete	[x0]!, x2!, x1
	ret

	function store_cpy
	cpyfp	[x0]!, [x1]!, x2!
	cpyfm	[x0]!, [x1]!, x2!
	cpyfe	[x0]!, [x1]!, x2!
	ret

	function store_cpy_any
	cpyp	[x0]!, [x1]!, x2!
	cpym	[x0]!, [x1]!, x2!
	cpye	[x0]!, [x1]!, x2!
	ret

	function the_bad_store
	str	x1, [x0]
	ret

/* do_smc(u64 x[11]): X0 to X10 in and out. */
	function do_smc
	str	x0, [sp, #-16]!
	mov	x17, x0
	ldp	x0, x1, [x17]
	ldp	x2, x3, [x17, #16]
	ldp	x4, x5, [x17, #32]
	ldp	x6, x7, [x17, #48]
	ldp	x8, x9, [x17, #64]
	ldr	x10, [x17, #80]
	.global	the_smc
the_smc:
	smc	#0
	ldr	x17, [sp], #16
	stp	x0, x1, [x17]
	stp	x2, x3, [x17, #16]
	stp	x4, x5, [x17, #32]
	stp	x6, x7, [x17, #48]
	stp	x8, x9, [x17, #64]
	str	x10, [x17, #80]
	ret

	.bss
	.balign	0x1000
stacks:
	.space	MAX_CPUS * STACK_SIZE
	.global	taken
taken:
	.space	32
