#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The KUnit suites of the series at each granule and number of levels, on CPUs with BBML3 and without, judged by kunit.py.
#
#	KUNIT_FLAVOURS='kunit-16k kunit-36 kunit-39'	those that take a kernel more each: 16K pages, two levels of them, three of 4K pages
#							(the default is kunit, lab and kunit-64k); lab-16k and lab-64k are the matrix's
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

# What the churn is to do is for its own step.
words='kunit.enable=1 lab=none leaf_fuzz.ops=100'

suites() { # NAME MAY-SKIP (none, any, or a pattern of cases that cannot be there) [run.sh's arguments]
	local name=$1 skip=$2 run=$BUILD/run/$1 out total skipped passed=''
	shift 2
	out=$("$LAB/run/run.sh" -q -t 600 -a "$words" -o "$run" "$@" \
		"$image" "$initrd" 2>&1) || { nok "$name" "$(tail -n 1 <<< "$out")"; return; }
	kunit_passed "$run" && passed=1
	note "$name: $total"
	if [ -z "$passed" ]; then
		nok "$name" "${total:-no tests were run}, see $run/kunit.txt"
	elif [ "$skip" != any ] && skipped=$(sed -n 's/.*\[SKIPPED\] //p' "$run/kunit.txt" | grep -vE "^($skip)( |\$)"); then
		nok "$name" "skipped: ${skipped//$'\n'/ }"
	else
		ok "$name"
	fi
}

# 4K pages with five levels (in the kernel that mutants are made of), then with four, and the other granules.
for flavour in ${KUNIT_FLAVOURS:-kunit lab kunit-64k}; do
	# guest() ends what it is called in.
	( case $flavour in
	kunit-*) suites_of "$flavour" ;;
	kunit) # KUnit alone; a copy of the Image, since mutants take its place
		plain_initrd
		spare_tree
		image=$BUILD/guest/plain/Image-$flavour
		"$LAB/tree/kbuild.sh" "$spare" "$flavour" "$BUILD/obj/spare-$flavour" Image || exit
		cp "$BUILD/obj/spare-$flavour/arch/arm64/boot/Image" "$image" || die "$image can't be written; make room"
		exec 7>&-
		;;
	*) guest "linux-$flavour" ;;
	esac
	# The lab's kernels allocate no contiguous gigabyte; KUnit's own do. Above 4K pages there is no PUD leaf, a PMD may map more
	# than the machine has, and execmem's blocks are contiguous groups.
	pud='vmalloc_walk_(block_pud|replace_pud)' realm=deposit_shared skip=$realm
	[ "$flavour" != lab ] || skip="$realm|$pud"
	[[ $flavour != *-*k && $flavour != kunit-36 ]] || skip="$realm|split_half_done|late_kfence|vmalloc_walk_(huge|block_pud|replace_pud)|execmem_(collapse_later|no_memory)"
	# A group of 64K's blocks is 16G.
	[[ $flavour != *-64k ]] || skip="$skip|excluded_by_change_of_block"
	# KUnit's own kernels freeze nothing.
	[[ $flavour != kunit* ]] || skip="$skip|execmem_frozen"
	# 4 GiB: whole 1G leaves that are not the kernel's.
	suites "kunit-${flavour#kunit-}" "$skip" -m bbml3 -c 4 -M 4096
	[ "$flavour" = lab ] || exit 0
	suites kunit-1cpu "prepare|starting|online|$skip" -m bbml3 -c 1 -M 4096
	suites kunit-nobbml3 any -m nobbml3 -c 4 -M 2048
	suites kunit-off any -m bbml3 -c 2 -M 2048 -a "$words kernel_collapse=off"
	suites kunit-pages-first "$skip" -m bbml3 -c 4 -M 4096 -a "$words linear_map=pages"
	suites kunit-mixed any -m mixed -c 4 -M 2048
	# 4 GiB, as above.
	suites kunit-realm "$pud" -m bbml3 -R -c 4 -M 4096
	) || nok "kunit-$flavour" "does not build"
done
