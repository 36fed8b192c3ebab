// SPDX-License-Identifier: GPL-2.0
/*
 * /init of the lab's guest: does the steps that the kernel command line asks
 * for (lab=STEP,STEP...), says the results in KTAP, and powers off.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

struct lab_options opt = {
	.steps = "secretmem",
	.rounds = 1,
	.files = 16,
	.mib = 32,
	.stride = 7,
	.seed = 1,
	.heal_ms = 5000,
	.churn_s = 8,
	.last_s = 120,
	.idle_s = 60,
	.slack = 2,
	.realm = ANY,
	.bbml3 = ANY,
	.cpus = ANY,
	.dimms = 2,
	.snapshots = 1,
	.test_bpf = 1,
	.cache = 1,
	.worker = "collapse",
	.bench = "pread",
};

struct pt_geometry geometry;
struct lab_shared *shared;

static const struct {
	const char *name;
	unsigned int *value;
} numbers[] = {
	{ "rounds", &opt.rounds },
	{ "bouts", &opt.bouts },
	{ "files", &opt.files },
	{ "mib", &opt.mib },
	{ "stride", &opt.stride },
	{ "seed", &opt.seed },
	{ "heal_ms", &opt.heal_ms },
	{ "churn_s", &opt.churn_s },
	{ "last_s", &opt.last_s },
	{ "idle_s", &opt.idle_s },
	{ "slack", &opt.slack },
	{ "realm", &opt.realm },
	{ "bbml3", &opt.bbml3 },
	{ "cpus", &opt.cpus },
	{ "hot_at", &opt.hot_at },
	{ "hot_mib", &opt.hot_mib },
	{ "dimms", &opt.dimms },
	{ "host", &opt.host },
	{ "snapshots", &opt.snapshots },
	{ "test_bpf", &opt.test_bpf },
	{ "free_kib", &opt.free_kib },
	{ "cache", &opt.cache },
	{ "audited", &opt.audited },
};

static const char * const expectations[] = {
	[EXPECT_NOTHING] = "noheal",
	[EXPECT_HEAL] = "heal",
	[EXPECT_SPLIT] = "split",
};

static bool expect(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		if (!strcmp(value, expectations[i])) {
			opt.expect = i;
			return true;
		}
	}
	return false;
}

static bool choose(const char *value, const char *yes, const char *no, bool *is)
{
	*is = !strcmp(value, yes);
	return *is || !strcmp(value, no);
}

static bool option(const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		char *end;

		if (strcmp(name, numbers[i].name))
			continue;
		*numbers[i].value = strtoul(value, &end, 0);
		return *value && !*end;
	}
	if (!strcmp(name, "expect"))
		return expect(value);
	if (!strcmp(name, "secretmem"))
		return choose(value, "absent", "works", &opt.no_secretmem);
	if (!strcmp(name, "late"))
		return choose(value, "refused", "online", &opt.late_refused);
	if (!strcmp(name, "unplug"))
		return choose(value, "refused", "works", &opt.unplug_refused);
	if (!strcmp(name, "worker"))
		return snprintf(opt.worker, sizeof(opt.worker), "%s", value) > 0;
	if (!strcmp(name, "without"))
		return find_worker(value) && snprintf(opt.without, sizeof(opt.without), "%s", value) > 0;
	if (!strcmp(name, "bench"))
		return snprintf(opt.bench, sizeof(opt.bench), "%s", value) > 0;
	if (!strcmp(name, "next"))
		return snprintf(opt.next, sizeof(opt.next), "%s", value) > 0;
	if (!strcmp(name, "wrong"))
		return snprintf(opt.wrong, sizeof(opt.wrong), "%s", value) > 0;
	return false;
}

/* Return: false if a word of the command line can't be understood. */
static bool read_command_line(void)
{
	static char line[4096];
	char *word, *rest;
	bool ok = true;

	if (read_file("/proc/cmdline", line, sizeof(line)) < 0)
		return false;
	for (word = strtok_r(line, " \n", &rest); word;
	     word = strtok_r(NULL, " \n", &rest)) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value++ = 0;
		if (!strcmp(word, "lab")) {
			snprintf(opt.steps, sizeof(opt.steps), "%s", value);
		} else if (!strncmp(word, "lab.", 4) && !option(word + 4, value)) {
			note("failed: %s=%s is not understood", word, value);
			ok = false;
		}
	}
	return ok && opt.stride && opt.files;
}

static void mount_all(void)
{
	static const struct {
		const char *type;
		const char *dir;
	} mounts[] = {
		{ "devtmpfs", "/dev" },
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "tracefs", "/sys/kernel/tracing" },
		{ "tmpfs", "/tmp" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].dir, 0755);
		mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0, NULL);
	}
}

static void power_off(void)
{
	sync();
	/* The console's thread may have lines left. */
	sleep_ms(200);
	/* A PC without ACPI can't, and would only stop; QEMU ends at a reset, too. */
#ifdef __x86_64__
	reboot(RB_AUTOBOOT);
#endif
	reboot(RB_POWER_OFF);
}

