// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: stores that trapped are done here, by the syndrome where it says
 * enough, else by decoding the instruction; and code is looked at for DSBs.
 */
#include "audit.h"

#define SP	31

/* The code that a CPU executes, by the tables as they are. */
bool fetch_insn(u64 pc, u32 *insn)
{
	u64 pa;

	if (!translate(pc, &pa) || !in_guest_ram(pa & ~SHARED))
		return false;
	*insn = *(volatile u32 *)(pa & ~SHARED);
	return true;
}

static u64 get_x(const struct regs *regs, u32 n)
{
	return n == 31 ? 0 : regs->x[n];
}

static void set_x(struct regs *regs, u32 n, u64 value)
{
	if (n != 31)
		regs->x[n] = value;
}

/* Where 31 is the stack pointer: that of EL1, or of EL0 if EL1 uses it. */
static u64 get_base(const struct regs *regs, u32 n)
{
	if (n != SP)
		return regs->x[n];
	return PSR_MODE(regs->pstate) == PSR_EL1h ? read_sysreg(sp_el1) : read_sysreg(sp_el0);
}

static void set_base(struct regs *regs, u32 n, u64 value)
{
	if (n != SP)
		regs->x[n] = value;
	else if (PSR_MODE(regs->pstate) == PSR_EL1h)
		write_sysreg(sp_el1, value);
	else
		write_sysreg(sp_el0, value);
}

static u64 mask_of(u32 bytes)
{
	return bytes >= 8 ? ~0UL : BIT(8 * bytes) - 1;
}

/*
 * A store that is being done. A first pass sees that all of it can be reached,
 * so that an instruction is done as a whole or not at all.
 */
struct store {
	struct regs *regs;
	struct table *table;	/* the one that trapped */
	const struct who *who;
};

static bool load(u64 va, u32 bytes, u64 *value)
{
	u64 pa;

	*value = 0;
	for (u32 i = 0; i < bytes; i++) {
		if (!translate(va + i, &pa) || !in_guest_ram(pa & ~SHARED))
			return false;
		*value |= (u64)*(volatile u8 *)(pa & ~SHARED) << 8 * i;
	}
	return true;
}

/* Up to 8 bytes at one address, which may be in two words, and not all of them of a table. */
static bool put(struct store *s, u64 va, u32 bytes, u64 value)
{
	while (bytes) {
		u32 at = va & 7, n = 8 - at < bytes ? 8 - at : bytes;
		u64 pa, mask = mask_of(n) << 8 * at, word;
		struct table *t;

		if (!translate(va, &pa) || !in_guest_ram(pa & ~SHARED))
			return false;
		pa &= ~(SHARED | 7);
		word = (read_entry(pa) & ~mask) | ((value << 8 * at) & mask);
		t = table_find(pa);
		if (t)
			audit_word(t, pa, word, s->who);
		else
			__atomic_store_n((u64 *)pa, word, __ATOMIC_RELAXED);
		va += n;
		bytes -= n;
		value = n == 8 ? 0 : value >> 8 * n;
	}
	return true;
}

static bool put_pair(struct store *s, u64 va, u32 bytes, u64 first, u64 second)
{
	u64 pa;

	/* Nothing is stored before all of it is known to be reached. */
	return translate(va + 2 * bytes - 1, &pa) && put(s, va, bytes, first) &&
	       put(s, va + bytes, bytes, second);
}

/*
 * Store-exclusive. Whether another CPU stored between the load and this one
 * nobody knows: the monitor is lost with the trap, and the load did not trap.
 * So the first one fails, and notes how many stores the table had; the guest
 * loads again and stores again, and if there was none in between, it is done.
 */
static struct {
	u64 pc, address, seq;
} exclusive[MAX_CPUS];

static bool exclusive_holds(struct store *s, u64 va)
{
	u32 cpu = s->who->cpu;
	bool holds = exclusive[cpu].pc == s->who->pc && exclusive[cpu].address == va &&
		     exclusive[cpu].seq == s->table->seq;

	exclusive[cpu].pc = holds ? 0 : s->who->pc;
	exclusive[cpu].address = va;
	exclusive[cpu].seq = s->table->seq;
	counts.exclusives_failed += !holds;
	return holds;
}

