#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Fetches Debian's makedumpfile for arm64 with the libraries that it needs (2.5 MiB) into build/dumper, and prints them as guest/Makefile
# has EXTRA: dumper/NAME=PATH. Nothing is installed. Versions and checksums: DUMPER_DEBS in tree/base.conf.
set -u
. "$(dirname "$0")/../lib.sh"
[ $# = 0 ] || die "usage: dumper.sh"
make_build
dir=$BUILD/dumper apt=$BUILD/apt-dumper
exec 8> "$BUILD/.dumper.lock" && flock -w 300 8 || die "another make fetches makedumpfile into $BUILD; wait for it"
# What makedumpfile is linked with, and what that is.
LIBRARIES='makedumpfile ld-linux-aarch64.so.1 libc.so.6 libdw.so.1 libelf.so.1 libz.so.1 libzstd.so.1 liblzo2.so.2 liblzma.so.5 libbz2.so.1.0'
sum_ok() { [ -f "$1" ] && [ "$(sha256sum < "$1")" = "$2  -" ]; }
last() { grep -v '^$' "$TMP/log" | tail -n 1; }

fetch() {
	local package version sum deb files so updated=''
	need_space 100
	scratch
	mkdir -p "$BUILD/dl" "$TMP/root" "$TMP/dumper"
	while read -r package version sum; do
		[ "$package" ] || continue
		deb=$BUILD/dl/${package}_${sum:0:12}.deb
		if ! sum_ok "$deb" "$sum"; then
			if [ -z "$updated" ]; then
				private_apt "$apt" "$DUMPER_SUITE" || die "can't get makedumpfile: no apt with a Debian mirror"
				APT+=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64)
				apt-get "${APT[@]}" update > "$TMP/log" 2>&1 || die "can't get makedumpfile: apt-get update: $(last); mend the network"
				updated=1
			fi
			(cd "$TMP" && apt-get "${APT[@]}" download "$package=$version") > "$TMP/log" 2>&1 ||
				die "can't get $package $version from Debian's $DUMPER_SUITE: $(last); if it has another one, write that to DUMPER_DEBS in tools/lab/tree/base.conf"
			files=("$TMP/$package"_*.deb)
			sum_ok "${files[0]}" "$sum" || die "the checksum of $package $version is not the one in tools/lab/tree/base.conf"
			mv "${files[0]}" "$deb"
		fi
		dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$TMP/root" --wildcards './usr/*bin/makedumpfile' './usr/lib/*.so*' 2> "$TMP/log"
	done <<< "$DUMPER_DEBS"
	for so in $LIBRARIES; do
		find "$TMP/root" -name "$so" -not -path '*/gconv/*' -exec cp -L {} "$TMP/dumper/" \; 2> "$TMP/log"
		[ -r "$TMP/dumper/$so" ] || die "the packages in DUMPER_DEBS have no $so"
	done
	mv "$TMP/dumper/ld-linux-aarch64.so.1" "$TMP/dumper/ld.so"
	echo "$DUMPER_DEBS" > "$TMP/dumper/debs"
	rm -rf "$dir" && mv "$TMP/dumper" "$dir" || die "$dir can't be made; make room"
}

[ "$(cat "$dir/debs" 2>/dev/null)" = "$DUMPER_DEBS" ] || fetch 8>&-
find "$dir" -type f -not -name debs -printf 'dumper/%f=%p\n' | sort | xargs
