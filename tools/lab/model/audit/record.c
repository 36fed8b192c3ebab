// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder: stands between the machine and the auditor, and writes down
 * what passes, so that the auditor can be told the same again.
 *
 * Of memory that is what was in a page when it came to be watched; all later
 * changes of it are events. Of code and registers it is what was read, if it is
 * not as when it was read last.
 */
#include "record.h"
#include "trace.h"

#define BUFFER		16384
#define RESERVE		64	/* for what says that the trace is full */
#define MAX_RECORD	(16 * 8192 + 64) /* a page of 64K in which no word follows from another */
#define CODE_SLOTS	8192

static struct audit_calls asks;
static void (*out)(const void *bytes, u32 len);
static u64 limit, written, events;
static u8 buffer[BUFFER] __attribute__((section(".noinit")));
static u32 buffered;
static bool full, said;

static u8 made[MAX_RECORD] __attribute__((section(".noinit")));	/* the record that is being made */
static u32 len;
static struct trace_last last;
static struct audit_registers registers;
static bool registers_known;

/* A store, until it is known whether it can be said in one record. */
static struct {
	struct audit_event store, word;
	u32 words;	/* of which the first is @word */
	bool open;
} held;

/* What was written of the code, by address. */
static struct {
	u64 va, hash;
} code_known[CODE_SLOTS];
static struct {
	u64 va, event;
	u32 insn[TRACE_CODE];
	bool there;
} code_now;

static void flush(void)
{
	if (buffered)
		out(buffer, buffered);
	buffered = 0;
}

static void append(const u8 *bytes, u32 count)
{
	written += count;
	while (count) {
		u32 n = BUFFER - buffered < count ? BUFFER - buffered : count;

		for (u32 i = 0; i < n; i++)
			buffer[buffered++] = *bytes++;
		count -= n;
		if (buffered == BUFFER)
			flush();
	}
}

static void byte(u8 value)
{
	made[len++] = value;
}

static void number(u64 value)
{
	for (; value > 127; value >>= 7)
		byte(value | 128);
	byte(value);
}

static void step(u64 *from, u64 to)
{
	u64 by = to - *from;

	*from = to;
	number(by >> 63 ? ~(by << 1) : by << 1);
}

/* The record is whole. What does not fit ends the trace, not the audit. */
static void finish(void)
{
	if (!full && written + len + RESERVE > limit) {
		full = true;
		len = 0;
		byte(TRACE_FULL);
		append(made, len);
		flush();
		asks.say("trace: it is full; the audit goes on, but what comes now is not in the trace");
	}
	if (!full)
		append(made, len);
	len = 0;
}

static void begin_event(const struct audit_event *event, u32 kind)
{
	const u32 cpu = event->cpu;
	u32 flags = cpu == last.cpu ? 0 : TRACE_CPU;

	/* Only these have them. */
	if (event->kind == AUDIT_STORE || event->kind == AUDIT_TLBI)
		flags |= (event->pc == last.pc[cpu] ? 0 : TRACE_PC) | (event->lr == last.lr[cpu] ? 0 : TRACE_LR) |
			 (event->thread == last.thread[cpu] ? 0 : TRACE_THREAD);
	byte(kind | flags);
	if (flags & TRACE_CPU)
		byte(cpu);
	last.cpu = cpu;
	if (flags & TRACE_PC)
		step(&last.pc[cpu], event->pc);
	if (flags & TRACE_LR)
		step(&last.lr[cpu], event->lr);
	if (flags & TRACE_THREAD)
		step(&last.thread[cpu], event->thread);
}

static void put_event(const struct audit_event *event)
{
	begin_event(event, event->kind);
	switch (event->kind) {
	case AUDIT_STORE:
		step(&last.address, event->address);
		break;
	case AUDIT_WORD:
		step(&last.address, event->address);
		step(&last.value, event->value);
		break;
	case AUDIT_TLBI:
		number(event->address);
		step(&last.argument, event->value);
		break;
	case AUDIT_TTBR1:
	case AUDIT_DONE:
	case AUDIT_END:
		number(event->value);
		break;
	default:
		break;
	}
	finish();
}

/* The beginning of a store, and its first word, if they wait; in their order. */
static void put_held(void)
{
	if (!held.open)
		return;
	held.open = false;
	put_event(&held.store);
	if (held.words)
		put_event(&held.word);
}

static void put_store(const struct audit_event *done)
{
	if (!held.open || held.words != 1 || held.word.address != held.store.address || done->value != AUDIT_DID) {
		put_held();
		put_event(done);
		return;
	}
	held.open = false;
	begin_event(&held.store, TRACE_ONE);
	step(&last.address, held.word.address);
	step(&last.value, held.word.value);
	finish();
}