/* Load/store exclusive, compare and swap: bits 29 to 24 are 001000. */
static bool exclusive_or_cas(struct store *s, u32 insn)
{
	struct regs *regs = s->regs;
	u32 bytes = 1 << BITS(insn, 31, 30), rs = BITS(insn, 20, 16), rt = BITS(insn, 4, 0);
	u32 rt2 = BITS(insn, 14, 10), pair = BITS(insn, 21, 21), o2 = BITS(insn, 23, 23);
	u64 va = get_base(regs, BITS(insn, 9, 5)), old, old2;

	if (o2 && !pair) /* STLR, STLLR */
		return put(s, va, bytes, get_x(regs, rt));
	if (o2) { /* CAS */
		if (!load(va, bytes, &old))
			return false;
		if (old == (get_x(regs, rs) & mask_of(bytes)) && !put(s, va, bytes, get_x(regs, rt)))
			return false;
		set_x(regs, rs, old);
		return true;
	}
	if (pair && !(insn >> 31)) { /* CASP */
		bytes = 4 << BITS(insn, 30, 30);
		if (!load(va, bytes, &old) || !load(va + bytes, bytes, &old2))
			return false;
		if (old == (get_x(regs, rs) & mask_of(bytes)) &&
		    old2 == (get_x(regs, rs + 1) & mask_of(bytes)) &&
		    !put_pair(s, va, bytes, get_x(regs, rt), get_x(regs, rt + 1)))
			return false;
		set_x(regs, rs, old);
		set_x(regs, rs + 1, old2);
		return true;
	}
	if (!exclusive_holds(s, va)) {
		set_x(regs, rs, 1);
		return true;
	}
	if (pair ? !put_pair(s, va, bytes, get_x(regs, rt), get_x(regs, rt2)) :
		   !put(s, va, bytes, get_x(regs, rt)))
		return false;
	set_x(regs, rs, 0);
	return true;
}

static u64 atomic_result(u32 op, u64 old, u64 operand, u32 bytes)
{
	u32 up = 64 - 8 * bytes; /* to compare with a sign */
	long a = (long)(old << up), b = (long)(operand << up);

	switch (op) {
	case 0: return old + operand;			/* LDADD */
	case 1: return old & ~operand;			/* LDCLR */
	case 2: return old ^ operand;			/* LDEOR */
	case 3: return old | operand;			/* LDSET */
	case 4: return a > b ? old : operand;		/* LDSMAX */
	case 5: return a < b ? old : operand;		/* LDSMIN */
	case 6: return (u64)a > (u64)b ? old : operand;	/* LDUMAX */
	case 7: return (u64)a < (u64)b ? old : operand;	/* LDUMIN */
	}
	return operand;					/* SWP */
}

/* LD<op>, ST<op>, SWP */
static bool atomic(struct store *s, u32 insn)
{
	struct regs *regs = s->regs;
	u32 bytes = 1 << BITS(insn, 31, 30), op = BITS(insn, 15, 12);
	u64 va = get_base(regs, BITS(insn, 9, 5)), operand = get_x(regs, BITS(insn, 20, 16)), old;

	if (op > 8 || !load(va, bytes, &old) ||
	    !put(s, va, bytes, atomic_result(op, old, operand & mask_of(bytes), bytes)))
		return false;
	set_x(regs, BITS(insn, 4, 0), old);
	return true;
}

/* STP, STNP of general registers */
static bool pair(struct store *s, u32 insn)
{
	struct regs *regs = s->regs;
	u32 bytes = 4 << BITS(insn, 31, 31), rn = BITS(insn, 9, 5), mode = BITS(insn, 24, 23);
	u64 base = get_base(regs, rn), offset;

	/* A signed immediate of 7 bits, times the size. */
	offset = (u64)((long)((u64)BITS(insn, 21, 15) << 57) >> 57) * bytes;
	if (!put_pair(s, mode == 1 ? base : base + offset, bytes, get_x(regs, BITS(insn, 4, 0)),
		      get_x(regs, BITS(insn, 14, 10))))
		return false;
	if (mode & 1) /* 1: post-index, 3: pre-index */
		set_base(regs, rn, base + offset);
	return true;
}

/* STR with a 9-bit immediate: unscaled, post-index, unprivileged, pre-index */
static bool indexed(struct store *s, u32 insn)
{
	struct regs *regs = s->regs;
	u32 bytes = 1 << BITS(insn, 31, 30), rn = BITS(insn, 9, 5), mode = BITS(insn, 11, 10);
	u64 base = get_base(regs, rn), offset = (u64)((long)((u64)BITS(insn, 20, 12) << 55) >> 55);

	if (!put(s, mode == 1 ? base : base + offset, bytes, get_x(regs, BITS(insn, 4, 0))))
		return false;
	if (mode & 1)
		set_base(regs, rn, base + offset);
	return true;
}

static bool dc_zva(struct store *s, u32 insn)
{
	u64 size = 4UL << BITS(read_sysreg(dczid_el0), 3, 0);
	u64 va = get_x(s->regs, BITS(insn, 4, 0)) & ~(size - 1);

	for (u64 i = 0; i < size; i += 8) {
		if (!put(s, va + i, 8, 0))
			return false;
	}
	return true;
}

