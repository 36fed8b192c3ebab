// SPDX-License-Identifier: GPL-2.0
/*
 * The end.
 */
#include "model.h"

/* Where fail() comes from EL1, there is no SMC: QEMU wants an HVC then. */
void power_off(void)
{
	if (CURRENTEL_EL(read_sysreg(CurrentEL)) == 2)
		smc(PSCI_SYSTEM_OFF, 0, 0, 0);
	else
		asm volatile("mov x0, %0\n\thvc #0" : : "r" ((u64)PSCI_SYSTEM_OFF) : "x0", "memory");
	for (;;)
		asm volatile("wfi");
}
