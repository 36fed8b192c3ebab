# shellcheck shell=bash disable=SC2015,SC2016,SC2034
# Sourced by the lab's scripts. Sets TOP (the repository), LAB, BUILD (O=, or build/; KDIR= has a folder of its own in it) and
# TREE (the kernel tree with the series: branch `base` is the base, HEAD the series).

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$LAB/../.." && pwd)
# shellcheck source=tools/lab/tree/base.conf
. "$LAB/tree/base.conf"

# To fail: one line, and an exit status (1, or die_status). To say something: a line that begins with #.
me=${0##*/}
die() { echo "${me%.sh}: $*" >&2; exit "${die_status:-1}"; }
note() { echo "# $*"; }

# A table whose cells are separated by tabs, with its columns aligned.
columns() { python3 -c '
import sys
rows = [line.rstrip("\n").split("\t") for line in sys.stdin]
width = [max(len(r[i]) for r in rows if len(r) > i + 1) for i in range(max(map(len, rows)) - 1)]
for r in rows:
    print("  ".join([c.ljust(w) for c, w in zip(r[:-1], width)] + r[-1:]).rstrip())'; }

# Options and variables. A script has its help in $usage, and getopts behind a colon: -h prints it, *) is for wrong_option.
wrong_option() { echo "$usage" >&2; die "-$OPTARG: unknown option, or its value is missing"; }
# number 'NAME=' VALUE LEAST [MOST]; for an option '-n ' VALUE ...
number() {
	[[ $2 =~ ^[0-9]{1,9}$ && $((10#$2)) -ge $3 && $((10#$2)) -le ${4:-999999999} ]] ||
		die "$1$2: a number from $3 ${4:+to }${4:-up} is expected"
}
# one_of 'NAME=' VALUE WORD...
one_of() {
	local name=$1 value=$2
	shift 2
	[[ " $* " = *" $value "* && $value != *' '* && $value ]] || die "$name$value: one of these is expected: $*"
}

# The kernel's make must not see what was meant for ours; J holds the -j.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX
export LC_ALL=C GIT_CONFIG_GLOBAL=$LAB/tree/gitconfig GIT_CONFIG_NOSYSTEM=1
J=${J:-$(($(nproc) + 1))}
KDIR=${KDIR-} BASE_TARBALL=${BASE_TARBALL-} FORCE=${FORCE-} SERIES=${SERIES-}

# Relative names are relative to where the user typed make.
BUILD=${O:-$TOP/build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
[ -z "${O-}" ] || export O=$BUILD # for what is called from another folder
if [ -n "$KDIR" ]; then
	[ -f "$KDIR/Kbuild" ] && [ -d "$KDIR/arch/arm64/mm" ] || die "KDIR=$KDIR is not a kernel tree; name the top of one"
	KDIR=$(cd "$KDIR" && pwd)
	BUILD=$BUILD/kdir
fi
TREE=$BUILD/linux

make_build() {
	mkdir -p "$BUILD" 2>/dev/null && [ -w "$BUILD" ] || die "$BUILD can't be written; choose another folder with O="
	BUILD=$(cd "$BUILD" && pwd -P)
	TREE=$BUILD/linux
}

# One process at a time changes the tree. What a killed one left is removed here.
lock_build() {
	make_build
	exec 9> "$BUILD/.lock" || die "$BUILD can't be written; choose another folder with O="
	flock -w "${LOCK_WAIT:-5}" 9 || die "another make works in $BUILD; wait for it, or choose another folder with O="
	rm -rf "$BUILD"/.tmp.*
}

# A folder on the build's file system that goes away with the script: what is moved out of it appears whole or not at all.
scratch() {
	TMP=$(mktemp -d "$BUILD/.tmp.XXXXXX" 2>/dev/null) || die "$BUILD can't be written; choose another folder with O="
	trap 'rm -rf "$TMP"' EXIT
	trap 'exit 130' INT TERM HUP
}

# The same for what is not kept.
scratch_tmp() {
	TMP=$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX" 2>/dev/null) || die "${TMPDIR:-/tmp} can't be written; set TMPDIR to a folder that can"
	trap 'rm -rf "$TMP"' EXIT
	trap 'exit 130' INT TERM HUP
}

need_space() { # MIB
	local free
	free=$(df -Pm "$BUILD" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] || die "$BUILD has $free MiB free, $1 are needed; make room, or choose another folder with O="
}

# apt with lists of its own in DIR, so that the machine's set-up stays as it is. What is only downloaded needs its SUITEs alone; what is
# installed also needs the machine's own sources, which hold the rest of its dependencies: private_apt DIR 'SUITE...' [beside]
private_apt() {
	local site line suite
	command -v apt-get > /dev/null || return 1
	site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep '/debian/*$' | head -n 1)
	[ -n "$site" ] || return 1
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	line="deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site"
	APT=(-qq -o Dir::Etc::sourcelist="$1/sources.list" -o Dir::State::lists="$1/lists" -o Dir::Cache="$1/cache"
		-o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
	if [ "${3-}" != beside ]; then
		APT+=(-o Dir::Etc::sourceparts=/dev/null -o APT::Update::Error-Mode=any)
		for suite in $2; do echo "$line $suite main"; done > "$1/sources.list"
	else
		cat /etc/apt/sources.list > "$1/sources.list" 2>/dev/null
		# A suite that is there twice may be signed by two keyrings, which apt refuses.
		apt-get indextargets --format '$(RELEASE)' 'Created-By: Packages' 2>/dev/null | grep -qx "$2" || echo "$line $2 main" >> "$1/sources.list"
	fi
}

tree_version() { # the top Makefile of a tree on stdin
	awk -F' *= *' '/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=/ { v[$1] = $2 }
		END { printf "%s.%s%s%s\n", v["VERSION"], v["PATCHLEVEL"], v["SUBLEVEL"] ? "." v["SUBLEVEL"] : "", v["EXTRAVERSION"] }'
}

# patches/ has a folder for each series, in the order in which they can go: NN-name, with its patches and 0000-cover-letter.txt.
series_names() { (cd "$TOP/patches" 2>/dev/null && find . -mindepth 1 -maxdepth 1 -type d -name '[0-9][0-9]-*' -printf '%f\n' | sort); }
# All patches, or those of one series: patches [SERIES]
patches() { find "$TOP/patches/" -mindepth 2 -maxdepth 2 -path "*/${1-[0-9][0-9]-*}/*.patch" 2>/dev/null | sort; }

# In the tree the branch series/NN-name is the last commit of a series. They follow each other, from base to HEAD.
series_branches() { git -C "$1" for-each-ref --sort=refname --format='%(refname:lstrip=3)' refs/heads/series/; }
series_tip() { echo "refs/heads/series/$1"; } # SERIES
series_before() { # TREE SERIES: what it begins after
	local s before=refs/heads/base
	while read -r s; do
		[ "$s" != "$2" ] || break
		before=$(series_tip "$s")
	done < <(series_branches "$1")
	echo "$before"
}
# Says what is wrong with the branches of a tree, if anything is.
series_order() { # TREE
	local s last=refs/heads/base tip n
	[ "$(series_branches "$1")" ] || { echo "$1 has no branch series/NN-name that says which commits are whose"; return 1; }
	while read -r s; do
		tip=$(series_tip "$s")
		git -C "$1" merge-base --is-ancestor "$last" "$tip" && git -C "$1" merge-base --is-ancestor "$tip" HEAD ||
			{ echo "$1: the branch series/$s does not lie between ${last#refs/heads/} and HEAD; move it: git branch -f series/$s COMMIT"; return 1; }
		[ "$(git -C "$1" rev-parse "$last")" != "$(git -C "$1" rev-parse "$tip")" ] ||
			{ echo "$1: no commit is of the series $s; remove it (git branch -D series/$s), or move it: git branch -f series/$s COMMIT"; return 1; }
		last=$tip
	done < <(series_branches "$1")
	n=$(git -C "$1" rev-list --count "$last..HEAD")
	[ "$n" = 0 ] || { echo "$1: $n commits lie behind ${last#refs/heads/}; take them into it: git branch -f ${last#refs/heads/} HEAD"; return 1; }
}

# Writes the series of a tree as patches, a folder each: format_series TREE DIR
format_series() {
	local s
	while read -r s; do
		git -C "$1" format-patch -q --zero-commit --no-signature --numbered --abbrev=12 -o "$2/$s" "$(series_before "$1" "$s")..$(series_tip "$s")" || return
	done < <(series_branches "$1")
}

# Says which commits of a tree are whose, after their patches were applied: series_mark TREE BASE COMMIT < names of series
series_mark() {
	local s commits n=0
	mapfile -t commits < <(git -C "$1" rev-list --reverse "$2..$3")
	series_branches "$1" | while read -r s; do git -C "$1" update-ref -d "$(series_tip "$s")"; done
	while read -r s; do
		n=$((n + $(patches "$s" | wc -l)))
		[ "$n" = 0 ] || git -C "$1" update-ref "$(series_tip "$s")" "${commits[n - 1]}" || return
	done
}

# The folders of some series hold the same changes in both places; blob ids and line numbers, which depend on the base, aside.
same_series() { # DIR DIR SERIES...
	local a b dirs=("$1" "$2")
	shift 2
	a=$(normal_series "${dirs[0]}" "$@") && b=$(normal_series "${dirs[1]}" "$@") && [ "$a" = "$b" ]
}
normal_patch() { sed -E '/^index [0-9a-f]+\.\.[0-9a-f]+/d; s/^@@ -[0-9,]+ \+[0-9,]+ @@.*/@@/' "$1"; }
normal_series() { # DIR SERIES...
	local dir=$1 s p
	shift
	for s; do
		for p in "$dir/$s"/*.patch; do
			[ -f "$p" ] || continue
			echo "== ${p#"$dir/"}"
			normal_patch "$p"
		done
	done | sha256sum
}

# The files that the series adds, at its end: applies the new files alone in an empty folder. added_files DIR < list of patches
added_files() {
	local list=() include=() f
	mapfile -t list
	[ "${#list[@]}" -gt 0 ] || return 0
	while read -r f; do
		include+=("--include=$f")
	done < <(git apply --summary "${list[@]}" | sed -n 's/^ create mode [0-9]* //p' | sort -u)
	[ "${#include[@]}" -gt 0 ] || return 0
	for f in "${list[@]}"; do
		(cd "$1" && GIT_CEILING_DIRECTORIES=$(dirname "$(pwd -P)") git apply --whitespace=nowarn --allow-empty "${include[@]}" "$f") ||
			die "$f: what it adds does not apply; write the series anew with: make series"
	done
}

# The folders at the repository's top that hold nothing but copies.
COPIES="arch include mm lib kernel Documentation tools/testing tools/mm"
copies() {
	local d
	(cd "$TOP" && for d in $COPIES; do [ -d "$d" ] && find "$d" -type f; done | sort)
}

# make for the lab's own programs, which steps that run at once share.
lab_make() { flock "$LAB" make -s "$@"; }

# Steps of make check: each result is a line `ok NAME (SECONDS s)` or `not ok NAME (SECONDS s) - WHY`, not indented.
since=$(date +%s%N)
took() {
	local now ms
	now=$(date +%s%N) ms=$(((now - since) / 1000000)) since=$now
	printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}
ok() { printf 'ok %s (%s)\n' "$1" "$(took)"; since=$(date +%s%N); }
nok() { printf 'not ok %s (%s) - %s\n' "$1" "$(took)" "${2:-no reason given}"; since=$(date +%s%N); }
