#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# share.sh REPORT [options of run.sh, but -a] IMAGE INITRD: all CPUs change permissions at once, each those of a page of its own
# in a block of its own, which is split already (guest/modules/lab_share.c). REPORT says which cache lines of the kernel's they have in
# common as they do so (plugins/share.c), by name. With SHARE=crowd they go on beside the worker for two times five seconds, and the
# lines lab_share: of the console say how often that was in its way. System.map is taken from beside the Image, or from its build folder.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/bench/plugin.sh"

one_of SHARE= "${SHARE:=share}" share crowd
[ $# -ge 3 ] || die "usage: share.sh REPORT [options of run.sh] IMAGE INITRD"
report=$1
shift
system_map
vectors=$(awk '$3 == "vectors" { print $1 }' "$map")
[ "$vectors" ] || die "$map: no vectors in it; is it an arm64 kernel's?"
scratch_tmp
# The vector of interrupts that are taken at EL1.
with_plugin share "out=$TMP/report,irq=0x$(printf %x $((0x$vectors + 0x280)))"
verdict=$(QEMU=$TMP/qemu "$LAB/run/run.sh" -q -a "nokaslr lab=bench lab.bench=$SHARE" "$@" 2>&1) || die "$(tail -n 1 <<< "$verdict")"
[ -s "$TMP/report" ] || die "no report: $(tail -n 1 <<< "$verdict")"

# The symbols that begin in each line, or the one before it; what is not in the image was allocated.
sort "$map" | awk '
	# The last digits of a line of 64 bytes are 00, 40, 80 or c0.
	function end_of(a,    d) { d = substr(a, 15, 1); return substr(a, 1, 14) (d == "0" ? "40" : d == "4" ? "80" : d == "8" ? "c0" : "g") }
	FNR == NR { at[++n] = $1; name[n] = $3; next }
	/^line=/ {
		a = substr($1, 8)
		lo = 0; hi = n
		while (lo < hi) { mid = int((lo + hi + 1) / 2); if (at[mid] <= a) lo = mid; else hi = mid - 1 }
		# All have 16 digits, so that they compare as text.
		what = ""
		for (i = lo + (at[lo] < a); i <= n && substr(at[i], 1, 14) == substr(a, 1, 14) && at[i] < end_of(a); i++) what = what (what ? "+" : "") name[i]
		if (!what && lo && lo < n && substr(at[lo], 1, 5) == "ffff8") what = name[lo]
		$1 = $1 " name=" (what ? what : "-")
	}
	{ print }
' - "$TMP/report" > "$TMP/named" && cp "$TMP/named" "$report" || die "$report can't be written"
