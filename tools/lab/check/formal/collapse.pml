/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The queue, the exclusion and the grace period of arch/arm64/mm/collapse.c, for spin (`make check STEPS=spin`).
 *
 * One block of two pages, which is a leaf or a table of two entries. Two owners change the attributes of a page each, as
 * set_direct_map_*_noflush() and their callers do; at times somebody owns both and changes the block as a whole. The worker
 * collapses what is queued, and somebody else asks for a collapse at once. With them runs one observer:
 *
 *	CPU	the walker of another CPU, with its TLB and walk cache
 *	WALKER	a software walker under RCU
 *	PTDUMP	ptdump, which sleeps and so is no RCU reader
 *
 * What is asserted:
 *
 *	stale	an access never sees attributes other than the page's, unless they are being changed
 *	freed	nobody, hardware or software, reads a table that was freed
 *	lost	when all is quiet and the queue is empty, no table is uniform
 *	queued	a queued table is the one that is linked
 *	deposit	what a collapse has made read-only is split without an allocation; no table is kept for a block that has the default
 *		attributes
 *
 * and that nothing blocks for good. The observer looks at page 0: the model does not tell the pages apart. Memory is sequentially
 * consistent and a TLBI takes effect at once, on all CPUs: the order of a store, its DSB and the TLBI is the auditor's to judge. With
 * M_... defined a rule is broken, and one of the assertions must fail.
 */

#ifndef CHANGES
#define CHANGES	2		/* by each owner */
#endif

#define PAGES	2
#define TABLES	3

#define RW	0
#define RO	1
#define BAD	2		/* what a freed table holds */

#define NONE	9		/* nothing cached */
#define LEAF	4		/* pmd: LEAF + RW or LEAF + RO, or the number of a table */
#define entry(t, p)	e[(t) * PAGES + (p)]
#define is_leaf(v)	((v) >= LEAF)

mtype = { FREE, USED, RETIRED, DEPOSIT };

/* The tables in memory. The block begins as a leaf. */
byte pmd = LEAF + RW;
byte e[TABLES * PAGES] = BAD;
mtype state[TABLES] = FREE;
bool grace[TABLES];		/* a reader from before it was retired is still there */

/* What another CPU may have cached. */
byte walk = NONE;		/* the pointer to a table */
byte tlb = NONE;		/* the entry of page 0 */
byte tlb_block = NONE;

/* region->lock, region->split_lock, init_mm's mmap lock, kernel_collapse_mutex */
byte readers;
bool writer, splitting, mmap_write, collapsing;
byte mmap_readers;
bool rcu_reader;

bool queued[TABLES];
bool promised;			/* a collapse has made the leaf, and it is not the default */

/* Whose the pages are, and what their owners have made of them. */
bool owned[PAGES];
bool changing[PAGES];
byte attr[PAGES] = RW;
byte owners = 3;

#define no_deposit	(state[0] != DEPOSIT && state[1] != DEPOSIT && state[2] != DEPOSIT)
#define uniform(t)	(entry(t, 0) == entry(t, 1))

inline tlbi_last_level(p)
{
#ifdef CPU
	d_step {
		tlb_block = NONE;
		if
		:: p == 0 -> tlb = NONE
		:: else
		fi
	}
#else
	skip
#endif
}

inline tlbi_all_levels()
{
#ifdef CPU
	d_step { tlb = NONE; tlb_block = NONE; walk = NONE }
#else
	skip
#endif
}

inline retire(t)
{
	d_step { state[t] = RETIRED; grace[t] = rcu_reader; }
}

/* kernel_leaf_change_begin(): the leaf is split unless it has the attribute. */
inline split(want, v, t)
{
	v = pmd;
	if
	:: is_leaf(v) && v != LEAF + want ->
		atomic { !splitting -> splitting = true }
		v = pmd;
		if
		:: is_leaf(v) && v != LEAF + want ->
			atomic {	/* deposit_lock */
				assert(v != LEAF + RW || no_deposit);	/* deposit */
				if
				:: state[0] == DEPOSIT -> t = 0
				:: state[1] == DEPOSIT -> t = 1
				:: state[2] == DEPOSIT -> t = 2
				:: else ->
					assert(!promised);	/* deposit */
					if
					:: state[0] == FREE -> t = 0
					:: state[1] == FREE -> t = 1
					:: state[2] == FREE -> t = 2
					fi
				fi
				state[t] = USED
			}
			/* Walkers may know a deposit from before: store by store. */
			entry(t, 0) = v - LEAF;
			entry(t, 1) = v - LEAF;
			d_step { pmd = t; promised = false }
		:: else
		fi
		splitting = false
	:: else
	fi
}

