// SPDX-License-Identifier: GPL-2.0
/*
 * Time, random numbers, small files and CPUs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

/* syslog(2) has numbers only. */
#define LOG_READ_ALL	3
#define LOG_SIZE	10

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/*
 * rnd() - a number below @below, the same sequence for the same seed
 */
unsigned int rnd(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return ((uint64_t)*seed * below) >> 32;
}

void shuffle(unsigned int *seed, unsigned int *v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		v[i] = i;
	for (unsigned int i = n; i > 1; i--) {
		unsigned int j = rnd(seed, i), swap = v[i - 1];

		v[i - 1] = v[j];
		v[j] = swap;
	}
}

static bool put_file(const char *path, const char *text, int flags)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	bool ok;
	int err;

	if (fd < 0)
		return false;
	ok = write(fd, text, len) == (ssize_t)len;
	err = errno;
	close(fd);
	errno = err;
	return ok;
}

bool write_file(const char *path, const char *text)
{
	return put_file(path, text, O_TRUNC);
}

bool append_file(const char *path, const char *text)
{
	return put_file(path, text, O_APPEND);
}

/*
 * read_file() - the start of a file as a string
 *
 * Return: its length, or -1.
 */
ssize_t read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (got < len - 1 && (n = read(fd, buf + got, len - 1 - got)) > 0)
		got += n;
	close(fd);
	buf[got] = 0;
	return n < 0 ? -1 : (ssize_t)got;
}

/*
 * copy_file() - all of a file
 */
bool copy_file(FILE *to, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (fwrite(buf, 1, n, to) != (size_t)n)
			break;
	}
	close(fd);
	return !n;
}

/*
 * read_field() - the number behind @name at the start of a line
 *
 * Return: 0 if there is none.
 */
uint64_t read_field(const char *path, const char *name)
{
	size_t len = strlen(name);
	uint64_t value = 0;
	char line[256];
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, len) && strchr(": \t", line[len])) {
			value = strtoull(line + len + strspn(line + len, ": \t"),
					 NULL, 10);
			break;
		}
	}
	fclose(f);
	return value;
}

/*
 * log_find() - the first line of the kernel's log that holds @a, and @b
 *
 * @b may be NULL. What the lab itself has said does not count.
 */
bool log_find(char *line, size_t len, const char *a, const char *b)
{
	int size = klogctl(LOG_SIZE, NULL, 0);
	char *buf = size > 0 ? malloc(size + 1) : NULL;
	int n = buf ? klogctl(LOG_READ_ALL, buf, size) : -1;
	char *at, *rest;
	bool found = false;

	if (n < 0) {
		free(buf);
		return false;
	}
	buf[n] = 0;
	for (at = strtok_r(buf, "\n", &rest); at && !found;
	     at = strtok_r(NULL, "\n", &rest)) {
		found = strstr(at, a) && (!b || strstr(at, b)) && !strstr(at, "# lab:");
		if (found)
			snprintf(line, len, "%s", at);
	}
	free(buf);
	return found;
}

unsigned int cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? n : 1;
}

void pin_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * visit_cpus() - run once on each CPU
 *
 * An idle CPU may still hold the page tables of a process that has ended.
 */
void visit_cpus(void)
{
	cpu_set_t was;

	if (sched_getaffinity(0, sizeof(was), &was))
		return;
	for (unsigned int cpu = 0; cpu < cpus(); cpu++)
		pin_to(cpu);
	sched_setaffinity(0, sizeof(was), &was);
}
