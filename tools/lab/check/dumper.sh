#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Fetches Debian's makedumpfile for arm64 with the libraries that it needs (3 MiB) into build/dumper, and prints them as guest/Makefile
# has EXTRA: dumper/NAME=PATH. Nothing is installed. tools/lab/tree/dumper.debs says which.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/debs.sh"

[ $# = 0 ] || die "usage: dumper.sh"
DEBS_ARCH=arm64 fetch_debs dumper forky 3 "$LAB/tree/dumper.debs" ./usr/bin/makedumpfile
exec 8>&-
lib=$(echo "$BUILD"/dumper/root/usr/lib/*-linux-gnu)
files="dumper/makedumpfile=$BUILD/dumper/root/usr/bin/makedumpfile"
# What makedumpfile is linked with, and what that is.
for so in ld-linux-aarch64.so.1 libc.so.6 libdw.so.1 libelf.so.1 libz.so.1 libzstd.so.1 liblzo2.so.2 liblzma.so.5 libbz2.so.1.0; do
	[ -r "$lib/$so" ] || die "the packages in tools/lab/tree/dumper.debs have no $so"
	files+=" dumper/${so/ld-linux-aarch64.so.1/ld.so}=$lib/$so"
done
echo "$files"
