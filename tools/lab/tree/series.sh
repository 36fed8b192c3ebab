#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Writes the commits of build/linux to patches/, and copies the files that they add to the top of the repository.
# A folder for each branch series/NN-name. Its 0000-cover-letter.txt is written by hand; between the two marker lines of that stand
# the shortlog and the diffstat, which this fills in. The column of needs in patches/README.md follows from the heads of the letters.
# A tree that was made with SERIES= holds some of the folders: the others stay as they are.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/cover.sh"

lock_build
scratch
git -C "$TREE" rev-parse -q --verify base > /dev/null 2>&1 || die "$TREE has no branch 'base'; run make tree"
[ "$(git -C "$TREE" rev-list --count base..HEAD)" -gt 0 ] || die "$TREE has no commit on top of its base; there is nothing to write"
[ -z "$(git -C "$TREE" rev-list --merges base..HEAD)" ] || die "$TREE has merges in its series; rebase them away"
[ -z "$(git -C "$TREE" status --porcelain | head -n 1)" ] || note "$TREE has uncommitted changes: no patch holds them"

why=$(series_order "$TREE") || die "$why"

tree_series "$TREE" > "$TMP/mine" # and what is new
series_names | grep -vxFf "$TMP/mine" > "$TMP/others"
while read -r s; do
	! series_branches "$TREE" | grep -qxF "$s" ||
		die "patches/$s was not taken into $TREE, which has a branch series/$s; rename that (git branch -m), or save the folder"
done < "$TMP/others"

new=$TMP/patches
mkdir "$new" && format_series "$TREE" "$new" || die "git format-patch failed; make room"
[ ! -s "$TMP/others" ] || (cd "$TOP/patches" && xargs cp -pr -t "$new") < "$TMP/others" || die "patches/ can't be copied; make room"
while read -r f; do # what is not a patch of a series stays
	[ -d "$new/${f%/*}" ] || [[ $f != [0-9][0-9]-*/* ]] ||
		die "patches/$f is of no series that $TREE has a branch for; remove its folder, or make the branch series/${f%/*}"
	mkdir -p "$new/$(dirname "$f")" && cp -p "$TOP/patches/$f" "$new/$f" || die "patches/$f can't be copied; make room"
done < <([ ! -d "$TOP/patches" ] || find "$TOP/patches" -type f ! -path "$TOP/patches/[0-9][0-9]-*/*.patch" -printf '%P\n')
if [ -f "$new/README.md" ]; then needs_column "$new" < "$TOP/patches/README.md" > "$new/README.md" || die "patches/README.md can't be written; make room"; fi
while read -r s; do
	[ ! -f "$new/$s/0000-cover-letter.txt" ] || cover_fill "$TREE" "$s" "$new/$s/0000-cover-letter.txt" || exit
done < <(series_branches "$TREE")

patches > "$TMP/old"
mkdir "$TMP/was" "$TMP/copies"
(added_files "$TMP/was" < "$TMP/old") 2> /dev/null
if [ ! -s "$TMP/others" ]; then
	git -C "$TREE" diff --name-only --no-renames --diff-filter=A base HEAD > "$TMP/added"
	if [ -s "$TMP/added" ]; then
		xargs -d '\n' git -C "$TREE" archive -o "$TMP/copies.tar" HEAD < "$TMP/added" && tar -xf "$TMP/copies.tar" -C "$TMP/copies" ||
			die "the added files can't be written; make room"
	fi
else # the copies are what they are with all series
	why=$(find "$new" -name '*.patch' | sort | added_files "$TMP/copies" 2>&1) || {
		rest=$(sed -nE "s,.*: $new/(.*): what it adds.*,\1,p" <<< "$why" | tail -n 1)
		note "patches/${rest:-} does not apply on top of this any more: the copies at the top stay as they were"
		cp -r "$TMP/was/." "$TMP/copies/"
	}
	(cd "$TMP/copies" && find . -type f -printf '%P\n' | sort) > "$TMP/added"
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

series_branches "$TREE" > "$TMP/names"
patches_of < "$TMP/names" > "$TMP/list"
git -C "$TREE" config lab.patches "$(tree_key "$(git -C "$TREE" rev-parse base)" < "$TMP/list")" && git -C "$TREE" update-ref refs/lab/tree HEAD
! git -C "$TREE" config lab.series > /dev/null || git -C "$TREE" config lab.series "$(xargs < "$TMP/names")"
note "$(wc -l < "$TMP/names") series, $(wc -l < "$TMP/list") patches, $(wc -l < "$TMP/added") added files$(xargs -r echo '; as they were:' < "$TMP/others")"
