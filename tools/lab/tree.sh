#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts the series on top of the base in build/linux, and the unmodified base into build/base.
# What was done is remembered by git in build/linux: lab.patches is a checksum of patches/, refs/lab/tree the commit it gave.
# A tree whose patches/ did not change since is left alone, with all the work that is in it.
set -u
. "$(dirname "$0")/lib.sh"
. "$LAB/am.sh"

lock_build
scratch
g() { git -C "$TREE" "$@"; }
base=$(g rev-parse -q --verify base) || die "$TREE has no branch 'base'; run make tree"
new=$(g rev-parse -q --verify refs/lab/base) || new=$base # base.sh leaves a new base here
head=$(g rev-parse HEAD)
want=$(patches | while read -r p; do echo "${p#"$TOP/"}"; cat "$p"; done | cat - <(echo "$new") | sha256sum)

remember() { g config lab.patches "$want" && g update-ref refs/lab/tree HEAD; }

# A worktree that only ever holds the base.
base_tree() {
	local at
	at=$(git -C "$BUILD/base" rev-parse HEAD 2>/dev/null) || at=
	if [ "$at" != "$(g rev-parse base)" ] || [ "$(git -C "$BUILD/base" rev-parse --show-toplevel)" != "$BUILD/base" ]; then
		rm -rf "$BUILD/base" && g worktree prune &&
			g worktree add -q -f --detach "$BUILD/base" base || die "$BUILD/base can't be made; make room"
	fi
}

if [ -z "$FORCE" ] && [ "$new" = "$base" ]; then
	if [ "$(g config lab.patches)" != "$want" ]; then # made by hand, or saved by make series: the same content will do
		mkdir "$TMP/series" && format_series "$TREE" "$TMP/series"
		! same_series "$TMP/series" "$TOP/patches" || remember
	fi
	if [ "$(g config lab.patches)" = "$want" ]; then
		[ "$(g rev-parse refs/lab/tree)" = "$head" ] && [ -z "$(g status --porcelain | head -n 1)" ] ||
			note "$TREE holds work that patches/ does not (make series saves commits); it is used as it is"
		base_tree
		exit 0
	fi
fi

if [ -z "$FORCE" ]; then
	[ -z "$(g status --porcelain | head -n 1)" ] ||
		die "$TREE has uncommitted changes, and patches/ changed; commit them and run make series, or drop them with FORCE=1"
	[ "$head" = "$base" ] || [ "$head" = "$(g rev-parse -q --verify refs/lab/tree)" ] ||
		die "$TREE has commits that patches/ does not hold; save them with make series, or drop them with FORCE=1"
fi
note "applying $(patches | wc -l) patches"
result=$(am_series "$TREE" "$new" "$TMP/am") || exit
# Only files that differ are written, so that the next build is short.
[ -z "$FORCE" ] || g am --abort 2>/dev/null
g reset -q --hard "$result" && { [ -z "$FORCE" ] || g clean -qfd; } || die "$TREE can't be filled; make room"
g update-ref refs/heads/base "$new" && g update-ref -d refs/lab/base
series_mark "$TREE" "$new" "$result" || die "$TREE: the branches series/* can't be written; make room"
# Who rebases takes the branches along, and fixups to their place.
g config rebase.updateRefs true && g config rebase.autosquash true
remember
base_tree
