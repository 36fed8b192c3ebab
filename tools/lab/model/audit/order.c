// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: code is looked at for barriers, because they do not trap.
 */
#include "books.h"

#define SP	31

static bool fetch_insn(u64 pc, u32 *insn)
{
	return calls.code(pc, insn);
}

#define BARRIER_AHEAD	256	/* instructions before a TLBI that are looked at */
#define BARRIER_STEPS	512	/* and behind it */
#define BARRIER_PATHS	16
#define BARRIER_BRANCHES 256
#define KNOWN		64

static bool is_dsb(u32 insn, u32 *crm)
{
	*crm = BITS(insn, 11, 8);
	/* DSB, and DSB nXS (CRm<1:0> is 2): all of these are reads and writes */
	if ((insn & 0xfffff3ff) == 0xd503323f) {
		*crm = (BITS(insn, 11, 10) << 2) | 3;
		return true;
	}
	return (insn & 0xfffff0ff) == 0xd503309f;
}

/* CRm of a DSB: bits 3 and 2 are the domain (OSH, NSH, ISH, SY), 1 and 0 what it waits for (loads, stores, all). */
static bool dsb_is_enough(u32 crm, bool stores_do, bool local)
{
	u32 domain = crm >> 2, access = crm & 3;

	return (local || domain != 1) && (access == 3 || (stores_do && access == 2));
}

static u64 branch_target(u64 pc, u32 insn, bool *conditional, bool *leaves)
{
	*conditional = false;
	*leaves = false;
	if ((insn & 0xfc000000) == 0x14000000)		/* B */
		return pc + (u64)((long)((u64)insn << 38) >> 36);
	*conditional = true;
	if ((insn & 0xfe000000) == 0x54000000 ||	/* B.cond, BC.cond */
	    (insn & 0x7e000000) == 0x34000000)		/* CBZ, CBNZ */
		return pc + (u64)((long)((u64)BITS(insn, 23, 5) << 45) >> 43);
	if ((insn & 0x7e000000) == 0x36000000)		/* TBZ, TBNZ */
		return pc + (u64)((long)((u64)BITS(insn, 18, 5) << 50) >> 48);
	*conditional = false;
	*leaves = (insn & 0xfe000000) == 0xd6000000 &&	/* BR, RET, ERET */
		  (insn & 0xfffffc00) != 0xd63f0000;	/* but not BLR, which like BL comes back */
	return 0;
}

/*
 * Does every path from a TLBI meet a DSB before it leaves the function? Calls
 * come back; what they do is not looked at.
 */
static const char *no_dsb_behind(u64 pc, bool local)
{
	u64 path[BARRIER_PATHS], seen[BARRIER_PATHS];
	u32 paths = 1, branches = 0, steps = 0;

	path[0] = pc + 4;
	while (paths) {
		u64 at = path[--paths];

		for (;; at += 4) {
			bool conditional, leaves, known = false;
			u32 insn, crm;
			u64 target;

			if (++steps > BARRIER_STEPS)
				return "there is no DSB near behind the TLBI";
			if (!fetch_insn(at, &insn))
				return NULL; /* nobody can say */
			if (is_dsb(insn, &crm) && dsb_is_enough(crm, false, local))
				break;
			target = branch_target(at, insn, &conditional, &leaves);
			if (leaves)
				return "a path from the TLBI leaves the function without a DSB that waits for it";
			if (!target)
				continue;
			/* A loop: seen once is enough. */
			for (u32 i = 0; i < branches; i++)
				known |= seen[i] == at;
			if (!known) {
				if (branches == BARRIER_PATHS || paths == BARRIER_PATHS)
					return NULL;
				seen[branches++] = at;
				path[paths++] = target;
			}
			if (!conditional)
				break;
		}
	}
	return NULL;
}

/* What a path back from an instruction meets. */
enum meets { NOTHING_YET, ENOUGH, NOT_ENOUGH };

/**
 * struct back - what to look for on all paths back from an instruction
 * @meet: what an instruction is to the one that is looked at
 * @missing: what it is called if a path has a fault
 * @begins: and if it comes from the beginning of the function; NULL if that is none
 * @far: and if it is too long
 * @stored: where the last store to a table was
 * @local: NSH is enough
 */
struct back {
	enum meets (*meet)(const struct back *back, u64 at, u32 insn);
	const char *missing, *begins, *far;
	u64 stored;
	bool local;
};

/*
 * Is there a path to @pc without what is looked for? Backwards: what comes before
 * an instruction is the one ahead of it, unless that never goes on there, and
 * branches to it.
 *
 * @entry: filled in: where the function begins, if a path comes from there
 */
