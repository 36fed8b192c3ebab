// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: whose event it is, and how long ago that was.
 */
#include "books.h"

/*
 * How much a thread must have done since: a range of changes may be that long
 * before its TLBI (.text and .rodata in 4K pages are less). Others may do a lot
 * meanwhile, for it may be preempted.
 */
#define THREADS		1024
#define PATIENCE	16384
#define MOST_PATIENCE	(64 * PATIENCE)

/* What each thread did, by its number: of two with one slot together, which is only sooner. */
static struct {
	u64 thread, events;
} threads[THREADS];

/* Of the event that was counted last. */
void who_init(struct who *who, const struct audit_event *event)
{
	const u32 slot = event->thread % THREADS;

	/* That of one whose slot was another's meanwhile begins anew, beyond what it was. */
	if (threads[slot].thread != event->thread)
		threads[slot].thread = event->thread;
	*who = (struct who){ .pc = event->pc, .lr = event->lr, .thread = event->thread,
			     .event = counts.events, .own = ++threads[slot].events, .cpu = event->cpu };
}

/**
 * is_long_ago() - could it have been put right since?
 * @who: whose doing it was, and when
 *
 * Return: true after PATIENCE events of the thread, or MOST_PATIENCE of all.
 */
bool is_long_ago(const struct who *who)
{
	const u32 slot = who->thread % THREADS;

	return counts.events - who->event > MOST_PATIENCE ||
	       (threads[slot].thread == who->thread && threads[slot].events - who->own > PATIENCE);
}
