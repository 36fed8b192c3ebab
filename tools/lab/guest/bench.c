// SPDX-License-Identifier: GPL-2.0
/*
 * Workloads to count TLB misses of, each before any leaf was split (but after as
 * much memory was used and let go by memfd_create()), right after memfd_secret()
 * has split many, and when there was time to heal. The marks are
 * for tools/lab/bench/plugins/tlb.c; they do nothing without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define DIR		"/tmp/bench"
#define PROGRAM_SAYS	"/tmp/bench.out"

/*
 * The plugin reads the name when the instruction is executed: it must be in
 * memory by then, in one page.
 */
static char name_of_mark[64] __attribute__((aligned(64)));

/* Without the plugin these instructions do nothing. */
#define MARK(hint, name)						\
do {									\
	snprintf(name_of_mark, sizeof(name_of_mark), "%s", name);	\
	asm volatile("mov x0, %0\n\t" hint				\
		     : : "r" (name_of_mark) : "x0", "memory");		\
} while (0)

/**
 * mark_phase() - what follows is counted under this name; under "-" not at all
 */
void mark_phase(const char *name)
{
	MARK("hint #127", name);
}

/**
 * mark_map() - have the linear map drawn as it is now
 */
void mark_map(const char *name)
{
	MARK("hint #126", name);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		give_up("bench: %s: %s", what, strerror(errno));
}

/* Reads of 4 KiB at random places of a file in memory. */

#define PREAD_MIB	192
#define PREADS		20000

