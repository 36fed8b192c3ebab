#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Both machines, 1 to 4 CPUs, 2 and 8 GiB: a short workload, and the page tables judged before and after it.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

guest linux-lab
lab_make -C "$LAB/run" OUT="$BUILD/tools" || die "ptcheck does not build"

for machine in bbml3 nobbml3; do
	# Blocks as large as can be (2 % more after the workload), or pages only.
	[ $machine = bbml3 ] && judge=(-m 1 -s 2) || judge=(-m 2)
	for cpus in 1 2 4; do
		for mib in 2048 8192; do
			# By pages 8 GiB take long to map, and longer to read: once is enough.
			[ "$machine-$mib" != nobbml3-8192 ] || [ "$cpus" = 2 ] || continue
			name=boot-$machine-$cpus-$mib
			boot "$name" -m $machine -c $cpus -M $mib -t 120 \
				-a "lab=dump,secretmem,dump lab.files=4 lab.mib=8 lab.expect=heal" || continue
			if why=$("$BUILD/tools/ptcheck" "${judge[@]}" "$rundir/console.log"); then
				ok "$name-tables"
			else
				nok "$name-tables" "$(head -n 1 <<< "$why")"
			fi
		done
	done
done
