// SPDX-License-Identifier: GPL-2.0
/*
 * The disk of mkdisk.sh: its interrupts come by way of the ITS, and what its
 * DMA brings into memory is what was written.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

#define DISK		"/dev/vda"
#define DISK_STAT	"/sys/block/vda/stat"
#define READ_AHEAD	"/sys/block/vda/queue/read_ahead_kb"
#define BOUNCED		TRACEFS "/events/swiotlb/swiotlb_bounced/enable"
#define MNT		"/mnt"
#define CHUNK		65536
#define CHUNKS		64

/**
 * struct disk_irqs - the request queues' lines of /proc/interrupts
 * @lines: how many there are
 * @its: how many of them belong to the ITS
 * @count: interrupts on all CPUs
 * @other: one that does not belong to the ITS
 */
struct disk_irqs {
	unsigned int lines;
	unsigned int its;
	uint64_t count;
	char other[128];
};

/*
 * " 21:   12   0  ITS-PCI-MSIX-0000:00:01.0   1 Edge      virtio0-req.0", or
 * without MSI plain virtio0.
 */
static struct disk_irqs disk_irqs(void)
{
	FILE *f = fopen("/proc/interrupts", "re");
	struct disk_irqs irqs = { 0 };
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		char *at = strchr(line, ':'), *end;

		if (!at || !strstr(line, "virtio") || strstr(line, "-config"))
			continue;
		irqs.lines++;
		for (at++; ; at = end) {
			uint64_t n = strtoull(at, &end, 10);

			if (end == at || !isspace(*end))
				break;
			irqs.count += n;
		}
		if (strstr(at, "ITS"))
			irqs.its++;
		else
			snprintf(irqs.other, sizeof(irqs.other), "%.*s",
				 (int)strcspn(at, "\n"), at);
	}
	if (f)
		fclose(f);
	free(line);
	return irqs;
}

/* Past the page cache, one request at a time. */
static bool read_raw(void)
{
	int fd = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	void *buf = aligned_alloc(CHUNK, CHUNK);
	ssize_t n = CHUNK;
	int err;

	for (int i = 0; n == CHUNK && i < CHUNKS; i++)
		n = fd < 0 || !buf ? -1 : pread(fd, buf, CHUNK, (off_t)i * CHUNK);
	err = n < 0 ? errno : ENODATA;
	free(buf);
	if (fd >= 0)
		close(fd);
	errno = err;
	return n == CHUNK;
}

/*
 * its_check() - the result @name: the ITS is there and its MSIs arrive
 */
void its_check(const char *name)
{
	struct disk_irqs before, after;
	char line[200];

	if (log_find(line, sizeof(line), "ITS", "fail") ||
	    log_find(line, sizeof(line), "ITS", "giving up")) {
		ktap_not_ok(name, "the kernel says: %s", line);
		return;
	}
	if (!log_find(line, sizeof(line), "ITS [mem", NULL)) {
		ktap_not_ok(name, "the kernel has found no ITS");
		return;
	}
	before = disk_irqs();
	if (!before.lines) {
		ktap_not_ok(name, "no virtio disk has an interrupt; is there one (run.sh -b)?");
		return;
	}
	if (before.its < before.lines) {
		ktap_not_ok(name, "an interrupt of the disk does not come from the ITS:%s",
			    before.other);
		return;
	}
	if (!read_raw()) {
		ktap_not_ok(name, "%s can't be read: %s", DISK, strerror(errno));
		return;
	}
	after = disk_irqs();
	note("its lines=%u requests=%u interrupts=%" PRIu64, after.lines, CHUNKS,
	     after.count - before.count);
	if (after.count < before.count + CHUNKS / 2)
		ktap_not_ok(name, "%u requests gave %" PRIu64 " interrupts", CHUNKS,
			    after.count - before.count);
	else
		ktap_ok(name);
}

static uint64_t sectors_read(void)
{
	unsigned long long sectors = 0;
	char text[256];

	if (read_file(DISK_STAT, text, sizeof(text)) < 0 ||
	    sscanf(text, "%*u %*u %llu", &sectors) != 1)
		return 0;
	return sectors;
}

