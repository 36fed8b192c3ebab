// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that is nothing but tests of the model: bare metal, MMU off, so that
 * an address in here is an IPA. The word t=NAME of the command line chooses
 * the test; tests/run.sh has the list. Results are KTAP, for run.sh.
 *
 * A test that is to end with a fault says first where that will be:
 *
 *	# fault: cpu 1 pc 0x44000400 ipa 0x44100000
 */
#include "model.h"

#define SMC_RESULTS	11

/* As the specifications number them, and not from the model's files: what a guest knows. */
#define PSCI_VERSION		0x84000000
#define PSCI_CPU_SUSPEND	0xc4000001
#define PSCI_CPU_OFF		0x84000002
#define PSCI_CPU_ON32		0x84000003
#define PSCI_CPU_ON		0xc4000003
#define PSCI_AFFINITY32		0x84000004
#define PSCI_AFFINITY		0xc4000004
#define PSCI_MIGRATE		0xc4000005
#define PSCI_SYSTEM_OFF		0x84000008
#define PSCI_SYSTEM_RESET	0x84000009
#define PSCI_FEATURES		0x8400000a
#define NOT_SUPPORTED		(-1L)
#define INVALID_PARAMETERS	(-2L)
#define ALREADY_ON		(-4L)
#define INTERNAL_FAILURE	(-6L)
#define INVALID_ADDRESS		(-9L)

#define RSI(n)			(0xc4000190 + (n))
#define RSI_VERSION		RSI(0)
#define RSI_FEATURES		RSI(1)
#define RSI_MEASUREMENT_READ	RSI(2)
#define RSI_MEASUREMENT_EXTEND	RSI(3)
#define RSI_TOKEN_INIT		RSI(4)
#define RSI_TOKEN_CONTINUE	RSI(5)
#define RSI_CONFIG		RSI(6)
#define RSI_SET			RSI(7)
#define RSI_GET			RSI(8)
#define RSI_HOST_CALL		RSI(9)
#define EMPTY			0
#define RAM			1
#define DESTROYED		2

u64 read_at(u64 address);
void write_at(u64 address, u64 value);
void fetch_at(u64 address);
void do_hvc(void);
long smc_immediate(u64 function);
void mmu_on(u64 ttbr0, u64 tcr);
void do_smc(u64 x[SMC_RESULTS]);
void secondary(void);
extern const u8 the_smc[], mmu_is_on[];
extern volatile struct {
	u64 esr, far, elr, spsr;
} taken;

static u64 dtb;
static u64 uart = UART_BASE;
static u64 ram_end;
static bool realm;
static unsigned int points;
static u64 out[SMC_RESULTS];	/* of the last call */

/* A few MiB behind the image that nobody else uses. */
#define SCRATCH		0x50000000UL
#define CPUS		4

static volatile struct {
	u64 runs, context, midr, bbm, el, sctlr;
} seen[MAX_CPUS];

static volatile enum { WAIT, GO_OFF, HAMMER, READ_SCRATCH, PRINT, USE_TABLES, LEAVE_TABLES,
		     DROP_TLB } job[MAX_CPUS];
static volatile u64 target = SCRATCH, hammered, wrong_values;

/* What the audit's tests have secondary CPUs set. */
static volatile u64 audit_mair, audit_tcr, audit_root, audit_empty;

static u32 be32(u64 address)
{
	return __builtin_bswap32(*(u32 *)address);
}

static u64 be64(u64 address)
{
	return (u64)be32(address) << 32 | be32(address + 4);
}

static void put_char(char c)
{
	*(volatile u32 *)uart = (u8)c;
}

static void put(const char *text)
{
	for (; *text; text++)
		put_char(*text);
}

static void put_hex(u64 value)
{
	put("0x");
	for (int shift = 60; shift >= 0; shift -= 4) {
		if (value >> shift || !shift)
			put_char("0123456789abcdef"[(value >> shift) & 15]);
	}
}

static void put_number(u64 value)
{
	if (value > 9)
		put_number(value / 10);
	put_char('0' + value % 10);
}

static void result(bool good, const char *name)
{
	points++;
	put(good ? "ok " : "not ok ");
	put_number(points);
	put(" ");
	put(name);
	put("\n");
}

