#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs herd7 on a litmus test: herd.sh [-o OPTION]... TEST.litmus; without a test it only fetches herd7. AArch64 tests get Arm's own
# aarch64.cat, C tests the model of the kernel's tools/memory-model.
#
# herd7 comes from Debian's package, with the C library and the loader of the same suite, into build/herd: nothing is installed.
set -u
. "$(dirname "$0")/../../lib.sh"
options=()
while getopts :o: opt; do
	case $opt in
	o) options+=("$OPTARG") ;;
	*) die "usage: herd.sh [-o OPTION]... [TEST.litmus]" ;;
	esac
done
shift $((OPTIND - 1))
dir=$BUILD/herd arch=$(dpkg --print-architecture 2>/dev/null)

sum_ok() { [ -f "$1" ] && [ "$(sha256sum < "$1")" = "$2  -" ]; }
last() { grep -v '^$' "$TMP/log" | tail -n 1; }

fetch() {
	local debs apt=$BUILD/apt-herd a package version sum deb updated='' files
	debs=$(grep "^$arch " <<< "$HERD_DEBS") && [ -n "$arch" ] || die "no herdtools7 is known for ${arch:-a machine without dpkg}; add it to HERD_DEBS in tools/lab/tree/base.conf"
	make_build
	exec 8> "$BUILD/.herd.lock" && flock -w 300 8 || die "another make fetches herd7 into $BUILD; wait for it"
	[ "$(cat "$dir/debs" 2>/dev/null)" != "$debs" ] || return 0
	need_space 600
	scratch
	mkdir -p "$BUILD/dl" "$TMP/herd/root"
	while read -r a package version sum; do
		deb=$BUILD/dl/${package}_${sum:0:12}.deb
		if ! sum_ok "$deb" "$sum"; then
			if [ -z "$updated" ]; then
				private_apt "$apt" "$HERD_SUITE" || die "can't get herdtools7: no apt with a Debian mirror"
				note "fetching herdtools7 from Debian's $HERD_SUITE (40 MiB)"
				apt-get "${APT[@]}" update > "$TMP/log" 2>&1 || die "can't get herdtools7: apt-get update: $(last); mend the network"
				updated=1
			fi
			apt-cache "${APT[@]}" madison "$package" 2>/dev/null | awk -F ' *[|] *' -v v="$version" '$2 == v { f = 1 } END { exit !f }' ||
				die "Debian's $HERD_SUITE has no $package $version any more; write the version and checksum that it has to HERD_DEBS in tools/lab/tree/base.conf"
			(cd "$TMP" && apt-get "${APT[@]}" download "$package=$version") > "$TMP/log" 2>&1 ||
				die "can't get $package: apt-get download: $(last); mend the network"
			files=("$TMP/$package"_*.deb)
			sum_ok "${files[0]}" "$sum" || die "the checksum of $package $version is not the one in tools/lab/tree/base.conf"
			mv "${files[0]}" "$deb"
		fi
		# Only what herd7 needs: the package has forty programs.
		dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$TMP/herd/root" --wildcards './usr/bin/herd7' './usr/share/herdtools7/herd/*' \
			'./usr/lib/*-linux-gnu/*.so*' 2> "$TMP/log"
	done <<< "$debs"
	[ -x "$TMP/herd/root/usr/bin/herd7" ] || die "herdtools7 can't be unpacked: $(last)"
	echo "$debs" > "$TMP/herd/debs"
	rm -rf "$dir" && mv "$TMP/herd" "$dir" || die "$dir can't be made; make room"
}

herd7() {
	local lib loader
	lib=$(echo "$dir"/root/usr/lib/*-linux-gnu)
	loader=$(echo "$lib"/ld-linux-*.so.*)
	"$loader" --library-path "$lib" "$dir/root/usr/bin/herd7" -set-libdir "$dir/root/usr/share/herdtools7/herd" "$@"
}

if [ $# = 0 ] || [ ! -d "$dir" ]; then
	fetch
	herd7 -version > /dev/null 2>&1 || die "herd7 in $dir does not run: $(herd7 -version 2>&1 | head -n 1)"
fi
[ $# -gt 0 ] || exit 0
[ -f "$1" ] || die "$1: no such file; name a litmus test"
test=$(realpath "$1")
if [ "$(sed -n '1s/ .*//p' "$test")" = C ]; then
	cd "$TREE/tools/memory-model" || die "no kernel tree in $TREE; run: make tree"
	options+=(-conf linux-kernel.cfg)
fi
herd7 "${options[@]}" "$test"
