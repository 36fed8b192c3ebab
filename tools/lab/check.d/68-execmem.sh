#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Kernel text outside the image: 200 modules, eBPF, test_bpf, probes and the tracer on 4 CPUs while the page tables are read; what
# maps it, what loading it costs, and what is left when allocations fail.
#
#	TREES='base ours'          text and loads against the unmodified base, in the same run
#	EXECMEM='text loads'       some of: sees text churn, and against the base: text loads; and, which take long: bpf (all of test_bpf
#	                           in the churn), fault (every allocation fails), configs (kernels in which text is special; clang
#	                           must be there) or one of them: kasan kasan-sw kasan-hw clang
#	EXECMEM_FAULT=debug        the kernel for fault: this one has KASAN and lockdep
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/boot.sh
. "$LAB/boot.sh"

# shellcheck disable=SC2034 # die says it
me=execmem
all='sees text churn loads bpf fault configs kasan kasan-sw kasan-hw clang'
# Without the base there is nothing to say what loading should cost.
trees=${TREES:-ours} default='sees text churn'
[ -z "${EXECMEM-}" ] || trees=${TREES:-base ours}
with_base() { [[ " $trees " = *' base '* ]]; }
! with_base || default+=' loads'
# All of lib/test_bpf.c takes four minutes, a failure of every allocation and other kernels longer.
for part in ${EXECMEM:=$default}; do
	[[ " $all " = *" $part "* ]] || die "EXECMEM: $part is none; there are: $all"
done
wanted() { [[ " $EXECMEM " = *" $1 "* ]]; }

# field LINES PATTERN NAME: the number behind NAME= in the first line that matches.
field() { grep -m 1 -E "$2" "$1" | grep -oE "(^| )$3=[0-9]+" | head -n 1 | cut -d = -f 2; }

declare -A images initrds
for tree in base linux; do
	[ $tree = linux ] || { with_base && [[ $EXECMEM =~ text|loads ]]; } || continue
	guest $tree-lab
	images[$tree]=$image initrds[$tree]=$initrd
done
use() { image=${images[$1]} initrd=${initrds[$1]}; }

# What the checks look for, made on purpose.
sees() { # WRONG RESULT
	"$LAB/run.sh" -q -m bbml3 -c 2 -t 120 -o "$BUILD/run/execmem-sees-$1" -a "lab=sample lab.wrong=$1" "$image" "$initrd" > /dev/null 2>&1
	if [ "$(grep '^not ok ' "$BUILD/run/execmem-sees-$1/lines")" = "not ok $2" ]; then ok "execmem-sees-$1"
	else nok "execmem-sees-$1" "'not ok $2' is not what came; see $BUILD/run/execmem-sees-$1"; fi
}
if wanted sees; then
	use linux
	boot execmem-sample -m bbml3 -c 2 -t 120 -a 'lab=sample'
	sees wx '2 sample'
	sees stray '3 sample-gone'
fi

# 50 modules and 200 programs. nokaslr: the direct-branch window is where the image ends.
text() { # TREE MACHINE EXPECT
	use "$1"
	boot "execmem-text-$1-$2" -m "$2" -c 4 -t 300 -a "nokaslr lab=resident lab.expect=$3 lab.heal_ms=10000" || return
	leaves=$(field "$rundir/lines" '^# lab: text phase=resident' leaves)
	note "text $1 $2: $(sed -n 's/^# lab: text phase=resident //p' "$rundir/lines")"
	note "window $1 $2: $(sed -n 's/^# lab: window phase=resident //p' "$rundir/lines")"
	[ -n "$leaves" ]
}
if wanted text && ! with_base; then
	if text linux bbml3 heal; then
		# A leaf for 20 pages at the least; the base has one for each.
		kib=$(field "$rundir/lines" '^# lab: text phase=resident' kib)
		if [ $((leaves * 20)) -le $((kib / 4)) ]; then ok execmem-text-leaves
		else nok execmem-text-leaves "$leaves leaves map $kib KiB of text"; fi
	fi
	text linux nobbml3 heal
elif wanted text; then
	if text base bbml3 noheal && base=$leaves && text linux bbml3 heal; then
		if [ $((leaves * 20)) -le "$base" ]; then ok "execmem-text-leaves"
		else nok "execmem-text-leaves" "$leaves leaves map text, 20 times that is more than the base's $base"; fi
	fi
	if text base nobbml3 noheal && base=$leaves && text linux nobbml3 heal; then
		if [ "$leaves" = "$base" ]; then ok "execmem-text-leaves-nobbml3"
		else nok "execmem-text-leaves-nobbml3" "$leaves leaves map text, the base's are $base"; fi
	fi
fi

# Memory is zeroed when it is freed, which read-only memory does not survive.
if wanted churn; then
	use linux
	wanted bpf && bpf=1 || bpf=0
	boot execmem-churn -m bbml3 -c 4 -t 1500 -a "lab=execmem lab.test_bpf=$bpf lab.expect=heal lab.heal_ms=10000 init_on_free=1" &&
		note "churn: $(sed -n 's/^# lab: execmem //p' "$rundir/lines")"
	boot execmem-churn-nobbml3 -m nobbml3 -c 4 -t 600 -a 'lab=execmem lab.test_bpf=0 lab.bouts=1 lab.expect=heal lab.heal_ms=10000 init_on_free=1'