static void same_value(const char *name, u64 got, u64 expected)
{
	result(got == expected, name);
	if (got != expected) {
		put("# got ");
		put_hex(got);
		put(", expected ");
		put_hex(expected);
		put("\n");
	}
}

static long call(u64 function, u64 a1, u64 a2, u64 a3, u64 a4)
{
	for (int i = 0; i < SMC_RESULTS; i++)
		out[i] = 0;
	out[0] = function;
	out[1] = a1;
	out[2] = a2;
	out[3] = a3;
	out[4] = a4;
	do_smc(out);
	return out[0];
}

static void __attribute__((noreturn)) end(void)
{
	put("1..");
	put_number(points);
	put("\n# lab: done\n");
	call(PSCI_SYSTEM_OFF, 0, 0, 0, 0);
	for (;;)
		;
}

static void announce(u64 cpu, const void *pc, u64 ipa)
{
	put("# fault: cpu ");
	put_number(cpu);
	put(" pc ");
	put_hex((u64)pc);
	put(" ipa ");
	put_hex(ipa);
	put("\n");
}

/* Announces, and does. */
static u64 bad_read(u64 ipa)
{
	announce(0, read_at, ipa);
	return read_at(ipa);
}

static void bad_write(u64 ipa)
{
	announce(0, write_at, ipa);
	write_at(ipa, 1);
}

static long set(u64 base, u64 top, u64 ripas, u64 flags)
{
	return call(RSI_SET, base, top, ripas, flags);
}

static long get(u64 base, u64 top)
{
	return call(RSI_GET, base, top, 0, 0);
}

static u64 affinity(u64 mpidr)
{
	return call(PSCI_AFFINITY, mpidr, 0, 0, 0);
}

static u64 cpu_on(u64 cpu, u64 context)
{
	return call(PSCI_CPU_ON, cpu, (u64)secondary, context, 0);
}

/* Waits for it, too. */
static void start(u64 cpu, u64 context)
{
	u64 runs = seen[cpu].runs;

	if (cpu_on(cpu, context))
		return;
	while (seen[cpu].runs == runs)
		;
}

static void stop(u64 cpu)
{
	job[cpu] = GO_OFF;
	while (affinity(cpu) != 1)
		;
	job[cpu] = WAIT;
}

