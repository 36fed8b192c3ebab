#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Memory that is taken away again: twice 1 GiB, mapped by a leaf each, is split all over, heals, and goes, one behind the other.
# The kernel's page tables are as many after each round. One block in the middle goes offline alone, almost and in earnest.
#
#	DIMM_ROUNDS=10             how often they come and go (2)
#	TREES='base ours'          the unmodified base too: it must keep them
#	DIMM=efi                   by the host too, which unplugs real DIMMs of a machine with EFI and ACPI. No other step has a
#	                           kernel with these, and it takes long to build
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

me=dimm
trees_wanted
case ${DIMM-} in '' | efi) ;; *) die "DIMM=$DIMM: efi is expected, or none" ;; esac
words="memhp_default_state=online_movable lab=dimm lab.hot_mib=1024 lab.heal_ms=60000"
two="$words mem=2G lab.hot_at=4096 lab.rounds=${DIMM_ROUNDS:-2}"

by_host="$words lab.host=1 lab.hot_at=69632 lab.rounds=${DIMM_ROUNDS:-2}"

# The rounds of a boot in ms, the shortest first.
rounds() { sed -nE 's/^# lab: dimm round=[0-9]+ ms=([0-9]+) .*/\1/p' "$BUILD/run/$1/lines" | sort -n; }

median() { awk '{ v[NR] = $1 } END { print int((v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2) }'; }

# in_time NAME WITH WITHOUT: what the boot WITH takes, by what the one WITHOUT BBML3 does. The shortest round of each: a busy
# machine makes others longer.
in_time() {
	local with without
	with=$(rounds "$2" | head -n 1) without=$(rounds "$3" | head -n 1)
	note "$1: in $(rounds "$2" | wc -l) rounds both are gone after $with ms (median $(rounds "$2" | median)), without BBML3 $without ms ($(rounds "$3" | median))"
	if [ "$with" -le $((without * 3 / 2)) ]; then ok "$1"; else nok "$1" "$with ms, of $without ms without BBML3"; fi
}

if [[ " $trees " = *" ours "* ]]; then
	guest linux-lab
	# Every split, every block unmapped and table freed is judged.
	boot dimm-audit -A -m bbml3 -c 2 -M 4096 -t 500 \
		-a "$words mem=1G lab.hot_at=3072 lab.dimms=1 lab.rounds=1 lab.expect=heal"
	boot dimm-nobbml3 -m nobbml3 -c 2 -M 5120 -t 300 -a "$two lab.expect=noheal" &&
	boot dimm-bbml3 -m bbml3 -c 2 -M 5120 -t 300 -a "$two lab.expect=heal" &&
	in_time dimm-time dimm-bbml3 dimm-nobbml3
fi
if [[ " $trees " = *" base "* ]]; then
	guest base-lab
	boot dimm-base -m bbml3 -c 2 -M 5120 -t 300 -a "$two lab.unplug=refused"
fi
[ "${DIMM-}" = efi ] || exit 0

if [[ " $trees " = *" ours "* ]]; then
	guest linux-dimm
	boot dimm-efi-nobbml3 -m nobbml3 -d 2 -c 2 -M 1024 -t 600 -a "$by_host lab.expect=noheal" &&
	boot dimm-efi-bbml3 -m bbml3 -d 2 -c 2 -M 1024 -t 600 -a "$by_host lab.expect=heal" &&
	in_time dimm-efi-time dimm-efi-bbml3 dimm-efi-nobbml3
fi
if [[ " $trees " = *" base "* ]]; then
	guest base-dimm
	boot dimm-efi-base -m bbml3 -d 2 -c 2 -M 1024 -t 300 -a "$by_host lab.unplug=refused"
fi
exit 0
