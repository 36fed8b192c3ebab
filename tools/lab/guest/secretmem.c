// SPDX-License-Identifier: GPL-2.0
/*
 * memfd_secret: pages leave the linear map one by one when they are touched
 * and come back when the file is closed.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define MAX_FILES	256

struct secret {
	int fd;
	unsigned long *at;
	size_t size;
};

static void allow_locked_memory(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &all))
		give_up("RLIMIT_MEMLOCK: %s", strerror(errno));
}

/*
 * secretmem_is_absent() - does the kernel say that it has no memfd_secret()?
 *
 * It does where the linear map must not change: rodata=noalias and rodata=off,
 * unless it is a Realm's.
 */
bool secretmem_is_absent(void)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == ENOSYS;
}

static void file_open(struct secret *s, size_t size, int fd)
{
	s->size = size;
	s->fd = fd;
	if (s->fd < 0)
		give_up("memfd: %s", strerror(errno));
	if (ftruncate(s->fd, size))
		give_up("memfd: ftruncate: %s", strerror(errno));
	s->at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (s->at == MAP_FAILED)
		give_up("memfd: mmap: %s", strerror(errno));
}

static void secret_open(struct secret *s, size_t size)
{
	file_open(s, size, syscall(SYS_memfd_secret, 0));
}

/* Every stride-th page holds its own address. */
static void secret_touch(struct secret *s, size_t stride)
{
	for (size_t off = 0; off < s->size; off += stride) {
		unsigned long *word = s->at + off / sizeof(*word);

		*word = (unsigned long)word;
	}
}

static void secret_verify(struct secret *s, size_t stride)
{
	for (size_t off = 0; off < s->size; off += stride) {
		unsigned long *word = s->at + off / sizeof(*word);

		if (*word != (unsigned long)word)
			give_up("memfd_secret: page at %#zx holds %#lx", off, *word);
	}
}

static void secret_close(struct secret *s)
{
	munmap(s->at, s->size);
	close(s->fd);
}

/*
 * secretmem_bout() - a few files with random strides, closed in random order
 */
void secretmem_bout(unsigned int *seed)
{
	struct secret s[4];
	unsigned int order[ARRAY_SIZE(s)];
	size_t stride[ARRAY_SIZE(s)];

	allow_locked_memory();
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		stride[i] = (1 + rnd(seed, 16)) * geometry.page;
		secret_open(&s[i], (1ul + rnd(seed, 8)) << 20);
		secret_touch(&s[i], stride[i]);
	}
	shuffle(seed, order, ARRAY_SIZE(order));
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		secret_verify(&s[order[i]], stride[order[i]]);
		secret_close(&s[order[i]]);
	}
}

/**
 * secretmem_phases() - the measured workload: all files open, then all closed
 * @seen: called when they are
 */
void secretmem_phases(void (*seen)(const char *phase, unsigned int round))
{
	unsigned int files = opt.files < MAX_FILES ? opt.files : MAX_FILES;
	size_t stride = (size_t)opt.stride * geometry.page;
	struct secret s[MAX_FILES];

	allow_locked_memory();
	for (unsigned int round = 1; round <= opt.rounds; round++) {
		for (unsigned int i = 0; i < files; i++) {
			secret_open(&s[i], (size_t)opt.mib << 20);
			secret_touch(&s[i], stride);
		}
		seen("open", round);
		for (unsigned int i = 0; i < files; i++)
			secret_verify(&s[i], stride);
		for (unsigned int i = 0; i < files; i++)
			secret_close(&s[i]);
		shared->last_close_ms = now_ms();
		seen("closed", round);
	}
}

/**
 * plainmem_round() - a round of secretmem_phases() with files that nothing is split for
 *
 * What is free is in another order then, as it is behind secretmem_phases().
 */
void plainmem_round(unsigned int *seed)
{
	unsigned int files = opt.files < MAX_FILES ? opt.files : MAX_FILES;
	struct secret s[MAX_FILES];

	(void)seed;
	for (unsigned int i = 0; i < files; i++) {
		file_open(&s[i], (size_t)opt.mib << 20, syscall(SYS_memfd_create, "plain", 0));
		secret_touch(&s[i], (size_t)opt.stride * geometry.page);
	}
	for (unsigned int i = 0; i < files; i++)
		secret_close(&s[i]);
}