void secondary_main(u64 context);
void secondary_main(u64 context)
{
	u64 cpu = read_sysreg(mpidr_el1) & 0xff;

	seen[cpu].context = context;
	seen[cpu].midr = read_sysreg(midr_el1);
	seen[cpu].bbm = BITS(read_sysreg(S3_0_C0_C7_2), 55, 52);
	seen[cpu].el = CURRENTEL_EL(read_sysreg(CurrentEL));
	seen[cpu].sctlr = read_sysreg(sctlr_el1);
	seen[cpu].runs++;
	for (;;) {
		u64 off[SMC_RESULTS] = { PSCI_CPU_OFF };

		switch (job[cpu]) {
		case WAIT:
			break;
		case GO_OFF:
			do_smc(off);
			break;
		case HAMMER: /* next to what another CPU shares: the block is split meanwhile */
			for (int i = 0; i < 100; i++) {
				u64 a = target + GRANULE;

				if (*(volatile u64 *)a != a)
					wrong_values++;
			}
			hammered++;
			break;
		case READ_SCRATCH:
			read_at(SCRATCH);
			hammered++;
			break;
		case USE_TABLES:
			write_sysreg(mair_el1, audit_mair);
			write_sysreg(tcr_el1, audit_tcr);
			write_sysreg(ttbr1_el1, audit_root);
			isb();
			job[cpu] = WAIT;
			break;
		case LEAVE_TABLES:
			write_sysreg(ttbr1_el1, audit_empty);
			isb();
			job[cpu] = WAIT;
			break;
		case DROP_TLB:
			asm volatile("dsb nshst\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
			job[cpu] = WAIT;
			break;
		case PRINT:
			put("# this goes on while the line is written ");
			break;
		}
	}
}

static void test_none(void)
{
	same_value("el", CURRENTEL_EL(read_sysreg(CurrentEL)), 1);
}

/* Prints what each CPU says that it is; tests/run.sh knows what it was told. */
static void test_identity(void)
{
	for (u64 i = 0; i < CPUS; i++) {
		if (i) {
			start(i, 0);
			/* Again, after it was off. */
			stop(i);
			start(i, 0);
		} else {
			seen[0].midr = read_sysreg(midr_el1);
			seen[0].bbm = BITS(read_sysreg(S3_0_C0_C7_2), 55, 52);
		}
		put("# identity: cpu ");
		put_number(i);
		put(" midr ");
		put_hex(seen[i].midr);
		put(" bbm ");
		put_number(seen[i].bbm);
		put("\n");
	}
	/* The rest of the trapped registers is the hardware's. */
	result(BITS(read_sysreg(S3_0_C0_C7_2), 19, 16) == 1, "id-aa64mmfr2-varange");
	result(BITS(read_sysreg(S3_0_C0_C4_0), 3, 0) != 0, "id-aa64pfr0-el0");
	same_value("id-reserved-is-zero", read_sysreg(S3_0_C0_C7_7), 0);
	asm volatile("mrs xzr, S3_0_C0_C7_2");
	result(true, "id-to-xzr");
}

static void write_device(u64 address, u32 value)
{
	*(volatile u32 *)(address | (uart & SHARED)) = value;
}

/*
 * A standby ends with an interrupt, also with a masked one: the virtual timer's
 * (INTID 27), which takes a GIC that lets it through to this CPU.
 */
static void test_suspend(void)
{
	u64 gicd = 0x08000000, gicr = 0x080a0000, wait = 1000000, begin;

	write_device(gicd, 0x12);			/* GICD_CTLR: ARE_NS, EnableGrp1 */
	write_device(gicr + 0x14, 0);			/* GICR_WAKER: awake */
	write_device(gicr + 0x10080, ~0U);		/* GICR_IGROUPR0: group 1 */
	write_device(gicr + 0x10100, BIT(27));		/* GICR_ISENABLER0 */
	write_sysreg(S3_0_C12_C12_5, 7);		/* ICC_SRE_EL1 */
	isb();
	write_sysreg(S3_0_C4_C6_0, 0xff);		/* ICC_PMR_EL1 */
	write_sysreg(S3_0_C12_C12_7, 1);		/* ICC_IGRPEN1_EL1 */
	begin = read_sysreg(cntvct_el0);
	write_sysreg(cntv_tval_el0, wait);
	write_sysreg(cntv_ctl_el0, 1);
	isb();
	same_value("suspend", call(PSCI_CPU_SUSPEND, 0, 0, 0, 0), 0);
	result(read_sysreg(cntvct_el0) - begin >= wait, "suspend-waits");
	write_sysreg(cntv_ctl_el0, 0);
}

static void test_psci(void)
{
	u64 entry = (u64)secondary;

	same_value("version", call(PSCI_VERSION, 0, 0, 0, 0), 0x10001);
	same_value("features-cpu-on", call(PSCI_FEATURES, PSCI_CPU_ON, 0, 0, 0), 0);
	same_value("features-smccc", call(PSCI_FEATURES, 0x80000000, 0, 0, 0), 0);
	same_value("features-migrate", call(PSCI_FEATURES, PSCI_MIGRATE, 0, 0, 0), NOT_SUPPORTED);
	same_value("smccc-version", call(0x80000000, 0, 0, 0, 0), 0x10002);
	same_value("smccc-features", call(0x80000001, 0x80000001, 0, 0, 0), 0);
	same_value("smccc-workaround", call(0x80000001, 0x80008000, 0, 0, 0), NOT_SUPPORTED);
	same_value("unknown-call", call(0xc600ffff, 1, 2, 3, 4), NOT_SUPPORTED);
	same_value("unknown-call-keeps-x4", out[4], 4);
	same_value("smc-immediate", smc_immediate(PSCI_VERSION), NOT_SUPPORTED);
	if (!realm)
		same_value("no-rsi", call(RSI_VERSION, 0x10000, 0, 0, 0), NOT_SUPPORTED);
	do_hvc();
	same_value("hvc-is-undefined", ESR_EC(taken.esr), 0);

	same_value("affinity-self", affinity(0), 0);
	same_value("affinity-off", affinity(1), 1);
	same_value("affinity-level", call(PSCI_AFFINITY, 0, 1, 0, 0), INVALID_PARAMETERS);
	same_value("on-self", cpu_on(0, 0), ALREADY_ON);

	start(1, 0x123456789abcdef0);
	same_value("on", affinity(1), 0);
	same_value("on-context", seen[1].context, 0x123456789abcdef0);
	same_value("on-el", seen[1].el, 1);
	same_value("on-mmu-off", seen[1].sctlr & (SCTLR_M | SCTLR_C | SCTLR_I), 0);
	same_value("on-again", cpu_on(1, 0), ALREADY_ON);
	stop(1);
	result(true, "off");
	same_value("on-smc32", call(PSCI_CPU_ON32, 1, entry, 0xffffffff00000007, 0), 0);
	while (seen[1].runs == 1)
		;
	same_value("on-smc32-context", seen[1].context, 7);
	same_value("affinity-smc32", call(PSCI_AFFINITY32, 1, 0, 0, 0), 0);
	stop(1);
	for (u64 i = 0; i < 100; i++) {
		u64 cpu = 1 + i % (CPUS - 1);

		start(cpu, i);
		stop(cpu);
	}
	same_value("on-off-100", seen[1].runs + seen[2].runs + seen[3].runs, 102);
	test_suspend();
	/* All at once, in the hope of a race. */
	for (u64 round = 0; round < 20; round++) {
		for (u64 cpu = 1; cpu < CPUS; cpu++)
			cpu_on(cpu, round);
		for (u64 cpu = 1; cpu < CPUS; cpu++)
			job[cpu] = GO_OFF;
		for (u64 cpu = 1; cpu < CPUS; cpu++)
			stop(cpu);
	}
	same_value("on-off-together", seen[1].runs + seen[2].runs + seen[3].runs, 162);
}

/* What el2.inject turns from an end into an error code. */
/* It runs, and has done so for a while when CPU_ON says that it does not. */
static void test_psci_cpu_on_fails(void)
{
	same_value("on-fails", cpu_on(2, 1), INTERNAL_FAILURE);
	same_value("on-fails-runs", seen[2].runs, 1);
	same_value("on-others", cpu_on(1, 1), 0);
}

static void test_psci_errors(void)
{
	same_value("on-no-such-cpu", cpu_on(CPUS, 0), INVALID_PARAMETERS);
	same_value("on-other-cluster", cpu_on(0x100, 0), INVALID_PARAMETERS);
	same_value("on-mpidr-bit-31", cpu_on(0x80000001, 0), INVALID_PARAMETERS);
	same_value("affinity-no-such-cpu", affinity(CPUS), INVALID_PARAMETERS);
	same_value("on-to-device", call(PSCI_CPU_ON, 1, UART_BASE, 0, 0), INVALID_ADDRESS);
	same_value("on-to-model", call(PSCI_CPU_ON, 1, RAM_BASE, 0, 0), INVALID_ADDRESS);
	same_value("on-behind-memory", call(PSCI_CPU_ON, 1, ram_end, 0, 0), INVALID_ADDRESS);
	same_value("on-unaligned", call(PSCI_CPU_ON, 1, SCRATCH + 2, 0, 0), INVALID_ADDRESS);
	same_value("still-off", affinity(1), 1);
	if (realm)
		same_value("on-to-shared", call(PSCI_CPU_ON, 1, SCRATCH | SHARED, 0, 0),
			   INVALID_ADDRESS);
}

static void test_rsi(void)
{
	u64 zero = 0;

	same_value("version", call(RSI_VERSION, 0x10000, 0, 0, 0), 0);
	same_value("version-lower", out[1], 0x10000);
	same_value("version-higher", out[2], 0x10000);
	same_value("version-too-new", call(RSI_VERSION, 0x20000, 0, 0, 0), 1);
	same_value("version-too-new-higher", out[2], 0x10000);
	same_value("features", call(RSI_FEATURES, 0, 0, 0, 0), 0);
	same_value("features-0", out[1], 0);

	write_at(SCRATCH + 0x200, 1);
	same_value("config", call(RSI_CONFIG, SCRATCH, 0, 0, 0), 0);
	same_value("config-ipa-width", read_at(SCRATCH), IPA_BITS);
	same_value("config-hash", read_at(SCRATCH + 8), 0);
	same_value("config-rpv", read_at(SCRATCH + 0x200), 0);

	same_value("measurement", call(RSI_MEASUREMENT_READ, 4, ~zero, ~zero, 0), 0);
	same_value("measurement-value", out[1] | out[2] | out[8], 0);
	same_value("measurement-index", call(RSI_MEASUREMENT_READ, 5, 0, 0, 0), 1);
	same_value("extend", call(RSI_MEASUREMENT_EXTEND, 1, 32, 0, 0), 4);
	same_value("extend-initial", call(RSI_MEASUREMENT_EXTEND, 0, 32, 0, 0), 1);
	same_value("extend-size", call(RSI_MEASUREMENT_EXTEND, 1, 65, 0, 0), 1);

	same_value("token-without-init", call(RSI_TOKEN_CONTINUE, SCRATCH, 0, 64, 0), 2);
	same_value("token-init", call(RSI_TOKEN_INIT, 0, 0, 0, 0), 0);
	result(out[1] && out[1] <= GRANULE, "token-size");
	same_value("token-refused", call(RSI_TOKEN_CONTINUE, SCRATCH, 0, 64, 0), 4);
	same_value("token-over", call(RSI_TOKEN_CONTINUE, SCRATCH, 0, 64, 0), 2);

	write_at(SCRATCH, 0x1234);
	write_at(SCRATCH + 8, 0x8600ff01);
	write_at(SCRATCH + 16, 42);
	same_value("host-call", call(RSI_HOST_CALL, SCRATCH, 0, 0, 0), 0);
	same_value("host-call-answer", read_at(SCRATCH + 8), NOT_SUPPORTED);
	same_value("host-call-keeps", read_at(SCRATCH + 16), 42);

	/* All memory is RAM at boot. */
	same_value("get", get(GUEST_BASE, ram_end), 0);
	same_value("get-top", out[1], ram_end);
	same_value("get-ripas", out[2], RAM);
	get(ram_end - GRANULE, ram_end + GRANULE);
	same_value("get-ends-with-memory", out[1], ram_end);
	get(0, SHARED);
	same_value("get-devices-top", out[1], GUEST_BASE);
	same_value("get-devices-ripas", out[2], EMPTY);
	get(ram_end, SHARED);
	same_value("get-nothing-top", out[1], SHARED);

	/* Shared and back. */
	write_at(SCRATCH, 0x5ec7e7);
	write_at(SCRATCH + GRANULE, 0x4ee9);
	same_value("share", set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1), 0);
	same_value("share-top", out[1], SCRATCH + GRANULE);
	same_value("share-accepted", out[2], 0);
	get(SCRATCH, ram_end);
	same_value("share-get-top", out[1], SCRATCH + GRANULE);
	same_value("share-get-ripas", out[2], EMPTY);
	same_value("share-scrubs", read_at(SCRATCH | SHARED), 0);
	same_value("share-keeps-next", read_at(SCRATCH + GRANULE), 0x4ee9);
	write_at(SCRATCH | SHARED, 0x2057);
	same_value("share-again", set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1), 0);
	same_value("share-again-keeps", read_at(SCRATCH | SHARED), 0x2057);
	same_value("unshare", set(SCRATCH, SCRATCH + GRANULE, RAM, 1), 0);
	same_value("unshare-scrubs", read_at(SCRATCH), 0);
	write_at(SCRATCH, 0x4ee9);
	same_value("unshare-again", set(SCRATCH, SCRATCH + GRANULE, RAM, 1), 0);
	same_value("unshare-again-keeps", read_at(SCRATCH), 0x4ee9);

	/* A range with both kinds, and one over a multiple of 1 GiB. */
	set(SCRATCH, SCRATCH + 8 * GRANULE, EMPTY, 1);
	same_value("mixed-to-ram", set(SCRATCH - GRANULE, SCRATCH + 16 * GRANULE, RAM, 1), 0);
	same_value("mixed-top", out[1], SCRATCH + 16 * GRANULE);
	same_value("far", set(GUEST_BASE + 512 * MIB, 2 * (u64)GIB + 4 * MIB, RAM, 1), 0);
	same_value("far-stops", out[1], 2 * (u64)GIB);
	same_value("far-accepted", out[2], 0);

	/* The host has no memory for a device, and needs none to take it away. */
	same_value("device-to-ram", set(UART_BASE, UART_BASE + GRANULE, RAM, 1), 0);
	same_value("device-to-ram-top", out[1], UART_BASE);
	same_value("device-to-ram-rejected", out[2], 1);
	same_value("device-to-empty", set(UART_BASE, UART_BASE + GRANULE, EMPTY, 1), 0);
	same_value("device-to-empty-top", out[1], UART_BASE + GRANULE);
	same_value("model-to-ram", set(RAM_BASE, RAM_BASE + GRANULE, RAM, 1), 0);
	same_value("model-to-ram-rejected", out[2], 1);
}

