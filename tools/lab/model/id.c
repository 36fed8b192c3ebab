// SPDX-License-Identifier: GPL-2.0
/*
 * The ID registers, as the hardware has them.
 */
#include "model.h"

/*
 * The ID registers are all encodings with Op0 3, Op1 0, CRn 0 and CRm 1 to 7.
 * MRS takes the encoding as an immediate, hence a case for each; those that
 * are reserved read as zero.
 */
#define ID(crm, op2)						\
	case (crm) * 8 + (op2):					\
		return read_sysreg(S3_0_C0_C##crm##_##op2);
#define ID_ROW(crm) \
	ID(crm, 0) ID(crm, 1) ID(crm, 2) ID(crm, 3) ID(crm, 4) ID(crm, 5) ID(crm, 6) ID(crm, 7)

/**
 * id_read() - an ID register of this CPU, as the hardware has it
 * @crm: 1 to 7
 * @op2: 0 to 7
 */
u64 id_read(u32 crm, u32 op2)
{
	switch (crm * 8 + op2) {
	ID_ROW(1)
	ID_ROW(2)
	ID_ROW(3)
	ID_ROW(4)
	ID_ROW(5)
	ID_ROW(6)
	ID_ROW(7)
	}
	fail("no ID register has CRm %u and Op2 %u", crm, op2);
}

/* Four bits of one. */
u64 id_field(u32 crm, u32 op2, u32 shift)
{
	return BITS(id_read(crm, op2), shift + 3, shift);
}
