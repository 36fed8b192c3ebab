// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: which cache lines of the kernel's the CPUs have in common while each
 * does its own.
 *
 *	qemu-system-aarch64 -plugin share.so,out=FILE,irq=0xADDRESS ...
 *
 * irq=	where the kernel's interrupt vector for EL1 is, vectors + 0x280
 *
 * The guest marks what counts with instructions that are NOPs anywhere else:
 *
 *	hint #127	x0: a phase begins, X0 points to its name; "-" is not reported
 *	hint #125	this CPU's loads and stores count from now on
 *	hint #124	... no longer
 *
 * What is done from an interrupt's vector to the ERET that ends it does not count.
 * Addresses are virtual, lines have 64 bytes. FILE has for each phase
 *
 *	phase=NAME cpus=N lines=N written=N shared=N
 *	line=0xADDRESS cpus read=N written=N	for each shared one
 *
 * A line is shared if one CPU wrote to it and another touched it: each time, it has
 * to come from there. How often that happens depends on who runs when; which lines
 * they are does not, unless somebody waits for somebody.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin-api.h"

#define CPUS	64
#define LINE	64
#define SLOTS	65536
#define PHASES	16

#define HINT_PHASE	0xd5032fffu	/* hint #127 */
#define HINT_BEGIN	0xd5032fbfu	/* hint #125 */
#define HINT_END	0xd5032f9fu	/* hint #124 */
#define ERET		0xd69f03e0u

struct line {
	uint64_t addr;		/* 0: none */
	uint64_t read, written;	/* by which CPUs */
};

static struct phase {
	char name[64];
	uint64_t cpus;
	unsigned int nr_lines;
	struct line *lines;
} phases[PHASES];

static unsigned int nr_phases;
static struct phase *phase;		/* NULL: nothing counts */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Of each CPU, and of it alone. */
static struct {
	bool counts;
	unsigned int interrupts;
	struct qemu_plugin_register *x0;
	struct g_bytes *bytes;
} cpus[CPUS];

static char out[4096];
static uint64_t irq;

static void cpu_init(unsigned int cpu)
{
	struct g_array *regs = qemu_plugin_get_registers();

	if (cpu >= CPUS) {
		fprintf(stderr, "share: %d CPUs at the most\n", CPUS);
		exit(1);
	}
	cpus[cpu].bytes = g_byte_array_new();
	for (unsigned int i = 0; i < regs->len; i++) {
		const struct reg_descriptor *d = reg_at(regs, i);
		if (!strcmp(d->name, "x0"))
			cpus[cpu].x0 = d->handle;
	}
}

static bool read_name(unsigned int cpu, char *name, size_t len)
{
	struct g_bytes *b = cpus[cpu].bytes;
	uint64_t at = 0;

	g_byte_array_set_size(b, 0);
	if (!cpus[cpu].x0 || !read_register(cpus[cpu].x0, b) || b->len != sizeof(at))
		return false;
	memcpy(&at, b->data, sizeof(at));
	g_byte_array_set_size(b, 0);
	if (!qemu_plugin_read_memory_vaddr(at, b, len))
		return false;
	memcpy(name, b->data, len);
	name[len - 1] = 0;
	for (char *c = name; *c; c++) {
		if (*c <= ' ' || *c > '~')
			*c = '_';
	}
	return true;
}

static void on_phase(unsigned int cpu, void *data)
{
	char name[sizeof(phase->name)];

	(void)data;
	pthread_mutex_lock(&lock);
	phase = NULL;
	if (read_name(cpu, name, sizeof(name)) && strcmp(name, "-") && nr_phases < PHASES) {
		phase = &phases[nr_phases++];
		strcpy(phase->name, name);
		phase->lines = calloc(SLOTS, sizeof(*phase->lines));
		if (!phase->lines)
			abort();
	}
	pthread_mutex_unlock(&lock);
}

static void on_begin(unsigned int cpu, void *data)
{
	(void)data;
	/* An interrupt that had another task run ends when that comes back. */
	cpus[cpu].interrupts = 0;
	cpus[cpu].counts = true;
}

static void on_end(unsigned int cpu, void *data)
{
	(void)data;
	cpus[cpu].counts = false;
}