static void test_rsi_errors(void)
{
	same_value("config-unaligned", call(RSI_CONFIG, SCRATCH + 8, 0, 0, 0), 1);
	same_value("config-shared", call(RSI_CONFIG, SCRATCH | SHARED, 0, 0, 0), 1);
	same_value("config-device", call(RSI_CONFIG, UART_BASE, 0, 0, 0), 1);
	same_value("config-model", call(RSI_CONFIG, RAM_BASE, 0, 0, 0), 1);
	set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1);
	same_value("config-empty", call(RSI_CONFIG, SCRATCH, 0, 0, 0), 1);
	same_value("host-call-empty", call(RSI_HOST_CALL, SCRATCH, 0, 0, 0), 1);
	same_value("host-call-unaligned",
		   call(RSI_HOST_CALL, SCRATCH + GRANULE + 0x80, 0, 0, 0), 1);
	same_value("host-call-shared", call(RSI_HOST_CALL, SCRATCH | SHARED, 0, 0, 0), 1);
	same_value("set-base-unaligned", set(SCRATCH + 1, SCRATCH + GRANULE, RAM, 1), 1);
	same_value("set-top-unaligned", set(SCRATCH, SCRATCH + 1, RAM, 1), 1);
	same_value("set-nothing", set(SCRATCH, SCRATCH, RAM, 1), 1);
	same_value("set-backwards", set(SCRATCH, SCRATCH - GRANULE, RAM, 1), 1);
	same_value("set-shared", set(SCRATCH | SHARED, (SCRATCH | SHARED) + GRANULE, RAM, 1), 1);
	same_value("set-over-the-end", set(SHARED - GRANULE, SHARED + GRANULE, EMPTY, 1), 1);
	same_value("set-destroyed", set(SCRATCH, SCRATCH + GRANULE, DESTROYED, 1), 1);
	same_value("set-dev", set(SCRATCH, SCRATCH + GRANULE, 3, 1), 1);
	get(SCRATCH, SCRATCH + GRANULE);
	same_value("set-changed-nothing", out[2], EMPTY);
	same_value("get-unaligned", get(SCRATCH + 1, SCRATCH + GRANULE), 1);
	same_value("get-shared", get(SCRATCH | SHARED, (SCRATCH | SHARED) + GRANULE), 1);
	same_value("get-backwards", get(SCRATCH, SCRATCH - GRANULE), 1);
	same_value("token-offset", call(RSI_TOKEN_CONTINUE, SCRATCH, GRANULE, 0, 0), 1);
	same_value("token-size", call(RSI_TOKEN_CONTINUE, SCRATCH, 8, GRANULE, 0), 1);
	same_value("token-overflow", call(RSI_TOKEN_CONTINUE, SCRATCH, 8, ~0UL, 0), 1);
	same_value("token-unaligned", call(RSI_TOKEN_CONTINUE, SCRATCH + 8, 0, 8, 0), 1);

	/* The abort that a real Realm gets, each kind of access. */
	read_at(SCRATCH);
	same_value("sea-read", taken.esr, 0x96000010);
	same_value("sea-far", taken.far, SCRATCH);
	same_value("sea-elr", taken.elr, (u64)read_at);
	same_value("sea-spsr", taken.spsr & 0xf, PSR_EL1h);
	write_at(SCRATCH + 8, 1);
	same_value("sea-write", taken.esr, 0x96000050);
	same_value("sea-write-far", taken.far, SCRATCH + 8);
	fetch_at(SCRATCH);
	same_value("sea-fetch", taken.esr, 0x86000010);
	same_value("sea-fetch-elr", taken.elr, SCRATCH);
	same_value("empty-still-empty", read_at(SCRATCH | SHARED), 0);
}

