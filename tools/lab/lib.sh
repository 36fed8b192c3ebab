# shellcheck shell=bash disable=SC2015,SC2016,SC2034
# Sourced by the lab's scripts. Sets TOP (the repository), LAB, BUILD (O=, or build/; KDIR= has a folder of its own in it) and
# TREE (the kernel tree with the series: branch `base` is the base, HEAD the series).

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$LAB/../.." && pwd)
# shellcheck source=tools/lab/base.conf
. "$LAB/base.conf"

me=${0##*/}
die() { echo "${me%.sh}: $*" >&2; exit 1; }
note() { echo "# $*"; }

# The kernel's make must not see what was meant for ours; J holds the -j.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX
export LC_ALL=C GIT_CONFIG_GLOBAL=$LAB/gitconfig GIT_CONFIG_NOSYSTEM=1
J=${J:-$(($(nproc) + 1))}
KDIR=${KDIR-} BASE_TARBALL=${BASE_TARBALL-} FORCE=${FORCE-}

# Relative names are relative to where the user typed make.
BUILD=${O:-$TOP/build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
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

# apt with lists of its own in DIR, so that the machine's set-up stays as it is. What is only downloaded needs SUITE alone; what is
# installed also needs the machine's own sources, which hold the rest of its dependencies: private_apt DIR SUITE [beside]
private_apt() {
	local site line
	command -v apt-get > /dev/null || return 1
	site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep '/debian/*$' | head -n 1)
	[ -n "$site" ] || return 1
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	line="deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $2 main"
	APT=(-qq -o Dir::Etc::sourcelist="$1/sources.list" -o Dir::State::lists="$1/lists" -o Dir::Cache="$1/cache"
		-o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
	if [ "${3-}" != beside ]; then
		APT+=(-o Dir::Etc::sourceparts=/dev/null -o APT::Update::Error-Mode=any)
		echo "$line" > "$1/sources.list"
	else
		cat /etc/apt/sources.list > "$1/sources.list" 2>/dev/null
		# A suite that is there twice may be signed by two keyrings, which apt refuses.
		apt-get indextargets --format '$(RELEASE)' 'Created-By: Packages' 2>/dev/null | grep -qx "$2" || echo "$line" >> "$1/sources.list"
	fi
}

tree_version() { # the top Makefile of a tree on stdin
	awk -F' *= *' '/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=/ { v[$1] = $2 }
		END { printf "%s.%s%s%s\n", v["VERSION"], v["PATCHLEVEL"], v["SUBLEVEL"] ? "." v["SUBLEVEL"] : "", v["EXTRAVERSION"] }'
}

patches() { find "$TOP/patches" -maxdepth 1 -name '*.patch' 2>/dev/null | sort; }

# Writes base..HEAD of a tree as patches: format_series TREE DIR
format_series() {
	git -C "$1" format-patch -q --zero-commit --no-signature --numbered --abbrev=12 -o "$2" base..HEAD
}

# Two folders with patches hold the same changes; blob ids and line numbers, which depend on the base, aside.
same_series() { # DIR DIR
	local a b
	a=$(normal_series "$1") && b=$(normal_series "$2") && [ "$a" = "$b" ]
}
normal_patch() { sed -E '/^index [0-9a-f]+\.\.[0-9a-f]+/d; s/^@@ -[0-9,]+ \+[0-9,]+ @@.*/@@/' "$1"; }
normal_series() {
	local p
	for p in "$1"/*.patch; do
		[ -f "$p" ] || continue
		echo "== ${p##*/}"
		normal_patch "$p"
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
COPIES="arch include mm lib kernel Documentation tools/testing"
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
