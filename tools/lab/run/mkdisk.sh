#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# mkdisk.sh OUT: the disk that lab=blk reads: an ext2 with files of many sizes, 13 MiB in all, and their checksums (cksum) in CKSUMS.
# The same bytes each time. With -x one byte of the data is wrong, to see the reader notice.
set -u
me=mkdisk
die() { echo "$me: $*" >&2; exit 1; }
export LC_ALL=C

wrong=
[ "${1-}" != -x ] || { wrong=1; shift; }
[ $# = 1 ] || die "usage: mkdisk.sh [-x] OUT"
out=$1
PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs > /dev/null || die "no mke2fs; run make setup (or install e2fsprogs)"

dir=$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX") || die "${TMPDIR:-/tmp} can't be written; set TMPDIR to a folder that can"
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

# Each holds other numbers than the rest, so that no block equals another.
mkdir "$dir/root"
from=1000000000
for size in 1 511 512 4095 4096 4097 65537 1000000 4194304 8388611; do
	seq $from $((from + size / 11 + 1)) | head -c $size > "$dir/root/file-$size" || die "${TMPDIR:-/tmp} is full; make room"
	from=$((from + 1000000))
done
(cd "$dir/root" && cksum file-* > "$dir/CKSUMS" && mv "$dir/CKSUMS" .)
[ -z "$wrong" ] || printf x | dd of="$dir/root/file-4194304" bs=1 seek=3000000 conv=notrunc status=none

# Times, and what mke2fs would draw at random.
find "$dir/root" -exec touch -h -d @0 {} +
export E2FSPROGS_FAKE_TIME=1 SOURCE_DATE_EPOCH=1
truncate -s 32M "$dir/disk" &&
	mke2fs -q -F -t ext2 -b 4096 -m 0 -L lab -U 00000000-0000-4000-8000-000000000001 -E hash_seed=00000000-0000-4000-8000-000000000002,root_owner=0:0 \
		-d "$dir/root" "$dir/disk" > "$dir/log" 2>&1 &&
	(cd "$dir/root" && printf 'sif %s ctime 1\n' / * | debugfs -w -f - "$dir/disk") > "$dir/log" 2>&1 || die "mke2fs: $(tail -n 1 "$dir/log"); make room, or look at e2fsprogs"
mkdir -p "$(dirname "$out")" 2> /dev/null && cp --sparse=always "$dir/disk" "$out.tmp" 2> /dev/null && mv "$out.tmp" "$out" ||
	{ rm -f "$out.tmp"; die "$out can't be written; make room, or name another file"; }