static void on_irq(unsigned int cpu, void *data)
{
	(void)data;
	cpus[cpu].interrupts++;
}

static void on_eret(unsigned int cpu, void *data)
{
	(void)data;
	if (cpus[cpu].interrupts)
		cpus[cpu].interrupts--;
}

static void on_mem(unsigned int cpu, mem_info info, uint64_t va, void *data)
{
	uint64_t addr = va & ~(uint64_t)(LINE - 1);
	struct line *l;

	(void)data;
	if (!cpus[cpu].counts || cpus[cpu].interrupts || !(va >> 55 & 1))
		return;

	pthread_mutex_lock(&lock);
	if (phase) {
		unsigned int i = (addr / LINE * 0x9e3779b97f4a7c15ull) >> 48;

		for (l = &phase->lines[i % SLOTS]; l->addr && l->addr != addr; i++)
			l = &phase->lines[(i + 1) % SLOTS];
		if (!l->addr && phase->nr_lines++ == SLOTS / 2) {
			fprintf(stderr, "share: more than %d lines\n", SLOTS / 2);
			exit(1);
		}
		l->addr = addr;
		phase->cpus |= 1ull << cpu;
		if (qemu_plugin_mem_is_store(info))
			l->written |= 1ull << cpu;
		else
			l->read |= 1ull << cpu;
	}
	pthread_mutex_unlock(&lock);
}

static void translated(struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		void (*cb)(unsigned int cpu, void *data) = NULL;
		uint32_t word = 0;

		qemu_plugin_insn_data(insn, &word, sizeof(word));
		if (word == HINT_PHASE)
			cb = on_phase;
		else if (word == HINT_BEGIN)
			cb = on_begin;
		else if (word == HINT_END)
			cb = on_end;
		else if (word == ERET)
			cb = on_eret;
		else if (qemu_plugin_insn_vaddr(insn) == irq)
			cb = on_irq;
		if (cb)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, CB_R_REGS, NULL);
		/* Programs have no part in it. */
		if (qemu_plugin_insn_vaddr(insn) >> 55 & 1)
			qemu_plugin_register_vcpu_mem_cb(insn, on_mem, CB_NO_REGS, MEM_RW, NULL);
	}
}

static bool is_shared(const struct line *l)
{
	uint64_t all = l->read | l->written;

	return l->written && all & (all - 1);
}

static int by_address(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void at_exit(void)
{
	FILE *f = fopen(out, "w");
	bool ok = f;

	for (unsigned int i = 0; ok && i < nr_phases; i++) {
		struct phase *p = &phases[i];
		unsigned int written = 0, shared = 0;

		qsort(p->lines, SLOTS, sizeof(*p->lines), by_address);
		for (unsigned int j = 0; j < SLOTS; j++) {
			written += p->lines[j].written != 0;
			shared += is_shared(&p->lines[j]);
		}
		ok = fprintf(f, "phase=%s cpus=%d lines=%u written=%u shared=%u\n", p->name,
			     __builtin_popcountll(p->cpus), p->nr_lines, written, shared) > 0;
		for (unsigned int j = 0; ok && j < SLOTS; j++) {
			const struct line *l = &p->lines[j];

			if (is_shared(l))
				ok = fprintf(f, "line=%#" PRIx64 " cpus read=%d written=%d\n", l->addr,
					     __builtin_popcountll(l->read),
					     __builtin_popcountll(l->written)) > 0;
		}
	}
	if (!ok || fclose(f))
		fprintf(stderr, "share: %s can't be written\n", out);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
			       int argc, char **argv)
{
	char end;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4) && strlen(argv[i] + 4) < sizeof(out))
			strcpy(out, argv[i] + 4);
		else if (sscanf(argv[i], "irq=%" SCNx64 "%c", &irq, &end) != 1)
			*out = 0, argc = 0;
	}
	if (!*out || !irq) {
		fprintf(stderr, "share: out=FILE,irq=0xADDRESS are expected\n");
		return 1;
	}
	register_callbacks(id, (struct callbacks){
		.cpu = cpu_init,
		.block = translated,
		.end = at_exit,
	});
	return 0;
}
