// SPDX-License-Identifier: GPL-2.0
/*
 * Hibernation, as far as a machine can go that stays on (test_resume): an image of
 * memory is written to swap, read back and put in the place of everything. To get
 * there the kernel copies its linear map's tables, which have just been split and
 * are queued, and in which text is read-only.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "lab.h"

#define SWAP		"/dev/vda"
#define KEPT_MIB	64
#define KEPT_WORDS	(((size_t)KEPT_MIB << 20) / sizeof(unsigned long))

static void must(bool ok, const char *what)
{
	if (!ok)
		give_up("hibernate: %s: %s", what, strerror(errno));
}

/* What mkswap writes: include/linux/swap.h, union swap_header. */
static void swap_make(void)
{
	struct { char boot[1024]; unsigned int version, last_page, bad_pages; } *head;
	static char page[65536];
	int fd = open(SWAP, O_RDWR | O_CLOEXEC);
	off_t size;

	must(fd >= 0, SWAP " (run.sh -w)");
	size = lseek(fd, 0, SEEK_END);
	head = (void *)page;
	head->version = 1;
	head->last_page = size / geometry.page - 1;
	memcpy(page + geometry.page - 10, "SWAPSPACE2", 10);
	must(pwrite(fd, page, geometry.page, 0) == (ssize_t)geometry.page && !fsync(fd), SWAP);
	close(fd);
	must(!swapon(SWAP, 0), "swapon");
}

static void ignore(const char *phase, unsigned int round)
{
	(void)phase;
	(void)round;
}

static void there_and_back(unsigned int *seed)
{
	unsigned long *kept = mmap(NULL, KEPT_WORDS * sizeof(*kept), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)seed;
	must(kept != MAP_FAILED, "memory");
	for (size_t i = 0; i < KEPT_WORDS; i++)
		kept[i] = i * 0x9e3779b97f4a7c15ul;
	swap_make();
	must(write_file("/sys/power/disk", "test_resume"), "/sys/power/disk (CONFIG_HIBERNATION)");
	/* Some of it may be queued still when the image is made. */
	secretmem_phases(ignore);
	must(write_file("/sys/power/state", "disk"), "/sys/power/state");
	/* What is left of it when all runs again. */
	leaves_phase("hibernated", 0);
	for (size_t i = 0; i < KEPT_WORDS; i++) {
		if (kept[i] != i * 0x9e3779b97f4a7c15ul)
			give_up("hibernate: word %#zx holds %#lx", i, kept[i]);
	}
	must(!swapoff(SWAP), "swapoff");
}

static void once_more(unsigned int *seed)
{
	(void)seed;
	secretmem_phases(ignore);
}

/**
 * hibernate_check() - the results NAME, NAME-after and NAME-heal
 *
 * With text in the cache of executable memory and outside it, and, once the image
 * is in place, with secretmem and a module as if nothing had happened.
 */
void hibernate_check(const char *name)
{
	char after[64];
	bool ok;

	ok = module_load("lab_export", "") && run_child(there_and_back, 1, 0);
	if (ok)
		ktap_ok(name);
	else
		ktap_not_ok(name, "see above");
	snprintf(after, sizeof(after), "%s-after", name);
	ok = module_unload("lab_export") && module_load("lab_export", "") &&
	     module_unload("lab_export") && run_child(once_more, 1, 0);
	if (ok)
		ktap_ok(after);
	else
		ktap_not_ok(after, "%s", strerror(errno));
	heal_check(name);
}
