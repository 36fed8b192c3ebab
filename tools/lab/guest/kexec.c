// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel to be kexec'ed, loaded and dropped: with it the kernel copies its
 * linear map's tables, whatever is being split and collapsed meanwhile.
 */
#include <errno.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

/* Any free memory will do: nothing is ever started there. */
#define SEGMENT_AT	0x60000000ul

void kexec_bout(unsigned int *seed)
{
	static char text[4096];
	struct kexec_segment segment = {
		.buf = text, .bufsz = sizeof(text),
		.mem = (void *)SEGMENT_AT, .memsz = 65536,
	};

	(void)seed;
	if (syscall(SYS_kexec_load, SEGMENT_AT, 1ul, &segment, KEXEC_ARCH_AARCH64))
		give_up("kexec: load: %s", strerror(errno));
	if (syscall(SYS_kexec_load, 0ul, 0ul, NULL, KEXEC_ARCH_AARCH64))
		give_up("kexec: drop: %s", strerror(errno));
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

/* Load a module and remove it. Return: how long that took, or 0. */
static uint64_t load_us(void)
{
	uint64_t begin = now_us();

	if (!module_load("lab_tiny", "") || !module_unload("lab_tiny"))
		return 0;
	return now_us() - begin + 1;
}

/*
 * copying_check() - the result @name: nobody who loads or removes a module waits
 * for the copy that kexec_load() makes of the tables. lab.mib of memory are split
 * for it.
 */
void copying_check(const char *name)
{
	uint64_t us, alone = 0, beside = 0, copy, begin;
	unsigned int loads = 0;
	char params[32];
	pid_t pid;
	bool ok = true;

	snprintf(params, sizeof(params), "blocks=%u", opt.mib / 2);
	if (!module_load("lab_shatter", params)) {
		ktap_not_ok(name, "lab_shatter: %s", strerror(errno));
		return;
	}
	for (int i = 0; ok && i < 20; i++) {
		us = load_us();
		ok = us > 0;
		if (us > alone)
			alone = us;
	}
	begin = now_us();
	ok = ok && run_child(kexec_bout, 1, 0);
	copy = now_us() - begin;

	pid = start_child(kexec_bout, 3, 0);
	while (ok && pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
		us = load_us();
		ok = us > 0;
		if (us > beside)
			beside = us;
		loads++;
	}
	if (!ok)
		ktap_not_ok(name, "lab_tiny or kexec_load(): %s", strerror(errno));
	if (!ok || pid <= 0)
		goto out;

	note("copying mib=%u copy_us=%llu loads=%u longest_us=%llu alone_us=%llu", opt.mib,
	     (unsigned long long)copy, loads, (unsigned long long)beside, (unsigned long long)alone);
	if (copy < 5 * alone)
		ktap_not_ok(name, "the copy is too short to tell; give lab.mib more");
	else if (!loads || beside > copy / 2)
		ktap_not_ok(name, "a load took %llu us, a copy takes %llu",
			    (unsigned long long)beside, (unsigned long long)copy);
	else
		ktap_ok(name);
out:
	module_unload("lab_shatter");
}
