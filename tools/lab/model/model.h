/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the model share. Each struct says who may touch it.
 */
#ifndef MODEL_H
#define MODEL_H

/*
 * The physical map of QEMU's virt board. The model keeps the first 64 MiB of
 * the memory and cuts them from the guest's device tree; model.lds checks that
 * it fits in.
 */
#define RAM_BASE		0x40000000
#define MODEL_TEXT_OFFSET	0x80000	/* QEMU's own boot stub is below */
#define MODEL_SIZE		0x4000000
#define GUEST_BASE		(RAM_BASE + MODEL_SIZE)
#define UART_BASE		0x09000000	/* PL011 */
#define GIB			0x40000000
#define MAX_RAM_GIB		16

/* The guest's address space: 2^41 bytes of IPA, in a Realm the upper half is shared. */
#define IPA_BITS		41
#define SHARED_BIT		40

#define MAX_CPUS		8
#define STACK_SIZE		0x4000

/* struct regs, for start.S */
#define REGS_PC			(31 * 8)
#define REGS_SIZE		(34 * 8)

/* Rows of the vector table. */
#define VECTOR_SYNC_LOWER_64	8
#define VECTOR_SYNC_LOWER_32	12

#ifndef __ASSEMBLER__
#include "regs.h"
#include "types.h"

#define MIB		0x100000UL
/* Of stage 2 and of the RMM; the guest's pages may be larger. */
#define GRANULE		0x1000UL
#define SHARED		BIT(SHARED_BIT)

/**
 * struct regs - a CPU's guest context while it is at EL2, on its EL2 stack
 * @x: X0 to X30
 * @pc: ELR_EL2
 * @pstate: SPSR_EL2
 * @pad: keeps SP aligned to 16
 */
struct regs {
	u64 x[31];
	u64 pc;
	u64 pstate;
	u64 pad;
};
_Static_assert(sizeof(struct regs) == REGS_SIZE, "REGS_SIZE");
_Static_assert(offsetof(struct regs, pc) == REGS_PC, "REGS_PC");

enum power { POWER_OFF, POWER_PENDING, POWER_ON };

/**
 * struct cpu - one CPU; TPIDR_EL2 points at its own
 * @index: 0 to MAX_CPUS - 1, also Aff0 of its MPIDR
 * @midr: what MIDR_EL1 reads as at EL1; fixed before the guest runs
 * @bbm: what ID_AA64MMFR2_EL1.BBM reads as; the same
 * @bbml3: by @midr and @bbm it may change the size of live mappings; the same
 * @power: under psci.c's lock
 * @entry: where it starts; handed over with @power
 * @context: its X0 then
 * @attesting: RSI_ATTESTATION_TOKEN_INIT was called; its own alone
 */
struct cpu {
	u32 index;
	u32 midr;
	u8 bbm;
	bool bbml3;
	enum power power;
	u64 entry;
	u64 context;
	bool attesting;
};

/**
 * struct machine - what the device tree and the words say; fixed before the
 * guest runs
 * @realm: el2.realm
 * @inject: el2.inject
 * @audit: el2.audit
 * @audit_gaps: el2.audit.gaps
 * @audit_allow: el2.audit.allow=, a bit for each exception of audit/audit.h
 * @trace_mib: el2.audit.trace=, 0 for none
 * @cpu_on_fails: el2.cpu_on_fails=, a bit for each CPU
 * @ncpus: CPUs
 * @cpu: they
 * @ram_end: the guest's memory is GUEST_BASE up to here
 * @image: where the guest's Image is
 * @image_end: and ends, with its BSS
 * @dtb: the device tree
 * @dtb_end: its end
 * @initrd: its start, or 0
 * @initrd_end: its end
 * @ecam: PCI configuration space, or 0
 * @hidden: the page of it that the guest must see as empty, or 0
 * @empty: a granule of the guest that the host left EMPTY, or 0
 * @destroyed: a granule of the guest that the host destroyed, or 0
 */
struct machine {
	bool realm;
	bool inject;
	bool audit;
	bool audit_gaps;
	u32 audit_allow;
	u32 trace_mib;
	u32 cpu_on_fails;
	u32 ncpus;
	struct cpu cpu[MAX_CPUS];
	u64 ram_end;
	u64 image;
	u64 image_end;
	u64 dtb;
	u64 dtb_end;
	u64 initrd;
	u64 initrd_end;
	u64 ecam;
	u64 hidden;
	u64 empty;
	u64 destroyed;
};

extern struct machine machine;

static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)read_sysreg(tpidr_el2);
}

static inline bool in_guest_ram(u64 pa)
{
	return pa >= GUEST_BASE && pa < machine.ram_end;
}

/* A spinlock. EL2 takes no interrupts, so that nothing can come in between. */
struct lock {
	u32 taken;
};

