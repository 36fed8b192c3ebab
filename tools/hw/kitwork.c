// SPDX-License-Identifier: GPL-2.0
/*
 * What measure.sh has no program for: secret memory, BPF loads, a client of
 * memcached, a sequential read. Each prints one number, its result.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("kitwork: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static long number(const char *s, long most)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (end == s || *end || n < 1 || n > most)
		die("%s: a number from 1 to %ld is expected", s, most);
	return n;
}

/* Every 7th page of some secret files; they stay until stdin ends. */
static void secret(long files, long mib)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	size_t size = mib << 20, page = sysconf(_SC_PAGESIZE);
	long touched = 0;
	char c;

	if (setrlimit(RLIMIT_MEMLOCK, &all))
		die("RLIMIT_MEMLOCK: %s", strerror(errno));
	for (long i = 0; i < files; i++) {
		int fd = syscall(SYS_memfd_secret, 0);
		char *at;

		if (fd < 0)
			die("memfd_secret: %s", strerror(errno));
		if (ftruncate(fd, size))
			die("ftruncate: %s", strerror(errno));
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED)
			die("mmap: %s", strerror(errno));
		for (size_t o = 0; o < size; o += 7 * page, touched++)
			at[o] = 1;
	}
	printf("%ld\n", touched);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

/* Loads and removes a socket filter: programs a second. */
static void bpf(long loads)
{
	struct bpf_insn code[256];
	union bpf_attr attr;
	double start = now();

	for (int i = 0; i < 255; i++)
		code[i] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = i };
	code[255] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (unsigned long)code;
	attr.insn_cnt = 256;
	attr.license = (unsigned long)"GPL";
	for (long i = 0; i < loads; i++) {
		int fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

		if (fd < 0)
			die("BPF_PROG_LOAD: %s", strerror(errno));
		close(fd);
	}
	printf("%.1f\n", loads / (now() - start));
}

static void say(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n <= 0)
			die("memcached: %s", n ? strerror(errno) : "it hung up");
		text += n;
		size -= n;
	}
}

/* Reads until the answer ends with some words. */
static void hear(int fd, char *buf, size_t size, const char *end)
{
	size_t len = 0, want = strlen(end);

	while (len < want || memcmp(buf + len - want, end, want)) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n <= 0)
			die("memcached: %s", n ? strerror(errno) : "it hung up, or said too much");
		len += n;
	}
}

/* One connection on the loopback, nine reads to a write: operations a second. */
static void memcached(long port, long seconds)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	static char value[1024], buf[4096], line[2048];
	unsigned int seed = 1;
	double start, end;
	long ops = 0;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (void *)&to, sizeof(to)))
		die("port %ld: %s", port, strerror(errno));
	memset(value, 'x', sizeof(value));
	for (start = now(); (end = now()) < start + seconds; ops++) {
		int key = rand_r(&seed) % 10000;

		if (ops < 10000 || ops % 10 == 0) {
			int n = snprintf(line, sizeof(line), "set k%d 0 0 1024\r\n", ops < 10000 ? (int)ops : key);

			memcpy(line + n, value, sizeof(value));
			memcpy(line + n + sizeof(value), "\r\n", 2);
			say(fd, line, n + sizeof(value) + 2);
			hear(fd, buf, sizeof(buf), "STORED\r\n");
		} else {
			say(fd, line, snprintf(line, sizeof(line), "get k%d\r\n", key));
			hear(fd, buf, sizeof(buf), "END\r\n");
		}
	}
	printf("%.1f\n", ops / (end - start));
}

/* All of a file, in pieces of 1 MiB, some times: MiB a second. */
static void sequential(const char *name, long times)
{
	size_t size = 1 << 20;
	char *buf = malloc(size);
	double start = now();
	long total = 0;
	ssize_t n;

	for (long i = 0; i < times; i++) {
		int fd = open(name, O_RDONLY);

		if (fd < 0 || !buf)
			die("%s: %s", name, strerror(errno));
		while ((n = read(fd, buf, size)) > 0)
			total += n;
		if (n < 0)
			die("%s: %s", name, strerror(errno));
		close(fd);
	}
	printf("%.1f\n", total / 1048576.0 / (now() - start));
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "secret"))
		secret(number(argv[2], 4096), number(argv[3], 65536));
	else if (argc == 3 && !strcmp(argv[1], "bpf"))
		bpf(number(argv[2], 1000000));
	else if (argc == 4 && !strcmp(argv[1], "memcached"))
		memcached(number(argv[2], 65535), number(argv[3], 3600));
	else if (argc == 4 && !strcmp(argv[1], "read"))
		sequential(argv[2], number(argv[3], 1000000));
	else
		die("usage: kitwork secret FILES MIB | bpf LOADS | memcached PORT SECONDS | read FILE TIMES");
	return 0;
}
