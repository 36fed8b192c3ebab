#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# count.sh [options of run.sh] IMAGE INITRD: boots with instruction counting and prints how many instructions the machine executed
# from reset to power-off. What the console says costs some, too: -a 'quiet lab=none' leaves it out. With -e there may be several CPUs.
# COUNT_PROBES='FUNCTION...' names functions of the kernel whose calls are counted: a line `FUNCTION calls=N total=N max=N` of each
# follows (plugins/insn.c). System.map is taken from beside the Image, or from its build folder.
set -u
me=count.sh
die() { echo "$me: $*" >&2; exit 2; }

lab=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 2 ] || die "usage: count.sh [options of run.sh] IMAGE INITRD"
dir=$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX") || die "${TMPDIR:-/tmp} can't be written; set TMPDIR to a folder that can"
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

"${HOSTCC:-gcc}" -O2 -Wall -Wextra -shared -fPIC -o "$dir/insn.so" "$lab/bench/plugins/insn.c" 2> "$dir/log" ||
	die "the plugin does not build: $(head -n 1 "$dir/log")"
probes='' image=${*: -2:1}
for f in ${COUNT_PROBES-}; do
	map=$(dirname "$image")/System.map
	[ -r "$map" ] || map=$(dirname "$image")/../../../System.map
	[ -r "$map" ] || die "$image: no System.map beside it; copy the one of its build there"
	at=$(awk -v f="$f" '$3 == f { print $1; exit }' "$map")
	[ "$at" ] || die "COUNT_PROBES: there is no function $f in $map"
	probes+=",probe=$f:0x$at"
done
real=${QEMU:-qemu-system-aarch64}
cat > "$dir/qemu" <<WRAP
#!/bin/sh
[ "\${1-}" = --version ] && exec "$real" --version
exec "$real" -plugin "$dir/insn.so,out=$dir/count$probes" "\$@"
WRAP
chmod +x "$dir/qemu"
verdict=$(QEMU=$dir/qemu "$lab/run/run.sh" -i -q -o "$dir/run" "$@" 2>&1)
[ -s "$dir/count" ] || die "no count: $(tail -n 1 <<< "$verdict")"
# A quiet boot shows no KTAP; that it ended by itself is what matters here.
grep -q '^reboot: Power down' "$dir/run/lines" || die "the guest did not end: $(tail -n 1 <<< "$verdict")"
cat "$dir/count"