static void once(unsigned int *seed)
{
	(void)seed;
	secretmem_phases(leaves_phase);
}

static void report(const char *name, bool ok)
{
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
}

static void step_secretmem(const char *name)
{
	if (opt.no_secretmem && !secretmem_is_absent())
		ktap_not_ok(name, "memfd_secret() is there");
	else
		report(name, opt.no_secretmem || run_child(once, 1, 0));
	heal_check(name);
}

static void step_worker(const char *name)
{
	const struct worker *w = find_worker(name);

	report(name, run_worker(w, (opt.bouts ? opt.bouts : w->bouts) * opt.rounds));
	heal_check(name);
}

static void step_mixed(const char *name)
{
	report(name, run_mixed());
	heal_check(name);
}

/* What was let go by the steps before heals after a while, too. */
static void step_settle(const char *name)
{
	shared->last_close_ms = now_ms();
	heal_check(name);
}

static void step_dump(const char *name)
{
	report(name, dump_lines(false));
}

static void step_map(const char *name)
{
	report(name, dump_lines(true));
}

static void step_shell(const char *name)
{
	shell();
	ktap_ok(name);
}

static const struct step {
	const char *name;
	void (*run)(const char *name);
	unsigned int points;
} steps[] = {
	{ "secretmem", step_secretmem, 2 },
	{ "bpf", step_worker, 2 },
	{ "modules", step_worker, 2 },
	{ "setmem", step_worker, 2 },
	{ "kvm", step_worker, 2 },
	{ "livepatch", step_worker, 2 },
	{ "mixed", step_mixed, 2 },
	{ "virtiomem", virtiomem_check, 2 },
	{ "kfence", kfence_check, 1 },
	{ "next", next_check, 1 },
	{ "crash", crash_check, 1 },
	{ "vmcore", vmcore_check, 1 },
	{ "idle", idle_check, 1 },
	{ "copying", copying_check, 1 },
	{ "hibernate", hibernate_check, 3 },
	{ "settle", step_settle, 1 },
	{ "machine", machine_check, 1 },
	{ "its", its_check, 1 },
	{ "blk", blk_check, 1 },
	{ "late", late_check, 1 },
	{ "hotplug", hotplug_check, 1 },
	{ "memory", memory_check, 1 },
	{ "direct", direct_check, 1 },
	{ "first", first_check, 1 },
	{ "dimm", dimm_check, 1 },
	{ "sample", sample_check, 2 },
	{ "execmem", execmem_check, 5 },
	{ "resident", resident_check, 3 },
	{ "loads", loads_check, 1 },
	{ "small", small_check, 1 },
	{ "scarce", scarce_check, 1 },
	{ "again", again_check, 1 },
	{ "cycles", cycles_check, 1 },
	{ "address", address_check, 1 },
	{ "fault", fault_check, 4 },
	{ "fuzz", fuzz_check, 1 },
	{ "fuzzmixed", fuzz_mixed_check, 2 },
	{ "selftest", selftest_check, 1 },
	{ "counters", counters_check, 1 },
	{ "leafmap", leafmap_check, 1 },
	{ "dump", step_dump, 1 },
	{ "map", step_map, 1 },
	{ "bench", bench_check, 1 },
	{ "size", size_check, 1 },
	{ "healall", healall_check, 1 },
	{ "shell", step_shell, 1 },
};

static const struct step *find_step(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!strcmp(steps[i].name, name))
			return &steps[i];
	}
	return NULL;
}

static void take_steps(void)
{
	const struct step *todo[32];
	unsigned int n = 0, points = 1;
	char *name, *rest;

	if (!strcmp(opt.steps, "none")) { /* a kernel without ptdump */
		ktap_plan(1);
		ktap_ok("boot");
		return;
	}
	for (name = strtok_r(opt.steps, ",", &rest); name && n < ARRAY_SIZE(todo);
	     name = strtok_r(NULL, ",", &rest)) {
		todo[n] = find_step(name);
		if (!todo[n]) {
			note("failed: lab=%s is no step", name);
			ktap_plan(1);
			ktap_not_ok("steps", "%s", name);
			return;
		}
		points += todo[n++]->points;
	}

	ktap_plan(points);
	if (opt.snapshots && !leaves_boot()) {
		ktap_not_ok("boot", "%s can't be understood", PTDUMP);
		return;
	}
	ktap_ok("boot");
	for (unsigned int i = 0; i < n; i++)
		todo[i]->run(todo[i]->name);
}

/* The initramfs has no device nodes, so the kernel found no console for us. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

int main(void)
{
	mount_all();
	open_console();
	ktap_open();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !pt_geometry(&geometry, sysconf(_SC_PAGESIZE)))
		note("failed: no memory, or no such page size");
	else if (!read_command_line())
		note("failed: the command line");
	else
		take_steps();
	note("done");
	if (getpid() == 1)
		power_off();
	return ktap_failed();
}
