// SPDX-License-Identifier: GPL-2.0
/*
 * eBPF programs of many sizes, compiled by the kernel's JIT, run and removed.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#define MAX_INSNS	8192
#define BATCH		24

static struct bpf_insn insns[MAX_INSNS];

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/*
 * A chain of 64-bit constants that the verifier can't shorten for the JIT;
 * the result tells whether each instruction ran.
 */
static unsigned int build(unsigned int *seed, unsigned int n)
{
	unsigned int sum = 0, i = 0;

	insns[i++] = (struct bpf_insn) {
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0,
	};
	while (i < n - 1) {
		int k = rnd(seed, 1 << 30);

		insns[i++] = (struct bpf_insn) {
			.code = BPF_ALU | BPF_ADD | BPF_K,
			.dst_reg = BPF_REG_0,
			.imm = k,
		};
		sum += k;
	}
	insns[i] = (struct bpf_insn) { .code = BPF_JMP | BPF_EXIT };
	return sum;
}

static int try_load(unsigned int n)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)insns,
		.insn_cnt = n,
		.license = (uintptr_t)"GPL",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr);
}

static int load(unsigned int n)
{
	int fd = try_load(n);

	if (fd < 0)
		give_up("bpf: load of %u instructions: %s", n, strerror(errno));
	return fd;
}

static void check_jited(int fd)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr = {
		.info = {
			.bpf_fd = fd,
			.info_len = sizeof(info),
			.info = (uintptr_t)&info,
		},
	};

	if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		give_up("bpf: info: %s", strerror(errno));
	if (!info.jited_prog_len)
		give_up("bpf: the program was not compiled by the JIT");
}

static void run(int fd, unsigned int sum)
{
	char packet[64] = { 0 };
	union bpf_attr attr = {
		.test = {
			.prog_fd = fd,
			.data_in = (uintptr_t)packet,
			.data_size_in = sizeof(packet),
			.repeat = 1,
		},
	};

	if (sys_bpf(BPF_PROG_TEST_RUN, &attr))
		give_up("bpf: run: %s", strerror(errno));
	if (attr.test.retval != sum)
		give_up("bpf: a program returned %#x and not %#x",
			attr.test.retval, sum);
}

/**
 * bpf_prepare() - write a program
 * @p: filled
 * @seed: of its constants
 * @n: number of instructions
 *
 * The next one overwrites it.
 */
void bpf_prepare(struct bpf_program *p, unsigned int *seed, unsigned int n)
{
	p->insns = n < MAX_INSNS ? n : MAX_INSNS;
	p->sum = build(seed, p->insns);
	p->fd = -1;
}

/**
 * bpf_load() - load what was prepared last
 *
 * Return: 0, or what the kernel says.
 */
int bpf_load(struct bpf_program *p)
{
	p->fd = try_load(p->insns);
	return p->fd < 0 ? errno : 0;
}

/*
 * bpf_run() - run a program, which must have been compiled and return its sum
 */
void bpf_run(const struct bpf_program *p)
{
	check_jited(p->fd);
	run(p->fd, p->sum);
}

/*
 * bpf_bout() - a batch of programs, run twice and removed in random order
 */
void bpf_bout(unsigned int *seed)
{
	unsigned int sum[BATCH], order[BATCH];
	int fd[BATCH];

	for (unsigned int i = 0; i < BATCH; i++) {
		/* Mostly small ones, and now and then one of many pages. */
		unsigned int n = 2 + rnd(seed, i % 8 ? 256 : MAX_INSNS - 2);

		sum[i] = build(seed, n);
		fd[i] = load(n);
		if (!i)
			check_jited(fd[i]);
		run(fd[i], sum[i]);
	}
	shuffle(seed, order, BATCH);
	for (unsigned int i = 0; i < BATCH; i++) {
		run(fd[order[i]], sum[order[i]]);
		close(fd[order[i]]);
	}
}
