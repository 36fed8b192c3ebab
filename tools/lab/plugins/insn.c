// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: counts the instructions that all CPUs execute, from reset to the
 * end, those of the EL2 model included. Idle time has none. With -icount the
 * number is the same in each run of one image and command line.
 *
 *	qemu-system-aarch64 -plugin insn.so,out=FILE ...
 *
 * No Debian package has QEMU's header, so what is used of its API (version 4) is
 * declared here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EXPORT	__attribute__((visibility("default")))
#define CB_NO_REGS	0

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_info;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
	void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
	void (*cb)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id,
	void (*cb)(plugin_id id, void *data), void *data);

EXPORT int qemu_plugin_version = 4;

static char out[4096];
static uint64_t count;	/* -icount runs one CPU at a time */

static void executed(unsigned int cpu, void *data)
{
	(void)cpu;
	count += (uintptr_t)data;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, CB_NO_REGS,
					     (void *)qemu_plugin_tb_n_insns(tb));
}

static void at_exit(plugin_id id, void *data)
{
	FILE *f = fopen(out, "w");

	(void)id;
	(void)data;
	if (!f || fprintf(f, "%" PRIu64 "\n", count) < 0 || fclose(f))
		fprintf(stderr, "insn: %s can't be written\n", out);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
			       int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4) ||
	    strlen(argv[0] + 4) >= sizeof(out)) {
		fprintf(stderr, "insn: out=FILE is expected\n");
		return 1;
	}
	strcpy(out, argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
