// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel to be kexec'ed, loaded and dropped: with it the kernel copies its
 * linear map's tables, whatever is being split and collapsed meanwhile.
 */
#include <errno.h>
#include <linux/kexec.h>
#include <string.h>
#include <sys/syscall.h>
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
