#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Lists where patches/, the copies of the added files and build/linux differ. Without build/linux: patches/ and the copies. Of a tree
# that was made with SERIES= what it holds is compared.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/cover.sh"

scratch_tmp
bad() { echo "$*" >> "$TMP/bad"; }
: > "$TMP/bad"
mkdir "$TMP/added" "$TMP/series"

patches > "$TMP/list"
n=$(wc -l < "$TMP/list")
[ "$n" -gt 0 ] || bad "patches/ holds no patch"
(added_files "$TMP/added" < "$TMP/list") 2>> "$TMP/bad"
(cd "$TMP/added" && find . -type f -printf '%P\n' | sort) > "$TMP/names"
while read -r f; do
	if [ ! -f "$TOP/$f" ]; then bad "$f: added by the series, no copy here"
	elif ! cmp -s "$TMP/added/$f" "$TOP/$f"; then bad "$f: the copy differs from what the series adds"; fi
done < "$TMP/names"
while read -r f; do
	bad "$f: a copy of a file that the series does not add"
done < <(copies | comm -23 - "$TMP/names")

while read -r s; do
	if [ ! -f "$(letter "$s")" ]; then bad "patches/$s/0000-cover-letter.txt is not there"
	else cover_check_count "$(letter "$s")" "$(patches "$s" | wc -l)" >> "$TMP/bad"; fi
done < <(series_names)
needs_wrong >> "$TMP/bad"

if git -C "$TREE" rev-parse -q --verify base > /dev/null 2>&1; then
	base_line "$TREE"
	series_order "$TREE" >> "$TMP/bad"
	format_series "$TREE" "$TMP/series" || bad "$TREE: git format-patch failed"
	tree_series "$TREE" > "$TMP/mine"
	[ -z "$(git -C "$TREE" config lab.series)" ] || note "$TREE holds $(xargs < "$TMP/mine"): the others are not compared with it"
	while read -r f; do
		if [ ! -f "$TOP/patches/$f" ]; then bad "patches/$f is not there, build/linux has it"
		elif [ ! -f "$TMP/series/$f" ]; then bad "patches/$f is there, build/linux does not have it"
		elif [ "$(normal_patch "$TOP/patches/$f")" != "$(normal_patch "$TMP/series/$f")" ]; then
			bad "patches/$f: build/linux has another version"
		fi
	done < <(cd "$TMP/series" && { patches_of < "$TMP/mine" | sed "s,^$TOP/patches/,,"; find . -name '*.patch' -printf '%P\n'; } | sort -u)
	while read -r f; do
		bad "build/linux: uncommitted: $f"
	done < <(git -C "$TREE" status --porcelain | head -n 20)
	while read -r s; do
		[ -f "$(letter "$s")" ] && cp "$(letter "$s")" "$TMP/cover" || continue
		(cover_fill "$TREE" "$s" "$TMP/cover") 2>> "$TMP/bad"
		cmp -s "$(letter "$s")" "$TMP/cover" || bad "patches/$s/0000-cover-letter.txt: the shortlog or the diffstat is out of date"
	done < <(series_branches "$TREE")
else
	note "no $TREE: compared patches/ with the copies only"
fi
[ -s "$TMP/bad" ] || exit 0
cat "$TMP/bad"
die "$(wc -l < "$TMP/bad") differences; make series takes build/linux into patches/, make tree the other way"