fi

# Guest instructions of loading, each kind: the mean of many.
loads() { # TREE MACHINE
	use "$1"
	boot "execmem-loads-$1-$2" -m "$2" -i -t 400 -a "lab=loads lab.bouts=${EXECMEM_LOADS:-20}"
}
compare() { # MACHINE LIMIT: ours * 10000 <= base's * LIMIT
	local machine=$1 limit=$2 what base ours ratio
	while read -r what; do
		base=$(field "$BUILD/run/execmem-loads-base-$machine/lines" "^# lab: loads what=$what " mean)
		ours=$(field "$BUILD/run/execmem-loads-linux-$machine/lines" "^# lab: loads what=$what " mean)
		[ -n "$base" ] && [ -n "$ours" ] || { nok "execmem-$what-$machine" "no figure"; continue; }
		ratio=$((ours * 10000 / base))
		note "$what $machine: ours $ours, base $base instructions, $((ratio / 100)).$(printf %02d $((ratio % 100))) %"
		[[ $what = load-* ]] || continue
		if [ $((ours * 10000)) -le $((base * limit)) ]; then ok "execmem-$what-$machine"
		else nok "execmem-$what-$machine" "$ours instructions, the base takes $base"; fi
	done < <(sed -nE 's/^# lab: loads what=([^ ]*) .*/\1/p' "$BUILD/run/execmem-loads-base-$machine/lines")
}
if wanted loads; then
	with_base || die "EXECMEM=loads compares ours with the base: TREES='base ours'"
	for machine in bbml3 nobbml3; do
		# 5 % for what BBML3 buys, 0.1 % where nothing is to change.
		[ $machine = bbml3 ] && limit=10500 || limit=10010
		loads base $machine && loads linux $machine && compare $machine "$limit"
	done
fi

# Every allocation fails once. Freed memory is poisoned, which read-only memory does not survive.
if wanted fault; then
	guest "linux-${EXECMEM_FAULT:-fault}"
	boot execmem-fault -m bbml3 -c 2 -t 2000 -f -a 'lab=fault lab.expect=heal lab.heal_ms=30000 page_poison=1' &&
		sed -n 's/^# lab: fault /# fault: /p' "$rundir/lines"
fi

# Kernels in which text is special: it is loaded, patched and removed, nothing is left, and few leaves map it; the suite passes.
config() { # NAME '[!]PATTERN OF THE CONSOLE' ['WORDS' [run.sh's arguments]]
	local name=execmem-$1 says=$2 words=${3-} leaves kib
	shift $(($# > 3 ? 3 : $#))
	words+=" kunit.enable=1 kunit.filter_glob=kernel_execmem lab=sample,resident,execmem lab.test_bpf=0 lab.bouts=1 lab.expect=heal lab.heal_ms=30000"
	boot "$name" -m bbml3 -c 4 -t 1500 "$@" -a "$words" || return 0
	leaves=$(field "$rundir/lines" '^# lab: text phase=resident' leaves) kib=$(field "$rundir/lines" '^# lab: text phase=resident' kib)
	note "${name#execmem-}: $(sed -n 's/^# lab: text phase=resident //p' "$rundir/lines")"
	if [[ $says = !* ]] && grep -qE "${says#!}" "$rundir/lines"; then nok "$name-text" "the kernel says '${says#!}'"
	elif [[ $says != !* ]] && ! grep -qE "$says" "$rundir/lines"; then nok "$name-text" "the kernel does not say '$says'"
	elif ! grep -qE '^# kernel_execmem: pass:[1-9][0-9]* fail:0 ' "$rundir/lines"; then nok "$name-text" "the suite was not run, see $rundir"
	elif [ $((leaves * 20)) -gt $((kib / 4)) ]; then nok "$name-text" "$leaves leaves map $kib KiB"
	else ok "$name-text"; fi
}
# guest() ends what it is called in.
flavour() { wanted configs || wanted "$1"; }
flavour kasan && { ( guest linux-debug; config kasan 'KernelAddressSanitizer initialized .generic' ) || nok execmem-kasan "does not build"; }
flavour kasan-sw && { ( guest linux-kasan-sw; config kasan-sw 'KernelAddressSanitizer initialized .sw-tags' ) || nok execmem-kasan-sw "does not build"; }
flavour kasan-hw && { ( guest linux-kasan-hw; config kasan-hw 'KernelAddressSanitizer initialized .hw-tags' '' -T ) || nok execmem-kasan-hw "does not build"; }
flavour clang && { ( guest linux-clang; config clang 'detected: Branch Target Identification'
	# Text is patched to use shadow call stacks where there is neither, without a word.
	config clang-scs '!detected: (Branch Target|Address auth)' 'arm64.nopauth arm64.nobti' ) || nok execmem-clang "does not build"; }
exit 0
