#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes the tarball for real machines: the scripts here, and their programs, static, for arm64. It needs no repository then.
set -u
. "$(dirname "$0")/../lab/lib.sh"
hw=$TOP/tools/hw selftests=$TREE/tools/testing/selftests
[ -f "$selftests/arm64/linear_map/linear_map.c" ] || die "$TREE has no selftest linear_map; run make tree"
lock_build
scratch
cross=${CROSS_COMPILE-aarch64-linux-gnu-}
[ "$(uname -m)" != aarch64 ] || cross=${CROSS_COMPILE-}
kit=$TMP/leafmap-kit
mkdir -p "$kit/bin" || die "$kit can't be made; make room"
while read -r program source; do
	"${cross}gcc" -O2 -Wall -static -I "$selftests" -o "$kit/bin/$program" "$source" 2> "$TMP/log" ||
		die "$source does not compile: $(grep -m 1 -E 'error|not found' "$TMP/log" || head -n 1 "$TMP/log")"
	"${cross}strip" "$kit/bin/$program" || die "${cross}strip fails; run make setup"
done << LIST
kitwork $hw/kitwork.c
leafmap $TREE/tools/mm/leafmap.c
linear_map $selftests/arm64/linear_map/linear_map.c
LIST
cp "$hw/measure.sh" "$hw/report.py" "$hw/README.md" "$kit/" || die "$kit can't be written; make room"
mkdir -p "$BUILD/kit" && tar -C "$TMP" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - leafmap-kit | gzip -n > "$TMP/kit.tar.gz" &&
	mv "$TMP/kit.tar.gz" "$BUILD/kit/leafmap-kit.tar.gz" || die "$BUILD/kit can't be written; make room"
note "the kit is $BUILD/kit/leafmap-kit.tar.gz; unpack it on an arm64 machine and read its README.md"
