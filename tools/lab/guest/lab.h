/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's init: what its files share.
 */
#ifndef LAB_H
#define LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pt.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define TRACEFS		"/sys/kernel/tracing"
#define MODULES		"/modules"
#define PTDUMP		pt_format.file
#define LAB_MAP		"/sys/kernel/debug/lab_map"

/* A number that nobody asked for on the command line. */
#define ANY		(~0u)

/**
 * enum lab_expect - lab.expect=, what is to become of a fragmented linear map
 * @EXPECT_NOTHING: noheal, it is printed and not judged
 * @EXPECT_HEAL: heal, it must come back to what it was at boot
 * @EXPECT_SPLIT: split, it must not, as this kernel is known to leave it
 */
enum lab_expect {
	EXPECT_NOTHING,
	EXPECT_HEAL,
	EXPECT_SPLIT,
};

/**
 * struct lab_options - lab.NAME=VALUE of the kernel command line
 * @steps: lab=, the steps to take, with commas
 * @rounds: times that a workload is repeated
 * @bouts: of one workload alone; 0 for as many as it has itself
 * @files: secret files of the secretmem workload
 * @mib: MiB of each
 * @stride: every so-manieth page is touched
 * @seed: of the random numbers
 * @heal_ms: time to heal after the last close
 * @churn_s: duration of the mixed workload
 * @last_s: a worker has this long to end its last bout
 * @idle_s: duration of the idle check
 * @slack: percent of leaves and tables over boot that still count as healed
 * @expect: lab.expect
 * @realm: 1 if the machine must be a Realm, 0 if not
 * @bbml3: 1 if the kernel must have found BBML3 on all CPUs at boot, 0 if not
 * @cpus: CPUs that must be online after boot
 * @hot_at: where memory is to come, in MiB
 * @hot_mib: how much of it, in each of @dimms
 * @dimms: how many come
 * @host: 1 if the host plugs them in
 * @snapshots: 0 for steps that do not judge the leaves, and need not wait for
 *	them to be counted
 * @test_bpf: 0 leaves the kernel's test_bpf out of lab=execmem
 * @free_kib: memory that lab=scarce leaves free
 * @cache: 0 if execmem is to have no cache of blocks
 * @audited: 1 if the model audits, and can be asked
 * @next: the steps of the kernel that comes after this one, with + between them
 * @wrong: what lab=sample is to find, a parameter of lab_wrong
 * @no_secretmem: lab.secretmem=absent, there must be no memfd_secret()
 * @unplug_refused: lab.unplug=refused, DIMMs must not go; else they must
 * @late_refused: lab.late=refused, the late CPU must not come online; else it
 *	must
 * @worker: the name, or a part of it, of the functions that the idle check
 *	must not see running
 * @bench: the workload of the step bench
 * @without: the workload that "mixed" does without
 */
struct lab_options {
	char steps[256];
	unsigned int rounds;
	unsigned int bouts;
	unsigned int files;
	unsigned int mib;
	unsigned int stride;
	unsigned int seed;
	unsigned int heal_ms;
	unsigned int churn_s;
	unsigned int last_s;
	unsigned int idle_s;
	unsigned int slack;
	enum lab_expect expect;
	unsigned int realm;
	unsigned int bbml3;
	unsigned int cpus;
	unsigned int hot_at;
	unsigned int hot_mib;
	unsigned int dimms;
	unsigned int host;
	unsigned int snapshots;
	unsigned int test_bpf;
	unsigned int free_kib;
	unsigned int cache;
	unsigned int audited;
	char next[128];
	char wrong[16];
	bool no_secretmem;
	bool late_refused;
	bool unplug_refused;
	char worker[64];
	char bench[64];
	char without[16];
};

extern struct lab_options opt;
extern struct pt_geometry geometry;

/**
 * struct lab_shared - what the processes tell each other
 * @last_close_ms: when the last workload ended
 * @stop: churning workers end when they see it
 * @torn: lines that showed the page tables in the middle of a change
 * @samples: readings of the page tables
 * @wx: of these, those with memory that is writable and executable
 * @done: repetitions of each worker, by its index
 */
struct lab_shared {
	uint64_t last_close_ms;
	bool stop;
	unsigned long torn;
	unsigned long samples;
	unsigned long wx;
	unsigned long done[8];
};

extern struct lab_shared *shared;