static void pread_set_up(unsigned int *seed)
{
	static char buf[1 << 16];
	int fd = open(DIR "/file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	(void)seed;
	must(fd >= 0, "file");
	for (size_t i = 0; i < ((size_t)PREAD_MIB << 20) / sizeof(buf); i++)
		must(write(fd, buf, sizeof(buf)) == sizeof(buf), "write");
	close(fd);
}

static void pread_run(unsigned int *seed)
{
	static char buf[4096];
	int fd = open(DIR "/file", O_RDONLY | O_CLOEXEC);

	must(fd >= 0, "file");
	for (unsigned int i = 0; i < PREADS; i++)
		must(pread(fd, buf, sizeof(buf), (off_t)rnd(seed, PREAD_MIB << 8) << 12) ==
		     sizeof(buf), "pread");
	close(fd);
}

static void seqread_run(unsigned int *seed)
{
	static char buf[1 << 16];
	int fd = open(DIR "/file", O_RDONLY | O_CLOEXEC);

	(void)seed;
	must(fd >= 0, "file");
	for (size_t i = 0; i < ((size_t)PREAD_MIB << 20) / sizeof(buf); i++)
		must(read(fd, buf, sizeof(buf)) == sizeof(buf), "read");
	close(fd);
}

static void pread_clean_up(unsigned int *seed)
{
	(void)seed;
	unlink(DIR "/file");
}

/* stat() of many files, in random order. */

#define STAT_DIRS	20
#define STAT_FILES	1000	/* in each */

static void stat_path(char *path, size_t len, unsigned int file)
{
	snprintf(path, len, DIR "/%u/%u", file / STAT_FILES, file % STAT_FILES);
}

static void stat_set_up(unsigned int *seed)
{
	char path[64];

	(void)seed;
	for (unsigned int i = 0; i < STAT_DIRS; i++) {
		snprintf(path, sizeof(path), DIR "/%u", i);
		must(!mkdir(path, 0755), path);
	}
	for (unsigned int i = 0; i < STAT_DIRS * STAT_FILES; i++) {
		stat_path(path, sizeof(path), i);
		must(!mknod(path, S_IFREG | 0644, 0), path);
	}
}

static void stat_run(unsigned int *seed)
{
	struct stat st;
	char path[64];

	for (unsigned int i = 0; i < STAT_DIRS * STAT_FILES; i++) {
		stat_path(path, sizeof(path), rnd(seed, STAT_DIRS * STAT_FILES));
		must(!stat(path, &st), path);
	}
}

static void stat_clean_up(unsigned int *seed)
{
	char path[64];

	(void)seed;
	for (unsigned int i = 0; i < STAT_DIRS * STAT_FILES; i++) {
		stat_path(path, sizeof(path), i);
		unlink(path);
	}
	for (unsigned int i = 0; i < STAT_DIRS; i++) {
		snprintf(path, sizeof(path), DIR "/%u", i);
		rmdir(path);
	}
}

/*
 * Many processes that each hold a part of a table: asked through a pipe, they
 * answer through another.
 */

#define KV_SERVERS	200
#define KV_KEYS		4096	/* of each */
#define KV_ASKED	20000

static struct {
	pid_t pid;
	int ask, answer;
} kv[KV_SERVERS];

static void kv_serve(unsigned int server, int ask, int answer)
{
	static unsigned int table[KV_KEYS];
	unsigned int key;

	for (unsigned int i = 0; i < KV_KEYS; i++)
		table[i] = server * KV_KEYS + i;
	while (read(ask, &key, sizeof(key)) == sizeof(key)) {
		if (write(answer, &table[key], sizeof(key)) != sizeof(key))
			_exit(1);
	}
	_exit(0);
}

static void kv_set_up(unsigned int *seed)
{
	(void)seed;
	for (unsigned int i = 0; i < KV_SERVERS; i++) {
		int ask[2], answer[2];

		must(!pipe2(ask, O_CLOEXEC) && !pipe2(answer, O_CLOEXEC), "pipe");
		kv[i].pid = fork();
		must(kv[i].pid >= 0, "fork");
		if (!kv[i].pid) {
			for (unsigned int j = 0; j < i; j++) {
				close(kv[j].ask);
				close(kv[j].answer);
			}
			close(ask[1]);
			close(answer[0]);
			kv_serve(i, ask[0], answer[1]);
		}
		close(ask[0]);
		close(answer[1]);
		kv[i].ask = ask[1];
		kv[i].answer = answer[0];
	}
}

static void kv_run(unsigned int *seed)
{
	for (unsigned int i = 0; i < KV_ASKED; i++) {
		unsigned int s = rnd(seed, KV_SERVERS), key = rnd(seed, KV_KEYS), value;

		must(write(kv[s].ask, &key, sizeof(key)) == sizeof(key) &&
		     read(kv[s].answer, &value, sizeof(value)) == sizeof(value), "kv");
		if (value != s * KV_KEYS + key)
			give_up("bench: kv: server %u says %u for %u", s, value, key);
	}
}

static void kv_clean_up(unsigned int *seed)
{
	(void)seed;
	for (unsigned int i = 0; i < KV_SERVERS; i++) {
		close(kv[i].ask);
		close(kv[i].answer);
	}
	for (unsigned int i = 0; i < KV_SERVERS; i++)
		waitpid(kv[i].pid, NULL, 0);
}

/*
 * lib/test_vmalloc.c: the module does its test as it is loaded, and never stays.
 * pcpu_alloc, full_fit_alloc and kvfree_rcu with one argument and two are the
 * tests that a change of the linear map was seen in.
 */
static void test_vmalloc(const char *params)
{
	char all[160];

	snprintf(all, sizeof(all),
		 "nr_threads=1 sequential_test_order=1 test_repeat_count=1 %s", params);
	if (!module_load("test_vmalloc", all) && errno != EAGAIN)
		give_up("bench: test_vmalloc: %s", strerror(errno));
}

static void full_fit_run(unsigned int *seed)
{
	(void)seed;
	test_vmalloc("run_test_mask=2 test_loop_count=2000");
}

static void kvfree1_run(unsigned int *seed)
{
	(void)seed;
	test_vmalloc("run_test_mask=256 test_loop_count=2000");
}

static void kvfree2_run(unsigned int *seed)
{
	(void)seed;
	test_vmalloc("run_test_mask=512 test_loop_count=2000");
}

static void pcpu_run(unsigned int *seed)
{
	(void)seed;
	test_vmalloc("run_test_mask=128 test_loop_count=1 nr_pcpu_objects=8000");
}

static void test_bpf_run(unsigned int *seed)
{
	(void)seed;
	if (!module_load("test_bpf", "test_range=0,150"))
		give_up("bench: test_bpf: %s", strerror(errno));
	module_unload("test_bpf");
}

/*
 * Kernel text outside the image: each module and each program that is there is run
 * in turn, so that most of them are run for the first time in a while.
 */

#define TEXT_TURNS	10

static void text_set_up(unsigned int *seed)
{
	must(module_load("lab_export", ""), "lab_export");
	resident_load(seed);
}

static void text_run(unsigned int *seed)
{
	for (unsigned int i = 0; i < TEXT_TURNS; i++)
		resident_run(seed);
}

static void text_clean_up(unsigned int *seed)
{
	resident_unload(seed);
	must(module_unload("lab_export"), "lab_export");
}

/* A program of the initrd: its command line is what /bench/NAME holds. */
static pid_t start_program(void)
{
	char path[128], text[1024], *argv[32], *rest;
	pid_t pid;
	int n = 0;

	snprintf(path, sizeof(path), "/bench/%s", opt.bench);
	must(read_file(path, text, sizeof(text)) > 0, path);
	for (char *w = strtok_r(text, " \n", &rest); w && n < 31;
	     w = strtok_r(NULL, " \n", &rest))
		argv[n++] = w;
	argv[n] = NULL;
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		int fd = open(PROGRAM_SAYS, O_WRONLY | O_CREAT | O_TRUNC, 0644);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static void program_failed(int status)
{
	char text[400] = "";

	read_file(PROGRAM_SAYS, text, sizeof(text));
	text[strcspn(text, "\n")] = 0;
	give_up("bench: %s ended with %#x: %s", opt.bench, status, text);
}

static void program_run(unsigned int *seed)
{
	pid_t pid = start_program();
	int status;

	(void)seed;
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	if (status)
		program_failed(status);
}

/*
 * memcached over loopback, with one connection: each key is set, then keys are
 * asked for at random.
 */

#define MC_KEYS		8000
#define MC_ASKED	8000
#define MC_VALUE	1000

static pid_t mc_pid;
static int mc_fd = -1;

static void mc_send(const char *text, size_t len)
{
	must(write(mc_fd, text, len) == (ssize_t)len, "memcached: write");
}

/* Until what came ends with @end. */
static size_t mc_receive(char *buf, size_t room, const char *end)
{
	size_t got = 0, len = strlen(end);

	while (got < len || memcmp(buf + got - len, end, len)) {
		ssize_t n = read(mc_fd, buf + got, room - got);

		must(n > 0, "memcached: read");
		got += n;
	}
	return got;
}

static void loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };

	must(fd >= 0, "socket");
	lo.ifr_flags = IFF_UP | IFF_RUNNING;
	must(!ioctl(fd, SIOCSIFFLAGS, &lo), "loopback");
	close(fd);
}

