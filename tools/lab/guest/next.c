// SPDX-License-Identifier: GPL-2.0
/*
 * Another kernel in the place of this one: by kexec, or after a crash, while memory
 * is split and heals. Its Image and initrd.cpio.gz are in the initrd, in /next, and it
 * has this one's command line but for the steps, which are lab.next=.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define NEXT		"/next"
#define DUMPER		"/dumper"
#define VMCORE		"/proc/vmcore"
#define MARK		0x6b72616d2d62616cull
#define MARK_WORDS	(4096 / sizeof(uint64_t))

/* This kernel's line, with other steps, and @more in front. */
static bool next_line(char *line, size_t len, const char *more)
{
	static char old[4096];
	size_t n = snprintf(line, len, "%s ", more);
	char *word, *rest;

	if (!*opt.next || read_file("/proc/cmdline", old, sizeof(old)) < 0)
		return false;
	for (word = strtok_r(old, " \n", &rest); word && n < len;
	     word = strtok_r(NULL, " \n", &rest)) {
		if (strncmp(word, "crashkernel=", 12) && strncmp(word, "lab.next=", 9) &&
		    strncmp(word, "lab=", 4))
			n += snprintf(line + n, len - n, "%s ", word);
	}
	if (n >= len)
		return false;
	rest = line + n;
	n += snprintf(rest, len - n, "lab=%s", opt.next);
	for (char *c = rest; *c; c++) {
		if (*c == '+')
			*c = ',';
	}
	return n < len;
}

static bool load(unsigned long flags, const char *more)
{
	static char line[4096];
	int image, initrd;
	bool ok;

	if (!next_line(line, sizeof(line), more))
		return false;
	image = open(NEXT "/Image", O_RDONLY | O_CLOEXEC);
	initrd = open(NEXT "/initrd.cpio.gz", O_RDONLY | O_CLOEXEC);
	ok = image >= 0 && initrd >= 0 &&
	     !syscall(SYS_kexec_file_load, image, initrd, strlen(line) + 1, line, flags);
	close(image);
	close(initrd);
	return ok;
}

static void churn(unsigned int *seed)
{
	for (;;)
		secretmem_bout(seed);
}

/* Splits and collapses go on when this returns. */
static bool start_churn(void)
{
	for (unsigned int cpu = 0; cpu < cpus(); cpu++) {
		if (start_child(churn, 1, opt.seed + cpu) <= 0)
			return false;
	}
	sleep_ms(opt.churn_s * 1000);
	return true;
}

/* next_check() - kexec -e; the result @name is there if it does not come to that */
void next_check(const char *name)
{
	if (!load(0, "")) {
		ktap_not_ok(name, "kexec_file_load(), or what is to be in " NEXT ": %s",
			    strerror(errno));
		return;
	}
	if (start_churn()) {
		note("kexec");
		sleep_ms(300);
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
	}
	ktap_not_ok(name, "kexec: %s", strerror(errno));
}

/* crash_check() - a crash amid the churn, with a page that the next kernel looks for */
void crash_check(const char *name)
{
	uint64_t *page = mmap(NULL, MARK_WORDS * 8, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || !load(KEXEC_FILE_ON_CRASH, "maxcpus=1")) {
		ktap_not_ok(name, "kexec_file_load(), or what is to be in " NEXT ": %s",
			    strerror(errno));
		return;
	}
	for (size_t i = 0; i < MARK_WORDS; i++)
		page[i] = MARK + i * MARK;
	mlock(page, MARK_WORDS * 8);
	if (start_churn()) {
		note("crash on purpose");
		sleep_ms(300);
		write_file("/proc/sysrq-trigger", "c");
	}
	ktap_not_ok(name, "no crash: %s", strerror(errno));
}

/*
 * Pages of memory that hold the mark. One may be twice in a dump: the kernel's image
 * has a segment of its own, and what of it was for boot only is free memory later.
 */
static unsigned int find_mark(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	static uint64_t page[MARK_WORDS];
	unsigned int found = 0;
	uint64_t last = ANY;
	Elf64_Ehdr head;
	Elf64_Phdr *p;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG))
		return 0;
	p = calloc(head.e_phnum, sizeof(*p));
	if (pread(fd, p, head.e_phnum * sizeof(*p), head.e_phoff) < 0)
		head.e_phnum = 0;
	for (int i = 0; i < head.e_phnum; i++) {
		for (uint64_t at = 0; p[i].p_type == PT_LOAD && at < p[i].p_filesz; at += sizeof(page)) {
			size_t w = 0;

			if (pread(fd, page, sizeof(page), p[i].p_offset + at) != sizeof(page))
				break;
			while (w < MARK_WORDS && page[w] == MARK + w * MARK)
				w++;
			if (w == MARK_WORDS && p[i].p_paddr + at != last) {
				last = p[i].p_paddr + at;
				note("%s: the mark at %#" PRIx64, path, last);
				found++;
			}
		}
	}
	free(p);
	close(fd);
	return found;
}

/* makedumpfile with the words of @args, with its libraries. */
static bool dumper(const char *const args[])
{
	char *argv[16] = { DUMPER "/ld.so", "--library-path", DUMPER, DUMPER "/makedumpfile" };
	size_t n = 4;
	pid_t pid = fork();

	while (*args && n < ARRAY_SIZE(argv) - 1)
		argv[n++] = (char *)*args++;
	if (!pid) {
		/* It shows how far it is on its standard error. */
		int fd = open("/tmp/dumper.log", O_WRONLY | O_CREAT | O_TRUNC, 0644);

		dup2(fd, 1);
		dup2(fd, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && wait_child(pid);
}

static bool has_line(const char *path, const char *text)
{
	FILE *f = fopen(path, "re");
	char line[1024];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

static void last_words(void)
{
	static char log[65536];

	if (read_file("/tmp/dumper.log", log, sizeof(log)) < 0)
		return;
	for (char *rest, *l = strtok_r(log, "\r\n", &rest); l; l = strtok_r(NULL, "\r\n", &rest)) {
		if (!strstr(l, "Copying data") && !strstr(l, "Excluding") && !strstr(l, "Checking"))
			note("makedumpfile: %s", l);
	}
}

/*
 * vmcore_check() - the result @name: makedumpfile reads what has crashed; its log and
 * its marked page are there, once in the dump and once in what is left of it without
 * free, zero and cache pages
 */
void vmcore_check(const char *name)
{
	static const char *const dmesg[] = { "--dump-dmesg", VMCORE, "/tmp/dmesg", NULL };
	static const char *const less[] = { "-E", "-d", "23", VMCORE, "/tmp/less", NULL };
	struct stat whole, rest;
	unsigned int all, left;

	all = find_mark(VMCORE);
	if (!dumper(dmesg) || !dumper(less) ||
	    stat(VMCORE, &whole) || stat("/tmp/less", &rest)) {
		last_words();
		ktap_not_ok(name, "makedumpfile can't read it; the mark is there %u times", all);
		return;
	}
	left = find_mark("/tmp/less");
	note("vmcore mib=%lld left=%lld marks=%u marks_left=%u", (long long)whole.st_size >> 20,
	     (long long)rest.st_size >> 20, all, left);
	if (!has_line("/tmp/dmesg", "crash on purpose"))
		ktap_not_ok(name, "the log of the kernel that crashed is not in the dump");
	else if (all != 1 || left != 1)
		ktap_not_ok(name, "the marked page is there %u times, and %u times", all, left);
	else
		ktap_ok(name);
}
