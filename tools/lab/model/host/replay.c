// SPDX-License-Identifier: GPL-2.0
/*
 * audit-replay TRACE: the auditor, on this machine, is told what one in the
 * EL2 model was told (el2.audit.trace=), and says what it says. Its lines are
 * those of the console.
 *
 * Exit status: 0 no violation, 1 there are some, 2 no trace or a damaged one, 3
 * none, but the trace has no end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "audit/trace.h"

#define MAX_RAM		(1UL << 40)
#define CODE_BUCKETS	4096

static const u8 *at, *end;
static const char *name;

static u8 *ram;
static struct audit_setup setup;
static struct audit_registers registers;
static struct trace_last last;

/* What was read of the guest's code. */
static struct code {
	struct code *next;
	u64 va;
	u32 insn[TRACE_CODE];
	bool there;
} *codes[CODE_BUCKETS];

/* As the auditor's lines count them. */
static u64 events(void)
{
	struct audit_answer answer;

	audit_ask(&answer);
	return answer.events;
}

static __attribute__((noreturn)) void damaged(const char *why)
{
	fflush(stdout);
	fprintf(stderr, "audit-replay: %s is damaged behind event %lu: %s\n", name, events(), why);
	exit(2);
}

static u8 byte(void)
{
	if (at == end)
		damaged("it ends in a record");
	return *at++;
}

static u64 number(void)
{
	u64 value = 0;
	u8 part;

	for (u32 shift = 0; shift < 64; shift += 7) {
		part = byte();
		value |= (u64)(part & 127) << shift;
		if (!(part & 128))
			return value;
	}
	damaged("a number is too long");
}

static u64 step(u64 *from)
{
	u64 by = number();

	*from += by & 1 ? ~(by >> 1) : by >> 1;
	return *from;
}

static u64 *memory(u64 pa)
{
	if (pa < setup.ram_start || pa > setup.ram_end - 8 || (pa & 7))
		damaged("an address is not in the memory");
	return (u64 *)(ram + (pa - setup.ram_start));
}

static u64 read_memory(u64 pa)
{
	return *memory(pa);
}

static void write_memory(u64 pa, u64 value)
{
	*memory(pa) = value;
}

static void watch(u64 page, u64 size, bool on)
{
	(void)page;
	(void)size;
	(void)on;
}

static struct code *code_of(u64 va)
{
	struct code *code = codes[va / 64 % CODE_BUCKETS];

	while (code && code->va != va)
		code = code->next;
	return code;
}

static bool code(u64 va, u32 *insn)
{
	const struct code *found = code_of(va & ~(4UL * TRACE_CODE - 1));

	if (!found || !found->there)
		return false;
	*insn = found->insn[va / 4 % TRACE_CODE];
	return true;
}

static void registers_then(struct audit_registers *then)
{
	*then = registers;
}

static void forget(void)
{
}

static void say(const char *line)
{
	printf("el2: %s\n", line);
}

static __attribute__((noreturn)) void fail(const char *why)
{
	fflush(stdout);
	fprintf(stderr, "audit-replay: %s: %s\n", name, why);
	exit(2);
}

static void take_page(void)
{
	u64 page = step(&last.page), words = number(), value = 0;

	for (u64 i = 0; i < words;) {
		u64 count = number(), this = step(&value), by = 0;

		if (!count || count > words - i)
			damaged("a page has other words than it says");
		if (count > 1)
			by = step(&value) - this;
		for (u64 n = 0; n < count; n++)
			*memory(page + 8 * i++) = this + n * by;
		if (count > 1)
			value = this + (count - 1) * by;
	}
}

static void take_code(void)
{
	u64 va = step(&last.code);
	struct code *code = code_of(va);

	if (!code) {
		code = calloc(1, sizeof(*code));
		if (!code)
			fail("no memory is left");
		code->va = va;
		code->next = codes[va / 64 % CODE_BUCKETS];
		codes[va / 64 % CODE_BUCKETS] = code;
	}
	code->there = byte();
	for (u32 i = 0; i < TRACE_CODE && code->there; i++) {
		code->insn[i] = 0;
		for (u32 shift = 0; shift < 32; shift += 8)
			code->insn[i] |= (u32)byte() << shift;
	}
}

static void tell(const struct audit_event *event)
{
	static bool storing;

	if (event->kind == AUDIT_WORD || event->kind == AUDIT_DONE) {
		if (!storing || (event->kind == AUDIT_WORD && !audit_watches(event->address)))
			damaged("a store is to no table");
	}
	if (event->kind == AUDIT_STORE)
		storing = audit_event(event);
	else
		audit_event(event);
}

