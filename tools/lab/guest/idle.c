// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing queued must mean no wake-up: the worker is seen at work first, so
 * that the check can fail, and then not once while nobody changes anything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define WORK_EVENT	TRACEFS "/events/workqueue/workqueue_execute_start/enable"
#define LEAF_EVENTS	TRACEFS "/events/kernel_leaf/enable"

struct seen {
	unsigned int works;
	unsigned int events;
};

static struct seen count(void)
{
	struct seen s = { 0 };
	char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(TRACEFS "/trace", "re");

	while (f && getline(&line, &room, f) > 0) {
		if (line[0] == '#')
			continue;
		if (!strstr(line, "workqueue_execute_start:"))
			s.events++;
		else if (strstr(line, opt.worker))
			s.works++;
	}
	if (f)
		fclose(f);
	free(line);
	return s;
}

static void clear(void)
{
	write_file(TRACEFS "/trace", "");
}

/*
 * idle_check() - the result @name
 */
void idle_check(const char *name)
{
	bool leaf_events = !access(LEAF_EVENTS, F_OK);
	struct seen busy, quiet;
	uint64_t ms;

	if (!write_file(WORK_EVENT, "1")) {
		ktap_not_ok(name, "%s: %s", WORK_EVENT, strerror(errno));
		return;
	}
	if (leaf_events)
		write_file(LEAF_EVENTS, "1");
	clear();
	if (!run_worker(find_worker("secretmem"), 4)) {
		ktap_not_ok(name, "the churn before it failed");
		return;
	}
	if (opt.expect == EXPECT_HEAL)
		heal_wait(&ms);
	sleep_ms(2000);
	busy = count();

	clear();
	sleep_ms(opt.idle_s * 1000);
	quiet = count();
	write_file(WORK_EVENT, "0");
	if (leaf_events)
		write_file(LEAF_EVENTS, "0");

	note("idle seconds=%u busy_works=%u busy_events=%u idle_works=%u idle_events=%u",
	     opt.idle_s, busy.works, busy.events, quiet.works, quiet.events);
	if (opt.expect != EXPECT_HEAL && !busy.works)
		ktap_skip(name, "this kernel has no worker");
	else if (!busy.works)
		ktap_not_ok(name, "no work named *%s* was seen during the churn", opt.worker);
	else if (quiet.works || quiet.events)
		ktap_not_ok(name, "%u works and %u events while idle",
			    quiet.works, quiet.events);
	else
		ktap_ok(name);
}
