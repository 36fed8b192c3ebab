// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch and the module that it patches, in either order. Where the livepatch is
 * first, its text is relocated when the other module comes: late, when it is
 * read-only already, and again whenever that module comes anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

#define TARGET		"/tests/lab_target.ko"
#define PATCH		"/tests/lab_klp.ko"
#define ANSWER		"/sys/module/lab_target/parameters/answer"
#define NUMBER		"/sys/module/lab_target/parameters/number"
#define LIVE		"/sys/kernel/livepatch/lab_klp"
#define WAIT_MS		60000

bool livepatch_is_there(void)
{
	return !access(PATCH, R_OK);
}

/* All tasks have come to the one side, or to the other. */
static void wait_transition(const char *what)
{
	uint64_t until = now_ms() + WAIT_MS;
	char state[8];

	while (read_file(LIVE "/transition", state, sizeof(state)) > 0 && *state == '1') {
		if (now_ms() > until)
			give_up("livepatch: a task keeps it from being %s", what);
		sleep_ms(5);
	}
}

static void patch(void)
{
	int err = image_livepatch(PATCH);

	if (err)
		give_up("livepatch: loading " PATCH ": %s", strerror(err));
	wait_transition("in force");
}

static void unload(const char *name)
{
	uint64_t until = now_ms() + WAIT_MS;

	/* A patch that is out of force is still held for a moment. */
	while (!module_unload(name)) {
		if (errno != EWOULDBLOCK || now_ms() > until)
			give_up("livepatch: removing %s: %s", name, strerror(errno));
		sleep_ms(5);
	}
}

static void unpatch(void)
{
	if (!write_file(LIVE "/enabled", "0"))
		give_up("livepatch: it can't be switched off: %s", strerror(errno));
	wait_transition("out of force");
	unload("lab_klp");
}

static void load_target(void)
{
	int fd = open(TARGET, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		give_up("livepatch: loading " TARGET ": %s", strerror(errno));
	close(fd);
}

/* @more is what the livepatch adds to the number. */
static void must_answer(unsigned int *seed, unsigned int more)
{
	unsigned int number = rnd(seed, 1000000);
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	if (!write_file(NUMBER, text) || read_file(ANSWER, text, sizeof(text)) <= 0)
		give_up("livepatch: lab_target can't be asked: %s", strerror(errno));
	if (strtoul(text, NULL, 10) != number + more)
		give_up("livepatch: the answer is %s, not %u", strtok(text, "\n"), number + more);
}

/* livepatch_bout() - the livepatch first, then the module first */
void livepatch_bout(unsigned int *seed)
{
	patch();
	for (int i = 0; i < 2; i++) {
		if (i)
			unload("lab_target");
		load_target();
		must_answer(seed, 1);
	}
	unpatch();
	must_answer(seed, 0);
	patch();
	must_answer(seed, 1);
	unload("lab_target");
	unpatch();
}
