#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots any arm64 Image, as it is, on each of the lab's machines and as a Realm, under the auditor; one table at the end.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/run/machines.sh"
die_status=2

usage="usage: try.sh [options] IMAGE [INITRD]
  -m 'MACHINE...'    some of: $(machines | xargs) realm (all)
  -l 'STEP,...'      what the guest does, lab= (secretmem,bpf if the Image has CONFIG_PTDUMP_DEBUGFS; otherwise none: it only boots)
  -a 'WORDS'         more words for the kernel's command line
  -c CPUS            2 to 8 (4)
  -M MIB             memory (1024)
  -t SECONDS         for each boot (300)
  -o OUTDIR          where the consoles and the table go (build/try)
Without INITRD the lab's own is built and used.
exit status: 0 all rows pass, 1 one fails, 2 could not run; for git bisect run, see tools/lab/run/README.md"

rows="$(machines | xargs) realm" steps='' words='' cpus=4 mib=1024 limit=300 out=$BUILD/try
while getopts :m:l:a:c:M:t:o:h flag; do
	case $flag in
	m) rows=$OPTARG ;;
	l) steps=$OPTARG ;;
	a) words=$OPTARG ;;
	c) cpus=$OPTARG ;;
	M) mib=$OPTARG ;;
	t) limit=$OPTARG ;;
	o) out=$OPTARG ;;
	h) echo "$usage"; exit 0 ;;
	*) wrong_option ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || [ $# = 2 ] || die "an IMAGE is expected: make try IMAGE=/path/to/arch/arm64/boot/Image, or try.sh -h"
image=$1 initrd=${2-}
number '-c ' "$cpus" 2 8
for row in $rows; do is_machine "$row" || [ "$row" = realm ] || die "-m $row: $(machines | xargs) or realm is expected"; done
[ -r "$image" ] || die "$image: no such Image; name an arm64 Image, as arch/arm64/boot/Image in a build folder"
[ "$(dd if="$image" bs=1 skip=56 count=3 status=none | tr -d '\0')" = ARM ] ||
	die "$image: not an arm64 Image (one that is compressed is to be unpacked first: gunzip)"
if [ -z "$initrd" ]; then
	initrd=$BUILD/guest/plain/initrd.cpio.gz
	make_build
	lab_make -C "$LAB/guest" OUT="$BUILD/guest/plain" > /dev/null || die "the guest's init does not build"
fi
[ -r "$initrd" ] || die "$initrd: no such initrd"
[ "$steps" ] || { grep -qa kernel_page_tables "$image" && steps=secretmem,bpf || steps=none; }
words="lab=$steps lab.files=2 lab.mib=8 $words"
mkdir -p "$out" 2> /dev/null && [ -w "$out" ] || die "$out can't be written; name another folder with -o"

# audited LINES WHAT: a number from the auditor's last line
audited() { sed -nE "s/^el2: audit: (.*[^0-9])?([0-9]+) $2.*/\2/p" "$1" | tail -n 1; }

failed=0
: > "$out/rows"
for row in $rows; do
	dir=$out/$row options=(-m "$row")
	[ "$row" != realm ] || options=(-m bbml3 -R)
	[ ! -t 2 ] || printf '%s...\r' "$row" >&2
	verdict=$("$LAB/run/run.sh" -q -A "${options[@]}" -c "$cpus" -M "$mib" -t "$limit" -o "$dir" -a "$words" "$image" "$initrd" 2>&1)
	case $? in
	0) result=pass why='' ;;
	1) result=FAIL why=${verdict#verdict: fail (} why=${why%; console: *} failed=1 ;;
	*) die "$(tail -n 1 <<< "$verdict")" ;;
	esac
	# The auditor's own words have the functions' names, if there is a System.map.
	said=$(grep -m 1 'FAULT audit' "$dir/audit" 2> /dev/null) && why=${said#el2: FAULT }
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$row" "$result" "$(audited "$dir/lines" stores)" "$(audited "$dir/lines" resizes)" \
		"$(audited "$dir/lines" violations)" "${why:0:150}" | sed 's/\t\t/\t-\t/g; s/\t\t/\t-\t/g' >> "$out/rows"
done
{
	sed -nE 's/^(Linux version [^ ]*) .*/\1/p' "$out"/*/lines | sort -u | head -n 1
	echo "$cpus CPUs, $mib MiB, lab=$steps; consoles and reports are in $out"
	echo
	{ printf 'machine\tresult\tstores audited\tresizes\tviolations\twhy\n'; cat "$out/rows"; } | columns
} | tee "$out/table.txt"
exit $failed