/* With el2.destroyed=SCRATCH */
static void test_destroyed(void)
{
	get(SCRATCH, ram_end);
	same_value("get", out[2], DESTROYED);
	same_value("get-top", out[1], SCRATCH + GRANULE);
	same_value("set-safe", set(SCRATCH - GRANULE, SCRATCH + 2 * GRANULE, RAM, 0), 0);
	same_value("set-safe-stops", out[1], SCRATCH);
	same_value("set-safe-accepted", out[2], 0);
	same_value("set-safe-refused", set(SCRATCH, SCRATCH + GRANULE, RAM, 0), 0);
	same_value("set-safe-refused-top", out[1], SCRATCH);
	same_value("set-safe-rejected", out[2], 1);
	same_value("set", set(SCRATCH, SCRATCH + GRANULE, RAM, 1), 0);
	same_value("set-accepted", out[2], 0);
	same_value("ram-again", read_at(SCRATCH), 0);
}

/* One CPU shares pages, so that blocks are split, while others read next to them. */
static void test_race(void)
{
	u64 end = SCRATCH + 400 * MIB;

	for (u64 a = SCRATCH + GRANULE; a < end; a += 2 * MIB)
		write_at(a, a);
	for (u64 cpu = 1; cpu < CPUS; cpu++) {
		start(cpu, 0);
		job[cpu] = HAMMER;
	}
	while (hammered < 100)
		;
	for (u64 round = 0; round < 2; round++) {
		for (u64 a = SCRATCH; a < end; a += 2 * MIB) {
			target = a;
			set(a, a + GRANULE, round ? RAM : EMPTY, 1);
		}
	}
	for (u64 cpu = 1; cpu < CPUS; cpu++)
		stop(cpu);
	same_value("values", wrong_values, 0);
	result(true, "no-fault");
}