static inline void lock(struct lock *l)
{
	while (__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE))
		asm volatile("yield");
}

static inline void unlock(struct lock *l)
{
	__atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE);
}

/* guest.S */
void enter_guest(struct regs *regs) __attribute__((noreturn));
u64 smc(u64 function, u64 a1, u64 a2, u64 a3);
extern u8 stacks[MAX_CPUS][STACK_SIZE];
extern u8 model_end[];

/* boot.c; the first two are called by start.S, which also says where secondary CPUs begin */
void boot(u64 dtb, u64 currentel, u64 secondary) __attribute__((noreturn));
void secondary_boot(u64 index) __attribute__((noreturn));

/* id.c */
u64 id_read(u32 crm, u32 op2);
u64 id_field(u32 crm, u32 op2, u32 shift);

/* cpu.c */
void cpu_init(struct cpu *cpu);
u64 id_guest(u32 crm, u32 op2);

/* fdt.c */
struct fdt_words {
	char *text;
	u32 len;
};

struct fdt_words fdt_read(u64 dtb);
void fdt_shrink_memory(void);
void fdt_cut_pci_window(void);

/* words.c */
void words_read(struct fdt_words words);
void words_banner(void);

/* stage2.c: callers of s2_map() to s2_lookup() hold the lock. */
extern struct lock s2_lock;
#define S2_NORMAL	(S2_MEMATTR_NORMAL | S2_S2AP_READ | S2_S2AP_WRITE | DESC_SH_INNER | DESC_AF)
#define S2_NORMAL_XN	(S2_NORMAL | S2_XN)
#define S2_NORMAL_RO	(S2_NORMAL_XN & ~S2_S2AP_WRITE)
#define S2_DEVICE	(S2_MEMATTR_DEVICE | S2_S2AP_READ | S2_S2AP_WRITE | DESC_AF | S2_XN)
void s2_init(void);
void s2_enable(void);
void s2_map(u64 ipa, u64 size, u64 pa, u64 attr);
void s2_unmap(u64 ipa, u64 size);
u64 s2_lookup(u64 ipa);
void s2_watch(u64 ipa, u64 size, bool on);

/* ripas.c */
enum ripas { RIPAS_EMPTY, RIPAS_RAM, RIPAS_DESTROYED };
void ripas_init(void);
enum ripas ripas_get(u64 ipa);
u64 ripas_run(u64 base, u64 top, enum ripas *ripas);
u64 ripas_set(u64 base, u64 top, enum ripas ripas, bool change_destroyed);

/* traps.c, abort.c */
void trap(struct regs *regs, u64 vector);
void abort_handle(struct regs *regs, u64 esr);

/* translate.c */
bool translate(u64 va, u64 *pa);
void translate_forget(void);
bool fetch_insn(u64 pc, u32 *insn);

/* auditor.c: only with el2.audit */
void auditor_init(void);
void auditor_store(struct regs *regs, u64 esr, u64 ipa);
void auditor_ttbr1(u64 ttbr);
void auditor_tlbi(struct regs *regs, u64 esr, u64 argument);
void auditor_cpu_off(void);
void auditor_end(void);
bool auditor_call(struct regs *regs);

/* hostfile.c: only with el2.audit.trace= */
void host_open(void);
void host_write(const void *bytes, u32 len);
bool host_refused(void);

/* SMC Calling Convention (DEN 0028) */
#define SMCCC_VERSION		0x80000000
#define SMCCC_ARCH_FEATURES	0x80000001
#define SMCCC_NOT_SUPPORTED	((u64)-1)

/* psci.c, rsi.c: the functions of an SMC; false if it is none of theirs. */
bool psci_call(struct regs *regs);
bool rsi_call(struct regs *regs);
void psci_init(u64 secondary);
void psci_started(struct cpu *cpu);

/* power.c */
#define PSCI_SYSTEM_OFF		0x84000008
void power_off(void) __attribute__((noreturn));

/* dma.c */
void dma_init(void);

/**
 * struct guest_stops - how no CPU executes an instruction of the guest
 * @pause: for a moment,
 * @resume: which ends here
 * @stop: for ever, and without a lock
 */
struct guest_stops {
	void (*pause)(void);
	void (*resume)(void);
	void (*stop)(void);
};

/* report.c; before report_guest() there is no guest that could write in between */
void uart_init(void);
void report_guest(const struct guest_stops *stops);
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_alone(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void fault(const struct regs *regs, u64 ipa, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void halt_if_ending(void);

/* lib.c */
void *memset(void *to, int byte, size_t len);
void *memcpy(void *to, const void *from, size_t len);
bool same(const char *a, const char *b);
bool begins(const char *text, const char *with);
void zero_pages(u64 pa, u64 size);
void clean_to_poc(u64 pa, u64 size);
#endif

#endif