/* The CRC of cksum(1): the file's bytes, then those of its length. */
static uint32_t crc_byte(uint32_t crc, unsigned int byte)
{
	static uint32_t table[256];

	if (!table[1]) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i << 24;

			for (int bit = 0; bit < 8; bit++)
				c = c << 1 ^ (c >> 31 ? 0x04c11db7 : 0);
			table[i] = c;
		}
	}
	return crc << 8 ^ table[(crc >> 24 ^ byte) & 0xff];
}

static bool checksum(const char *path, uint32_t *crc, uint64_t *size)
{
	static unsigned char buf[CHUNK];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	*crc = 0;
	*size = 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			*crc = crc_byte(*crc, buf[i]);
		*size += n;
	}
	for (uint64_t left = *size; left; left >>= 8)
		*crc = crc_byte(*crc, left & 0xff);
	*crc = ~*crc;
	close(fd);
	return !n;
}

/* Return: the number of files, or -1 with the reason in @why. */
static int check_files(uint64_t *bytes, char *why, size_t len)
{
	FILE *f = fopen(MNT "/CKSUMS", "re");
	char line[256], name[100], path[128];
	unsigned int want;
	uint64_t size;
	int files = 0;

	if (!f) {
		snprintf(why, len, "no CKSUMS on the disk");
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		unsigned long long want_size;
		uint32_t crc;

		if (sscanf(line, "%u %llu %99s", &want, &want_size, name) != 3) {
			snprintf(why, len, "CKSUMS is not understood: %.40s", line);
			break;
		}
		snprintf(path, sizeof(path), MNT "/%s", name);
		if (!checksum(path, &crc, &size)) {
			snprintf(why, len, "%s can't be read: %s", name, strerror(errno));
			break;
		}
		if (crc != want || size != want_size) {
			snprintf(why, len, "%s has %" PRIu64 " bytes, checksum %u; "
				 "%llu and %u were written", name, size, crc, want_size, want);
			break;
		}
		*bytes += size;
		files++;
	}
	if (!feof(f))
		files = -1;
	fclose(f);
	return files;
}

/* Events since the trace was cleared. */
static unsigned int events(void)
{
	unsigned int n = 0;
	char line[256];
	FILE *f = fopen(TRACEFS "/trace", "re");

	while (f && !n && fgets(line, sizeof(line), f) && line[0] == '#')
		sscanf(line, "# entries-in-buffer/entries-written: %*u/%u", &n);
	if (f)
		fclose(f);
	return n;
}

/*
 * blk_check() - the result @name: each file of the disk is as it was written
 *
 * Nothing may come from the page cache; in a Realm all of it was bounced.
 */
void blk_check(const char *name)
{
	uint64_t bytes = 0, before, sectors;
	unsigned int bounced;
	char why[200];
	int files;

	/*
	 * With 2 GiB of memory there are 2 MiB to bounce through. Linux 7.3.4
	 * does not get out of it when requests in flight fill them.
	 */
	write_file(READ_AHEAD, "64");
	mkdir(MNT, 0755);
	if (mount(DISK, MNT, "ext2", MS_RDONLY, NULL)) {
		ktap_not_ok(name, "%s can't be mounted: %s", DISK, strerror(errno));
		return;
	}
	write_file("/proc/sys/vm/drop_caches", "3");
	write_file(TRACEFS "/trace", "");
	write_file(BOUNCED, "1");
	before = sectors_read();
	files = check_files(&bytes, why, sizeof(why));
	sectors = sectors_read() - before;
	write_file(BOUNCED, "0");
	bounced = events();
	umount(MNT);

	note("blk files=%d bytes=%" PRIu64 " sectors=%" PRIu64 " bounced=%u", files,
	     bytes, sectors, bounced);
	if (files < 0)
		ktap_not_ok(name, "%s", why);
	else if (!files)
		ktap_not_ok(name, "CKSUMS names no file");
	else if (sectors * 512 < bytes)
		ktap_not_ok(name, "%" PRIu64 " bytes, but the disk has read %" PRIu64
			    " sectors", bytes, sectors);
	else if (is_realm() && !bounced)
		ktap_not_ok(name, "a Realm, but nothing was bounced");
	else
		ktap_ok(name);
}
