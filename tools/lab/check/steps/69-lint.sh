#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# checkpatch on each patch; sparse and W=1 on the touched files, where nothing may be new against the base.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
scratch_tmp

mapfile -t list < <(patches)
[ "${#list[@]}" -gt 0 ] || { nok checkpatch "patches/ holds no patch"; exit; }

# What checkpatch says of lines that a patch only moves is the base's: here they stand among those that it removes, `static` or not.
not_moved() { # PATCH < findings FILE:LINE: ...
	local file line rest text
	sed -n 's/^-//p' "$1" | sed 's/^static //' > "$TMP/removed"
	while IFS=: read -r file line rest; do
		text=$(awk -v file="$file" -v want="$line" '
			/^\+\+\+ / { here = $2 == "b/" file }
			/^@@ / { split($3, a, /[+,]/); n = a[2] - 1; next }
			here && /^[+ ]/ && ++n == want { print substr($0, 2); exit }' "$1")
		[ -n "$text" ] && grep -qxFe "${text#static }" "$TMP/removed" || echo "$file:$line:$rest"
	done
}

for p in "${list[@]}"; do
	name=checkpatch-$(basename "$p" | cut -c 1-4)
	# The system's python3 is the one that setup installs for. No sign-off, on purpose; the MAINTAINERS entry comes with one of the
	# patches, not with each new file; and the tree has no history, in which Fixes: could be looked up. TRACE_EVENT() and its kin are written as nothing else is: two checks go wrong on every one.
	out=$(cd "$TREE" && PATH=/usr/bin:$PATH perl scripts/checkpatch.pl --strict --terse --showfile --no-summary --show-types --color=never \
		--ignore MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID "$p" 2>&1 |
		grep -vE '^include/trace/events/[^:]*:[0-9]+: CHECK:(PARENTHESIS_ALIGNMENT|OPEN_ENDED_LINE):' | not_moved "$p")
	if [ -z "$out" ]; then
		ok "$name"
	else
		echo "$out"
		nok "$name" "$(grep -cE '(ERROR|WARNING|CHECK):' <<< "$out") findings, the first: $(head -n 1 <<< "$out" | sed "s,.*/,,")"
	fi
done

# The touched .c files with both checkers, and of the base those that are not silent, in the same config.
git -C "$TREE" diff --name-only --diff-filter=d base HEAD -- '*.c' '*.h' | grep -v '^tools/' > "$TMP/touched"
sparse=sparse # Debian 12's, and that of others, does not know a word that the tree asks of it
[ "$(sh "$TREE/scripts/checker-valid.sh" sparse -m64)" = 1 ] || sparse='sparse -D__typeof_unqual__=__typeof__'
warnings() { # TREE NAME FILES: prints FILE: TEXT, for touched files, without line numbers
	local objs
	mapfile -t objs < <(cd "$1" && grep '\.c$' "$3" | while read -r f; do [ ! -f "$f" ] || echo "${f%.c}.o"; done)
	[ "${#objs[@]}" -gt 0 ] || return 0
	(mkdir -p "$BUILD/obj/$2-lint" && cd "$BUILD/obj/$2-lint" && rm -f "${objs[@]}") # what is compiled already prints nothing
	"$LAB/tree/kbuild.sh" "$1" lint "$BUILD/obj/$2-lint" W=1 C=2 "CHECK=$sparse" "${objs[@]}" > "$TMP/$2.out" 2>&1 ||
		{ tail -n 1 "$TMP/$2.out" >&2; return 1; }
	# A sparse that the tree does not like is passed over in silence.
	local checked
	checked=$(grep -c '^  CHECK ' "$BUILD/obj/$2-lint/build.log")
	[ "$checked" -ge "${#objs[@]}" ] || { echo "sparse looked at $checked of ${#objs[@]} files" >&2; return 1; }
	sed -nE "s,^($1/|(\.\./)+[^ ]*$(basename "$1")/)?([^ :]+\.[ch]):[0-9]+(:[0-9]+)?: ((sparse: )?(warning|error): .*),\3: \5,p" "$BUILD/obj/$2-lint/build.log" |
		grep -Ff <(sed 's/$/: /' "$TMP/touched") |
		grep -vE '_kunit\.c: error: bad constant expression$' > "$TMP/$2.all" # MODULE_*() and kunit_test_suite(), in every suite of the tree
	# A header's warning comes once for each file that includes it.
	{ grep -vE '^[^ ]+\.h: ' "$TMP/$2.all"; grep -E '^[^ ]+\.h: ' "$TMP/$2.all" | sort -u; } | sort
}
# The files whose warnings may be the base's: all, if a header has some, for whichever file it is that shows them.
loud() {
	if grep -qE '^[^ ]+\.h: ' "$TMP/linux"; then cat "$TMP/touched"; else sed 's/: .*//' "$TMP/linux" | sort -u; fi
}
if [ ! -s "$TMP/touched" ]; then
	nok sparse-and-W1 "the series touches no .c and no .h file"
elif ! warnings "$TREE" linux "$TMP/touched" > "$TMP/linux" 2> "$TMP/why"; then
	nok sparse-and-W1 "$(cat "$TMP/why")"
elif loud > "$TMP/loud" && ! warnings "$BUILD/base" base "$TMP/loud" > "$TMP/base" 2> "$TMP/why"; then
	nok sparse-and-W1 "the base: $(cat "$TMP/why")"
else
	comm -13 "$TMP/base" "$TMP/linux" > "$TMP/new"
	note "$(wc -l < "$TMP/base") warnings in the base, $(wc -l < "$TMP/linux") with the series"
	if [ -s "$TMP/new" ]; then
		cat "$TMP/new"
		nok sparse-and-W1 "$(wc -l < "$TMP/new") new, the first: $(head -n 1 "$TMP/new")"
	else
		ok sparse-and-W1
	fi
fi
