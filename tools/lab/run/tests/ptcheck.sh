#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# ptcheck.sh PTCHECK: the good dumps pass; each is then broken in one place, and the rule that was broken must say so.
set -u

ptcheck=$1
cd "$(dirname "$0")/ptcheck" || exit 2
ram="-r 40000000-100000000 -k 40200000-403c0000"
failed=0

# expect STATUS RULE ARGS FILE [SED]: run on the file, changed by SED.
expect() {
	local status=$1 rule=$2 args=$3 file=$4 change=${5-} out got
	# shellcheck disable=SC2086 # the arguments are words
	out=$(sed -e "$change" "$file" | "$ptcheck" $args -)
	got=$?
	if [ "$change" ] && sed -e "$change" "$file" | cmp -s - "$file"; then
		out+=" (the change changes nothing)" got=none
	fi
	if [ "$got" != "$status" ] || ! grep -q "$rule" <<< "$out"; then
		printf 'ptcheck %s %s %s: status %s and "%s" expected, got %s:\n%s\n' \
			"$args" "$file" "$change" "$status" "$rule" "$got" "$out"
		failed=1
	fi
}

good() { expect 0 ': ok: ' "$@"; }
bad() { expect 1 "dump 1: $1: " "${@:2}"; }

# Counted by hand: 14 + 1 2M, 32 64K, 31 32M, 2 1G; one table each of PTEs, PMDs and PUDs.
expect 0 'ok: leaves=80 4K=0 64K=32 2M=15 32M=31 1G=2 tables=3$' "-m 1 $ram -l 80" 4k-blocks.dump
expect 0 'ok: leaves=786432 4K=786432 64K=0 2M=0 32M=0 1G=0 tables=1540$' "-m 2 $ram" 4k-pages.dump
good "-m 3 $ram" 4k-pages-but-image.dump
good "-m 3 $ram" 4k-pages.dump
good "-m 1 -p 16384 -r 40000000-100000000 -k 40200000-40400000" 16k-blocks.dump
good "-m 1 -p 65536 -r 40000000-100000000 -k 40200000-40400000" 64k-blocks.dump
good "-m 1" console.dump
# 52-bit addresses with 4K pages, and so LPA2, where no shareability is shown. With 48 bits it is to be there.
good "-m 1 $ram" 4k-blocks.dump 's/0xffff0/0xfff00/g; s/ SHD / /'
# Read-only text in use, at the end of the 28M run.
text='s/^\(0xffff000000400000-\)0xffff000002000000 *28M\(.*\)/\10xffff000001e00000 26M\2\n0xffff000001e00000-0xffff000002000000 2M PMD ro NX SHD AF NG BLK UXN MEM\/NORMAL-TAGGED/'
good "-m 1 $ram -x 2048" 4k-blocks.dump "$text"
# By hand: 15 + 4 + 10 2M, 95 64K, 30 32M; 16 4K where one page of 64K is shared.
expect 0 'ok: leaves=170 4K=16 64K=95 2M=29 32M=30 1G=0 tables=5$' "-m 1 -R -o on" realm.dump
good "-m 1 -R -o noalias" realm.dump
good "-m 1 -o off" 4k-off.dump
# bss ends with a group, so that no line does.
good "-m 1 -o off" 4k-off.dump '/ 192K /{N;N;s/.*/0xffff000000380000-0xffff000000400000         512K PTE       RW NX SHD AF NG CON     UXN    MEM\/NORMAL-TAGGED/}; s/lines=17/lines=15/'

