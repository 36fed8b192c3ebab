// SPDX-License-Identifier: GPL-2.0
/*
 * Stores that trapped are done here, by the syndrome where it says enough, else
 * by decoding the instruction. What of them is to a table the auditor is told.
 */
#include "observe.h"

#define SP	31

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
	u64 ipa;	/* where it trapped */
	u32 how;	/* AUDIT_DONE */
};

/* @word is to be stored to a page that is watched: the auditor does it. */
static void tell(u64 pa, u64 word)
{
	observe(&(struct audit_event){
		.kind = AUDIT_WORD, .cpu = this_cpu()->index, .address = pa, .value = word,
	});
}

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
static bool put(u64 va, u32 bytes, u64 value)
{
	while (bytes) {
		u32 at = va & 7, n = 8 - at < bytes ? 8 - at : bytes;
		u64 pa, mask = mask_of(n) << 8 * at, word;

		if (!translate(va, &pa) || !in_guest_ram(pa & ~SHARED))
			return false;
		pa &= ~(SHARED | 7);
		word = (__atomic_load_n((u64 *)pa, __ATOMIC_RELAXED) & ~mask) | ((value << 8 * at) & mask);
		if (audit_watches(pa))
			tell(pa, word);
		else
			__atomic_store_n((u64 *)pa, word, __ATOMIC_RELAXED);
		va += n;
		bytes -= n;
		value = n == 8 ? 0 : value >> 8 * n;
	}
	return true;
}

static bool put_pair(u64 va, u32 bytes, u64 first, u64 second)
{
	u64 pa;

	/* Nothing is stored before all of it is known to be reached. */
	return translate(va + 2 * bytes - 1, &pa) && put(va, bytes, first) &&
	       put(va + bytes, bytes, second);
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
	u32 cpu = this_cpu()->index;
	u64 seq = audit_stores_to(s->ipa);
	bool holds = exclusive[cpu].pc == s->regs->pc && exclusive[cpu].address == va &&
		     exclusive[cpu].seq == seq;

	exclusive[cpu].pc = holds ? 0 : s->regs->pc;
	exclusive[cpu].address = va;
	exclusive[cpu].seq = seq;
	if (!holds)
		s->how |= AUDIT_REPEAT;
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
		return put(va, bytes, get_x(regs, rt));
	if (o2) { /* CAS */
		if (!load(va, bytes, &old))
			return false;
		if (old == (get_x(regs, rs) & mask_of(bytes)) && !put(va, bytes, get_x(regs, rt)))
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
		    !put_pair(va, bytes, get_x(regs, rt), get_x(regs, rt + 1)))
			return false;
		set_x(regs, rs, old);
		set_x(regs, rs + 1, old2);
		return true;
	}
	if (!exclusive_holds(s, va)) {
		set_x(regs, rs, 1);
		return true;
	}
	if (pair ? !put_pair(va, bytes, get_x(regs, rt), get_x(regs, rt2)) :
		   !put(va, bytes, get_x(regs, rt)))
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
	    !put(va, bytes, atomic_result(op, old, operand & mask_of(bytes), bytes)))
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
	if (!put_pair(mode == 1 ? base : base + offset, bytes, get_x(regs, BITS(insn, 4, 0)),
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

	if (!put(mode == 1 ? base : base + offset, bytes, get_x(regs, BITS(insn, 4, 0))))
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
		if (!put(va + i, 8, 0))
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
		fail("cpu %u: the auditor does no copy that goes down, 0x%x at pc 0x%lx (lr 0x%lx)", this_cpu()->index,
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
		if (!put(to, n, byte))
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

/* Return: false if the code or the data is not mapped any more. */
static bool emulate(struct store *s, u64 esr)
{
	struct regs *regs = s->regs;
	u32 insn;
	u64 pa;

	if (esr & ISS_ISV) {
		u32 bytes = 1 << ISS_SAS(esr);
		u64 value = get_x(regs, ISS_SRT(esr));

		/* Nearly all of them: one entry. */
		if (bytes == 8 && !(s->ipa & 7))
			tell(s->ipa & ~SHARED, value);
		else if (!put(read_sysreg(far_el2), bytes, value))
			return false;
		regs->pc += 4;
		return true;
	}
	if (!fetch_insn(regs->pc, &insn))
		return false;
	s->how |= AUDIT_DECODED;
	if (!decoded(s, insn)) {
		if (!translate(regs->pc, &pa) || !translate(read_sysreg(far_el2), &pa))
			return false;
		fail("cpu %u: the auditor does not know the store 0x%x at pc 0x%lx (lr 0x%lx, ipa 0x%lx)",
		     this_cpu()->index, insn, regs->pc, regs->x[30], s->ipa);
	}
	regs->pc += 4;
	return true;
}

/**
 * store_emulate() - do what trapped, and tell the auditor each entry that it changes
 * @regs: the guest's registers; PC goes on
 * @esr: ESR_EL2
 * @ipa: where
 *
 * If the code or the data is not mapped any more, the guest does it again, and
 * takes its own fault.
 *
 * Return: what AUDIT_DONE is to say.
 */
u32 store_emulate(struct regs *regs, u64 esr, u64 ipa)
{
	struct store s = { .regs = regs, .ipa = ipa };

	if (emulate(&s, esr))
		s.how |= AUDIT_DID;
	return s.how;
}
