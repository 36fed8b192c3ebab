// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: counts the instructions that all CPUs execute, from reset to the
 * end, those of the EL2 model included. Idle time has none. With -icount the
 * number is the same in each run of one image and command line.
 *
 *	qemu-system-aarch64 -plugin insn.so,out=FILE[,probe=NAME:0xADDRESS...] ...
 *
 * A probe counts what CPU 0 executes from the call of the function at ADDRESS to
 * its return, what it calls and interrupts included: FILE has, behind the number of
 * all, a line `NAME calls=N total=N max=N` for each. A call within a call of the
 * same function is part of it. A function that another task may enter while it
 * sleeps is not for probes. Of other CPUs' calls some were not seen with -icount
 * (QEMU 10.0), so none of them counts.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin-api.h"

#define PROBES	16

static char out[4096];

/* -icount runs one CPU at a time. */
static uint64_t count;
static uint64_t count_0, last_block;	/* of CPU 0, and of the block that it is in */

struct probe {
	char name[64];
	uint64_t addr;
	uint64_t calls, total, max;
	uint64_t back;	/* where the call returns to; 0: there is none */
	uint64_t from;
};

static struct probe probes[PROBES];
static unsigned int nr_probes;
static struct qemu_plugin_register *link_register;
static struct g_bytes *bytes;

struct block {
	struct block *next;
	uint64_t va;
	uint64_t insns;
};

static struct block *blocks;

static void cpu_init(unsigned int cpu)
{
	struct g_array *regs = qemu_plugin_get_registers();

	(void)cpu;
	if (!bytes)
		bytes = g_byte_array_new();
	for (unsigned int i = 0; i < regs->len; i++) {
		const struct reg_descriptor *d = reg_at(regs, i);
		if (!strcmp(d->name, "x30"))
			link_register = d->handle;
	}
}

static void executed(unsigned int cpu, void *data)
{
	(void)cpu;
	count += (uintptr_t)data;
}

/* The same with probes: what comes back from a call begins a block. */
static void executed_probed(unsigned int cpu, void *data)
{
	const struct block *b = data;

	count += b->insns;
	if (cpu)
		return;
	for (unsigned int i = 0; i < nr_probes; i++) {
		struct probe *p = &probes[i];
		uint64_t n;

		if (!p->back || p->back != b->va)
			continue;
		n = count_0 - p->from;
		p->back = 0;
		p->calls++;
		p->total += n;
		if (n > p->max)
			p->max = n;
	}
	count_0 += b->insns;
	last_block = b->insns;
}

/* A called function begins a block, too, which is counted already. */
static void entered(unsigned int cpu, void *data)
{
	struct probe *p = data;
	uint64_t back = 0;

	if (cpu || p->back || !link_register)
		return;
	g_byte_array_set_size(bytes, 0);
	if (!read_register(link_register, bytes) || bytes->len != sizeof(back))
		return;
	memcpy(&back, bytes->data, sizeof(back));
	p->back = back;
	p->from = count_0 - last_block;
}

static void translated(struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct block *b;

	if (!nr_probes) {
		qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, CB_NO_REGS, (void *)n);
		return;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->next = blocks;
	blocks = b;
	b->va = qemu_plugin_tb_vaddr(tb);
	b->insns = n;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed_probed, CB_NO_REGS, b);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		for (unsigned int j = 0; j < nr_probes; j++) {
			if (qemu_plugin_insn_vaddr(insn) == probes[j].addr)
				qemu_plugin_register_vcpu_insn_exec_cb(insn, entered, CB_R_REGS,
								       &probes[j]);
		}
	}
}

static void free_blocks(void)
{
	while (blocks) {
		struct block *b = blocks;

		blocks = b->next;
		free(b);
	}
}

static void at_exit(void)
{
	FILE *f = fopen(out, "w");
	bool ok = f && fprintf(f, "%" PRIu64 "\n", count) > 0;

	for (unsigned int i = 0; ok && i < nr_probes; i++)
		ok = fprintf(f, "%s calls=%" PRIu64 " total=%" PRIu64 " max=%" PRIu64 "\n",
			     probes[i].name, probes[i].calls, probes[i].total, probes[i].max) > 0;
	if (!ok || fclose(f))
		fprintf(stderr, "insn: %s can't be written\n", out);
}

static bool take(const char *arg)
{
	struct probe *p = &probes[nr_probes];
	char end;

	if (!strncmp(arg, "out=", 4) && strlen(arg + 4) < sizeof(out)) {
		strcpy(out, arg + 4);
		return true;
	}
	if (!strncmp(arg, "probe=", 6) && nr_probes < PROBES &&
	    sscanf(arg + 6, "%63[^:]:%" SCNx64 "%c", p->name, &p->addr, &end) == 2) {
		nr_probes++;
		return true;
	}
	return false;
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
			       int argc, char **argv)
{
	bool ok = true;

	(void)info;
	for (int i = 0; i < argc; i++)
		ok &= take(argv[i]);
	if (!ok || !*out) {
		fprintf(stderr, "insn: out=FILE, and up to %d probe=NAME:0xADDRESS are expected\n",
			PROBES);
		return 1;
	}
	register_callbacks(id, (struct callbacks){
		.cpu = cpu_init,
		.block = translated,
		.flush = free_blocks,
		.end = at_exit,
	});
	return 0;
}
