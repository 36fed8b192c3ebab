// SPDX-License-Identifier: GPL-2.0
/*
 * What a C program expects to find: memory, strings, caches.
 */
#include "model.h"

void *memset(void *to, int byte, size_t len)
{
	u8 *p = to;

	while (len--)
		*p++ = byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	const u8 *q = from;
	u8 *p = to;

	while (len--)
		*p++ = *q++;
	return to;
}

bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool begins(const char *text, const char *with)
{
	while (*with && *text == *with) {
		text++;
		with++;
	}
	return !*with;
}

/* CTR_EL0.DminLine: log2 of the words in the smallest data cache line. */
static u64 line_size(void)
{
	return 4UL << BITS(read_sysreg(ctr_el0), 19, 16);
}

/**
 * clean_to_poc() - let accesses that bypass the caches see what is written
 * @pa: start
 * @size: bytes
 *
 * The model writes through its cacheable map; a guest with its MMU off, or
 * with another attribute in its tables, reads past the caches. Invalidated,
 * too, so that what it writes that way is not hidden by a line that stays.
 */
void clean_to_poc(u64 pa, u64 size)
{
	u64 line = line_size();

	for (u64 p = pa & ~(line - 1); p < pa + size; p += line)
		asm volatile("dc civac, %0" : : "r" (p) : "memory");
	dsb(sy);
}

/* Zeroes whole granules. */
void zero_pages(u64 pa, u64 size)
{
	u64 dczid = read_sysreg(dczid_el0);
	u64 block = 4UL << BITS(dczid, 3, 0);	/* DCZID_EL0.BS */

	if (dczid & BIT(4)) {			/* DCZID_EL0.DZP: not permitted */
		for (u64 p = pa; p < pa + size; p += 8)
			*(u64 *)p = 0;
	} else {
		for (u64 p = pa; p < pa + size; p += block)
			asm volatile("dc zva, %0" : : "r" (p) : "memory");
	}
	clean_to_poc(pa, size);
}
