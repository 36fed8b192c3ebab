#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The measurements of `make bench`, in short: the model of TLBs agrees with QEMU and says the same twice, a healed linear map costs no
# more walks and tables than one that was never split, no change of permissions costs more instructions than when this was written,
# CPUs that change pages of their own have no cache line in common, and what healing costs is in proportion to what there is to heal.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

guest linux-lab
scratch_tmp
churn='lab.rounds=1 lab.files=20 lab.mib=16 lab.stride=1 lab.heal_ms=2000'

# model NAME WORK [MODEL]: one boot; its report is $TMP/NAME
model() {
	why=$("$LAB/bench/tlb.sh" "$TMP/$1" "${3-}" "lab.bench=$2 $churn" -o "$BUILD/run/bench-$1" -M 1024 -t 300 "$image" "$initrd" 2>&1)
}

# field REPORT LINE NAME: a number of the line that begins so
field() { sed -n "s/^$2 .*\b$3=\([0-9]*\).*/\1/p" "$1" | head -n 1; }

# The walks of the kernel are to come back, and not to have stayed away: without a cost there is nothing to heal.
healed() { # NAME
	local r=$TMP/$1 fresh churned now tables after
	fresh=$(field "$r" phase=fresh walks) churned=$(field "$r" phase=churned walks) now=$(field "$r" phase=healed walks)
	tables=$(($(field "$r" 'map at=fresh' tables) + $(field "$r" 'map at=fresh' other_tables)))
	after=$(($(field "$r" 'map at=healed' tables) + $(field "$r" 'map at=healed' other_tables)))
	note "$1: $fresh walks, $churned after churn, $now when healed; $tables tables, $after when healed"
	if [ $((churned - fresh)) -lt 1000 ]; then nok "bench-$1-walks" "no more than $churned walks after churn: nothing was split"
	elif [ $((now * 100)) -gt $((fresh * 102 + 3200)) ]; then nok "bench-$1-walks" "$now walks when healed, $fresh at first"
	else ok "bench-$1-walks"; fi
	# A table page of vmalloc space stays for good, for what is mapped there next.
	if [ $((after * 100)) -gt $((tables * 102 + 400)) ]; then nok "bench-$1-tables" "$after table pages when healed, $tables at first"
	else ok "bench-$1-tables"; fi
}

# The model forgets what a TLBI takes away, and nothing else: walks, and entries read for them, of 64 pages of which 8 were
# invalidated. With the walk caches' entries gone the first walk reads four tables instead of one.
if model tlbi tlbi check=all; then
	while read -r op walks refs; do
		part=$(grep "^part=$op region=vmalloc leaf=4K " "$TMP/tlbi")
		# shellcheck disable=SC2053 # refs may be a pattern
		if [[ $part = *" walks=$walks refs="$refs ]]; then ok "bench-tlbi-$op"
		else nok "bench-tlbi-$op" "walks=$walks refs=$refs are expected: ${part:-no such phase}"; fi
	done <<-EXPECTED
		none 0 0
		vaae1is 8 11
		vaale1is 8 8
		vaae1isnxs 8 11
		vae1is 8 11
		aside1is 0 0
		vmalle1is 65 *
		rvaae1is 8 11
		rvaale1is 8 8
	EXPECTED
else
	nok bench-tlbi "$why"
fi

if model pread pread; then
	ok bench-pread
	healed pread
	if ! model again pread; then nok bench-twice "$why"
	elif cmp -s "$TMP/pread" "$TMP/again"; then ok bench-twice
	else nok bench-twice "two runs differ: $(diff "$TMP/pread" "$TMP/again" | sed -n 2p)"; fi
else
	nok bench-pread "$why"
fi
if model stat stat; then
	ok bench-stat
	healed stat
else
	nok bench-stat "$why"
fi

# Instructions of one change of permissions, the median of a hundred, and some more, as another compiler may take. Less is better: then
# lower the number here.
if model cost cost; then
	while read -r name limit; do
		median=$(sed -n "s/^lab_cost: $name n=.* median=\([0-9]*\).*/\1/p" "$BUILD/run/bench-cost/lines")
		if [ "${median:-0}" -gt 0 ] && [ "$median" -le "$limit" ]; then ok "bench-cost-$name"
		else nok "bench-cost-$name" "${median:-no} instructions, at most $limit are expected"; fi
	done <<-LIMITS
		first_change 4400
		first_restore 516
		change 336
		restore 392
		row_change 780
		row_restore 392
		set_memory_ro 5440
		set_memory_rw 5440
	LIMITS
else
	nok bench-cost "$why"
fi

# Four CPUs, each at a block of its own: none writes what another touches, but for the lock's word where the blocks have one lock.
if why=$("$LAB/bench/share.sh" "$TMP/share" -o "$BUILD/run/bench-share" -c 4 -M 8192 -t 300 "$image" "$initrd" 2>&1); then
	if grep -q '^phase=share_apart cpus=4 .*shared=0$' "$TMP/share"; then ok bench-share-apart
	else nok bench-share-apart "$(grep -m 2 -A 1 share_apart "$TMP/share" | xargs)"; fi
	if [ "$(sed -n '/share_same/,$s/^line=.* name=\([^ ]*\).*/\1/p' "$TMP/share" | xargs)" = kernel_leaf_regions ]; then ok bench-share-same
	else nok bench-share-same "$(sed -n '/share_same/,$p' "$TMP/share" | xargs)"; fi