b=4k-blocks.dump
bad parse "$ram" $b 's/992M PMD /992M PMX /'
bad parse "$ram" $b 's/RW NX SHD AF NG CON BLK/RW NX SHD AF NG CON BLK WHAT/'
bad parse "$ram" $b 's/-0xffff000000200000  /-0xffff000000100000  /'
bad parse "" $b '/^0xffff00/d'
bad parse "-p 16384" $b ''
bad parse "" console.dump 's/lines=8/lines=9/'
bad parse "" console.dump '/dump end/d'
bad parse "" console.dump 's/page=4096/page=5000/'
bad order "" $b '/ 28M /d'
bad order "" $b '/ 28M /p'
bad order "" $b '/ 509G /d'
bad attrs "$ram" $b 's/ SHD / /'
bad cover "$ram" $b 's/ 28M PMD.*/ 28M PMD/'
bad cover "-r 40000000-fff00000 -k 40200000-403c0000" $b
bad cover "-r 40000000-100001000 -k 40200000-403c0000" $b
bad cover "-r 40000000-50000000 -r 60000000-100000000 -k 40200000-403c0000" $b
bad cover "" console.dump 's/80000000-801fffff/80000000-803fffff/'
bad cover "" console.dump 's/80000000-801fffff/80100000-801fffff/'
bad wx "$ram" $b 's/RW NX\(.*DEVICE\)/RW x \1/'
bad wx "$ram" $b 's/\( 64K PTE *\)ro x/\1RW x/'
bad wx "$ram" $b 's/ 2G PUD *RW NX/ 2G PUD RW x/'
bad wx "$ram" $b 's/\( 64K PTE *ro x .*\)UXN/\1/'
bad attrs "$ram" $b 's/ 2G PUD *RW NX/ 2G PUD ro x/'
bad attrs "$ram" $b 's/ 2G PUD *RW/ 2G PUD ro/'
bad attrs "$ram" $b 's/ 2G PUD *RW/ 2G PUD F RW/'
bad attrs "$ram" $b '/ 2G PUD/s/-TAGGED//'
bad attrs "$ram" $b '/ 2G PUD/s/ NG / /'
bad attrs "$ram" $b '/ 2G PUD/s/ AF / /'
bad attrs "$ram" $b '/ 2G PUD/s/ UXN / UXN GP /'
bad attrs "$ram" $b '/ 2G PUD/s/ RW / USR RW /'
bad attrs "$ram" $b '/ 2G PUD/s,MEM/NORMAL.*,DEVICE/nGnRE,'
bad attrs "-r 40000000-100000000" $b
bad attrs "-r 40000000-100000000 -k 40200000-40300000" $b
bad attrs "$ram -x 2047" $b "$text"
bad size "-m 1 $ram" $b '/ 992M /s/ CON / /'
bad size "-m 1 $ram -s 50" 4k-pages.dump
bad size "-m 2 $ram" 4k-pages-but-image.dump
bad size "-m 2 $ram" $b
bad size "-m 3 $ram" $b
bad size "-m 3 $ram" 4k-pages-but-image.dump '/ 3068M /s/ NG / NG CON /'
bad size "-m 1 -p 16384" 16k-blocks.dump '/ 2G /s/ CON / /'
bad size "-m 1 -p 65536" 64k-blocks.dump '/ 508M /s/ CON / /'
bad count "-m 1 $ram -l 70" $b

# The kernel image: read-only text, and data by rodata=.
o=4k-off.dump r=realm.dump
bad image "-R -o off" $r
bad image "-o on" $o
bad image "-o noalias" $o
bad image "-R -o on" $r 's/\( 1536K PTE  *\)ro/\1RW/'
bad image "-o off" $o 's/\( 1536K PTE  *\)ro/\1RW/'
bad image "-R -o on" $r 's/\( 1536K PTE \)  /\1F /'
bad image "-o off" $o 's/\( 192K PTE  *\)RW/\1ro/'
bad image "-R -o noalias" $r 's/\( 256K PTE \)F/\1 /'
bad wx "" $o
bad wx "-o on" $o
# 1536K of text are all that may be.
bad wx "-o off" $o 's/\( 64K PTE *\)ro x/\1RW x/'
bad wx "-o off" $o 's/ 2G PUD *RW NX/ 2G PUD RW x/'
bad wx "-R -o on" $r 's/ 20M PMD *RW NX/ 20M PMD RW x/'
# The parts of the image were mapped one by one; what is beyond was not.
bad size "-m 1" $o
bad size "-m 1 -o off" $o '/ 992M /s/ CON / /'
bad size "-m 1 -o off" $o '/ 1536K PTE  *ro/s/ CON / /'

# What a Realm shares.
bad shared "" $r
bad shared "-R" $o
bad shared "-R" $r '/map end/d'
bad shared "-R" $r '/map shared/d'
bad shared "-R" $r 's/shared 60000000-64000000/shared 7c000000-80001000/'
bad shared "-R" $r 's/shared 42800000-42801000/shared 403b0000-403c0000/'
bad shared "-R" $r 's/shared 42800000-42801000/shared 42600000-42601000/'
bad size "-m 1 -R" $r '/map shared 428/d'
bad size "-m 1 -R" $r '/map shared 42a/s/a/8/'
bad parse "-R" $r 's/shared 42800000-42801000/shared 42800000-what/'
bad map "-R" $r 's/shared 42800000-42801000/wrong ffff000002800000 maps 42801000/'

# One dump of several.
expect 0 'dump 2: ok' "-R -d 2" console.dump "\$r realm.dump"
expect 2 'no dump' "-d 2" console.dump
bad count "-l 1000" 4k-pages.dump

expect 2 'no dump' "" /dev/null
exit $failed