/* kernel_collapse_queue(): the first look is without a lock. */
inline queue(t)
{
	if
	:: queued[t]
	:: else -> queued[t] = true
	fi
}

proctype owner(byte p)
{
	byte n, want, v, t;

	do
	:: n == CHANGES -> break
	:: n < CHANGES ->
		atomic { !owned[p] -> owned[p] = true; want = 1 - attr[p]; changing[p] = true }
#ifdef M_NO_LOCK
		skip;
#else
		atomic { !writer -> readers++ }
#endif
		split(want, v, t);
		t = pmd;
#ifdef M_NO_LOCK
		if
		:: is_leaf(t) -> goto stored	/* it would crash, which is not what this is to show */
		:: else
		fi;
#endif
		assert(!is_leaf(t));
#ifndef M_NO_QUEUE
		queue(t);
#endif
		entry(t, p) = want;
stored:
#ifndef M_NO_LOCK
		readers--;
#endif
		/* The caller's TLBI, with no lock held. */
		tlbi_last_level(p);
		atomic { attr[p] = want; changing[p] = false; owned[p] = false; n++; v = 0; t = 0 }
	od;
	owners--
}

/* Under deposit_lock. There is one for a block at the most. */
inline drop_deposit()
{
	atomic {
		if
		:: state[0] == DEPOSIT -> retire(0)
		:: state[1] == DEPOSIT -> retire(1)
		:: state[2] == DEPOSIT -> retire(2)
		:: else
		fi
	}
}

/* Owns the whole block, and changes it without a split if it is one. */
proctype whole()
{
	byte want, t;

	atomic {
		!owned[0] && !owned[1] && attr[0] == attr[1] ->
		owned[0] = true; owned[1] = true; want = 1 - attr[0]; changing[0] = true; changing[1] = true
	}
	atomic { !writer -> readers++ }
	t = pmd;
	if
	:: is_leaf(t) ->
		d_step { pmd = LEAF + want; promised = false };
#ifndef M_KEEP_DEPOSIT
		/* kernel_collapse_leaf_changed(): what was kept for the way back is not needed */
		if
		:: want == RW -> drop_deposit()
		:: else
		fi
#endif
	:: else ->
		queue(t);
		entry(t, 0) = want;
		entry(t, 1) = want
	fi;
	readers--;
	tlbi_last_level(0);
	tlbi_last_level(1);
	atomic {
		attr[0] = want; attr[1] = want; changing[0] = false; changing[1] = false; owned[0] = false; owned[1] = false;
		owners--
	}
}

/* collapse_table(), with the mutex held. The table stays queued if somebody is in the way. */
inline collapse(t, first)
{
	if
#ifdef M_NO_EXCLUSION
	:: true ->
#else
	:: atomic { !writer && readers == 0 -> writer = true }
#endif
		t = pmd;
		if
		:: is_leaf(t) -> assert(!queued[0] && !queued[1] && !queued[2])		/* queued */
		:: else ->
			first = entry(t, 0);
			if
			:: first != entry(t, 1) ->
				queued[t] = false
#ifdef M_NO_PTDUMP_LOCK
			:: else ->
#else
			:: first == entry(t, 1) && mmap_write	/* busy */
			:: atomic { first == entry(t, 1) && !mmap_write -> mmap_readers++ }
#endif
#ifdef M_TLBI_FIRST
				tlbi_all_levels();
				d_step { pmd = LEAF + first; promised = first != RW };
#else
				d_step { pmd = LEAF + first; promised = first != RW };
#ifdef M_LAST_LEVEL
				tlbi_last_level(0);
				tlbi_last_level(1);
#endif
#if !defined(M_NO_TLBI) && !defined(M_LAST_LEVEL) && !defined(M_TLBI_UNLOCKED)
				tlbi_all_levels();
#endif
#endif
#ifndef M_NO_PTDUMP_LOCK
				mmap_readers--;
#endif
				queued[t] = false;
				if
#ifdef M_NO_DEPOSIT
				:: true -> retire(t)
#else
				:: first == RW -> retire(t)
				:: else -> state[t] = DEPOSIT
#endif
				fi
			fi
		fi;
#ifndef M_NO_EXCLUSION
		writer = false
#endif
#ifdef M_TLBI_UNLOCKED
		;
		tlbi_all_levels()
#endif
	:: else		/* a change: come back later */
	fi
}

