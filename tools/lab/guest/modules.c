// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel modules, loaded and removed in random order.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#define MAX_MODULES	16

static char names[MAX_MODULES][64];

static unsigned int find_modules(void)
{
	unsigned int n = 0;
	struct dirent *d;
	DIR *dir = opendir(MODULES);

	if (!dir)
		return 0;
	while (n < MAX_MODULES && (d = readdir(dir))) {
		size_t len = strlen(d->d_name);

		if (len < 4 || len >= sizeof(names[n]) ||
		    strcmp(d->d_name + len - 3, ".ko"))
			continue;
		memcpy(names[n], d->d_name, len - 3);
		names[n++][len - 3] = 0;
	}
	closedir(dir);
	return n;
}

bool module_load(const char *name, const char *params)
{
	char path[128];
	int fd, err;

	snprintf(path, sizeof(path), MODULES "/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	err = syscall(SYS_finit_module, fd, params, 0) ? errno : 0;
	close(fd);
	errno = err;
	return !err;
}

bool module_unload(const char *name)
{
	return !syscall(SYS_delete_module, name, O_NONBLOCK);
}

/* Return: false if another module must be loaded first. */
static bool load(const char *name)
{
	bool ok = module_load(name, "");

	if (!ok && errno != ENOENT)
		give_up("modules: %s: %s", name, strerror(errno));
	return ok;
}

/* Return: false if another module still needs it. */
static bool unload(const char *name)
{
	bool ok = module_unload(name);

	if (!ok && errno != EWOULDBLOCK)
		give_up("modules: removing %s: %s", name, strerror(errno));
	return ok;
}

/*
 * module_run() - a module's "check" runs its code and flips its static key
 */
void module_run(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%.63s/parameters/check", name);
	if (!access(path, F_OK) && !write_file(path, "1"))
		give_up("modules: check of %s: %s", name, strerror(errno));
}

/* Until all are done; each turn that gets nothing done is one too many. */
static void each(unsigned int *seed, unsigned int n, bool (*fn)(const char *),
		 const char *what)
{
	bool done[MAX_MODULES] = { false };
	unsigned int order[MAX_MODULES], left = n;

	while (left) {
		unsigned int before = left;

		shuffle(seed, order, n);
		for (unsigned int i = 0; i < n; i++) {
			unsigned int m = order[i];

			if (!done[m] && fn(names[m])) {
				done[m] = true;
				left--;
			}
		}
		if (left == before)
			give_up("modules: %u of %u could not be %s", left, n, what);
	}
}

/*
 * modules_bout() - load all, check all, remove all
 */
void modules_bout(unsigned int *seed)
{
	unsigned int n = find_modules();

	if (!n)
		give_up("modules: none in " MODULES);
	each(seed, n, load, "loaded");
	for (unsigned int i = 0; i < n; i++)
		module_run(names[i]);
	each(seed, n, unload, "removed");
}
