// SPDX-License-Identifier: GPL-2.0
/*
 * A file of the host's, to write to: semihosting (DUI 0471). QEMU has it with
 *
 *	-semihosting-config enable=on,target=native,arg=FILE
 *
 * and FILE is its name. Without that the instruction is UNDEFINED.
 */
#include "model.h"

#define SYS_OPEN	0x01
#define SYS_WRITE	0x05
#define SYS_GET_CMDLINE	0x15
#define MODE_WB		5
#define MAX_NAME	4096

static bool asking;
static u64 handle;

static long ask(u64 operation, const void *block)
{
	register u64 w0 asm("x0") = operation;
	register const void *x1 asm("x1") = block;

	__atomic_store_n(&asking, true, __ATOMIC_RELAXED);
	asm volatile("hlt #0xf000" : "+r"(w0) : "r"(x1) : "memory");
	__atomic_store_n(&asking, false, __ATOMIC_RELAXED);
	return w0;
}

/* host_refused() - was it the instruction here that is UNDEFINED? */
bool host_refused(void)
{
	return __atomic_load_n(&asking, __ATOMIC_RELAXED);
}

/* host_open() - the file that QEMU was told, emptied */
void host_open(void)
{
	static char name[MAX_NAME];
	u64 line[] = { (u64)name, sizeof(name) }, open[] = { (u64)name, MODE_WB, 0 };
	long got;

	if (ask(SYS_GET_CMDLINE, line))
		fail("el2.audit.trace=: QEMU names no file");
	while (name[open[2]])
		open[2]++;
	got = ask(SYS_OPEN, open);
	if (got < 0)
		fail("el2.audit.trace=: %s: can't be written", name);
	handle = got;
}

void host_write(const void *bytes, u32 len)
{
	const u64 write[] = { handle, (u64)bytes, len };

	if (ask(SYS_WRITE, write))
		fail("el2.audit.trace=: the host has no room for the trace");
}