#define queue_empty	(!queued[0] && !queued[1] && !queued[2])

active proctype worker()
{
	byte t, first;

end:	do
	:: !queue_empty ->
#ifdef M_UNQUEUE_EARLY
		d_step { queued[0] = false; queued[1] = false; queued[2] = false };
#endif
		atomic { !collapsing -> collapsing = true }
		collapse(t, first);
		atomic { collapsing = false; t = 0; first = 0 }
	:: atomic { queue_empty && owners == 0 && !collapsing ->
		assert(is_leaf(pmd) || !uniform(pmd));		/* lost */
		break }
	od
}

/* kernel_collapse_range(): asks without a queue, once. */
active proctype asks()
{
	byte t, first;

	atomic { !collapsing -> collapsing = true }
	collapse(t, first);
	atomic { collapsing = false; t = 0; first = 0 }
}

/* call_rcu()'s callbacks */
active proctype frees()
{
end:	do
	:: atomic {
		if
#ifdef M_NO_GRACE
		:: state[0] == RETIRED -> state[0] = FREE; entry(0, 0) = BAD; entry(0, 1) = BAD
		:: state[1] == RETIRED -> state[1] = FREE; entry(1, 0) = BAD; entry(1, 1) = BAD
		:: state[2] == RETIRED -> state[2] = FREE; entry(2, 0) = BAD; entry(2, 1) = BAD
#else
		:: state[0] == RETIRED && !grace[0] -> state[0] = FREE; entry(0, 0) = BAD; entry(0, 1) = BAD
		:: state[1] == RETIRED && !grace[1] -> state[1] = FREE; entry(1, 0) = BAD; entry(1, 1) = BAD
		:: state[2] == RETIRED && !grace[2] -> state[2] = FREE; entry(2, 0) = BAD; entry(2, 1) = BAD
#endif
		fi }
	od
}

#ifdef CPU
/* Its walker fetches what it likes when it likes; an access uses any of what it finds. */
active proctype cpu()
{
end:	do
	:: d_step { !is_leaf(pmd) && walk != pmd -> walk = pmd }
	:: d_step { is_leaf(pmd) && tlb_block != pmd - LEAF -> tlb_block = pmd - LEAF }
	:: d_step { walk != NONE && tlb != entry(walk, 0) -> tlb = entry(walk, 0); assert(tlb != BAD) }	/* freed */
	:: d_step { tlb != NONE && tlb != attr[0] && !changing[0] -> assert(false) }	/* stale */
	:: d_step { tlb_block != NONE && tlb_block != attr[0] && !changing[0] -> assert(false) }	/* stale */
	od
}
#endif

#ifdef WALKER
/* vmalloc_to_page() and others: each entry is fetched once. */
active proctype walker()
{
	byte t;

end:	do
	:: rcu_reader = true;
		t = pmd;
		if
		:: is_leaf(t)
		:: else -> assert(entry(t, 0) != BAD)	/* freed */
		fi;
		d_step { t = 0; rcu_reader = false; grace[0] = false; grace[1] = false; grace[2] = false }
	od
}
#endif

#ifdef PTDUMP
active proctype ptdump()
{
	byte t;

end:	do
	:: atomic { mmap_readers == 0 && !mmap_write -> mmap_write = true }
		t = pmd;
		if
		:: is_leaf(t)
		:: else -> assert(entry(t, 0) != BAD); assert(entry(t, 1) != BAD)	/* freed */
		fi;
		d_step { t = 0; mmap_write = false }
	od
}
#endif

init
{
	atomic { run owner(0); run owner(1); run whole() }
}