static void memcached_set_up(unsigned int *seed)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(11211),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char buf[MC_VALUE + 100];
	unsigned int tries;
	int one = 1, status;

	(void)seed;
	loopback_up();
	mc_pid = start_program();
	for (tries = 0; tries < 500; tries++) {
		mc_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		must(mc_fd >= 0, "socket");
		if (!connect(mc_fd, (struct sockaddr *)&to, sizeof(to)))
			break;
		close(mc_fd);
		if (waitpid(mc_pid, &status, WNOHANG) == mc_pid)
			program_failed(status);
		sleep_ms(10);
	}
	must(tries < 500, "memcached: connect");
	setsockopt(mc_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (unsigned int key = 0; key < MC_KEYS; key++) {
		int n = snprintf(buf, sizeof(buf), "set key%u 0 0 %u\r\n%0*u\r\n", key,
				 MC_VALUE, MC_VALUE, key);

		mc_send(buf, n);
		mc_receive(buf, sizeof(buf), "STORED\r\n");
	}
}

static void memcached_run(unsigned int *seed)
{
	char buf[MC_VALUE + 100];

	for (unsigned int i = 0; i < MC_ASKED; i++) {
		unsigned int key = rnd(seed, MC_KEYS);
		int n = snprintf(buf, sizeof(buf), "get key%u\r\n", key);
		size_t got;

		mc_send(buf, n);
		got = mc_receive(buf, sizeof(buf) - 1, "END\r\n");
		buf[got] = 0;
		/* The value is the key, with zeros before it. */
		if (got < MC_VALUE || strtoul(buf + got - 7 - 10, NULL, 10) != key)
			give_up("bench: memcached: key %u: %.40s", key, buf);
	}
}

