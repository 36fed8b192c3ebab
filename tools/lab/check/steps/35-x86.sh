#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The generic patches on the other user of the cache, x86-64: text of every kind comes and goes on 2 CPUs, an image of memory is
# written and put in the place of everything, and what that leaves of the linear map, of vmalloc space and of the allocator is
# counted. Then riscv64, which is only built: no warning in what the series touches.
#
#	TREES='base ours'      the unmodified base beside ours: nothing may be worse
#	X86='boots riscv'      some of: boots (of x86-64, which takes a kernel of 1040 objects for each tree), riscv (the default)
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

me=x86
parts='boots riscv'
trees_wanted
for part in ${X86:=riscv}; do
	[[ " $parts " = *" $part "* ]] || die "X86: $part is none; there are: $parts"
done
wanted() { [[ " $X86 " = *" $1 "* ]]; }

# field PATTERN NAME: the number behind NAME= in the last line of the boot's console that matches.
field() { grep -E "$1" "$rundir/lines" | tail -n 1 | grep -oE "(^| )$2=[0-9]+" | head -n 1 | cut -d = -f 2; }

# What there is to compare, by tree and name; less is better.
declare -A got

suites() { # NAME: KUnit's, which ran as the kernel booted
	local total passed=1
	kunit_passed "$rundir" || passed=''
	note "$1: $total"
	if [ "$passed" ]; then ok "$1"
	else nok "$1" "${total:-no tests were run}, see $rundir/kunit.txt"; fi
}

says() { # NAME PATTERN: the kernel does
	if grep -qE "$2" "$rundir/lines"; then ok "$1"
	else nok "$1" "the kernel does not say '$2', see $rundir/lines"; fi
}

# KiB of text outside the image, with one module and one probe, on a machine where vmalloc() has no large pages: the base's cache makes
# a block of 2 MiB all the same, ours takes the pages that are asked for. Half of that tells one from the other.
FIRST=${X86_FIRST:-1024}
first() { # TREE
	boot "x86-first-$1" -m x86 -c 2 -M 128 -t 300 -a 'nohugevmalloc nokaslr lab=first lab.snapshots=0' || return
	got[$1-first]=$(field '^# lab: first ' kib)
	note "$1: $(sed -n 's/^# lab: first //p' "$rundir/lines"), the first module and probe without large pages"
}

churn() { # TREE
	local words='kunit.enable=1 indirect_target_selection=force nokaslr lab.expect=noheal lab.heal_ms=15000 lab.bouts=1 lab.slack=5'
	words+=' lab.rounds=1 lab.files=4 lab.mib=16 lab.stride=3 lab.test_bpf=0'
	boot "x86-$1" -m x86 -c 2 -M 1024 -w 1024 -t 900 -a "$words lab=direct,first,resident,execmem,direct,hibernate,direct" || return
	suites "x86-kunit-$1"
	says "x86-ftrace-$1" 'Testing tracer function: PASSED'
	says "x86-its-$1" 'ITS: Mitigation: Aligned branch/return thunks'
	got[$1-text]=$(field '^# lab: text phase=resident ' leaves)
	got[$1-kib]=$(field '^# lab: text phase=resident ' kib)
	got[$1-splits]=$(field '^# lab: direct phase=1 ' splits)
	got[$1-kib_4k]=$(field '^# lab: direct phase=1 ' kib_4k)
	sed -nE "s/^# lab: (direct|text|execmem|first) (.*)/# $1: \\1 \\2/p" "$rundir/lines"
}

# least NAME OURS LIMIT WHAT
least() {
	if [ -z "$2" ] || [ -z "$3" ]; then nok "$1" "no figure"
	elif [ "$2" -le "$3" ]; then ok "$1"
	else nok "$1" "$2 $4, $3 at most are expected"; fi
}

# as_base NAME OURS BASE WHAT: one boot differs from the next by a split or two.
as_base() { least "$1" "$2" "${3:+$(($3 * 6 / 5))}" "$4"; }

if wanted boots; then
	for tree in $trees; do
		[ "$tree" = base ] || tree=linux
		guest "$tree-x86"
		first "$tree"
		churn "$tree"
	done
	if [[ " $trees " = *' ours '* ]]; then
		least x86-first-kib "${got[linux-first]-}" "$FIRST" 'KiB of text'
		[ -z "${got[linux-kib]-}" ] || least x86-text $((got[linux-text] * 20)) $((got[linux-kib] / 4)) 'twentieths of leaves for its text'
	fi
	if [[ " $trees " = *' base '* && " $trees " = *' ours '* ]]; then
		least x86-first-base "${got[linux-first]-}" "${got[base-first]-}" 'KiB of text'
		least x86-text-base "${got[linux-text]-}" "${got[base-text]-}" 'leaves map text'
		as_base x86-splits "${got[linux-splits]-}" "${got[base-splits]-}" 'splits of the linear map'
		as_base x86-direct-map "${got[linux-kib_4k]-}" "${got[base-kib_4k]-}" 'KiB of the linear map in small pages'
	fi
fi

if wanted riscv; then
	# What the series touches outside arch/arm64, and whoever looks at its headers. A warning is an error there.
	mapfile -t objects < <(cd "$TREE" && {
		git diff --name-only base HEAD -- '*.c' ':!arch' ':!Documentation' ':!tools'
		grep -rlE --include='*.c' 'linux/(execmem|kernel_leaf)\.h' mm kernel lib arch/riscv
	} | sort -u | grep -v 'alloc_tag\.c$' | sed 's/c$/o/')
	if [ "${#objects[@]}" -gt 5 ] && "$LAB/tree/kbuild.sh" "$TREE" riscv "$BUILD/obj/linux-riscv" "${objects[@]}"; then ok x86-riscv
	else nok x86-riscv "riscv64 does not build"; fi
	note "riscv64: ${#objects[@]} objects: ${objects[*]}"
fi
exit 0
