#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Memory that is taken away again: twice 1 GiB, mapped by a leaf each, is split all over, heals, and goes, one behind the other.
# The kernel's page tables are as many after each round. One block in the middle goes offline alone, almost and in earnest.
#
#	DIMM_ROUNDS=10             how often they come and go (2)
#	TREES='base ours'          the unmodified base too: it must keep them
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/boot.sh
. "$LAB/boot.sh"

# shellcheck disable=SC2034 # die says it
me=dimm
trees=${TREES:-ours}
for tree in $trees; do
	[[ "$tree" =~ ^(base|ours)$ ]] || die "TREES: $tree is none; base and ours are"
done
words="memhp_default_state=online_movable lab=dimm lab.hot_mib=1024 lab.heal_ms=60000"
two="$words mem=2G lab.hot_at=4096 lab.rounds=${DIMM_ROUNDS:-2}"

# The shortest round of a boot, in ms.
shortest() { sed -nE 's/^# lab: dimm round=[0-9]+ ms=([0-9]+) .*/\1/p' "$BUILD/run/$1/lines" | sort -n | head -n 1; }

if [[ " $trees " = *" ours "* ]]; then
	guest linux-lab
	# Every split, every block unmapped and table freed is judged.
	boot dimm-audit -A -m bbml3 -c 2 -M 4096 -t 500 \
		-a "$words mem=1G lab.hot_at=3072 lab.dimms=1 lab.rounds=1 lab.expect=heal"
	boot dimm-nobbml3 -m nobbml3 -c 2 -M 5120 -t 300 -a "$two lab.expect=noheal" &&
	boot dimm-bbml3 -m bbml3 -c 2 -M 5120 -t 300 -a "$two lab.expect=heal" && {
		with=$(shortest dimm-bbml3) without=$(shortest dimm-nobbml3)
		note "both are gone after $with ms, without BBML3 after $without ms"
		if [ "$with" -le $((without * 3 / 2)) ]; then ok dimm-time; else nok dimm-time "$with ms, of $without ms without BBML3"; fi
	}
fi
if [[ " $trees " = *" base "* ]]; then
	guest base-lab
	boot dimm-base -m bbml3 -c 2 -M 5120 -t 300 -a "$two lab.unplug=refused"
fi
exit 0