/* An event, or one that stands for three. */
static void take_event(u32 kind, u32 flags)
{
	struct audit_event event = { .kind = kind == TRACE_ONE ? AUDIT_STORE : kind };
	struct audit_event done = { .kind = AUDIT_DONE, .value = AUDIT_DID };

	if (flags & TRACE_CPU)
		last.cpu = byte();
	if (last.cpu >= setup.cpus)
		damaged("there is no such CPU");
	event.cpu = last.cpu;
	event.pc = flags & TRACE_PC ? step(&last.pc[last.cpu]) : last.pc[last.cpu];
	event.lr = flags & TRACE_LR ? step(&last.lr[last.cpu]) : last.lr[last.cpu];
	event.thread = flags & TRACE_THREAD ? step(&last.thread[last.cpu]) : last.thread[last.cpu];
	if (kind == TRACE_ONE || kind == AUDIT_STORE || kind == AUDIT_WORD)
		event.address = step(&last.address);
	else if (kind == AUDIT_TLBI)
		event.address = number();
	if (kind == TRACE_ONE || kind == AUDIT_WORD)
		event.value = step(&last.value);
	else if (kind == AUDIT_TLBI)
		event.value = step(&last.argument);
	else if (kind != AUDIT_STORE && kind != AUDIT_OFF && kind != AUDIT_CHECK)
		event.value = number();
	tell(&event);
	if (kind != TRACE_ONE)
		return;
	event.kind = AUDIT_WORD;
	tell(&event);
	done.cpu = event.cpu;
	tell(&done);
}

static void take_registers(void)
{
	registers.tcr = number();
	registers.mair = number();
	registers.pir = number();
	registers.pie = number();
}

enum took { MORE, THE_END, FULL };

static enum took take(void)
{
	u8 first = byte();
	u32 kind = first & 15, flags = first & 0xf0;
	u64 pa;

	switch (kind) {
	case TRACE_REGISTERS:
		take_registers();
		return MORE;
	case TRACE_PAGE:
		take_page();
		return MORE;
	case TRACE_MEMORY:
		pa = step(&last.address);
		*memory(pa) = step(&last.value);
		return MORE;
	case TRACE_CODE_AT:
		take_code();
		return MORE;
	case TRACE_FULL:
		return FULL;
	}
	if (kind >= TRACE_KINDS)
		damaged("there is no such record");
	take_event(kind, flags);
	return kind == AUDIT_END ? THE_END : MORE;
}

static void take_setup(void)
{
	static const struct audit_calls calls = {
		.read = read_memory, .write = write_memory, .watch = watch, .code = code,
		.registers = registers_then, .forget = forget, .say = say, .fail = fail,
	};
	size_t magic = strlen(TRACE_MAGIC);

	if ((size_t)(end - at) < magic || memcmp(at, TRACE_MAGIC, magic)) {
		fprintf(stderr, "audit-replay: %s: no trace; el2.audit.trace= writes one\n", name);
		exit(2);
	}
	at += magic;
	if (byte() != TRACE_VERSION) {
		fprintf(stderr, "audit-replay: %s: of another version than %u\n", name, TRACE_VERSION);
		exit(2);
	}
	setup.ram_start = number();
	setup.ram_end = number();
	setup.cpus = number();
	setup.bbml3 = number();
	setup.allow = number();
	setup.gaps = number();
	setup.noted = number();
	if (setup.cpus > AUDIT_CPUS || setup.ram_end <= setup.ram_start || setup.ram_end - setup.ram_start > MAX_RAM)
		damaged("it is of no machine that there is");
	/* It takes what is written to. */
	ram = mmap(NULL, setup.ram_end - setup.ram_start, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		fail("no addresses are left for the guest's memory");
	audit_init(&setup, &calls);
}

static void map_file(void)
{
	FILE *file = fopen(name, "rb");
	long size;
	u8 *bytes;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) {
		fprintf(stderr, "audit-replay: %s: can't be read\n", name);
		exit(2);
	}
	rewind(file);
	bytes = malloc(size + 1);
	if (!bytes || fread(bytes, 1, size, file) != (size_t)size) {
		fprintf(stderr, "audit-replay: %s: can't be read\n", name);
		exit(2);
	}
	fclose(file);
	at = bytes;
	end = bytes + size;
}

int main(int argc, char **argv)
{
	struct audit_answer answer;
	enum took took = MORE;

	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: audit-replay TRACE: what the auditor says of it; el2.audit.trace= writes one\n");
		return 2;
	}
	name = argv[1];
	map_file();
	take_setup();
	while (took == MORE && at < end)
		took = take();
	audit_ask(&answer);
	if (took == FULL)
		printf("trace: it was full behind event %lu; what came then is not in it\n", answer.events);
	else if (took == MORE)
		printf("trace: it ends behind event %lu, without an end; the run had none\n", answer.events);
	fflush(stdout);
	if (answer.violations)
		return 1;
	return took == THE_END ? 0 : 3;
}
