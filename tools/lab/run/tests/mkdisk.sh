#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The disk: what CKSUMS says of its files is so, it is the same each time, the wrong one is wrong in one byte; and bad input.
set -u

mkdisk=$(cd "$(dirname "$0")/.." && pwd)/mkdisk.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 2
PATH=$PATH:/usr/sbin:/sbin
failed=0
bad() { echo "mkdisk.sh: $*"; failed=1; }

"$mkdisk" a || bad "does not work"
sleep 1.1 # another second, should it be written down somewhere
"$mkdisk" new/b && cmp -s a new/b || bad "two disks differ"
mkdir root && debugfs -R "rdump / root" a > log 2>&1
[ "$(wc -l < root/CKSUMS)" = 10 ] || bad "not 10 files in CKSUMS"
(cd root && cksum file-*) | cmp -s - root/CKSUMS || bad "CKSUMS is wrong"
[ "$(cat root/file-* | wc -c)" -gt 13000000 ] || bad "too little data"
"$mkdisk" -x x || bad "-x does not work"
[ "$(cmp -l a x | wc -l)" = 1 ] || bad "-x: not one byte is wrong"

# fails TEXT COMMAND...: one line with the text, and no success
fails() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then bad "$* succeeds"; fi
	[ "$(wc -l <<< "$out")" = 1 ] && grep -q "$text" <<< "$out" || bad "\"$text\" expected, got: $out"
}
fails 'usage' "$mkdisk"
fails 'usage' "$mkdisk" a b
fails "/proc/none/disk can't be written" "$mkdisk" /proc/none/disk
mkdir bin
for c in bash sed seq head cksum mktemp rm find touch truncate cp mv dirname tail mkdir debugfs dd printf cat; do ln -s "$(type -P $c)" bin/; done
sed 's,:/usr/sbin:/sbin,,' "$mkdisk" > mkdisk.sh
fails 'no mke2fs; run make setup' env PATH="$tmp/bin" bash mkdisk.sh disk
printf '#!/bin/sh\necho "mke2fs: no room" >&2\nexit 1\n' > bin/mke2fs && chmod +x bin/mke2fs
fails 'mke2fs: no room' env PATH="$tmp/bin" bash mkdisk.sh disk
[ ! -e disk ] && [ ! -e disk.tmp ] || bad "a half-written disk is left"
exit $failed
