#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Kernel text outside the image: 200 modules, eBPF, test_bpf, probes and the tracer on 4 CPUs while the page tables are read; what
# maps it, what loading it costs, and what is left when allocations fail.
#
#	TREES='base ours'          text and loads against the unmodified base, in the same run
#	EXECMEM='text loads'       some of: sees text churn small, and against the base: text loads small; and, which take long: random
#	                           (the first module's address in 20 boots), bpf (all of test_bpf in the churn), fault (every allocation fails), configs (kernels in which text is special; clang
#	                           must be there) or one of them: kasan kasan-sw kasan-hw clang
#	EXECMEM_FAULT=debug        the kernel for fault: this one has KASAN and lockdep
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

me=execmem
all='sees text churn small loads random bpf fault configs kasan kasan-sw kasan-hw clang'
# Without the base there is nothing to say what loading should cost.
default='sees text churn small'
trees_wanted "${EXECMEM:+base ours}"
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
	[ $tree = linux ] || { with_base && [[ $EXECMEM =~ text|loads|small|random ]]; } || continue
	guest $tree-lab
	images[$tree]=$image initrds[$tree]=$initrd
done
use() { image=${images[$1]} initrd=${initrds[$1]}; }

# What the checks look for, made on purpose.
sees() { # WRONG RESULT
	"$LAB/run/run.sh" -q -m bbml3 -c 2 -t 120 -o "$BUILD/run/execmem-sees-$1" -a "lab=sample lab.wrong=$1" "$image" "$initrd" > /dev/null 2>&1
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

# What a little text costs 128 MiB: pages, memory in use, and whether there is a module with next to none. What the base takes is known
# where it is not asked: 2 MiB for a program, pages for the rest.
figure() { # TREE WHAT LINE NAME
	field "$BUILD/run/execmem-$2-$1/lines" "^# lab: $3 " "$4"
}
no_more() { # NAME OURS LIMIT
	if [ -n "$2" ] && [ -n "$3" ] && [ "$2" -le "$3" ]; then ok "$1"
	else nok "$1" "${2:-no figure}, ${3:-no figure} is the limit"; fi
}
small() { # TREE
	use "$1"
	local words='lab.heal_ms=3000 nokaslr' free
	boot "execmem-small-$1" -c 1 -M 128 -t 200 -a "lab=small $words" || return
	boot "execmem-pages-$1" -c 1 -M 128 -t 200 -a "lab=small $words nohugevmalloc" || return
	for free in 4400 2400; do
		boot "execmem-scarce-$free-$1" -c 1 -M 128 -t 200 -a "lab=scarce lab.free_kib=$free $words" || return
	done
	boot "execmem-cycles-$1" -c 1 -t 400 -a 'lab=cycles' || return
	note "small $1: $(sed -nE 's/^# lab: (small|cycles) //p' "$BUILD/run/execmem-"{small,pages,cycles}"-$1/lines" | tr '\n' ' ')"
}
# Instructions of loading and removing a module, all that works later for it included: a hundred times more against once.
cycle() { # TREE
	local n=()
	use "$1"
	for i in 1 101; do
		n+=("$("$LAB/bench/count.sh" -t 400 -a "lab=again lab.snapshots=0 lab.bouts=$i nokaslr quiet" "$image" "$initrd")") || return
	done
	echo $(((n[1] - n[0]) / 100))
}
if wanted small; then
	base_kib=2200 base_pages=60
	if with_base && small base; then
		base_kib=$(figure base small small kib) base_pages=$(figure base pages small pages)
	fi
	if small linux; then
		no_more execmem-small-kib "$(figure linux small small kib)" $((base_kib + 2560))
		no_more execmem-small-left "$(figure linux small 'small left' left_kib)" 1024
		no_more execmem-small-pages "$(figure linux pages small pages)" $((base_pages * 2))
		no_more execmem-cycles-blocks "$(figure linux cycles cycles blocks)" 5
		places=$(figure linux cycles cycles places)
		no_more execmem-cycles-places $((100 - ${places:-0})) 50
	fi
	if with_base; then
		base=$(cycle base) ours=$(cycle linux)
		note "load and remove: ours ${ours:-?}, base ${base:-?} instructions"
		no_more execmem-cycle "$ours" $((base * 105 / 100))
	fi
	# Nothing is collapsed there, so text is mapped by pages, as without BBML3.
	for words in rodata=noalias rodata=off kernel_collapse=off execmem_cache=off; do
		use linux
		boot "execmem-pages-$words" -c 1 -t 200 -a "lab=small lab.cache=0 lab.heal_ms=0 $words"
	done
fi

# The page of 2 MiB in which the first module is, with KASLR: of 512, 20 boots have more than 16 nearly always.
if wanted random; then
	for tree in ${trees//ours/linux}; do
		use "$tree"
		for i in {1..20}; do
			boot "execmem-random-$tree-$i" -c 1 -t 200 -a 'lab=address lab.snapshots=0' > /dev/null
			sed -nE 's/^# lab: first text=(0x[0-9a-f]*) .*/\1/p' "$rundir/lines"
		done > "$BUILD/run/execmem-random-$tree"
		note "first module, $tree: $(tr '\n' ' ' < "$BUILD/run/execmem-random-$tree")"
		places=$(while read -r at; do echo $((at & 0x1fffff)); done < "$BUILD/run/execmem-random-$tree" | sort -u | wc -l)
		no_more "execmem-random-$tree" $((20 - places)) 4
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
