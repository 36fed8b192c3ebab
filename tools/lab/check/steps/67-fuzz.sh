#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# By name only.
# A short churn of kernel leaf mappings (KUnit's kernel_leaf_fuzz): with BBML3 on four CPUs, its schedule disturbed, and on one CPU,
# where every thread must come to the same; without BBML3; and with 16K and 64K pages. make soak is the long one.
#
#	FUZZ_SEED=7      another seed
#	FUZZ_OPS=5000    operations of each thread
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

me=fuzz
seed=${FUZZ_SEED:-1} ops=${FUZZ_OPS:-600}
number FUZZ_SEED= "$seed" 0
number FUZZ_OPS= "$ops" 1 9999999

guest linux-lab
words="kunit.enable=1 kunit.filter_glob=kernel_leaf_fuzz lab=none leaf_fuzz.seed=$seed leaf_fuzz.ops=$ops leaf_fuzz.threads=4"

# fuzz NAME COLLAPSES (some or no) [run.sh's arguments]: one boot, one result; what it came to is in $digest.
fuzz() {
	local name=$1 collapses=$2 run=$BUILD/run/$1 verdict line n
	shift 2
	digest=
	verdict=$("$LAB/run/run.sh" -q -M 2048 -t 120 -o "$run" "$@" "$image" "$initrd" 2>&1 | tail -n 1)
	line=$(sed -n 's/^ *# churn: \(seed=.*digest=.*\)/\1/p' "$run/lines")
	echo "# $name: ${line:-no summary}"
	n=${line##* collapsed=} n=${n%% *}
	if [[ $verdict != 'verdict: pass '* ]]; then
		nok "$name" "$verdict"
	elif [[ $line != *" ops=$((4 * ops)) "* ]]; then
		nok "$name" "not all operations were done; see $run/lines"
	elif [ "$collapses" = "$([ "$n" = 0 ] && echo some || echo no)" ]; then
		nok "$name" "$n times pages of several threads were found in one leaf; see $run/lines"
	else
		digest=${line##*digest=}
		ok "$name"
	fi
}

fuzz fuzz-bbml3 some -m bbml3 -c 4 -a "$words leaf_fuzz.delay=3"
first=$digest
fuzz fuzz-1cpu some -m bbml3 -c 1 -a "$words"
if [ "$first" ] && [ "$digest" = "$first" ]; then ok fuzz-replay; else nok fuzz-replay "seed $seed came to ${first:-nothing}, then to ${digest:-nothing}"; fi
fuzz fuzz-nobbml3 no -m nobbml3 -c 4 -a "$words"
for pages in 16k 64k; do
	suites_of kunit-$pages
	fuzz fuzz-$pages some -m bbml3 -c 4 -a "$words"
done
