#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The KUnit suites of the series at each granule and number of levels, on CPUs with BBML3 and without, judged by kunit.py.
# KUNIT_FLAVOURS=kunit-39 is three levels of 4K pages.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/boot.sh
. "$LAB/boot.sh"

suites() { # NAME MAY-SKIP (none, any, or a pattern of cases that cannot be there) [run.sh's arguments]
	local name=$1 skip=$2 run=$BUILD/run/$1 out total skipped
	shift 2
	out=$("$LAB/run.sh" -q -t 600 -a "kunit.enable=1 lab=none" -o "$run" "$@" \
		"$image" "$initrd" 2>&1) || { nok "$name" "$(tail -n 1 <<< "$out")"; return; }
	python3 "$TREE/tools/testing/kunit/kunit.py" parse "$run/console.log" > "$run/kunit.txt" 2>&1
	total=$(grep -E 'Ran [0-9]+ tests' "$run/kunit.txt")
	echo "# $name: ${total#*] }"
	if ! grep -qE 'passed: [1-9]' <<< "$total" || grep -qE 'failed: [1-9]|crashed: [1-9]|errors: [1-9]' <<< "$total"; then
		nok "$name" "${total:-no tests were run}, see $run/kunit.txt"
	elif [ "$skip" != any ] && skipped=$(sed -n 's/.*\[SKIPPED\] //p' "$run/kunit.txt" | grep -vE "^($skip)( |\$)"); then
		nok "$name" "skipped: ${skipped//$'\n'/ }"
	else
		ok "$name"
	fi
}

# 16K pages (in the kernel that the mutants are made of), 4K with four levels, 64K, and 4K with five under KASAN and lockdep.
for flavour in ${KUNIT_FLAVOURS:-lab-16k lab lab-64k debug}; do
	# guest() ends what it is called in.
	( kernel=linux-$flavour
	[ "$flavour" != lab-16k ] || kernel="spare-lab-16k"
	case $flavour in
	kunit*) # KUnit alone
		plain_initrd
		image=$BUILD/obj/$kernel/arch/arm64/boot/Image
		"$LAB/kbuild.sh" "$TREE" "$flavour" "$BUILD/obj/$kernel" Image || exit
		;;
	*) guest "$kernel" ;;
	esac
	# Above 4K pages there is no PUD leaf, and a PMD may map more than the machine has.
	skip=none
	[[ $flavour != lab-*k ]] || skip='vmalloc_walk_(huge|block_pud|replace_pud)'
	# 4 GiB: whole 1G leaves that are not the kernel's.
	suites "kunit-${flavour#kunit-}" "$skip" -m bbml3 -c 4 -M 4096
	[ "$flavour" = lab ] || exit 0
	suites kunit-1cpu 'prepare|starting|online' -m bbml3 -c 1 -M 4096
	suites kunit-nobbml3 any -m nobbml3 -c 4 -M 2048
	suites kunit-off any -m bbml3 -c 2 -M 2048 -a "kunit.enable=1 lab=none kernel_collapse=off"
	suites kunit-pages-first none -m bbml3 -c 4 -M 4096 -a "kunit.enable=1 lab=none linear_map=pages"
	suites kunit-mixed any -m mixed -c 4 -M 2048
	) || nok "kunit-$flavour" "does not build"
done
