// SPDX-License-Identifier: GPL-2.0
/*
 * A small command loop: enough to look around in the guest without a shell
 * from elsewhere. If /bin/sh was put into the initrd, it is used instead.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define MAX_ARGS	16

static bool ended;

static void cmd_help(int argc, char **argv);

static void complain(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
}

static void cat_one(const char *path, int to)
{
	char buf[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		complain(path);
		return;
	}
	fflush(stdout);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (write(to, buf, n) != n)
			break;
	}
	if (n < 0)
		complain(path);
	close(fd);
}

static void cmd_cat(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		cat_one(argv[i], STDOUT_FILENO);
}

static void cmd_ls(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : ".";
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);

	if (n < 0)
		complain(path);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.')
			printf("%s%s\n", list[i]->d_name,
			       list[i]->d_type == DT_DIR ? "/" : "");
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static void cmd_cd(int argc, char **argv)
{
	if (chdir(argc > 1 ? argv[1] : "/"))
		complain("cd");
}

/* echo WORDS [> FILE | >> FILE] */
static void cmd_echo(int argc, char **argv)
{
	char text[512] = "";
	size_t n = 0;
	int i;

	for (i = 1; i < argc && argv[i][0] != '>'; i++)
		n += snprintf(text + n, n < sizeof(text) ? sizeof(text) - n : 0,
			      "%s%s", n ? " " : "", argv[i]);
	if (i == argc)
		printf("%s\n", text);
	else if (i + 1 == argc)
		printf("echo: > needs a file\n");
	else if (!(argv[i][1] == '>' ? append_file : write_file)(argv[i + 1], text))
		complain(argv[i + 1]);
}

static void cmd_leaves(int argc, char **argv)
{
	static const char * const names[] = { "PTE", "contPTE", "PMD", "contPMD", "PUD" };
	struct leaves l;
	char size[24];

	(void)argc;
	(void)argv;
	if (!leaves_read(&l)) {
		printf("%s can't be understood\n", PTDUMP);
		return;
	}
	for (int i = 0; i < PT_LEAVES; i++) {
		if (geometry.leaf[i])
			printf("%-8s %5s %8llu\n", names[i],
			       pt_size_name(geometry.leaf[i], size, sizeof(size)),
			       (unsigned long long)l.dump.linear.leaf[i]);
	}
	printf("%-14s %8llu (could be %llu)\n%-14s %8llu\n%-14s %8llu\n",
	       "leaves", (unsigned long long)l.dump.linear.total,
	       (unsigned long long)l.dump.linear.ideal,
	       "its tables", (unsigned long long)l.dump.linear.tables,
	       "all tables", (unsigned long long)l.pt_pages);
}

static void cmd_ptdump(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	cat_one(PTDUMP, STDOUT_FILENO);
}

static void cmd_run(int argc, char **argv)
{
	const struct worker *w = argc > 1 ? find_worker(argv[1]) : NULL;

	if (argc > 1 && !strcmp(argv[1], "mixed"))
		printf("%s\n", run_mixed() ? "done" : "failed");
	else if (w)
		printf("%s\n", run_worker(w, argc > 2 ? strtoul(argv[2], NULL, 0) : w->bouts) ?
		       "done" : "failed");
	else
		printf("run secretmem|bpf|modules|setmem|ptdump|mixed [TIMES]\n");
}

static void cmd_mount(int argc, char **argv)
{
	if (argc == 1)
		cat_one("/proc/mounts", STDOUT_FILENO);
	else if (argc != 4)
		printf("mount TYPE DEVICE DIR\n");
	else if (mount(argv[2], argv[3], argv[1], 0, NULL))
		complain("mount");
}

static void cmd_mkdir(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (mkdir(argv[i], 0755))
			complain(argv[i]);
	}
}

static void cmd_dmesg(int argc, char **argv)
{
	int size = klogctl(10, NULL, 0);
	char *buf = size > 0 ? malloc(size) : NULL;
	int n = buf ? klogctl(3, buf, size) : -1;

	(void)argc;
	(void)argv;
	if (n > 0)
		fwrite(buf, 1, n, stdout);
	free(buf);
}

static void cmd_poweroff(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	ended = true;
}

static const struct {
	const char *name;
	void (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "help", cmd_help, "this list" },
	{ "leaves", cmd_leaves, "the linear map by leaf size" },
	{ "ptdump", cmd_ptdump, "the kernel's page tables" },
	{ "run", cmd_run, "WORKLOAD [TIMES]: secretmem, bpf, modules, setmem, ptdump, mixed" },
	{ "cat", cmd_cat, "FILE..." },
	{ "ls", cmd_ls, "[DIR]" },
	{ "cd", cmd_cd, "[DIR]" },
	{ "echo", cmd_echo, "WORDS [> FILE]" },
	{ "mkdir", cmd_mkdir, "DIR..." },
	{ "mount", cmd_mount, "[TYPE DEVICE DIR]" },
	{ "dmesg", cmd_dmesg, "the kernel's log" },
	{ "poweroff", cmd_poweroff, "the end" },
};

static void cmd_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("%-9s %s\n", commands[i].name, commands[i].help);
}

static void spawn(char **argv)
{
	pid_t pid = fork();

	if (!pid) {
		execv(argv[0], argv);
		complain(argv[0]);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void obey(char *text)
{
	char *argv[MAX_ARGS + 1], *rest, *word;
	int argc = 0;

	for (word = strtok_r(text, " \t\r\n", &rest); word && argc < MAX_ARGS;
	     word = strtok_r(NULL, " \t\r\n", &rest))
		argv[argc++] = word;
	argv[argc] = NULL;
	if (!argc)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[0], commands[i].name)) {
			commands[i].run(argc, argv);
			return;
		}
	}
	if (strchr(argv[0], '/'))
		spawn(argv);
	else
		printf("%s: no such command; try help\n", argv[0]);
}

/*
 * shell() - talk to whoever is at the console, until the end of input
 */
void shell(void)
{
	char line[1024];

	if (!access("/bin/sh", X_OK)) {
		spawn((char *[]) { "/bin/sh", NULL });
		return;
	}
	printf("\nThe lab's guest. \"help\" lists the commands, \"poweroff\" ends it.\n");
	while (!ended) {
		printf("lab# ");
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return;
		obey(line);
	}
}