/* From here on: tests that end with a fault. */
static void fault_shared_of_ram(void)
{
	bad_read(SCRATCH | SHARED);
}

static void fault_shared_write(void)
{
	bad_write((SCRATCH + 8) | SHARED);
}

/* Nothing is split any more, and the TLB has it: what takes the page away then is its own invalidation. */
static void warm_up(void)
{
	set(SCRATCH + GRANULE, SCRATCH + 2 * GRANULE, EMPTY, 1);
	read_at(SCRATCH);
}

static void fault_empty(void)
{
	warm_up();
	set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1);
	bad_read(SCRATCH);
}

static void fault_not_set(void) /* with el2.empty=SCRATCH */
{
	bad_write(SCRATCH);
}

static void fault_fetch(void)
{
	set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1);
	announce(0, (void *)SCRATCH, SCRATCH);
	fetch_at(SCRATCH);
}

static void fault_walk(void)
{
	u64 tcr = TCR_T0SZ(39) | TCR_TG0_4K;

	set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1);
	announce(0, mmu_is_on, SCRATCH);
	mmu_on(SCRATCH, tcr);
}

static void fault_device(void)
{
	bad_read(UART_BASE);
}

static void fault_destroyed(void) /* with el2.destroyed=SCRATCH */
{
	bad_read(SCRATCH);
}

