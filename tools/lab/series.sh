#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Writes the commits of build/linux to patches/, and copies the files that they add to the top of the repository.
# A folder for each branch series/NN-name. Its 0000-cover-letter.txt is written by hand; between the two marker lines of that stand
# the shortlog and the diffstat, which this fills in.
set -u
. "$(dirname "$0")/lib.sh"
. "$LAB/cover.sh"

lock_build
scratch
git -C "$TREE" rev-parse -q --verify base > /dev/null 2>&1 || die "$TREE has no branch 'base'; run make tree"
[ "$(git -C "$TREE" rev-list --count base..HEAD)" -gt 0 ] || die "$TREE has no commit on top of its base; there is nothing to write"
[ -z "$(git -C "$TREE" rev-list --merges base..HEAD)" ] || die "$TREE has merges in its series; rebase them away"
[ -z "$(git -C "$TREE" status --porcelain | head -n 1)" ] || note "$TREE has uncommitted changes: no patch holds them"

why=$(series_order "$TREE") || die "$why"

new=$TMP/patches
mkdir "$new" && format_series "$TREE" "$new" || die "git format-patch failed; make room"
while read -r f; do # what is not a patch of a series stays
	[ -d "$new/${f%/*}" ] || [[ $f != [0-9][0-9]-*/* ]] ||
		die "patches/$f is of no series that $TREE has a branch for; remove its folder, or make the branch series/${f%/*}"
	mkdir -p "$new/$(dirname "$f")" && cp -p "$TOP/patches/$f" "$new/$f" || die "patches/$f can't be copied; make room"
done < <([ ! -d "$TOP/patches" ] || find "$TOP/patches" -type f ! -path "$TOP/patches/[0-9][0-9]-*/*.patch" -printf '%P\n')
while read -r s; do
	[ ! -f "$new/$s/0000-cover-letter.txt" ] || cover_fill "$TREE" "$s" "$new/$s/0000-cover-letter.txt" || exit
done < <(series_branches "$TREE")

git -C "$TREE" diff --name-only --no-renames --diff-filter=A base HEAD > "$TMP/added"
patches > "$TMP/old"
mkdir "$TMP/was" "$TMP/copies"
(added_files "$TMP/was" < "$TMP/old") 2> /dev/null
if [ -s "$TMP/added" ]; then
	xargs -d '\n' git -C "$TREE" archive -o "$TMP/copies.tar" HEAD < "$TMP/added" && tar -xf "$TMP/copies.tar" -C "$TMP/copies" ||
		die "the added files can't be written; make room"
fi

# All is there: put it in place.
rm -rf "$TOP/.patches.new" "$TOP/.patches.old"
mkdir -p "$TOP/patches" && cp -r "$new" "$TOP/.patches.new" && mv "$TOP/patches" "$TOP/.patches.old" &&
	mv "$TOP/.patches.new" "$TOP/patches" || die "patches/ can't be replaced; make room"
rm -rf "$TOP/.patches.old"
(cd "$TMP/was" && find . -type f -printf '%P\n' | sort) | comm -23 - <(sort "$TMP/added") | while read -r f; do
	rm -f "$TOP/$f" && (cd "$TOP" && rmdir -p --ignore-fail-on-non-empty "$(dirname "$f")" 2>/dev/null)
done
while read -r f; do
	cmp -s "$TMP/copies/$f" "$TOP/$f" || { mkdir -p "$TOP/$(dirname "$f")" && cp --preserve=mode "$TMP/copies/$f" "$TOP/$f"; } || die "$f can't be copied"
done < "$TMP/added"

want=$(patches | while read -r p; do echo "${p#"$TOP/"}"; cat "$p"; done | cat - <(git -C "$TREE" rev-parse base) | sha256sum)
git -C "$TREE" config lab.patches "$want" && git -C "$TREE" update-ref refs/lab/tree HEAD
note "$(series_names | wc -l) series, $(patches | wc -l) patches, $(wc -l < "$TMP/added") added files"
