#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# tlb.sh REPORT 'MODEL' 'WORDS' [options of run.sh, but -a] IMAGE INITRD: boots with the model of TLBs in plugins/tlb.c; what
# that says goes to REPORT. MODEL is more for the plugin: 'core=v2', 'l2=2048x8', 'check=all'. WORDS go to the kernel's command line,
# such as 'lab.bench=stat lab.heal_ms=3000'. One CPU, instructions counted: two runs say the same to the byte. System.map beside
# the Image, or in its build folder, tells where the kernel's image is.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/bench/plugin.sh"

[ $# -ge 5 ] || die "usage: tlb.sh REPORT 'MODEL' 'WORDS' [options of run.sh] IMAGE INITRD"
report=$1 model=$2 words=$3 mib=2048
shift 3
for ((i = 1; i < $#; i++)); do
	[ "${!i}" != -M ] || { i=$((i + 1)); mib=${!i}; }
done
number '-M ' "$mib" 128
system_map
range=$(awk '$3 == "_text" { a = $1 } $3 == "_end" { b = $1 } END { if (a && b) print "0x" a "-0x" b }' "$map")
[ "$range" ] || die "$map: no _text and _end in it; is it the kernel's?"

for shm in /dev/shm "${TMPDIR:-/tmp}"; do
	free=$(df -Pm "$shm" 2>/dev/null | awk 'NR == 2 { print $4 }')
	[ "${free:-0}" -gt "$mib" ] && [ -w "$shm" ] && break
	free=
done
[ "$free" ] || die "a file of $mib MiB finds room neither in /dev/shm nor in ${TMPDIR:-/tmp}; set TMPDIR, or use a smaller -M"
scratch_tmp
ram=$(mktemp "$shm/lab-memory.XXXXXX") || die "$shm can't be written"
trap 'rm -rf "$TMP" "$ram"' EXIT
truncate -s "${mib}M" "$ram" || die "$ram: no room"

args="ram=$ram,out=$TMP/report,image=$range"
for word in $model; do args+=",$word"; done
with_plugin tlb "$args" "-object memory-backend-file,id=ram,mem-path='$ram',share=on,size=${mib}M -machine memory-backend=ram"
# Copies by helpers of QEMU's would pass the plugin by: no FEAT_MOPS, and no SVE in the C library.
verdict=$(QEMU=$TMP/qemu "$LAB/run/run.sh" -i -q -a 'arm64.nomops arm64.nosve arm64.nosme norandmaps lab=bench '"$words" "$@" 2>&1)
rc=$?
console=$(sed -n 's/.*console: \(.*\))$/\1/p' <<< "$verdict")
plugin=$(grep -hm 1 '^tlb: ' "${console%/*}/qemu.log" 2>/dev/null || grep -m 1 -o 'tlb: .*' <<< "$verdict")
[ $rc = 0 ] || die "${plugin:-$(tail -n 1 <<< "$verdict")}"
[ -s "$TMP/report" ] && grep -q '^checked=' "$TMP/report" || die "no report: ${plugin:-$verdict}"
cp "$TMP/report" "$report" || die "$report can't be written"
grep -q ' disagreed=0$' "$report" || die "walks that QEMU does not agree with: $plugin"