/* Answers stand before what asked for them, which is not written yet. */
static u64 read_unknown(u64 pa)
{
	u64 value = asks.read(pa);

	/* A page that is watched is known; others the auditor has no reason to read. */
	if (!full && !audit_watches(pa)) {
		byte(TRACE_MEMORY);
		step(&last.address, pa);
		step(&last.value, value);
		finish();
	}
	return value;
}

static void watch_page(u64 page, u64 size, bool on)
{
	u64 words = size / 8, value = 0;

	asks.watch(page, size, on);
	if (!on || full)
		return;
	byte(TRACE_PAGE);
	step(&last.page, page);
	number(words);
	for (u64 i = 0; i < words;) {
		u64 first = asks.read(page + 8 * i), next = i + 1 < words ? asks.read(page + 8 * i + 8) : first;
		u64 by = next - first, count = 1;

		while (i + count < words && asks.read(page + 8 * (i + count)) == first + count * by)
			count++;
		number(count);
		step(&value, first);
		if (count > 1) {
			step(&value, next);
			value = first + (count - 1) * by;
		}
		i += count;
	}
	finish();
}

static void code_read(u64 va)
{
	u64 hash = 1;

	code_now.va = va;
	code_now.event = events;
	code_now.there = true;
	for (u32 i = 0; i < TRACE_CODE && code_now.there; i++) {
		code_now.there = asks.code(va + 4 * i, &code_now.insn[i]);
		hash = (hash ^ code_now.insn[i]) * 0x100000001b3UL;
	}
	if (!code_now.there)
		hash = 0;
	/* Bit 0 of an address is never set: an empty slot is that of no code. */
	if (code_known[va / 64 % CODE_SLOTS].va == (va | 1) && code_known[va / 64 % CODE_SLOTS].hash == hash)
		return;
	code_known[va / 64 % CODE_SLOTS].va = va | 1;
	code_known[va / 64 % CODE_SLOTS].hash = hash;
	byte(TRACE_CODE_AT);
	step(&last.code, va);
	byte(code_now.there);
	for (u32 i = 0; i < TRACE_CODE && code_now.there; i++) {
		for (u32 shift = 0; shift < 32; shift += 8)
			byte(code_now.insn[i] >> shift);
	}
	finish();
}

static bool code_at(u64 va, u32 *insn)
{
	u64 at = va & ~(4UL * TRACE_CODE - 1);

	if (full)
		return asks.code(va, insn);
	if (code_now.va != at || code_now.event != events)
		code_read(at);
	*insn = code_now.insn[(va - at) / 4];
	return code_now.there;
}

static void registers_now(struct audit_registers *now)
{
	asks.registers(now);
	if (registers_known && now->tcr == registers.tcr && now->mair == registers.mair &&
	    now->pie == registers.pie && (!now->pie || now->pir == registers.pir))
		return;
	registers = *now;
	registers_known = true;
	byte(TRACE_REGISTERS);
	number(now->tcr);
	number(now->mair);
	number(now->pie ? now->pir : 0);
	number(now->pie);
	finish();
}

static void say_line(const char *line)
{
	said = true;
	asks.say(line);
}

bool record_event(const struct audit_event *event)
{
	bool watched;

	events++;
	/* What the second word asks for is not to stand before the first. */
	if (event->kind == AUDIT_WORD && held.words)
		put_held();
	watched = audit_event(event);
	switch (event->kind) {
	case AUDIT_STORE:
		held.store = *event;
		held.words = 0;
		held.open = true;
		if (!watched)
			put_held();
		break;
	case AUDIT_WORD:
		if (held.open && !held.words++) {
			held.word = *event;
			break;
		}
		put_held();
		put_event(event);
		break;
	case AUDIT_DONE:
		put_store(event);
		break;
	default:
		put_event(event);
	}
	/* A run that goes wrong may be killed: what there is to be said is in its trace. */
	if (said && !held.open) {
		said = false;
		flush();
	}
	return watched;
}

void record_init(const struct audit_setup *setup, const struct audit_calls *calls,
		 void (*to)(const void *bytes, u32 len), u64 bytes)
{
	struct audit_calls through = *calls;

	asks = *calls;
	out = to;
	limit = bytes;
	through.read = read_unknown;
	through.watch = watch_page;
	through.code = code_at;
	through.registers = registers_now;
	through.say = say_line;
	for (const char *p = TRACE_MAGIC; *p; p++)
		byte(*p);
	byte(TRACE_VERSION);
	number(setup->ram_start);
	number(setup->ram_end);
	number(setup->cpus);
	number(setup->bbml3);
	number(setup->allow);
	number(setup->gaps);
	number(setup->noted);
	finish();
	flush();
	audit_init(setup, &through);
}
