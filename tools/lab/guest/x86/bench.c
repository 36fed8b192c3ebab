// SPDX-License-Identifier: GPL-2.0
/*
 * The marks of ../bench.c are hints of arm64, and so is what counts them.
 */
#include "../lab.h"

void bench_check(const char *name)
{
	ktap_not_ok(name, "arm64 only");
}