static void memcached_clean_up(unsigned int *seed)
{
	(void)seed;
	close(mc_fd);
	kill(mc_pid, SIGTERM);
	waitpid(mc_pid, NULL, 0);
}

/*
 * fio writes to a ramdisk by way of dm-crypt. What the disk holds is given up after
 * each turn, so that the next gets its memory anew.
 */

#define RAMDISK		"/dev/ram0"
#define CRYPT_NAME	"crypt"
#define CRYPT_KEY	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct {
	struct dm_ioctl head;
	char data[512];
} dm;

static struct dm_ioctl *dm_call(unsigned long request, unsigned int flags)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	must(fd >= 0, "/dev/mapper/control");
	dm.head.version[0] = DM_VERSION_MAJOR;
	dm.head.data_size = sizeof(dm);
	dm.head.data_start = sizeof(dm.head);
	dm.head.flags = flags;
	strcpy(dm.head.name, CRYPT_NAME);
	must(!ioctl(fd, request, &dm), "dm-crypt");
	close(fd);
	return &dm.head;
}

static void fio_set_up(unsigned int *seed)
{
	struct dm_target_spec *target = (void *)dm.data;
	int fd = open(RAMDISK, O_RDONLY | O_CLOEXEC);
	uint64_t bytes, dev;

	(void)seed;
	must(fd >= 0 && !ioctl(fd, BLKGETSIZE64, &bytes), RAMDISK);
	close(fd);

	memset(&dm, 0, sizeof(dm));
	dev = dm_call(DM_DEV_CREATE, 0)->dev;
	memset(&dm, 0, sizeof(dm));
	dm.head.target_count = 1;
	target->length = bytes >> 9;
	strcpy(target->target_type, "crypt");
	strcpy((char *)(target + 1), "aes-xts-plain64 " CRYPT_KEY " 0 " RAMDISK " 0");
	dm_call(DM_TABLE_LOAD, 0);
	memset(&dm, 0, sizeof(dm));
	dm_call(DM_DEV_SUSPEND, 0); /* without DM_SUSPEND_FLAG: it begins to work */
	must(!mknod("/dev/crypt", S_IFBLK | 0600, makedev(dev >> 8 & 0xfff, dev & 0xff)),
	     "/dev/crypt");
}

static void fio_clean_up(unsigned int *seed)
{
	uint64_t range[2] = { 0, 0 };
	int fd;

	(void)seed;
	unlink("/dev/crypt");
	memset(&dm, 0, sizeof(dm));
	dm_call(DM_DEV_REMOVE, 0);
	fd = open(RAMDISK, O_RDWR | O_CLOEXEC);
	must(fd >= 0 && !ioctl(fd, BLKGETSIZE64, &range[1]) && !ioctl(fd, BLKDISCARD, range),
	     RAMDISK);
	close(fd);
}

static void nothing(unsigned int *seed)
{
	(void)seed;
}

static const struct workload {
	const char *name;
	void (*set_up)(unsigned int *seed);
	void (*run)(unsigned int *seed);
	void (*clean_up)(unsigned int *seed);
} workloads[] = {
	{ "pread", pread_set_up, pread_run, pread_clean_up },
	{ "seqread", pread_set_up, seqread_run, pread_clean_up },
	{ "stat", stat_set_up, stat_run, stat_clean_up },
	{ "kv", kv_set_up, kv_run, kv_clean_up },
	/* The first time sets up vmalloc space for all others, too. */
	{ "full_fit", full_fit_run, full_fit_run, nothing },
	{ "kvfree1", kvfree1_run, kvfree1_run, nothing },
	{ "kvfree2", kvfree2_run, kvfree2_run, nothing },
	{ "pcpu", pcpu_run, pcpu_run, nothing },
	{ "test_bpf", test_bpf_run, test_bpf_run, nothing },
	{ "text", text_set_up, text_run, text_clean_up },
	{ "memcached", memcached_set_up, memcached_run, memcached_clean_up },
	{ "fio", fio_set_up, program_run, fio_clean_up },
};

