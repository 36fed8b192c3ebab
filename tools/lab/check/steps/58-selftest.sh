#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What an administrator sees: the tree's selftest on machines that have what it needs and on those that have not, the counters in
# /proc/vmstat beside the tracepoints and the auditor, and leafmap, which says who holds which small leaf.
#
#	SELFTEST='machines'        some of: base, machines, mutants, counters, leafmap, host (all but base and mutants)
#	SELFTEST=base              the unmodified kernel, which must say what it lacks; with TREES='base ours', too
#	SELFTEST=mutants           a kernel that never collapses, by a change of its code: a whole kernel is built for it
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

# shellcheck disable=SC2034 # die says it
me=selftest
parts='base machines mutants counters leafmap host'
[[ " ${TREES-} " != *' base '* ]] || SELFTEST=${SELFTEST-base machines counters leafmap host}
for part in ${SELFTEST:=machines counters leafmap host}; do
	[[ " $parts " = *" $part "* ]] || die "SELFTEST: $part is none; there are: $parts"
done
wanted() { [[ " $SELFTEST " = *" $1 "* ]]; }
words='lab=selftest lab.snapshots=0'

# says NAME RESULTS [PATTERN]: what the selftest said, a letter for each result: o ok, s skipped, n not ok, ? any; and a line with that.
says() {
	local got
	got=$(sed -nE 's/^# lab: selftest: //p' "$rundir/lines" |
		sed -nE 's/^ok [0-9]+ # SKIP.*/s/p; t; s/^ok [0-9].*/o/p; s/^not ok [0-9].*/n/p' | tr -d '\n')
	# shellcheck disable=SC2053 # a pattern
	if [[ $got != $2 ]]; then nok "selftest-$1" "$got, $2 is expected, see $rundir/lines"
	elif [ "${3-}" ] && ! grep -qE "^# lab: selftest: .*$3" "$rundir/lines"; then nok "selftest-$1" "it does not say '$3', see $rundir/lines"
	else ok "selftest-$1"; fi
}

# The results are: counters, split, heal, bpf, module, whole, nothing wx, no more leaves.
machine() { # NAME RESULTS PATTERN [run.sh's arguments]
	local name=$1 results=$2 pattern=$3
	shift 3
	boot "selftest-boot-$name" -c 4 -M 2048 -t 240 "$@" || return
	says "$name" "$results" "$pattern"
}

# It must end with 1.
fails() { # NAME RESULTS [run.sh's arguments]
	local name=$1 results=$2 out
	shift 2
	rundir=$BUILD/run/selftest-$name
	out=$("$LAB/run/run.sh" -o "$rundir" -m bbml3 -c 4 -M 2048 -t 240 "$@" "$image" "$initrd" 2>&1)
	if grep -q '^verdict: fail (not ok 2 selftest' <<< "$out"; then says "$name" "$results"
	else nok "selftest-$name" "the selftest is to fail: $(tail -n 1 <<< "$out")"; fi
}

# The programs and their places in the tree's own Makefiles.
if wanted host; then
	scratch_tmp
	if why=$(make -s -C "$TREE/tools/testing/selftests" O="$TMP" TARGETS=arm64 ARM64_SUBTARGETS=linear_map ARCH=arm64 \
		CROSS_COMPILE="${CROSS_COMPILE-aarch64-linux-gnu-}" LDFLAGS=-static KHDR_INCLUDES= 2>&1) &&
		[ -x "$TMP/kselftest/arm64/linear_map/linear_map" ]; then ok selftest-builds
	else nok selftest-builds "$(tail -n 1 <<< "$why")"; fi
	if why=$(cc -O2 -Wall -Wextra -Werror -o "$TMP/leafmap" "$TREE/tools/mm/leafmap.c" 2>&1); then ok leafmap-builds
	else nok leafmap-builds "$(head -n 1 <<< "$why")"; fi
	if why=$("$LAB/run/tests/leafmap.sh" "$TMP/leafmap" 2>&1); then ok leafmap-rules; else nok leafmap-rules "$(head -n 1 <<< "$why")"; fi
fi

if wanted base; then
	guest base-lab tools
	machine base sssssoos 'SKIP counters: /proc/vmstat has no direct_map_' -m bbml3 -a "$words"
