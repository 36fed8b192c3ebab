// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: what a TLBI drops of what may be cached, and its barriers.
 */
#include "books.h"

/**
 * struct tlbi - what one does
 * @start: the addresses,
 * @size: bytes
 * @all: every address
 * @last_level: not the walk caches
 * @asid: entries of one ASID, and global leaves
 * @ttl: the level it is confined to, or -1
 * @cpus: whose
 * @local: not broadcast
 * @stored: it drops what its own CPU changed
 */
struct tlbi {
	u64 start, size;
	bool all, last_level, asid, local, stored;
	int ttl;
	u32 cpus, cpu;
};

static void apply(struct stale *s, void *context)
{
	struct tlbi *t = context;
	struct stale whole = *s;
	u64 start, end;

	if (!(s->cpus & t->cpus))
		return;
	if (s->kind == STALE_TABLE) {
		/* The hint is the level of the leaf: the pointer is above it. */
		if (t->last_level || (t->ttl >= 0 && t->ttl <= s->level))
			return;
		/* They match by ASID, even where the leaves below are global, and by which nobody noted. */
		if (t->asid)
			return;
		start = s->start;
		end = s->end;
	} else {
		if (t->ttl >= 0 && t->ttl != s->level)
			return;
		/* Which ASID it is of nobody noted. */
		if (t->asid && (s->old & S1_NG))
			return;
		start = s->start;
		end = s->end;
		if (!t->all) {
			u64 first = t->start & ~(s->unit - 1);
			u64 behind = ((t->start + t->size - 1) & ~(s->unit - 1)) + s->unit;

			if (first - start < end - start)
				start = first;
			if (behind - s->start < end - s->start)
				end = behind;
		}
	}
	if (s->who.cpu == t->cpu)
		t->stored = true;

	/* What is before, what it drops, what is behind; the last addresses end at 0. */
	if (whole.end != end) {
		struct stale rest = whole;

		rest.start = end;
		rest.old += end - whole.start;
		stale_new(&rest);
	}
	if (whole.cpus & ~t->cpus) {
		struct stale rest = whole;

		rest.start = start;
		rest.end = end;
		rest.old += start - whole.start;
		rest.cpus &= ~t->cpus;
		if (start == whole.start) {
			s->cpus = rest.cpus;
			s->end = end;
			return;
		}
		stale_new(&rest);
	}
	if (start > whole.start)
		s->end = start;
	else
		stale_free(s);
}

static u64 sign_extend(u64 value, u32 bits)
{
	return (u64)((long)(value << (64 - bits)) >> (64 - bits));
}

/* TG as TLBIs have it: 1 is 4K, 2 is 16K, 3 is 64K. */
static bool is_granule(u32 tg)
{
	return tg == (geo.page_shift - 10) / 2;
}

/* Return: false if it drops nothing that we keep a record of. */
static bool decode(u32 crm, u32 op2, u64 argument, struct tlbi *t)
{
	t->local = crm == 7 || crm == 6;
	t->cpus = t->local ? BIT(t->cpu) : 0xff;
	t->ttl = -1;
	t->last_level = op2 == 5 || op2 == 7;
	t->asid = op2 == 1 || op2 == 5;
	if (op2 == 0) {
		t->all = true;
		return true;
	}
	if (op2 == 2) /* ASIDE1: global entries stay */
		return false;
	if (crm == 2 || crm == 5 || crm == 6) {
		u32 scale = BITS(argument, 45, 44), num = BITS(argument, 43, 39);

		t->start = sign_extend(BITS(argument, 36, 0), 37) << (geo.lpa ? 16 : geo.page_shift);
		t->size = (u64)(num + 1) << (5 * scale + 1 + geo.page_shift);
		if (BITS(argument, 38, 37))
			t->ttl = BITS(argument, 38, 37);
		if (!is_granule(BITS(argument, 47, 46)))
			return false;
		/* Then nothing need be invalidated. */
		if (t->ttl >= 0 && (t->start & (level_span(t->ttl) - 1)))
			return false;
	} else {
		u32 ttl = BITS(argument, 47, 44);

		t->start = sign_extend(BITS(argument, 43, 0), 44) << 12;
		t->start &= ~(BIT(geo.page_shift) - 1);
		t->size = BIT(geo.page_shift);
		if (ttl >> 2 && !is_granule(ttl >> 2))
			return false;
		if (ttl >> 2 && (ttl & 3))
			t->ttl = ttl & 3;
	}
	return t->start >> 63;
}

/**
 * tlbi_done() - the guest has done a TLBI
 * @event: it
 * @stored: where its CPU stored to a table last
 */
void tlbi_done(const struct audit_event *event, u64 stored)
{
	struct tlbi t = { .cpu = event->cpu };
	struct who who;
	const char *why;
	bool early;

	/* Before there are tables, nothing is known of the page size. */
	if (!geo.tcr || !decode(event->address / 8, event->address % 8, event->value, &t)) {
		counts.user_tlbis++;
		return;
	}
	counts.tlbis++;
	calls.forget();
	counts.events++;
	who_init(&who, event);
	if (t.all) {
		stale_check(false);
		t.start = 0;
		t.size = ~0UL;
	} else {
		groups_settled(t.start, t.start + t.size, &who);
	}
	stale_each(t.start, t.size, apply, &t);
	stale_passed(&who);
	if (t.all)
		roots_forget(t.cpus);
	if (!t.stored)
		return;
	/* Before other CPUs run there is one TLBI in map_kernel() that has no DSB behind it. */
	early = (setup.allow & AUDIT_ALLOW_EARLY) && t.all && t.local && cpus_active() == BIT(t.cpu);
	why = barrier_missing(who.pc, stored, who.lr, true, t.local);
	if (why)
		violation(RULE_ORDER, t.start, 0, 0, 0, 0, t.cpus, &who, why,
			  "DSB ISHST between the last store to a table and the TLBI");
	why = early ? NULL : barrier_missing(who.pc, 0, 0, false, t.local);
	if (why)
		violation(RULE_ORDER, t.start, 0, 0, 0, 0, t.cpus, &who, why,
			  "DSB ISH behind the TLBI, on every path");
}
