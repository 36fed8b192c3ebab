// SPDX-License-Identifier: GPL-2.0
/*
 * Memory hotplug: modules/lab_memory.c does the work, on memory that mem= has kept
 * from the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define MIB	(1ull << 20)

/*
 * memory_check() - the result @name: memory at lab.hot_at MiB, lab.hot_mib of it,
 * comes, is split all over, and goes
 */
void memory_check(const char *name)
{
	char params[96];

	snprintf(params, sizeof(params), "start=%llu size=%llu rounds=%u",
		 opt.hot_at * MIB, opt.hot_mib * MIB, opt.rounds);
	if (!opt.hot_mib)
		ktap_not_ok(name, "say where memory is to come: mem=, lab.hot_at=, lab.hot_mib=");
	else if (!module_load("lab_memory", params))
		ktap_not_ok(name, "lab_memory: %s", strerror(errno));
	else if (!module_unload("lab_memory"))
		ktap_not_ok(name, "removing lab_memory: %s", strerror(errno));
	else
		ktap_ok(name);
}
