// SPDX-License-Identifier: GPL-2.0
/*
 * Workloads in processes of their own: one after the other, or all at once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

static const struct worker workers[] = {
	{ "secretmem", secretmem_bout, true, 4, NULL },
	{ "bpf", bpf_bout, true, 4, NULL },
	{ "modules", modules_bout, false, 2, NULL },
	{ "setmem", setmem_bout, false, 2, NULL },
	{ "ptdump", ptdump_bout, false, 4, NULL },
	{ "kexec", kexec_bout, false, 8, NULL },
	/* A kernel may be no hypervisor: lab=kvm is for one that must be. */
	{ "kvm", kvm_bout, false, 8, kvm_is_there },
	{ "livepatch", livepatch_bout, false, 4, livepatch_is_there },
};

const struct worker *find_worker(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		if (!strcmp(workers[i].name, name))
			return &workers[i];
	}
	return NULL;
}

bool wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	if (WIFSIGNALED(status))
		note("failed: process %d ended by signal %d", pid, WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

pid_t start_child(void (*fn)(unsigned int *), unsigned int times, unsigned int seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	while (times--)
		fn(&seed);
	_exit(0);
}

/**
 * run_child() - call a workload in a process of its own
 * @fn: one bout
 * @times: number of bouts
 * @index: makes its random numbers its own
 */
bool run_child(void (*fn)(unsigned int *), unsigned int times, int index)
{
	pid_t pid = start_child(fn, times, opt.seed + 7919 * index);
	bool ok;

	ok = pid > 0 && wait_child(pid);
	shared->last_close_ms = now_ms();
	return ok;
}

bool run_worker(const struct worker *w, unsigned int times)
{
	return run_child(w->bout, times, w - workers);
}

static bool takes_part(const struct worker *w)
{
	return strcmp(w->name, opt.without) && (!w->there || w->there());
}

static pid_t start_churn(const struct worker *w, unsigned int cpu)
{
	unsigned int seed = opt.seed + 7919 * (w - workers) + 104729 * cpu;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (w->per_cpu)
		pin_to(cpu);
	do {
		w->bout(&seed);
		__atomic_add_fetch(&shared->done[w - workers], 1, __ATOMIC_RELAXED);
	} while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED));
	_exit(0);
}

static void wait_all(pid_t *pids, unsigned int n, bool *ok)
{
	uint64_t until = now_ms() + opt.last_s * 1000ULL;

	for (unsigned int i = 0; i < n; i++) {
		siginfo_t info = { 0 };

		while (!waitid(P_PID, pids[i], &info, WEXITED | WNOHANG | WNOWAIT) &&
		       !info.si_pid && now_ms() < until)
			sleep_ms(10);
		if (!info.si_pid) {
			note("failed: process %d does not end", pids[i]);
			kill(pids[i], SIGKILL);
		}
		*ok &= wait_child(pids[i]);
	}
}

/*
 * run_mixed() - all workloads on all CPUs while the page tables are read
 */
bool run_mixed(void)
{
	pid_t pids[256];
	unsigned int n = 0;
	char text[200] = "";
	size_t used = 0;
	bool ok = true;

	shared->stop = false;
	shared->torn = 0;
	memset(shared->done, 0, sizeof(shared->done));
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		unsigned int copies = !takes_part(&workers[i]) ? 0 :
				      workers[i].per_cpu ? cpus() : 1;

		for (unsigned int c = 0; c < copies && n < ARRAY_SIZE(pids); c++) {
			pids[n] = start_churn(&workers[i], c);
			if (pids[n] > 0)
				n++;
			else
				ok = false;
		}
	}
	sleep_ms(opt.churn_s * 1000);
	leaves_phase("churn", 0);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	wait_all(pids, n, &ok);
	shared->last_close_ms = now_ms();

	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		if (!takes_part(&workers[i]))
			continue;
		used += snprintf(text + used, sizeof(text) - used, " %s=%lu",
				 workers[i].name, shared->done[i]);
		ok &= shared->done[i] > 0;
	}
	note("churn processes=%u seconds=%u%s torn=%lu", n, opt.churn_s, text,
	     shared->torn);
	leaves_phase("mixed-closed", 0);
	return ok;
}
