#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A machine of 256 GiB boots, is fragmented by memfd_secret(), and heals; this one needs 6 GiB for it, of memory or on disk.
#
#	SIZE='used heal share'     which take longer: used, what is in use after boot and after churn, with a map of blocks and of pages,
#	                           unmodified and ours; heal, each block of 8, 24, 64 and 256 GiB is split, and what healing costs is a line;
#	                           share, 64 CPUs change pages in 64 gigabytes and in one, which takes a kernel of its own. boot is the default
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

me=size large=262144
for part in ${SIZE:=boot}; do one_of SIZE= "$part" boot used heal share; done
wanted() { [[ " $SIZE " = *" $1 "* ]]; }
scratch_tmp
records=$TMP/records
: > "$records"

# measure NAME SIZE.SH'S ARGUMENTS: one record
measure() {
	local name=$1 why
	shift
	if why=$("$LAB/bench/size.sh" "$@" 2>&1 > "$TMP/record"); then ok "$name"
	else nok "$name" "$why"; return 1; fi
	cat "$TMP/record" >> "$records"
}
# of 'RECORD' NAME: its number
of() { sed -n "s/^$1.* $2=\([0-9]*\).*/\1/p" "$records" | head -n 1; }

image='' initrd=''
! wanted boot && ! wanted heal && ! wanted used || guest linux-lab
ours=("$image" "$initrd")

if wanted boot; then
	boot size-256 -q -m bbml3 -c 2 -M $large -t 180 -a 'lab=secretmem lab.expect=heal'
	note "256 GiB: $(sed -n 's/^Memory: .*(.*, \([0-9]*\)K reserved.*/\1 KiB of it for struct pages and the kernel/p' "$rundir/lines")"
fi

if wanted used; then
	for machine in bbml3 nobbml3; do measure size-ours-$machine used ours $machine $large "$BUILD/run/size-ours-$machine" "${ours[@]}"; done
	guest base-lab
	for machine in bbml3 nobbml3; do measure size-base-$machine used base $machine $large "$BUILD/run/size-base-$machine" "$image" "$initrd"; done
	# A table is 4 KiB for 2 MiB.
	tables=$((large * 2))
	for kernel in base ours; do
		pages=$(of "used kernel=$kernel machine=nobbml3" boot_kib) blocks=$(of "used kernel=$kernel machine=bbml3" boot_kib)
		if [ $((${pages:-0} - ${blocks:-0})) -ge $((tables * 98 / 100)) ]; then ok size-pages-$kernel
		else nok size-pages-$kernel "${pages:-?} KiB in use with a map of pages, ${blocks:-?} with one of blocks"; fi
		left=$(($(of "used kernel=$kernel machine=bbml3" later_kib) - ${blocks:-0}))
		if [ $kernel = base ]; then [ $left -ge $((tables * 95 / 100)) ]; else [ $left -le 1024 ]; fi &&
			ok size-left-$kernel || nok size-left-$kernel "$left KiB more are in use once all is restored"
	done
fi

if wanted heal; then
	for gib in 8 24 64 256; do
		measure size-heal-$gib heal ours $gib "$BUILD/run/size-heal-$gib" "${ours[@]}" || continue
		# Each block had a table; what was given back is memory. No change waits for more than one collapse, and a tick's interrupt.
		tables=$(of "healall .*gib=$gib " tables) kib=$(of "healall .*gib=$gib " kib) lock=$(of "healall .*gib=$gib " lock)
		if [ "$tables" -ge $((gib * 512)) ] && [ "$kib" -ge $((gib * 2048)) ]; then ok size-back-$gib
		else nok size-back-$gib "$tables tables and $kib KiB came back"; fi
		if [ "$lock" -le 20000 ]; then ok size-wait-$gib
		else nok size-wait-$gib "a change took $lock instructions, without a softirq"; fi
	done
	# The first 4096 tables stay on the allocator's lists, so that they cost less. From there it is a line.
	read -r least most <<< "$(awk '/^healall / { sub(/.*tables=/, ""); n = $1; sub(/.*ticks=/, ""); if (last) { d = ($1 - t) / (n - last)
			if (!least || d < least) least = d; if (d > most) most = d; steps++ } last = n; t = $1 }
		END { if (steps == 3) printf "%d %d\n", least, most }' "$records")"
	if [ "$least" ] && [ $((most * 10)) -le $((least * 13)) ]; then ok size-line
	else nok size-line "${least:-?} to ${most:-?} instructions for one table more"; fi
fi
awk -f "$LAB/bench/table.awk" "$records" | sed '/^The goals/q' | grep -vE '^(The goals)?$' | sed 's/^/# /'

# crowd WHERE: what the console says of it
crowd() {
	local line busy left ms
	line=$(grep -m 1 "^lab_share: $1=1 cpus=64 " "$BUILD/run/size-share/lines")
	read -r busy left ms <<< "$(tr ' ' '\n' <<< "$line" | sed -n 's/^\(busy\|left\|ms\)=//p' | xargs)"
	note "64 CPUs, $1: ${line#*cpus=64 }"
	if [ "${busy:-0}" = 0 ]; then nok "size-crowd-$1" "nobody was in the worker's way: ${line:-no report}"
	elif [ "$left" != 0 ] || [ "$ms" -gt 5000 ]; then nok "size-crowd-$1" "$left tables are left after $ms ms"
	else ok "size-crowd-$1"; fi
}
if wanted share; then
	guest linux-many
	if why=$(SHARE=crowd "$LAB/bench/share.sh" "$TMP/share" -o "$BUILD/run/size-share" -c 64 -M 81920 -t 1200 "$image" "$initrd" 2>&1); then
		if grep -q '^phase=share_apart cpus=64 .*shared=0$' "$TMP/share"; then ok size-share-apart
		else nok size-share-apart "$(grep -m 2 -A 1 share_apart "$TMP/share" | xargs)"; fi
		if [ "$(sed -n '/share_same/,$s/^line=.* name=\([^ ]*\).*/\1/p' "$TMP/share" | xargs)" = kernel_leaf_regions ]; then ok size-share-same
		else nok size-share-same "$(sed -n '/share_same/,$p' "$TMP/share" | xargs)"; fi
		crowd apart
		crowd same
	else
		nok size-share "$why"
	fi
fi
