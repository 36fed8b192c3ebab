// SPDX-License-Identifier: GPL-2.0
/*
 * What the auditor asks of the machine, and the way of an event to it: past the
 * recorder, with el2.audit.trace=.
 */
#include "audit/record.h"
#include "observe.h"

struct lock audit_lock;
static bool has_pie;

static u64 read_memory(u64 pa)
{
	return __atomic_load_n((u64 *)pa, __ATOMIC_RELAXED);
}

static void write_memory(u64 pa, u64 value)
{
	__atomic_store_n((u64 *)pa, value, __ATOMIC_RELAXED);
}

static void registers_now(struct audit_registers *registers)
{
	*registers = (struct audit_registers){ .tcr = read_sysreg(tcr_el1), .mair = read_sysreg(mair_el1) };
	registers->pie = has_pie && (read_sysreg(TCR2_EL1) & TCR2_PIE);
	if (registers->pie)
		registers->pir = read_sysreg(PIR_EL1);
}

static void say_line(const char *line)
{
	say_alone("%s", line);
}

static __attribute__((noreturn)) void fail_line(const char *why)
{
	fail("%s", why);
}

/**
 * observe() - tell the auditor
 * @event: what happened
 *
 * Return: what audit_event() does.
 */
bool observe(const struct audit_event *event)
{
	return machine.trace_mib ? record_event(event) : audit_event(event);
}

void observe_init(void)
{
	static const struct audit_calls calls = {
		.read = read_memory, .write = write_memory, .watch = s2_watch, .code = fetch_insn,
		.registers = registers_now, .forget = translate_forget, .say = say_line, .fail = fail_line,
	};
	struct audit_setup setup = {
		.ram_start = GUEST_BASE, .ram_end = machine.ram_end, .cpus = machine.ncpus,
		.allow = machine.audit_allow, .gaps = machine.audit_gaps, .noted = machine.inject,
	};

	has_pie = id_field(ID_AA64MMFR3_EL1, ID_AA64MMFR3_S1PIE);
	for (u32 i = 0; i < machine.ncpus; i++) {
		if (machine.cpu[i].bbml3)
			setup.bbml3 |= BIT(i);
	}
	if (machine.trace_mib) {
		host_open();
		record_init(&setup, &calls, host_write, machine.trace_mib * MIB);
	} else {
		audit_init(&setup, &calls);
	}
}
