#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# packages.sh DIR: programs of Debian's for arm64, to be run in the guest by bench.sh. They are fetched with lists and caches of
# apt's own in DIR, and only unpacked, so that the machine stays as it is. DIR/root/NAME is what goes into the initrd for a workload,
# DIR/programs the command line of each. What can't be had is said in one line and left out.
set -u
. "$(dirname "$0")/../lib.sh"

[ $# = 1 ] || die "usage: packages.sh DIR"
mkdir -p "$1" 2>/dev/null && dir=$(cd "$1" && pwd) || die "$1 can't be made; make room, or choose another folder with O="
suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")

# NAME PACKAGE PROGRAM ARGUMENTS. Each ends by itself, or is ended by guest/bench.c, which also makes fio's disk: a ramdisk behind
# dm-crypt.
programs() {
	cat <<'LIST'
hackbench rt-tests usr/bin/hackbench -g 4 -l 25 -s 512
hackbench_pipe rt-tests usr/bin/hackbench -p -T -g 4 -l 25 -s 512
memcached memcached usr/bin/memcached -u root -l 127.0.0.1 -m 64 -t 1
fio fio usr/bin/fio --name=write --filename=/dev/crypt --size=48M --rw=write --bs=4k --ioengine=sync --iodepth=1 --numjobs=1 --thread --fsync_on_close=1 --randrepeat=1 --group_reporting
stress stress-ng usr/bin/stress-ng --quiet --no-rand-seed --temp-path /tmp --fork 1 --fork-ops 60 --mmap 1 --mmap-bytes 16M --mmap-ops 4 --pipe 1 --pipe-ops 4000 --dentry 1 --dentry-ops 1000
LIST
}
all="hackbench, memcached, fio and stress-ng"

# What is left out is left out for a reason that the reader sees.
without() { note "$1: its rows are left out"; }

key=$(sha256sum < "$0")
[ "$(cat "$dir/.key" 2>/dev/null)" = "$key" ] && exit 0
rm -rf "$dir/root" "$dir/programs" "$dir/.key"
mkdir -p "$dir/root" "$dir/apt/debs"
private_apt "$dir/apt" "$suite" || { without "no Debian mirror in apt's sources, so no $all"; exit 0; }
apt=("${APT[@]}" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status="$dir/apt/status")
: > "$dir/apt/status"
apt-get "${apt[@]}" update > "$dir/apt/log" 2>&1 || { without "apt-get update failed ($(grep -m 1 '^[EW]:' "$dir/apt/log")), so no $all"; exit 0; }

# fetch PACKAGE...: each unpacked in a folder of its own
fetch() {
	local p new=()
	for p; do [ -d "$dir/apt/debs/$p" ] || new+=("$p"); done
	[ ${#new[@]} -gt 0 ] || return 0
	rm -rf "$dir/apt/new" && mkdir "$dir/apt/new"
	(cd "$dir/apt/new" && apt-get "${apt[@]}" download "${new[@]}") >> "$dir/apt/log" 2>&1 || return 1
	for p in "${new[@]}"; do
		dpkg-deb -x "$dir/apt/new/${p}"_*.deb "$dir/apt/debs/$p.new" && mv "$dir/apt/debs/$p.new" "$dir/apt/debs/$p" || return 1
	done
}
# The libraries that a package depends on directly, as packages; of alternatives the first. One that only others need is not fetched.
libraries_of() {
	apt-cache "${apt[@]}" show --no-all-versions "$1" | sed -n 's/^\(Pre-\)\?Depends: //p' | tr ',' '\n' |
		sed 's/|.*//; s/(.*//; s/:.*//; s/ //g' | grep -E '^z?lib'
}
needed() { "${CROSS_COMPILE:-aarch64-linux-gnu-}readelf" -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

# collect NAME PACKAGE PROGRAM: the program and, under the names that are asked for, its libraries and theirs
collect() {
	local root=$dir/root/$1 queue=("$2:$3") item package file lib at libs
	mkdir -p "$root/lib" "$root/$(dirname "$3")"
	cp -L "$dir/apt/debs/$2/$3" "$root/$3" || { why="no $3 in $2"; return 1; }
	while [ ${#queue[@]} -gt 0 ]; do
		item=${queue[0]} queue=("${queue[@]:1}")
		package=${item%%:*} file=${item#*:}
		for lib in $(needed "$dir/apt/debs/$package/$file"); do
			[ ! -e "$root/lib/$lib" ] || continue
			at=$(find_library "$package" "$lib")
			if [ ! "$at" ]; then
				libs=$(libraries_of "$package")
				# shellcheck disable=SC2086 # words
				fetch $libs || { why="no libraries of $package: $(grep '^E:' "$dir/apt/log" | tail -n 1)"; return 1; }
				at=$(find_library "" "$lib")
			fi
			[ "$at" ] || { why="no $lib, which $file needs"; return 1; }
			cp -L "$dir/apt/debs/$at" "$root/lib/$lib" || { why="no $lib"; return 1; }
			queue+=("${at%%/*}:${at#*/}")
		done
	done
	mkdir -p "$root/etc"
	echo root:x:0:0::/:/init > "$root/etc/passwd"
}
# Where a library is, if it is there: its own package's first, then any.
find_library() { # PACKAGE NAME
	local at
	at=$(cd "$dir/apt/debs" && find ${1:+"$1"} . -name "$2" -not -path '*/debug/*' 2>/dev/null | head -n 1)
	echo "${at#./}"
}

# All packages at once: the lists take long to read.
# shellcheck disable=SC2046
fetch $(programs | cut -d ' ' -f 2 | sort -u) libc6 ||
	without "a package can't be had ($(grep '^E:' "$dir/apt/log" | tail -n 1))"
: > "$dir/programs"
while read -r name package program words; do
	why="package $package:arm64 can't be had"
	if [ -d "$dir/apt/debs/$package" ] && collect "$name" "$package" "$program"; then
		echo "$name /$program $words" >> "$dir/programs"
	else
		without "$name: $why"
		rm -rf "${dir:?}/root/$name"
		missing=1
	fi
done < <(programs)
rm -rf "$dir/apt/new"
# What could not be had is tried again next time.
[ "${missing-}" ] || echo "$key" > "$dir/.key"