static const struct workload program = { "program", nothing, program_run, nothing };

static const struct workload *workload;
static const char *moment;

static void measure(unsigned int *seed)
{
	char name[64];

	mark_phase("-");
	workload->set_up(seed);
	snprintf(name, sizeof(name), "%s", moment);
	mark_phase(name);
	workload->run(seed);
	mark_phase("-");
	workload->clean_up(seed);
	/* The pages of what was freed by RCU, too. */
	sleep_ms(20);
}

static void map_after(const char *phase, unsigned int round)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%u", phase, round);
	mark_map(name);
}

static void churn(unsigned int *seed)
{
	(void)seed;
	secretmem_phases(map_after);
}

/*
 * On a machine with memory to spare what was let go is not taken again soon, and
 * nobody would see how it is mapped. So most of the memory is in use.
 */
#define SPARE_MIB	112

static bool fill_memory(void)
{
	uint64_t free_mib = read_field("/proc/meminfo", "MemAvailable") >> 10;
	uint64_t keep = (uint64_t)opt.files * opt.mib / opt.stride + SPARE_MIB;
	int fd = open("/tmp/ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool ok = fd >= 0;

	if (ok && free_mib > keep)
		ok = !fallocate(fd, 0, 0, (free_mib - keep) << 20);
	note("bench: %" PRIu64 " MiB, filled up to the last %" PRIu64, free_mib, keep);
	close(fd);
	return ok;
}

/* The first second in pictures. */
static void wait_to_heal(void)
{
	char name[64];

	for (unsigned int ms = 100; ms <= 1000; ms += 100) {
		sleep_ms(100);
		snprintf(name, sizeof(name), "later-%u", ms);
		mark_map(name);
	}
	if (opt.heal_ms > 1000)
		sleep_ms(opt.heal_ms - 1000);
}

static bool measure_at(const char *when)
{
	moment = when;
	mark_map(when);
	return run_child(measure, 1, 0);
}

/* Modules that measure and mark by themselves. */
static const struct {
	const char *name, *module, *params;
} modules[] = {
	{ "cost", "lab_cost", "rounds=100" },
	{ "heal", "lab_heal", "blocks=4096" },
	{ "burst", "lab_burst", "blocks=8192" },
	{ "share", "lab_share", "rounds=100" },
	{ "crowd", "lab_share", "rounds=20 seconds=5" },
	{ "stray", "lab_burst", "stray=1" },
	{ "tlbi", "lab_tlbi", "pages=64 range=1" },
};

/**
 * bench_check() - the step "bench": the workload lab.bench, at three moments
 *
 * Or what changes of permissions cost (cost), what their collapse does by how many
 * blocks there are (heal), whether its worker is at work while there is some (burst),
 * what it makes of a table that is not where it should be (stray), what changes on
 * several CPUs have in common (share), and what they leave the worker (crowd), and a
 * test of the model itself (tlbi).
 */
void bench_check(const char *name)
{
	bool ok;

	for (size_t i = 0; i < ARRAY_SIZE(workloads) && !workload; i++) {
		if (!strcmp(workloads[i].name, opt.bench))
			workload = &workloads[i];
	}
	if (!workload)
		workload = &program;
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		if (strcmp(modules[i].name, opt.bench))
			continue;
		mark_phase("-");
		if (module_load(modules[i].module, modules[i].params))
			ktap_ok(name);
		else
			ktap_not_ok(name, "%s: %s", opt.bench, strerror(errno));
		return;
	}
	ok = !mount("tmpfs", "/tmp", "tmpfs", 0, "size=100%") && !mkdir(DIR, 0755) && fill_memory();
	mark_phase("-");
	/* Where a workload finds its pages makes a difference, too, and is not what this is about. */
	ok = ok && run_child(plainmem_round, 1, 0);
	ok = ok && measure_at("fresh");
	/* With the tables of vmalloc space that the workload had made, which stay. */
	mark_map("worked");
	ok = ok && run_child(churn, 1, 0);
	ok = ok && measure_at("churned");
	wait_to_heal();
	ok = ok && measure_at("healed");
	mark_map("end");
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "%s: see above", opt.bench);
}