static const char *look_back(u64 pc, const struct back *back, u64 *entry)
{
	static struct {
		u64 at, target;
	} branches[BARRIER_BRANCHES];
	static u64 todo[BARRIER_BRANCHES];
	static u64 seen[2 * BARRIER_AHEAD / 64];
	u64 first = pc - 4 * BARRIER_AHEAD;
	u32 n = 0, left = 0;

	*entry = 0;
	memset(seen, 0, sizeof(seen));
	for (u64 at = first; at < pc + 4 * BARRIER_AHEAD; at += 4) {
		bool conditional, leaves;
		u32 insn;
		u64 target;

		if (!fetch_insn(at, &insn))
			continue;
		target = branch_target(at, insn, &conditional, &leaves);
		if (target >= first && target <= pc && n < BARRIER_BRANCHES) {
			branches[n].at = at;
			branches[n++].target = target;
		}
	}
	todo[left++] = pc;
	while (left) {
		u64 at = todo[--left];

		for (;; at -= 4) {
			bool came = false;
			u32 insn = 0, bit = (at - first) / 4;
			enum meets met;

			if (at <= first || at > pc + 4 * BARRIER_AHEAD) {
				if (back->far)
					return back->far;
				break;
			}
			if (seen[bit / 64] & BIT(bit % 64))
				break;
			seen[bit / 64] |= BIT(bit % 64);
			for (u32 i = 0; i < n; i++) {
				u32 other;

				if (branches[i].target != at)
					continue;
				came = true;
				/* The branch itself is neither a barrier nor a store. */
				if (left == BARRIER_BRANCHES || !fetch_insn(branches[i].at, &other))
					return NULL; /* nobody can say */
				todo[left++] = branches[i].at;
			}
			if (!fetch_insn(at - 4, &insn))
				return NULL;
			met = back->meet(back, at - 4, insn);
			if (met == NOT_ENOUGH)
				return back->missing;
			if (met == ENOUGH)
				break;
			/* B, BR, RET, ERET: what follows is come to otherwise, or is where a function begins. */
			if ((insn & 0xfc000000) == 0x14000000 || (insn & 0xfe3f0000) == 0xd61f0000 ||
			    (insn & 0xfefff800) == 0xd65f0800 || (insn & 0xfffffc1f) == 0xd65f0000 ||
			    insn == 0) {
				/* Behind @pc, nothing comes here: an alternative that was not taken. */
				if (came || at > pc)
					break;
				*entry = at;
				if (back->begins)
					return back->begins;
				break;
			}
		}
	}
	return NULL;
}

static enum meets meets_dsb(const struct back *back, u64 at, u32 insn)
{
	u32 crm;

	if (at == back->stored)
		return NOT_ENOUGH;
	return is_dsb(insn, &crm) && dsb_is_enough(crm, true, back->local) ? ENOUGH : NOTHING_YET;
}

/* Does every path to a TLBI meet a DSB behind the last store, and behind the beginning of the function? */
static const char *no_dsb_ahead(u64 pc, u64 stored, bool local, u64 *entry)
{
	const struct back back = {
		.meet = meets_dsb, .stored = stored, .local = local,
		.missing = "there is a path from the last store to a table to the TLBI without a DSB",
		.begins = "there is no DSB between the beginning of the function and the TLBI",
		.far = "there is no DSB near before the TLBI",
	};

	return look_back(pc, &back, entry);
}

/* STR and STP of X registers, unless to the stack */
static bool fills(u32 insn)
{
	if (BITS(insn, 9, 5) == SP)
		return false;
	if ((insn & 0xfe400000) == 0xa8000000)
		return true;
	if ((insn & 0xfec00000) != 0xf8000000)
		return false;
	/* With an offset, or with a register; what else has bit 21 is atomic. */
	return (insn & BIT(24)) || !(insn & BIT(21)) || BITS(insn, 11, 10) == 2;
}

static enum meets meets_fill(const struct back *back, u64 at, u32 insn)
{
	u32 crm = BITS(insn, 11, 8);

	(void)at;
	/* DMB does, too: the walker is another observer of both stores. */
	if ((insn & 0xfffff0ff) == 0xd50330bf || is_dsb(insn, &crm))
		return dsb_is_enough(crm, true, back->local) ? ENOUGH : NOTHING_YET;
	if (fills(insn))
		return NOT_ENOUGH;
	/* BL, BLR: what is called may do either. */
	return (insn & 0xfc000000) == 0x94000000 || (insn & 0xfffffc1f) == 0xd63f0000 ? ENOUGH : NOTHING_YET;
}

/**
 * fill_unordered() - is there no barrier between filling a table and linking it?
 * @pc: the store that links it
 *
 * By the code alone, like barrier_missing(): true only if a path to that store
 * has another store without a barrier between them, in the same function. It
 * need not be one to the table; Linux has none there that is not.
 */
const char *fill_unordered(u64 pc)
{
	const struct back back = {
		.meet = meets_fill,
		.missing = "there is a path from the stores that fill the table to the one that links it without a barrier",
	};
	u64 entry;

	return look_back(pc, &back, &entry);
}

/**
 * barrier_missing() - is a TLBI without a DSB before or behind it?
 * @pc: where it is
 * @stored: where the last store to a table was
 * @lr: where its function returns to, if it is one that calls no others
 * @before: or else behind
 * @local: it is not broadcast, so that NSH is enough
 *
 * By the code alone: DSBs do not trap. What was looked at is remembered for a
 * while; code that is patched is looked at again.
 */
const char *barrier_missing(u64 pc, u64 stored, u64 lr, bool before, bool local)
{
	static struct {
		u64 key, caller, stored, event; /* @caller: where it has the DSB; 0: it needs none */
	} known[KNOWN];
	u64 key = pc | before, slot = (pc >> 2 ^ before) % KNOWN;
	u64 entry, caller = 0;
	const char *why;

	if (known[slot].key == key && (!known[slot].caller || known[slot].caller == lr) &&
	    known[slot].stored == stored && counts.events - known[slot].event < 1000)
		return NULL;
	if (before) {
		why = no_dsb_ahead(pc, stored, local, &entry);
		/* A function that calls no others has its caller in LR. */
		if (why && entry && (lr < entry || lr > pc)) {
			caller = lr;
			if (!no_dsb_ahead(lr, stored, local, &entry))
				why = NULL;
		}
	} else {
		why = no_dsb_behind(pc, local);
	}
	if (!why) {
		known[slot].key = key;
		known[slot].caller = caller;
		known[slot].stored = stored;
		known[slot].event = counts.events;
	}
	return why;
}
