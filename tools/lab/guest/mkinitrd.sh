#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# mkinitrd.sh OUTPUT INIT 'MODULE...' 'NAME=PATH...': a small initramfs, the same bytes for the same input.
set -euo pipefail

out=$1 init=$2 mods=$3 extra=$4
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{dev,proc,sys,tmp,modules}
install -m 755 "$init" "$root/init"
for mod in $mods; do
	install -m 644 "$mod" "$root/modules/"
done
for pair in $extra; do
	install -D -m 755 "${pair#*=}" "$root/${pair%%=*}"
done
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort |
	cpio --quiet -o -H newc -R 0:0 --reproducible) | gzip -9n > "$out.tmp"
mv "$out.tmp" "$out"
