#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# names.sh CONSOLE [SYSTEM.MAP]: the auditor's lines of a console, with the function behind each pc and lr.
#
# KASLR moves the kernel: the auditor says what VBAR_EL1 was, and that is the symbol `vectors`. Code that runs at its physical
# address, as the first of a boot does, gets no name.
set -u

[ $# -ge 1 ] && [ $# -le 2 ] && [ -r "$1" ] || { echo "usage: names.sh CONSOLE [SYSTEM.MAP]: expected the console of an audited run" >&2; exit 2; }
map=${2-}
[ -n "$map" ] && [ -r "$map" ] || map=/dev/null

tr -d '\r' < "$1" | grep -E '^el2: ((FAULT|noted) audit|audit:)' | awk -v map="$map" '
	# mawk has doubles alone, which hold 53 bits: addresses are kept as two halves of 32 bits.
	function digits(text,  i, n) { for (n = 0; text != ""; text = substr(text, 2)) n = n * 16 + index("0123456789abcdef", substr(text, 1, 1)) - 1; return n }
	function split_address(text) { sub(/^0x/, "", text); while (length(text) < 16) text = "0" text; high = digits(substr(text, 1, 8)); low = digits(substr(text, 9)) }
	function name_of(text,  a, b, m, off) {
		split_address(text)
		# Offsets from vectors: the kernel is smaller than 2 GiB.
		off = (high - vbar_high) * 4294967296 + low - vbar_low
		if (!n || off < first || off > last) return ""
		a = 1; b = n
		while (a < b) { m = int((a + b + 1) / 2); if (at[m] <= off) a = m; else b = m - 1 }
		return sprintf(" <%s+0x%x>", name[a], off - at[a])
	}
	{ line[++lines] = $0; if (match($0, /vbar 0x[0-9a-f]+/)) vbar = substr($0, RSTART + 5, RLENGTH - 5) }
	END {
		if (vbar != "") {
			while ((getline text < map) > 0) {
				split(text, f, " ")
				if (f[2] !~ /^[tTwW]$/) continue
				split_address(f[1]); h[++n] = high; l[n] = low; name[n] = f[3]
				if (f[3] == "vectors") { vh = high; vl = low }
			}
			split_address(vbar); vbar_high = high; vbar_low = low
			for (i = 1; i <= n; i++) at[i] = (h[i] - vh) * 4294967296 + l[i] - vl
			first = at[1]; last = at[n]
		}
		for (i = 1; i <= lines; i++) {
			text = line[i]; out = ""
			while (match(text, /(pc|lr) 0x[0-9a-f]+/)) {
				word = substr(text, RSTART, RLENGTH)
				out = out substr(text, 1, RSTART + RLENGTH - 1) name_of(substr(word, 4))
				text = substr(text, RSTART + RLENGTH)
			}
			print out text
		}
	}'
exit 0
