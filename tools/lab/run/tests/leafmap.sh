#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# leafmap.sh LEAFMAP: dumps with known answers, changed in one place; and what is no dump.
set -u

leafmap=$(realpath "$1")
cd "$(dirname "$0")/ptcheck" || exit 2
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
printf '%s\n' '40000000-ffffffff : System RAM' '  40200000-4037ffff : Kernel code' '  40380000-403bffff : Kernel data' > "$dir/iomem"
failed=0

# expect STATUS WORDS ARGS FILE [SED]
expect() {
	local status=$1 words=$2 args=$3 file=$4 change=${5-} out got
	sed -e "$change" "$file" > "$dir/dump"
	if [ "$change" ] && cmp -s "$dir/dump" "$file"; then
		echo "leafmap $file $change: the change changes nothing"
		failed=1
	fi
	# shellcheck disable=SC2086 # the arguments are words
	out=$("$leafmap" $args "$dir/dump" 2>&1)
	got=$?
	if [ "$got" != "$status" ] || ! grep -qE -e "$words" <<< "$out"; then
		printf 'leafmap %s %s %s: status %s and "%s" expected, got %s: %s\n' "$args" "$file" "$change" "$status" "$words" "$got" \
			"$(head -n 3 <<< "$out" | xargs -0)"
		failed=1
	fi
}

b=4k-blocks.dump i="-i $dir/iomem"
# Counted by hand, as for ptcheck.
expect 0 '^ +1 +32  0xffff000000200000  the kernel image' "-p 4096 $i" $b
expect 0 '"leaves":\{"4K":0,"64K":32,"2M":15,"32M":31,"1G":2\}' "-j -p 4096" $b
expect 0 '^1 of 1536 blocks of 2M are in pieces, most for pages that were taken out' "-p 4096" $b
expect 0 '"name":"image","blocks":1,"leaves":[0-9]+' "-j -p 16384 $i" 16k-blocks.dump
expect 0 '"page":65536' "-j -p 65536" 64k-blocks.dump
expect 0 'the map was made of pages' "-p 4096" 4k-pages.dump
# A block of the 28M run in which one thing is different.
in_block() { printf "%s\n" "s/^\\(0xffff000000400000-\\)0xffff000002000000 *28M\\(.*\\)/\\10xffff000001e00000 26M\\2\\n$1/"; }
page() { echo "0x$1-0x$2 4K PTE $3 SHD AF NG UXN MEM\\/NORMAL${4--TAGGED}"; }
rest='0xffff000001e01000-0xffff000002000000 2044K PTE   RW NX SHD AF NG UXN MEM\/NORMAL-TAGGED'
expect 0 ' 1 +512  0xffff000001e00000  read-only pages' "-p 4096 $i" $b "$(in_block "$(page ffff000001e00000 ffff000001e01000 'ro NX')\\n$rest")"
expect 0 ' 1 +512  0xffff000001e00000  pages that were taken out' "-p 4096 $i" $b "$(in_block "$(page ffff000001e00000 ffff000001e01000 'F RW NX')\\n$rest")"
expect 0 ' 1 +512  0xffff000001e00000  pages of another memory type' "-p 4096 $i" $b "$(in_block "$(page ffff000001e00000 ffff000001e01000 'RW NX' '')\\n$rest")"
expect 0 ' 1 +512  0xffff000001e00000  nothing that is printed' "-p 4096 $i" $b "$(in_block "$(page ffff000001e00000 ffff000001e01000 'RW NX')\\n$rest")"
expect 0 ' 1 +511  0xffff000001e00000  the edge of memory' "-p 4096 $i" $b "$(in_block "$rest")"
# Every other page: KFENCE.
kfence='' at=$((0xffff000001e00000))
for ((k = 0; k < 256; k++)); do
	kfence+="\\n$(page "$(printf %x $((at + k * 8192)))" "$(printf %x $((at + k * 8192 + 4096)))" 'RW NX')"
	kfence+="\\n$(page "$(printf %x $((at + k * 8192 + 4096)))" "$(printf %x $((at + k * 8192 + 8192)))" 'F RW NX')"
done
expect 0 ' 1 +512  0xffff000001e00000  KFENCE' "-p 4096 $i" $b "$(in_block "${kfence#\\n}")"

expect 1 '^leafmap: .*no linear map in it$' "-p 4096" $b '/Linear/d'
expect 1 '^leafmap: not a line of page tables: ' "-p 4096" $b 's/^0xffff000000400000-/0xffff000000400000 /'
expect 1 "^leafmap: no leaf of arm64's: " "-p 4096" $b 's/992M PMD /992M PMX /'
expect 1 '^leafmap: pages of 16K have no leaf of that kind: ' "-p 16384" $b
expect 1 '^leafmap: .*-p PAGESIZE is missing$' '' $b
expect 1 '^leafmap: arm64 has no pages of 5000 bytes$' '-p 5000' $b
expect 1 '^leafmap: -p x: a count from 1 up is expected$' '-p x' $b
expect 1 '^leafmap: -w looks at this machine, not at ' '-p 4096 -w 1' $b
exit $failed
