#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What to run while one works on the series, with the kernel that make has built: under five minutes. patches/ agrees with build/linux;
# KUnit's suites under the auditor; the suites that want another machine; page tables of a boot with BBML3 and of one without.
#
# It ends with the mutants (check/mutants.sh) that these boots would find, by the list of which case or rule finds each: those whose
# case was run and passed here on the machine that the mutant needs. That each is found indeed, the step mutants shows.
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"
# shellcheck source=tools/lab/check/mutants.sh
. "$LAB/check/mutants.sh"

if why=$("$LAB/tree/check-series.sh" 2>&1); then ok quick-series; else nok quick-series "$(grep -v '^#' <<< "$why" | head -n 1)"; fi
guest linux-lab
lab_make -C "$LAB/run" OUT="$BUILD/tools" || die "ptcheck does not build"
took > /dev/null

# Boots whose cases count, by the machine and the words that a mutant asks for.
declare -A console=() audited=()
suites() { # 'MACHINE' 'WORDS' CASES [run.sh's arguments]
	local machine=$1 words=$2 cases=$3 name options total
	shift 3
	name=quick-kunit-${machine// -R/-realm}${words:+-off}
	read -ra options <<< "-m $machine"
	boot "$name" -q -c 4 -M 4096 -t 280 "${options[@]}" "$@" \
		-a "kunit.enable=1 kunit.filter_glob=$cases lab=none leaf_fuzz.ops=50 $words" || return 0
	console[$machine:$words]=$rundir/lines
	[[ " $* " != *' -A '* ]] || audited[$machine:$words]=1
	kunit_passed "$rundir" || nok "$name-suites" "${total:-no tests were run}, see $rundir/kunit.txt"
	note "$name: $total"
}
suites bbml3 '' 'kernel_*' -A
suites mixed '' 'kernel_*.boot_*'
suites 'bbml3 -R' '' 'kernel_*.deposit_*'
suites 'bbml3 -R' rodata=off 'kernel_*.boot_*'

for machine in bbml3 nobbml3; do
	[ $machine = bbml3 ] && judge=(-m 1 -s 2) || judge=(-m 2)
	boot "quick-$machine" -q -m $machine -c 2 -M 2048 -t 120 -a 'lab=dump,secretmem,dump lab.files=4 lab.mib=8 lab.expect=heal' || continue
	if why=$("$BUILD/tools/ptcheck" "${judge[@]}" "$rundir/console.log"); then ok "quick-$machine-tables"
	else nok "quick-$machine-tables" "$(head -n 1 <<< "$why")"; fi
done

all=0 found=0 others=''
mutant() { # as the list has it
	local at=${5:-bbml3}:${6-} killer=$2
	all=$((all + 1))
	if [ "$flavour" != kunit ]; then # of another size of pages
		:
	elif [[ $killer = audit:* ]]; then
		[ "${audited[$at]-}" ] && found=$((found + 1)) && return
	elif [ "${console[$at]-}" ] && grep -qE "^ *ok [0-9]+ $killer\$" "${console[$at]}"; then
		found=$((found + 1))
		return
	fi
	others+=" $1"
}
flavour=kunit mutants
note "of $all mutants $found are of a case or a rule that was asked here ($((found * 100 / all)) %); not:$others"
if [ $((found * 10)) -ge $((all * 6)) ]; then ok quick-mutants; else nok quick-mutants "$found of $all mutants would be found, six of ten are expected"; fi