fi
if wanted machines || wanted counters || wanted leafmap; then guest linux-lab tools; fi
if wanted machines; then
	machine bbml3 oooooooo '' -m bbml3 -a "$words"
	machine nobbml3 ossoooos 'SKIP secretmem: leaves are split: it is made of pages: no BBML3' -m nobbml3 -a "$words"
	machine mixed ossoooos 'SKIP secretmem: leaves are split: it is made of pages: no BBML3' -m mixed -a "$words"
	machine realm oooooooo '' -R -m bbml3 -a "$words"
	machine rodata-off ossoooss 'SKIP secretmem: leaves are split: no memfd_secret' -m bbml3 -a "$words rodata=off"
	# A test that passes on a kernel that does not collapse would be none.
	fails no-collapse 'oon??oon' -a "$words kernel_collapse=off"
fi

if wanted mutants; then
	spare_tree
	file=$spare/arch/arm64/mm/collapse.c
	sed -i 's/^\twhole = table_may_be_leaf(level) \&\& .*/\twhole = false;/' "$file"
	if git -C "$spare" diff --quiet; then nok selftest-mutant "does not apply to arch/arm64/mm/collapse.c any more"
	elif ! "$LAB/tree/kbuild.sh" "$spare" lab "$BUILD/obj/spare-lab" || ! lab_make -C "$LAB/guest" KOBJ="$BUILD/obj/spare-lab" OUT="$BUILD/guest/spare-lab-tools" TREE_OF_TOOLS="$TREE"; then
		nok selftest-mutant "does not build"
	else
		image=$BUILD/obj/spare-lab/arch/arm64/boot/Image initrd=$BUILD/guest/spare-lab-tools/initrd.cpio.gz
		fails mutant 'oon??oon' -a "$words"
	fi
	git -C "$spare" checkout -q -- arch/arm64/mm
fi

# To the unit, while all workloads run on all CPUs.
if wanted counters; then
	for name in plain realm; do
		[ $name = realm ] && realm=-R || realm=
		boot "counters-$name" -A ${realm:+"$realm"} -m bbml3 -c 4 -M 4096 -t 400 \
			-a 'lab=counters lab.snapshots=0 lab.audited=1 lab.churn_s=4' || continue
		note "counters-$name: $(sed -nE 's/^# lab: count direct_map_([a-z0-9_]*) (vmstat=[0-9]*) .*/\1 \2/p' "$rundir/lines" | sed 's/ vmstat=/ /' | xargs)"
	done
fi

# 8 GiB after churn, with files and text in use: each leaf below 2M has a holder, and all are seen in less than a second.
if wanted leafmap && boot leafmap -m bbml3 -c 4 -M 8192 -t 400 -a 'lab=leafmap lab.snapshots=0 lab.rounds=1 lab.files=16 lab.mib=32 lab.stride=7 lab.churn_s=8'; then
	seen=$(sed -n 's/^# lab: leafmap-json: //p' "$rundir/lines" | tr -d '\n')
	small=$(sed -nE 's/.*"64K":([0-9]+),"2M".*/\1/p' <<< "$seen") pages=$(sed -nE 's/.*"leaves":\{"4K":([0-9]+),.*/\1/p' <<< "$seen")
	held=$(grep -oE '"blocks":[0-9]+,"leaves":[0-9]+' <<< "${seen#*holders}" | awk -F : '{ n += $3 } END { print n + 0 }')
	ms=$(sed -n 's/^# lab: leafmap ms=//p' "$rundir/lines" | head -n 1)
	note "leafmap: $pages leaves of 4K and $small of 64K in ${ms:-no} ms: $(grep -oE '"name":"[a-z-]*","blocks":[0-9]+,"leaves":[0-9]+' <<< "$seen" |
		sed -E 's/"name":"([a-z-]*)","blocks":([0-9]+),"leaves":([0-9]+)/\1 \3/' | paste -sd , | sed 's/,/, /g')"
	if [ "${held:-0}" != $((${pages:-0} + ${small:-1})) ] || [ "${held:-0}" -lt 1000 ]; then nok leafmap-all "$held leaves have a holder, of $((pages + small))"
	elif grep -qE '"name":"(unseen|made)"' <<< "$seen"; then nok leafmap-all "some have a holder that is not known, see $rundir/lines"
	else ok leafmap-all; fi
	if [ "${ms:-9999}" -lt 1000 ]; then ok leafmap-time; else nok leafmap-time "${ms:-no} ms"; fi
	if grep -qE '^# lab: leafmap-watch: +[0-9]+  init +secretmem_fault' "$rundir/lines"; then ok leafmap-splitter
	else nok leafmap-splitter "it does not say that init splits by secretmem_fault(), see $rundir/lines"; fi
	if grep -qE '^# lab: leafmap-watch: +[0-9]+  0x[0-9a-f]+ +.*; pages that were taken out' "$rundir/lines"; then ok leafmap-reasons
	else nok leafmap-reasons "it gives no reason why a block does not come back, see $rundir/lines"; fi
fi
exit 0
