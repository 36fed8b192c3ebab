#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# bench-packages.sh DIR: programs of Debian's for arm64, to be run in the guest by bench.sh. They are fetched with lists and caches of
# apt's own in DIR, and only unpacked, so that the machine stays as it is. DIR/root is what goes into the initrd, DIR/programs the
# command line of each. What can't be had is said in one line and left out.
set -u
. "$(dirname "$0")/lib.sh"

[ $# = 1 ] || die "usage: bench-packages.sh DIR"
mkdir -p "$1" 2>/dev/null && dir=$(cd "$1" && pwd) || die "$1 can't be made; make room, or choose another folder with O="
suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")

# NAME PACKAGES PROGRAM ARGUMENTS; the libraries of all come after.
programs() {
	cat <<'LIST'
hackbench rt-tests usr/bin/hackbench -g 4 -l 25 -s 512
hackbench_pipe rt-tests usr/bin/hackbench -p -T -g 4 -l 25 -s 512
memcached memcached usr/bin/memcached -u root -l 127.0.0.1 -m 64 -t 1
LIST
}
libraries="libc6 libnuma1 libevent-2.1-7 libsasl2-2 libssl3"

# What is left out is left out for a reason that the reader sees.
without() { note "$1: its rows are left out"; }

key=$(sha256sum < "$0")
[ "$(cat "$dir/.key" 2>/dev/null)" = "$key" ] && exit 0
rm -rf "$dir/root" "$dir/programs" "$dir/.key"
mkdir -p "$dir/root"
: > "$dir/programs"
private_apt "$dir/apt" "$suite" || { without "no Debian mirror in apt's sources, so no hackbench and memcached"; exit 0; }
apt=(apt-get "${APT[@]}" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status="$dir/apt/status")
: > "$dir/apt/status"
"${apt[@]}" update > "$dir/apt/log" 2>&1 || { without "apt-get update failed ($(grep -m 1 '^[EW]:' "$dir/apt/log")), so no hackbench and memcached"; exit 0; }
# fetch PACKAGE: unpacked into root
fetch() {
	[ ! -e "$dir/apt/got/$1" ] || return 0
	mkdir -p "$dir/apt/debs/$1" "$dir/apt/got"
	(cd "$dir/apt/debs/$1" && "${apt[@]}" download "$1") >> "$dir/apt/log" 2>&1 && dpkg-deb -x "$dir/apt/debs/$1"/*.deb "$dir/apt/unpacked" &&
		touch "$dir/apt/got/$1"
}
mkdir -p "$dir/apt/unpacked"
while read -r name packages program words; do
	ok=1
	for p in ${packages//,/ } $libraries; do
		fetch "$p" || { without "$name: package $p:arm64 can't be had ($(grep '^E:' "$dir/apt/log" | tail -n 1))"; ok=; break; }
	done
	[ "$ok" ] || { missing=1; continue; }
	[ -e "$dir/apt/unpacked/$program" ] || { without "$name: no $program in $packages"; missing=1; continue; }
	echo "$name /$program $words" >> "$dir/programs"
done < <(programs)

# The programs and the libraries that they name, under the names that they name.
copy() { # PATH below unpacked
	[ ! -e "$dir/root/$1" ] || return 0
	mkdir -p "$dir/root/$(dirname "$1")"
	cp -L "$dir/apt/unpacked/$1" "$dir/root/$1"
	local lib at
	while read -r lib; do
		at=$(cd "$dir/apt/unpacked" && find . -name "$lib" | head -n 1)
		[ "$at" ] || { note "$1: no $lib; it may not run"; continue; }
		[ -e "$dir/root/lib/$lib" ] || { copy_as "${at#./}" "lib/$lib"; }
	done < <("${CROSS_COMPILE:-aarch64-linux-gnu-}readelf" -d "$dir/apt/unpacked/$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
}
copy_as() {
	copy "$1"
	mkdir -p "$dir/root/$(dirname "$2")"
	mv "$dir/root/$1" "$dir/root/$2"
}
while read -r name program words; do copy "${program#/}"; done < "$dir/programs"
[ ! -s "$dir/programs" ] || { mkdir -p "$dir/root/etc" && echo root:x:0:0::/:/init > "$dir/root/etc/passwd"; }
[ ! -s "$dir/programs" ] || copy_as lib/aarch64-linux-gnu/ld-linux-aarch64.so.1 lib/ld-linux-aarch64.so.1
find "$dir/root" -type d -empty -delete
# What could not be had is tried again next time.
[ "${missing-}" ] || echo "$key" > "$dir/.key"
