#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# count.sh [options of run.sh] IMAGE INITRD: boots with instruction counting and prints how many instructions the machine executed
# from reset to power-off. What the console says costs some, too: -a 'quiet lab=none' leaves it out. With -e there may be several CPUs.
# COUNT_PROBES='FUNCTION...' names functions of the kernel whose calls are counted: a line `FUNCTION calls=N total=N max=N` of each
# follows (plugins/insn.c). System.map is taken from beside the Image, or from its build folder.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/bench/plugin.sh"

[ $# -ge 2 ] || die "usage: count.sh [options of run.sh] IMAGE INITRD"
scratch_tmp
probes=''
for f in ${COUNT_PROBES-}; do
	system_map
	at=$(awk -v f="$f" '$3 == f { print $1; exit }' "$map")
	[ "$at" ] || die "COUNT_PROBES: there is no function $f in $map"
	probes+=",probe=$f:0x$at"
done
with_plugin insn "out=$TMP/count$probes"
verdict=$(QEMU=$TMP/qemu "$LAB/run/run.sh" -i -q -o "$TMP/run" "$@" 2>&1)
[ -s "$TMP/count" ] || die "no count: $(tail -n 1 <<< "$verdict")"
# A quiet boot shows no KTAP; that it ended by itself is what matters here.
grep -q '^reboot: Power down' "$TMP/run/lines" || die "the guest did not end: $(tail -n 1 <<< "$verdict")"
cat "$TMP/count"
