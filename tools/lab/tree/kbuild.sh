#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# kbuild.sh TREE FLAVOUR OBJDIR [TARGET...]: configures and builds a kernel; the targets are the kernel and its modules unless named.
# The config is tinyconfig, the flavour's fragment in configs/ (below it, with a first line `# base: NAME`, the one of NAME), and
# olddefconfig. A requested value that does not come out is an error. The log is OBJDIR/build.log. One process at a time works in a
# folder: steps that run at once and need the same kernel wait for the one that builds it. With a line `# compiler: clang` LLVM
# builds the kernel: the one of LLVM=1 or LLVM=-19, as the kernel's make has it, or the newest that is here. With a line
# `# arch: x86_64` or `# arch: riscv` it is one for that architecture, by Debian's compiler; CROSS_COMPILE is arm64's. With a line
# `# objects: NAME` a new folder begins with the objects of that flavour, if they are beside it: options that few files look at.
# With WHOLE=/path the fragment changes that config, which is a whole one, instead of tinyconfig. `# size: N` is how many objects there
# are, to begin an estimate with. A fragment with a CONFIG_LOCALVERSION has kernels that are installed beside each other: -base, -ours.
set -u
. "$(dirname "$0")/../lib.sh"

[ $# -ge 3 ] || die "usage: kbuild.sh TREE FLAVOUR OBJDIR [TARGET...]"
tree=$(cd "$1" 2>/dev/null && pwd -P) && [ -f "$tree/Kbuild" ] || die "$1 is not a kernel tree; run make tree"
flavour=$2 obj=$3
shift 3

fragments() { # FLAVOUR: its files, the base first
	local file=$LAB/tree/configs/$1.config base
	[ -f "$file" ] || die "no such flavour: tools/lab/tree/configs/$1.config"
	base=$(sed -n '1s/^# base: *//p' "$file")
	[ -z "$base" ] || fragments "$base"
	echo "$file"
}
files=$(fragments "$flavour") || exit
mapfile -t frags <<< "$files"

ARCH=$(sed -n 's/^# arch: *//p' "${frags[@]}" | tail -n 1)
export ARCH=${ARCH:-arm64}
case $ARCH in
arm64) machine=aarch64 cross=${CROSS_COMPILE-aarch64-linux-gnu-} kernel=Image srcarch=arm64 ;;
x86_64) machine=x86_64 cross=x86_64-linux-gnu- kernel=bzImage srcarch=x86 ;;
riscv) machine=riscv64 cross=riscv64-linux-gnu- kernel=Image srcarch=riscv ;;
*) die "$flavour: '# arch: $ARCH' is none that the lab builds for" ;;
esac
[ $# -gt 0 ] || set -- $kernel modules
if [ "$ARCH" = arm64 ] && [ -n "${CROSS_COMPILE+x}" ]; then :
elif [ "$(uname -m)" = $machine ]; then unset CROSS_COMPILE
else export CROSS_COMPILE=$cross; fi
command -v "${CROSS_COMPILE-}gcc" > /dev/null || die "no ${CROSS_COMPILE-}gcc; run make setup"
# The same source gives the same Image, and ccache knows it again.
export KBUILD_BUILD_TIMESTAMP='2026-01-01 00:00:00 UTC' KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1
vars=(LOCALVERSION=)
if grep -q '^CONFIG_LOCALVERSION="-' "${frags[@]}"; then
	if [ "$(basename "$tree")" = base ]; then vars=(LOCALVERSION=-base); else vars=(LOCALVERSION=-ours); fi
fi
WHOLE=${WHOLE-}
[ -z "$WHOLE" ] || [ -r "$WHOLE" ] || die "$WHOLE: no such config"
# The compiler asks for large pages, which glibc otherwise leaves to the machine's settings: a fifth to a third less time.
export GLIBC_TUNABLES=${GLIBC_TUNABLES-glibc.malloc.hugetlb=1}
cc=${CROSS_COMPILE-}gcc llvm=''
llvm_min=$("$tree/scripts/min-tool-version.sh" llvm 2>/dev/null)
llvm_ok() { # LLVM=
	command -v "ld.lld${1#1}" > /dev/null && [ "$("clang${1#1}" -dumpversion 2>/dev/null | cut -d . -f 1)" -ge "${llvm_min%%.*}" ] 2>/dev/null
}
if grep -qx '# compiler: clang' "${frags[@]}"; then
	for llvm in ${LLVM:-1 $(compgen -c clang- | grep -oxE 'clang-[0-9]+' | sort -u -t - -k 2,2nr | sed 's/^clang//')} ''; do
		[ -z "$llvm" ] || ! llvm_ok "$llvm" || break
	done
	[ "$llvm" ] || die "$flavour: no clang $llvm_min or newer with its ld.lld; install one (on Debian 12 clang-19, lld-19, llvm-19), or name it by LLVM=-N"
	vars+=("LLVM=$llvm") cc=clang${llvm#1}
fi
# For all others the kernel's make must not see it.
unset LLVM
if command -v ccache > /dev/null; then
	vars+=("CC=ccache $cc" "HOSTCC=ccache gcc")
	# Seen from the object folder all clones look alike. What is not known yet is compiled at once, not preprocessed first: that would
	# be a quarter more of time.
	export CCACHE_DEPEND=1 CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=time_macros CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-10G}
fi

mkdir -p "$obj" 2>/dev/null || die "$obj can't be made; make room, or choose another folder with O="
obj=$(cd "$obj" && pwd -P)
log=$obj/build.log
exec 8> "$obj/.lab-lock" || die "$obj can't be written; choose another folder with O="
flock 8
: > "$log" || die "$obj can't be written; choose another folder with O="
# A boot beside it has a time limit, a build has not.
kmake() { nice make -C "$tree" O="$obj" "${vars[@]}" -j"$J" "$@"; }
failed() {
	tail -n +"$1" "$log" | grep -nE '(error|Error [0-9]|undefined reference|No space left|\*\*\*|^ERROR)' | grep -vE 'Waiting for|\*\*\* \[' | head -n 20 >&2
	! grep -q 'No space left' "$log" || die "the disk is full; make room"
	die "$2; the whole log is $log"
}

# All but what says how they were made: interrupted, it begins anew.
like=$(sed -n 's/^# objects: *//p' "${frags[-1]}") beside=$(dirname "$obj")/$(basename "$tree")-$like
if [ "$like" ] && [ ! -f "$obj/.config" ] && [ -f "$beside/.lab-key" ]; then
	(flock 9 && set -o pipefail && # nobody builds there meanwhile
	 tar -C "$beside" -c --exclude=./.config --exclude='./.lab-*' --exclude=./build.log . | tar -C "$obj" -x) 2>> "$log" 9< "$beside/.lab-lock" ||
		die "$beside can't be copied to $obj; make room"
fi

# .config is made anew only when what it follows from has changed.
start_config() { # FILE
	if [ "$WHOLE" ]; then cp "$WHOLE" "$1"; else KCONFIG_CONFIG=$1 kmake tinyconfig; fi
}
key=$({ cat ${WHOLE:+"$WHOLE"} "${frags[@]}"; "$cc" --version | head -n 1; cat "$LAB/tree/kbuild.sh"
	(cd "$tree" && find . -name 'Kconfig*' -printf '%P %s %T@\n' -o -path ./Documentation -prune -o -path ./.git -prune | sort); } | sha256sum)
if [ ! -f "$obj/.config" ] || [ "$(cat "$obj/.lab-key" 2>/dev/null)" != "$key" ]; then
	new=$obj/.config.lab
	rm -f "$new" "$obj/.lab-key"
	{
		start_config "$new" &&
			(cd "$obj" && KCONFIG_CONFIG=$new "$tree/scripts/kconfig/merge_config.sh" -m "$new" "${frags[@]}") &&
			KCONFIG_CONFIG=$new kmake olddefconfig
	} >> "$log" 2>&1 || failed 1 "$flavour: no config"
	# What was asked for, the last word on each symbol, against what came out.
	lost=$(awk '
		{ sym = "" }
		/^CONFIG_[A-Za-z0-9_]+=/ { sym = substr($0, 1, index($0, "=") - 1); val = substr($0, index($0, "=") + 1) }
		/^# CONFIG_[A-Za-z0-9_]+ is not set$/ { sym = $2; val = "n" }
		sym == "" { next }
		FILENAME == out { got[sym] = val; next }
		{ want[sym] = val }
		END { for (s in want) { g = s in got ? got[s] : "n"; if (g != want[s] && (want[s] != "\"\"" || g != "n")) print s "=" want[s] " (is " g ")" } }
	' out="$new" "$new" "${frags[@]}" | sort)
	# An option of the series does not exist in the base, nor before the patch that adds it.
	while read -r line; do
		[ -n "$line" ] || continue
		sym=${line%%=*}
		if grep -qsE "^\+(menu)?config ${sym#CONFIG_}\$" "$TOP"/patches/*/*.patch &&
			! grep -rqsE "^(menu)?config ${sym#CONFIG_}\$" --include='Kconfig*' "$tree/arch/$srcarch" "$tree/mm" "$tree/lib" "$tree/kernel"; then
			note "$flavour: ${sym#CONFIG_} comes later in the series" >> "$log"
		else
			echo "  $line" >&2
			bad=1
		fi
	done <<< "$lost"
	[ -z "${bad-}" ] || die "$flavour: these options did not stick; mend tools/lab/tree/configs/$flavour.config"
	cmp -s "$new" "$obj/.config" || mv "$new" "$obj/.config" || die "$obj can't be written; make room"
	rm -f "$new" "$new.old"
	# Modules are built by the same.
	echo "$llvm" > "$obj/.lab-llvm"
	echo "$ARCH" > "$obj/.lab-arch"
	echo "$key" > "$obj/.lab-key"
fi

# Progress: one line that is written over on a terminal, one a minute in a log. A build of all has an estimate: by how many objects
# there were in the last one of this flavour, of any tree, or by the fragment.
name="$(basename "$tree") $flavour" total=
[ -e "$obj/vmlinux.o" ] || total=$({ cat "$obj/.lab-size" "${obj%/*}"/*-"${obj##*-}"/.lab-size; sed -n 's/^# size: *//p' "${frags[-1]}"; } 2>/dev/null | head -n 1)
left() { # OBJECTS SECONDS
	[ "$total" ] && [ "$1" -gt 50 ] && [ "$1" -le "$total" ] || return
	printf ' of %d, %d min to go' "$total" $((($2 * (total - $1) / $1 + 30) / 60))
}
objects() { grep -cE '^  (CC|AS|LD|CHECK|HOSTCC) ' "$log"; }
progress() {
	local n t=0
	while sleep 2; do
		n=$(objects) t=$((SECONDS - start))
		if [ -t 2 ]; then printf '\r%s: %d:%02d, %d objects%s ' "$name" $((t / 60)) $((t % 60)) "$n" "$(left "$n" $t)" >&2
		elif [ $((t / 60)) != "${said:-0}" ]; then said=$((t / 60)) && printf '# %s: %d min, %d objects%s\n' "$name" $said "$n" "$(left "$n" $t)" >&2; fi
	done
}
start=$SECONDS from=$(($(wc -l < "$log") + 1)) whole_build=
[ -e "$obj/vmlinux.o" ] || whole_build=1
progress 8>&- & pid=$!
trap 'kill $pid 2>/dev/null' EXIT
trap 'exit 130' INT TERM HUP
kmake "$@" >> "$log" 2>&1
rc=$?
kill $pid 2>/dev/null
wait $pid 2>/dev/null
[ ! -t 2 ] || printf '\r%60s\r' '' >&2
[ $rc = 0 ] || failed "$from" "$name does not build"
n=$(objects)
[ -z "$whole_build" ] || echo "$n" > "$obj/.lab-size"
[ "$n" = 0 ] || note "$name: $n objects in $((SECONDS - start)) s" >&2
exit 0
