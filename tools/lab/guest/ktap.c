// SPDX-License-Identifier: GPL-2.0
/*
 * KTAP on the kernel log. A record of /dev/kmsg is printed in one piece, so
 * that a kernel message never stands in the middle of a result.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

static int kmsg = -1;
static unsigned int point;
static bool failed;

void ktap_open(void)
{
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

/*
 * raw_line() - print a line as it is
 */
void raw_line(const char *text)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "<5>%s\n", text);

	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (kmsg < 0 || write(kmsg, line, n) != n)
		printf("%s\n", text);
}

static void say(const char *prefix, const char *fmt, va_list args)
{
	char text[480];
	int n = snprintf(text, sizeof(text), "%s", prefix);

	vsnprintf(text + n, sizeof(text) - n, fmt, args);
	raw_line(text);
}

/*
 * note() - a line that is no result: "# lab: ..."
 */
void note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("# lab: ", fmt, args);
	va_end(args);
}

void give_up(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("# lab: failed: ", fmt, args);
	va_end(args);
	_exit(1);
}

void ktap_plan(unsigned int points)
{
	char line[32];

	raw_line("KTAP version 1");
	snprintf(line, sizeof(line), "1..%u", points);
	raw_line(line);
}

void ktap_ok(const char *name)
{
	char line[128];

	snprintf(line, sizeof(line), "ok %u %s", ++point, name);
	raw_line(line);
}

void ktap_skip(const char *name, const char *why)
{
	char line[256];

	snprintf(line, sizeof(line), "ok %u %s # SKIP %s", ++point, name, why);
	raw_line(line);
}

void ktap_not_ok(const char *name, const char *fmt, ...)
{
	char prefix[128];
	va_list args;

	failed = true;
	va_start(args, fmt);
	say("# lab: failed: ", fmt, args);
	va_end(args);
	snprintf(prefix, sizeof(prefix), "not ok %u %s", ++point, name);
	raw_line(prefix);
}

bool ktap_failed(void)
{
	return failed;
}