static void fault_model(void)
{
	bad_write(RAM_BASE + MODEL_TEXT_OFFSET);
}

static void fault_model_shared(void)
{
	bad_write((RAM_BASE + MODEL_TEXT_OFFSET) | SHARED);
}

static void fault_beyond(void)
{
	bad_read(1UL << IPA_BITS);
}

static void fault_execute_device(void)
{
	announce(0, (void *)uart, uart);
	fetch_at(uart);
}

static void fault_execute_shared(void)
{
	set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1);
	announce(0, (void *)(SCRATCH | SHARED), SCRATCH | SHARED);
	fetch_at(SCRATCH | SHARED);
}

static void fault_secondary(void)
{
	warm_up();
	start(2, 0);
	job[2] = READ_SCRATCH;
	while (hammered < 1000)
		;
	announce(2, read_at, SCRATCH);
	start(1, 0);
	job[1] = PRINT;
	set(SCRATCH, SCRATCH + GRANULE, EMPTY, 1);
	for (;;)
		;
}

static void fault_cpu_id(void)
{
	announce(0, the_smc, (u64)secondary);
	cpu_on(7, 0);
}

static void fault_entry(void)
{
	announce(0, the_smc, UART_BASE);
	call(PSCI_CPU_ON, 1, UART_BASE, 0, 0);
}