else
	nok bench-share "$why"
fi

# Twice as many blocks are twice the work: each takes the same, but for those whose tables RCU frees in time to be counted.
if why=$("$LAB/run/run.sh" -q -i -o "$BUILD/run/bench-heal" -M 2048 -t 300 -a 'lab=bench lab.bench=heal' "$image" "$initrd" 2>&1); then
	read -r low high most <<< "$(awk '/^lab_heal: mib=/ { sub(/.*blocks=/, ""); n = $1; sub(/.*ticks=/, ""); t[n] = $0 }
		END { for (n = 64; n in t; n *= 2) { d = (t[n] - t[1]) / (n - 1); if (!low || d < low) low = d; if (d > high) high = d; most = n }
			printf "%d %d %d\n", low, high, most }' "$BUILD/run/bench-heal/lines")"
	note "healing: $low to $high instructions a block, $most blocks at the most"
	if [ "$most" -lt 512 ]; then nok bench-heal "no more than $most blocks"
	elif [ "$low" -gt 2080 ] || [ $((high * 10)) -gt $((low * 13)) ]; then nok bench-heal "$low to $high instructions a block"
	else ok bench-heal; fi
else
	nok bench-heal "$why"
fi

# While there is something to do the worker does it: 8192 blocks of 24 GiB restored at once, and half and a quarter of them. Beside
# them a page is changed and restored every 10 ms: each table has its turn, and none stays. In virtual time, so the same each time.
if why=$("$LAB/run/run.sh" -q -i -o "$BUILD/run/bench-burst" -M 24576 -t 300 -a 'lab=bench lab.bench=burst' "$image" "$initrd" 2>&1); then
	of() { sed -n "s/^lab_burst: $1 .*\b$2=\([0-9]*\).*/\1/p" "$BUILD/run/bench-burst/lines"; }
	all=$(of blocks=8192 span) half=$(of blocks=4096 span) quarter=$(of blocks=2048 span) idle=$(of blocks=8192 idle)
	note "worker: 8192 tables in ${all:-?} ns of virtual time, ${idle:-?} of it idle; 4096 in ${half:-?}, $(of blocks=4096 idle) idle;" \
		"2048 in ${quarter:-?}; $(of blocks=8192 longest) between two collapses at the most"
	if [ -z "$all" ] || [ "$(of blocks=8192 collapsed)" -lt 8192 ]; then nok bench-burst "not all were collapsed; see $BUILD/run/bench-burst/lines"
	elif [ $((idle * 20)) -ge "$all" ]; then nok bench-burst "the worker was idle for $idle of $all ns"
	else ok bench-burst; fi
	# In the longest of them RCU begins to free tables.
	if [ -n "$all" ] && [ $((all * 10)) -le $((quarter * 4 * 13)) ] && [ $((half * 10)) -le $((quarter * 2 * 11)) ]; then ok bench-burst-linear
	else nok bench-burst-linear "$quarter, $half, $all ns for 2048, 4096, 8192 tables"; fi
	wait=$(of beside=1 wait) later=$(of beside=1 later)
	note "beside a page that was changed $(of beside=1 changes) times: no table waited longer than ${wait:-?} ns; ${later:-?} queued at the most, later"
	if [ -z "$wait" ] || [ "$wait" -gt 2000000000 ]; then nok bench-burst-wait "a table waited for ${wait:-?} ns"
	elif [ "$later" -gt 4 ]; then nok bench-burst-wait "$later tables were queued when there was one to look at"
	else ok bench-burst-wait; fi
else
	nok bench-burst "$why"
fi

# What is wrong is said in one line.
refused() { # NAME WORDS COMMAND...
	local name=$1 words=$2 said
	shift 2
	if said=$("$@" 2>&1); then nok "$name" "was taken"
	elif [ "$(wc -l <<< "$said")" = 1 ] && [[ $said = *"$words"* ]]; then ok "$name"
	else nok "$name" "$said"; fi
}
refused bench-core 'core=x1: n1, v2, n3 or ampereone is expected' "$LAB/bench/tlb.sh" "$TMP/none" core=x1 '' -M 1024 "$image" "$initrd"
refused bench-l2 'l2=1000x3: ' "$LAB/bench/tlb.sh" "$TMP/none" l2=1000x3 '' -M 1024 "$image" "$initrd"
refused bench-image 'no such Image' "$LAB/bench/tlb.sh" "$TMP/none" '' '' -M 1024 "$TMP/Image" "$initrd"
COUNT_PROBES=no_such_function refused bench-probe 'there is no function no_such_function' "$LAB/bench/count.sh" -M 1024 "$image" "$initrd"
refused bench-obj 'make bench builds it' "$LAB/bench/bench.sh" "$TMP/a" "$TMP/b" "$TMP/c" "$TMP/out"
[ ! -e "$TMP/none" ] || nok bench-none "a report of a run that was refused"