/*
 * FEAT_MOPS, as memset() and memcpy() use it: P, M and E follow each other.
 * The prologue may leave everything to the main part (option A: the address is
 * that of the end, and the size counts up to zero); the main part goes up to
 * the end of the page, and is done again for the next one. A copy that goes
 * down counts its size down: its prologue may not have trapped.
 */
static bool mops(struct store *s, u32 insn, bool set)
{
	struct regs *regs = s->regs;
	u32 rd = BITS(insn, 4, 0), rn = BITS(insn, 9, 5), rs = BITS(insn, 20, 16);
	u32 stage = set ? BITS(insn, 15, 14) : BITS(insn, 23, 22);
	u64 left, to, byte;
	bool forward;

	if (stage)
		forward = set || (long)regs->x[rn] <= 0;
	else
		forward = set || !BITS(insn, 26, 26) || regs->x[rs] > regs->x[rd] ||
			  regs->x[rs] + regs->x[rn] <= regs->x[rd];
	if (!forward)
		fail("cpu %u: the auditor does no copy that goes down, 0x%x at pc 0x%lx (lr 0x%lx)", s->who->cpu,
		     insn, regs->pc, regs->x[30]);
	if (!stage) {
		regs->x[rd] += regs->x[rn];
		if (!set)
			regs->x[rs] += regs->x[rn];
		regs->x[rn] = -regs->x[rn];
		regs->pstate &= ~PSR_NZCV;
		return true;
	}
	left = -regs->x[rn];
	to = regs->x[rd] - left;
	if (left > GRANULE - (to & (GRANULE - 1)))
		left = GRANULE - (to & (GRANULE - 1));
	while (left) {
		u32 n = (to & 7) || left < 8 ? 1 : 8;

		if (set)
			byte = (get_x(regs, rs) & 0xff) * 0x0101010101010101UL;
		else if (!load(regs->x[rs] + regs->x[rn], n, &byte))
			return false;
		if (!put(s, to, n, byte))
			return false;
		to += n;
		left -= n;
		regs->x[rn] += n;
	}
	if (regs->x[rn])
		regs->pc -= 4; /* the rest of it */
	return true;
}

static bool decoded(struct store *s, u32 insn)
{
	if ((insn & 0x3f000000) == 0x08000000 && !(BITS(insn, 22, 22) && !BITS(insn, 21, 21)))
		return exclusive_or_cas(s, insn);
	if ((insn & 0x7e400000) == 0x28000000)
		return pair(s, insn);
	if ((insn & 0x3f200c00) == 0x38200000)
		return atomic(s, insn);
	if ((insn & 0x3fe00000) == 0x38000000)
		return indexed(s, insn);
	if ((insn & 0xffffffe0) == 0xd50b7420)
		return dc_zva(s, insn);
	if ((insn & 0xffe00c00) == 0x19c00400 && BITS(insn, 15, 14) != 3)
		return mops(s, insn, true);
	if ((insn & 0xfb200c00) == 0x19000400 && BITS(insn, 23, 22) != 3)
		return mops(s, insn, false);
	return false;
}

/**
 * store_emulate() - do what trapped, and judge each entry that it changes
 * @regs: the guest's registers; PC goes on
 * @esr: ESR_EL2
 * @table: what it hit
 * @ipa: where
 * @who: whose it is
 *
 * Return: false if the code or the data is not mapped any more: then the guest
 * does it again, and takes its own fault.
 */
bool store_emulate(struct regs *regs, u64 esr, struct table *table, u64 ipa, const struct who *who)
{
	struct store s = { .regs = regs, .table = table, .who = who };
	u32 insn;
	u64 pa;

	if (esr & ISS_ISV) {
		u32 bytes = 1 << ISS_SAS(esr);

		/* Nearly all of them: one entry. */
		if (bytes == 8 && !(ipa & 7)) {
			audit_word(table, ipa & ~SHARED, get_x(regs, ISS_SRT(esr)), who);
			regs->pc += 4;
			return true;
		}
		if (!put(&s, read_sysreg(far_el2), bytes, get_x(regs, ISS_SRT(esr))))
			return false;
		regs->pc += 4;
		return true;
	}
	if (!fetch_insn(regs->pc, &insn))
		return false;
	counts.decoded++;
	if (!decoded(&s, insn)) {
		if (!translate(regs->pc, &pa) || !translate(read_sysreg(far_el2), &pa))
			return false;
		fail("cpu %u: the auditor does not know the store 0x%x at pc 0x%lx (lr 0x%lx, ipa 0x%lx)",
		     who->cpu, insn, regs->pc, regs->x[30], ipa);
	}
	regs->pc += 4;
	return true;
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
