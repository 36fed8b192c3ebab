#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What a large machine has in use for its page tables, and what it takes to have them back. Each prints one record, of which table.awk
# makes rows (make check STEPS=size SIZE='used heal' prints them); one CPU, whose instructions are counted.
#
#	size.sh used KERNEL MACHINE MIB OUTDIR IMAGE INITRD	KiB in use after boot; with a page invalid in every 2M block that is free;
#								and three seconds after they have all been restored
#	size.sh heal KERNEL GIB OUTDIR IMAGE INITRD		so many GiB, each 2M block of them split: what healing takes, and what
#								a change waits for meanwhile (guest/modules/lab_heal.c)
set -u
. "$(dirname "$0")/../lib.sh"

usage="usage: size.sh used base|ours bbml3|nobbml3 MIB OUTDIR IMAGE INITRD, or size.sh heal ours GIB OUTDIR IMAGE INITRD"
limit=${BENCH_LIMIT:-1200}

boot() { # MIB MACHINE WORDS
	local said
	said=$("$LAB/run/run.sh" -q -i -o "$out" -M "$1" -m "$2" -t "$limit" -a "lab.snapshots=0 $3" "$image" "$initrd" 2>&1) ||
		die "$what of $kernel: $(tail -n 1 <<< "$said")"
}
# In the lines that begin so: the number behind NAME=
of() { sed -n "s/^$1.* $2=\([0-9]*\).*/\1/p" "$out/lines" | head -n 1; }

what=${1-} kernel=${2-}
case $what:$# in
used:7)
	machine=$3 mib=$4 out=$5 image=$6 initrd=$7
	one_of 'KERNEL ' "$kernel" base ours
	one_of 'MACHINE ' "$machine" bbml3 nobbml3
	number 'MIB ' "$mib" 1024 1048576
	case $machine-$kernel in
	bbml3-ours) words='lab.expect=heal lab.heal_ms=3000' ;;
	bbml3-base) words='lab.expect=split lab.heal_ms=3000' ;;
	*) words='lab.rounds=0' ;; # a map of pages has nothing to split
	esac
	boot "$mib" "$machine" "lab=size $words"
	record="used kernel=$kernel machine=$machine mib=$mib"
	for at in boot split later; do
		free=$(of "# lab: size at=$at" free_kib)
		[ -z "$free" ] || record+=" ${at}_kib=$((mib * 1024 - free)) ${at}_tables=$(of "# lab: size at=$at" tables)"
	done
	blocks=$(of lab_shatter: blocks)
	echo "$record${blocks:+ blocks=$blocks}"
	;;
heal:6)
	gib=$3 out=$4 image=$5 initrd=$6
	number 'GIB ' "$gib" 1 960
	# The struct pages of it all are 1/64, the tables 1/512.
	boot $((gib * 1024 * 33 / 32 + 512)) bbml3 "lab=healall lab.mib=$((gib * 1024))"
	record=$(sed -n "s/^lab_heal: all=1 mib=[0-9]* //p" "$out/lines")
	[ "$record" ] || die "heal of $kernel: this kernel collapses nothing, or has no KUnit to hurry it; see $out/lines"
	echo "healall kernel=$kernel gib=$gib $record"
	;;
*) die "$usage" ;;
esac
