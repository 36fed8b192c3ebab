/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Code that the auditor looks at for barriers, as tests/start.S has it and the
 * assembler makes it: for test.c, which executes it. What begins a function is
 * what follows a RET, so one stands ahead.
 */
enum {
	store_behind_barrier_at = 1,
	tlbi_between_barriers_at = 4,
	link_filled_at = 9,
	link_filled_ld_at = 12,
	link_filled_one_path_at = 16,
	link_filled_loop_at = 21,
	tlbi_no_dsb_before_at = 27,
	tlbi_no_dsb_behind_at = 31,
	tlbi_dsb_on_one_path_at = 35,
	tlbi_no_dsb_before_loop_at = 41,
	tlbi_dsb_before_loop_at = 50,
	tlbi_dsb_of_loads_at = 60,
	tlbi_loop_at = 65,
	tlbi_of_caller_at = 75,
	tlbi_called_behind_dsb_at = 79,
	tlbi_called_at = 84,
	caller_at = 88,	/* of all of them: no barrier, and it does nothing */
};

static const u32 text[] = {
	0xd65f03c0,	/* ret */
	/* store_behind_barrier */
	0xd5033abf,	/* dmb ishst */
	0xf9000001,	/* str x1, [x0] */
	0xd65f03c0,	/* ret */
	/* tlbi_between_barriers */
	0xd5033a9f,	/* dsb ishst */
	0xd50883e0,	/* tlbi, of any kind */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* link_filled */
	0xf9000043,	/* str x3, [x2] */
	0xf9000001,	/* str x1, [x0] */
	0xd65f03c0,	/* ret */
	/* link_filled_ld */
	0xf9000043,	/* str x3, [x2] */
	0xd50339bf,	/* dmb ishld */
	0xf9000001,	/* str x1, [x0] */
	0xd65f03c0,	/* ret */
	/* link_filled_one_path */
	0xf9000043,	/* str x3, [x2] */
	0xb4000044,	/* cbz x4, <+0xc> */
	0xd5033abf,	/* dmb ishst */
	0xf9000001,	/* str x1, [x0] */
	0xd65f03c0,	/* ret */
	/* link_filled_loop */
	0xd5033abf,	/* dmb ishst */
	0xa8817c43,	/* stp x3, xzr, [x2], #16 */
	0xf1000484,	/* subs x4, x4, #0x1 */
	0x54ffffc1,	/* b.ne <+0x4> */
	0xf9000001,	/* str x1, [x0] */
	0xd65f03c0,	/* ret */
	/* tlbi_no_dsb_before */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* tlbi_no_dsb_behind */
	0xd5033a9f,	/* dsb ishst */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* tlbi_dsb_on_one_path */
	0xd5033a9f,	/* dsb ishst */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0xb4000041,	/* cbz x1, <+0x10> */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* tlbi_no_dsb_before_loop */
	0x14000004,	/* b <+0x10> */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0x91000400,	/* add x0, x0, #0x1 */
	0xd1000421,	/* sub x1, x1, #0x1 */
	0xb5ffffa1,	/* cbnz x1, <+0x10> */
	0x17fffff9,	/* b <+0x4> */
	/* tlbi_dsb_before_loop */
	0xd5033a9f,	/* dsb ishst */
	0x14000004,	/* b <+0x14> */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0x91000400,	/* add x0, x0, #0x1 */
	0xd1000421,	/* sub x1, x1, #0x1 */
	0xb5ffffa1,	/* cbnz x1, <+0x14> */
	0x17fffff9,	/* b <+0x8> */
	/* tlbi_dsb_of_loads */
	0xd5033a9f,	/* dsb ishst */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0xd503399f,	/* dsb ishld */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* tlbi_loop */
	0xd5033a9f,	/* dsb ishst */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0x91000400,	/* add x0, x0, #0x1 */
	0xd1000421,	/* sub x1, x1, #0x1 */
	0xb5ffffa1,	/* cbnz x1, <+0x4> */
	0x14000002,	/* b <+0x1c> */
	0xd503201f,	/* nop */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* tlbi_of_caller */
	0xd50883e0,	/* tlbi vaale1is, x0 */
	0xd5033b9f,	/* dsb ish */
	0xd5033fdf,	/* isb */
	0xd65f03c0,	/* ret */
	/* tlbi_called_behind_dsb */
	0xa9bf7bfd,	/* stp x29, x30, [sp, #-16]! */
	0xd5033a9f,	/* dsb ishst */
	0x97fffffa,	/* bl tlbi_of_caller */
	0xa8c17bfd,	/* ldp x29, x30, [sp], #16 */
	0xd65f03c0,	/* ret */
	/* tlbi_called */
	0xa9bf7bfd,	/* stp x29, x30, [sp, #-16]! */
	0x97fffff6,	/* bl tlbi_of_caller */
	0xa8c17bfd,	/* ldp x29, x30, [sp], #16 */
	0xd65f03c0,	/* ret */
	/* caller */
	0xa9bf7bfd,	/* stp x29, x30, [sp, #-16]! */
	0xd503201f,	/* nop */
	0xa8c17bfd,	/* ldp x29, x30, [sp], #16 */
	0xd65f03c0,	/* ret */
};
