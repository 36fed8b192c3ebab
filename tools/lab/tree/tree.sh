#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts the series on top of the base in build/linux, and the unmodified base into build/base.
# What was done is remembered by git in build/linux: lab.patches is a checksum of patches/, refs/lab/tree the commit it gave.
# A tree whose patches/ did not change since is left alone, with all the work that is in it.
# SERIES='40-boot ...' takes these and what they need, and no others; lab.series remembers which these are. Asked for another choice,
# a tree of which nothing would be lost is made anew.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/am.sh"

lock_build
scratch
g() { git -C "$TREE" "$@"; }
base=$(g rev-parse -q --verify base) || die "$TREE has no branch 'base'; run make tree"
new=$(g rev-parse -q --verify refs/lab/base) || new=$base # base.sh leaves a new base here
head=$(g rev-parse HEAD)
names=$(series_chosen) || exit
mapfile -t names < <(grep . <<< "$names")
mapfile -t list < <(patches_of < <(printf '%s\n' "${names[@]}"))
mapfile -t was < <(tree_series "$TREE")
g config lab.patches > /dev/null || was=("${names[@]}") # nothing was done yet
want=$(printf '%s\n' "${list[@]}" | grep . | tree_key "$new")

remember() {
	if [ "${SERIES:-all}" = all ]; then g config --unset-all lab.series; else g config lab.series "${names[*]}"; fi
	g config lab.patches "$want" && g update-ref refs/lab/tree HEAD
}
# The tree has no commit that patches/ lacks.
saved() { [ "$head" = "$base" ] || [ "$head" = "$(g rev-parse -q --verify refs/lab/tree)" ] || in_patches "${was[@]}"; }
# It consists of these series, as they are in patches/.
in_patches() { # SERIES...
	series_order "$TREE" > /dev/null || return
	[ -d "$TMP/series" ] || { mkdir "$TMP/series" && format_series "$TREE" "$TMP/series"; } || return
	[ "$(cd "$TMP/series" && echo *)" = "$*" ] && same_series "$TMP/series" "$TOP/patches" "$@"
}

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
	# Made by hand, or saved by make series: the same content will do.
	[ "$(g config lab.patches)" = "$want" ] || ! in_patches "${names[@]}" || remember
	if [ "$(g config lab.patches)" = "$want" ]; then
		[ "$(g rev-parse refs/lab/tree)" = "$head" ] && [ -z "$(g status --porcelain | head -n 1)" ] ||
			note "$TREE holds work that patches/ does not (make series saves commits); it is used as it is"
		base_tree
		exit 0
	fi
fi

if [ -z "$FORCE" ]; then
	why='patches/ changed' keep=''
	[ "${was[*]}" = "${names[*]}" ] || {
		why="it was made of ${was[*]}" keep=", stay with make tree SERIES='${was[*]}'"
		[ "${was[*]}" != "$(series_names | xargs)" ] || keep=', stay with make tree'
	}
	[ -z "$(g status --porcelain | head -n 1)" ] ||
		die "$TREE has uncommitted changes, and $why; commit them and run make series$keep, or drop them with FORCE=1"
	saved || {
		said=$(series_order "$TREE") && said="$TREE has commits that patches/ does not hold"
		die "$said; then save with make series$keep, or drop them with FORCE=1"
	}
fi
[ "${was[*]}" = "${names[*]}" ] || note "$TREE was made of ${was[*]}"
note "applying ${#list[@]} patches of ${names[*]}"
result=$(am_series "$TREE" "$new" "$TMP/am" "${list[@]}") || exit
# Only files that differ are written, so that the next build is short.
[ -z "$FORCE" ] || g am --abort 2>/dev/null
g reset -q --hard "$result" && { [ -z "$FORCE" ] || g clean -qfd; } || die "$TREE can't be filled; make room"
g update-ref refs/heads/base "$new" && g update-ref -d refs/lab/base
series_mark "$TREE" "$new" "$result" < <(printf '%s\n' "${names[@]}") || die "$TREE: the branches series/* can't be written; make room"
# Who rebases takes the branches along, and fixups to their place.
g config rebase.updateRefs true && g config rebase.autosquash true
remember
base_tree