/* ktap.c: everything goes to the kernel log, so that no line is torn. */
void ktap_open(void);
void ktap_plan(unsigned int points);
void ktap_ok(const char *name);
void ktap_skip(const char *name, const char *why);
bool ktap_failed(void);
void ktap_not_ok(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void raw_line(const char *text);
/* In a workload's process: says why, and ends it. */
void give_up(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/* util.c */
uint64_t now_ms(void);
void sleep_ms(unsigned int ms);
unsigned int rnd(unsigned int *seed, unsigned int below);
void shuffle(unsigned int *seed, unsigned int *v, unsigned int n);
bool write_file(const char *path, const char *text);
bool append_file(const char *path, const char *text);
ssize_t read_file(const char *path, char *buf, size_t len);
bool copy_file(FILE *to, const char *path);
uint64_t read_field(const char *path, const char *name);
unsigned int cpus(void);
void pin_to(unsigned int cpu);
void visit_cpus(void);
bool log_find(char *line, size_t len, const char *a, const char *b);

/* leaves.c: the linear map now, and whether it healed. */
struct leaves {
	struct pt_dump dump;
	uint64_t pt_pages;
	uint64_t process_pt;
	uint64_t at_ms;
};

bool leaves_read(struct leaves *l);
void leaves_print(const struct leaves *l, const char *phase, unsigned int round);
void leaves_phase(const char *phase, unsigned int round);
bool leaves_boot(void);
void heal_check(const char *after);
bool heal_wait(uint64_t *ms);
bool dump_lines(bool whole);

/**
 * struct text - kernel text outside the image, and the addresses near it
 * @dump: the page tables it was read from
 * @leaf: leaves of each kind that map text
 * @text_leaves: all of these
 * @kib: what they map
 * @leaves: leaves of all kinds and permissions where modules and vmalloc() live,
 *	without those of stacks
 * @readonly: pages among these that are read-only
 * @areas: vmalloc() areas of modules, BPF and probes
 * @area_kib: their size
 * @window: the addresses that the image's direct branches reach are known
 * @window_free: how many of these are free
 * @window_hole: the largest hole
 * @window_blocks: whole free 2M blocks
 */
struct text {
	struct pt_dump dump;
	uint64_t leaf[PT_LEAVES];
	uint64_t text_leaves;
	uint64_t kib;
	uint64_t leaves;
	uint64_t readonly;
	unsigned int areas;
	uint64_t area_kib;
	bool window;
	uint64_t window_free;
	uint64_t window_hole;
	uint64_t window_blocks;
};

bool text_read(struct text *t);
void text_print(const struct text *t, const char *phase);
int64_t text_stray(const struct text *t, const struct text *before);
bool text_gone(const struct text *before, struct text *now, char *why, size_t len);

/**
 * struct image - a module's file, see image_read()
 * @data: its bytes
 * @len: how many
 * @in_info: the name in its .modinfo
 * @in_module: the name in its struct module
 * @room: length of the name it had
 */
struct image {
	char *data;
	size_t len;
	char *in_info;
	char *in_module;
	size_t room;
};

void image_read(struct image *im, const char *module);
int image_load(struct image *im, const char *name);
int image_livepatch(const char *path);

/* One program, see bpf_prepare(). */
struct bpf_program {
	unsigned int insns;
	unsigned int sum;
	int fd;
};

void bpf_prepare(struct bpf_program *p, unsigned int *seed, unsigned int n);
int bpf_load(struct bpf_program *p);
void bpf_run(const struct bpf_program *p);

/* Workloads: each call is one bout, in a process of its own. */
void secretmem_bout(unsigned int *seed);
void secretmem_phases(void (*seen)(const char *phase, unsigned int round));
void plainmem_round(unsigned int *seed);
bool secretmem_is_absent(void);
void bpf_bout(unsigned int *seed);
void modules_bout(unsigned int *seed);
bool module_load(const char *name, const char *params);
bool module_unload(const char *name);
void module_run(const char *name);
void setmem_bout(unsigned int *seed);
void kexec_bout(unsigned int *seed);
void ptdump_bout(unsigned int *seed);

bool kvm_is_there(void);
void kvm_bout(unsigned int *seed);
bool livepatch_is_there(void);
void livepatch_bout(unsigned int *seed);

/* next.c: kexec, and a crash. server.c: what servers do now and then. */
void next_check(const char *name);
void crash_check(const char *name);
void vmcore_check(const char *name);
void virtiomem_check(const char *name);
void kfence_check(const char *name);

/* work.c */
struct worker {
	const char *name;
	void (*bout)(unsigned int *seed);
	bool per_cpu;
	unsigned int bouts;
	bool (*there)(void);
};

const struct worker *find_worker(const char *name);
pid_t start_child(void (*fn)(unsigned int *), unsigned int times, unsigned int seed);
bool wait_child(pid_t pid);
bool run_child(void (*fn)(unsigned int *), unsigned int times, int index);
bool run_worker(const struct worker *w, unsigned int times);
bool run_mixed(void);

/* hibernate.c */
void hibernate_check(const char *name);

/* cpu.c, disk.c: what the machine has, and whether it works. */
bool is_realm(void);
void machine_check(const char *name);
void late_check(const char *name);
void hotplug_check(const char *name);
void memory_check(const char *name);
void its_check(const char *name);
void blk_check(const char *name);

/* direct.c */
void direct_note(const char *phase);
void direct_check(const char *name);
void first_check(const char *name);

/* dimm.c */
void dimm_check(const char *name);
bool dimm_shatter(uint64_t at, uint64_t size);

/* bench.c */
void mark_phase(const char *name);
void mark_map(const char *name);
void bench_check(const char *name);

/* size.c */
void size_check(const char *name);
void healall_check(const char *name);

/* execmem.c, loads.c, fault.c: text from load to removal. */
void sample_check(const char *name);
void execmem_check(const char *name);
void resident_check(const char *name);
void resident_load(unsigned int *seed);
void resident_run(unsigned int *seed);
void resident_unload(unsigned int *seed);
void loads_check(const char *name);

/* small.c */
void small_check(const char *name);
void scarce_check(const char *name);
void again_check(const char *name);
void cycles_check(const char *name);
void address_check(const char *name);
void fault_check(const char *name);
bool fault_set_up(void);

/* fuzz.c: the kernel's own churn. */
void fuzz_check(const char *name);
void fuzz_mixed_check(const char *name);

/* selftest.c */
void selftest_check(const char *name);
void counters_check(const char *name);
void leafmap_check(const char *name);

/* idle.c, kexec.c, shell.c */
void idle_check(const char *name);
void copying_check(const char *name);
void shell(void);

#endif
