#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# tlb.sh REPORT 'MODEL' 'WORDS' [options of run.sh, but -a] IMAGE INITRD: boots with the model of TLBs in plugins/tlb.c; what
# that says goes to REPORT. MODEL is more for the plugin: 'core=v2', 'l2=2048x8', 'check=all'. WORDS go to the kernel's command line,
# such as 'lab.bench=stat lab.heal_ms=3000'. One CPU, instructions counted: two runs say the same to the byte. System.map beside
# the Image, or in its build folder, tells where the kernel's image is.
set -u
me=tlb.sh
die() { echo "$me: $*" >&2; exit 2; }

lab=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 5 ] || die "usage: tlb.sh REPORT 'MODEL' 'WORDS' [options of run.sh] IMAGE INITRD"
report=$1 model=$2 words=$3
shift 3
image=${*: -2:1} mib=2048
for ((i = 1; i < $#; i++)); do
	[ "${!i}" != -M ] || { i=$((i + 1)); mib=${!i}; }
done
[[ $mib =~ ^[0-9]+$ ]] || die "-M $mib: a number of MiB is expected"
[ -r "$image" ] || die "$image: no such Image; build the kernel first"
map=$(dirname "$image")/System.map
[ -r "$map" ] || map=$(dirname "$image")/../../../System.map
[ -r "$map" ] || die "$image: no System.map beside it; copy the one of its build there"
range=$(awk '$3 == "_text" { a = $1 } $3 == "_end" { b = $1 } END { if (a && b) print "0x" a "-0x" b }' "$map")
[ "$range" ] || die "$map: no _text and _end in it; is it the kernel's?"

for shm in /dev/shm "${TMPDIR:-/tmp}"; do
	free=$(df -Pm "$shm" 2>/dev/null | awk 'NR == 2 { print $4 }')
	[ "${free:-0}" -gt "$mib" ] && [ -w "$shm" ] && break
	free=
done
[ "$free" ] || die "a file of $mib MiB finds room neither in /dev/shm nor in ${TMPDIR:-/tmp}; set TMPDIR, or use a smaller -M"
dir=$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX") || die "${TMPDIR:-/tmp} can't be written; set TMPDIR to a folder that can"
ram=$(mktemp "$shm/lab-memory.XXXXXX") || die "$shm can't be written"
trap 'rm -rf "$dir" "$ram"' EXIT
trap 'exit 130' INT TERM HUP
truncate -s "${mib}M" "$ram" || die "$ram: no room"

"${HOSTCC:-gcc}" -O2 -Wall -Wextra -shared -fPIC -o "$dir/tlb.so" "$lab/bench/plugins/tlb.c" 2> "$dir/log" ||
	die "the plugin does not build: $(head -n 1 "$dir/log")"
real=${QEMU:-qemu-system-aarch64}
args="ram=$ram,out=$dir/report,image=$range"
for word in $model; do args+=",$word"; done
cat > "$dir/qemu" <<WRAP
#!/bin/sh
[ "\${1-}" = --version ] && exec "$real" --version
exec "$real" -object "memory-backend-file,id=ram,mem-path=$ram,share=on,size=${mib}M" -machine memory-backend=ram \\
	-plugin "$dir/tlb.so,$args" "\$@"
WRAP
chmod +x "$dir/qemu"
# Copies by helpers of QEMU's would pass the plugin by: no FEAT_MOPS, and no SVE in the C library.
verdict=$(QEMU=$dir/qemu "$lab/run/run.sh" -i -q -a 'arm64.nomops arm64.nosve arm64.nosme norandmaps lab=bench '"$words" "$@" 2>&1)
rc=$?
console=$(sed -n 's/.*console: \(.*\))$/\1/p' <<< "$verdict")
plugin=$(grep -hm 1 '^tlb: ' "${console%/*}/qemu.log" 2>/dev/null || grep -m 1 -o 'tlb: .*' <<< "$verdict")
[ $rc = 0 ] || die "${plugin:-$(tail -n 1 <<< "$verdict")}"
[ -s "$dir/report" ] && grep -q '^checked=' "$dir/report" || die "no report: ${plugin:-$verdict}"
cp "$dir/report" "$report" || die "$report can't be written"
grep -q ' disagreed=0$' "$report" || die "walks that QEMU does not agree with: $plugin"