static void fault_bad_range(void)
{
	announce(0, the_smc, SCRATCH + 8);
	set(SCRATCH + 8, SCRATCH + GRANULE, EMPTY, 1);
}

static void fault_bad_config(void)
{
	announce(0, the_smc, SCRATCH | SHARED);
	call(RSI_CONFIG, SCRATCH | SHARED, 0, 0, 0);
}

/* A range of the host bridge, 64-bit and at @base of PCI's and the CPU's address space? */
static bool has_pci_window(u64 base)
{
	u64 p = dtb + be32(dtb + 8), end = p + be32(dtb + 36);

	for (; p + 28 <= end; p += 4) {
		if (be32(p) == 0x03000000 && be64(p + 4) == base && be64(p + 12) == base)
			return true;
	}
	return false;
}

static void fault_hidden(void) /* with a disk: the window for DMA is device 31 of bus 0 */
{
	u64 page = 0x4010000000UL | SHARED | 0x1f << 15;

	result((u32)read_at(page) == ~0U, "hidden");
	result(!has_pci_window(SHARED), "window-is-cut");
	bad_write(page);
}

static void test_reset(void)
{
	same_value("reset", call(PSCI_SYSTEM_RESET, 0, 0, 0, 0), 0);
}

#include "audit.h"

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	AUDIT_TESTS
	{ "none", test_none },
	{ "identity", test_identity },
	{ "psci", test_psci },
	{ "psci-cpu-on-fails", test_psci_cpu_on_fails },
	{ "psci-errors", test_psci_errors },
	{ "rsi", test_rsi },
	{ "rsi-errors", test_rsi_errors },
	{ "destroyed", test_destroyed },
	{ "race", test_race },
	{ "reset", test_reset },
	{ "shared-of-ram", fault_shared_of_ram },
	{ "shared-write", fault_shared_write },
	{ "empty", fault_empty },
	{ "not-set", fault_not_set },
	{ "fetch", fault_fetch },
	{ "walk", fault_walk },
	{ "device", fault_device },
	{ "destroyed-read", fault_destroyed },
	{ "model", fault_model },
	{ "model-shared", fault_model_shared },
	{ "beyond", fault_beyond },
	{ "execute-device", fault_execute_device },
	{ "execute-shared", fault_execute_shared },
	{ "secondary", fault_secondary },
	{ "cpu-id", fault_cpu_id },
	{ "entry", fault_entry },
	{ "bad-range", fault_bad_range },
	{ "bad-config", fault_bad_config },
	{ "hidden", fault_hidden },
};

/* The device tree's structure block; properties are looked for by what is in them. */
static const char *find(const char *text)
{
	const char *p = (const char *)(dtb + be32(dtb + 8)), *end = p + be32(dtb + 36);

	while (p < end && !begins(p, text))
		p++;
	return p < end ? p : NULL;
}

static bool is_word(const char *p, const char *word)
{
	if (!begins(p, word))
		return false;
	while (*word++)
		p++;
	return !*p || *p == ' ';
}

void primary_main(u64 x0);
void primary_main(u64 x0)
{
	const char *name, *memory;
	u64 reg;

	dtb = x0;
	if (call(RSI_VERSION, 0x10000, 0, 0, 0) == 0) {
		realm = true;
		uart |= SHARED;
	}
	put("KTAP version 1\n");
	/* "memory@40000000", NUL, and reg, which QEMU puts first: token, length, name, cells. */
	memory = find("memory@");
	reg = (((u64)memory + 16 + 3) & ~3UL) + 12;
	ram_end = be64(reg) + be64(reg + 8);
	same_value("memory-starts-behind-model", be64(reg), GUEST_BASE);
	result(!find("el2."), "words-are-blanked");

	name = find(" t=");
	for (size_t i = 0; name && i < ARRAY_SIZE(tests); i++) {
		if (is_word(name + 3, tests[i].name)) {
			tests[i].run();
			end();
		}
	}
	result(false, "no such test");
	end();
}
