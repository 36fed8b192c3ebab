#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs herd7 on a litmus test: herd.sh [-o OPTION]... TEST.litmus; without a test it only fetches herd7. AArch64 tests get Arm's own
# aarch64.cat, C tests the model of the kernel's tools/memory-model.
#
# herd7 comes from Debian's package, with the C library and the loader of the same suite, into build/herd: nothing is installed.
set -u
. "$(dirname "$0")/../../lib.sh"
. "$LAB/tree/debs.sh"
options=()
while getopts :o: opt; do
	case $opt in
	o) options+=("$OPTARG") ;;
	*) die "usage: herd.sh [-o OPTION]... [TEST.litmus]" ;;
	esac
done
shift $((OPTIND - 1))
dir=$BUILD/herd

herd7() {
	private_program herd ./usr/bin/herd7
	"${run[@]}" -set-libdir "$dir/root/usr/share/herdtools7/herd" "$@"
}

if [ $# = 0 ] || [ ! -d "$dir" ]; then
	fetch_debs herd forky 40 "$LAB/tree/herd.debs" ./usr/bin/herd7 './usr/share/herdtools7/herd/*'
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
