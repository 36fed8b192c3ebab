#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Breaks the series on purpose, one small thing at a time, and sees what is there for it find it: a KUnit case, or where QEMU lets it
# pass, a rule of the auditor that looks on while the suites run (model/README.md). The kernel as it is must break no rule.
#
#	MUTANTS=all                all of them, which takes half an hour: without it those of $core
#	MUTANTS='no-tlbi'          some of them
#	MUTANTS_FLAVOUR=lab-16k    of a kernel with 16K pages
#
# Of the others it only looks whether each still finds the line that it breaks.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"

# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

. "$LAB/check/mutants.sh"

wanted=${MUTANTS:-${core//$'\n'/ }}

# Between two mutants the tree is the series again, so that only what a mutant touches is compiled.
flavour=${MUTANTS_FLAVOUR:-kunit}
spare_tree
plain_initrd
obj=$BUILD/obj/spare-$flavour

# suites NAME CASES [MACHINE [WORDS [OPTIONS]]]: boots what was built, and leaves what failed in $hit
suites() {
	local run=$BUILD/run/mutant-$1 options=()
	read -ra options <<< "-m ${3:-bbml3} ${5-}"
	"$LAB/run/run.sh" -q -t 120 -c 4 -M 4096 -a "kunit.enable=1 kunit.filter_glob=$2 lab=none ${4-}" -o "$run" "${options[@]}" \
		"$obj/arch/arm64/boot/Image" "$initrd" > "$run.verdict" 2>&1
	# Hundreds of failed expectations may run into each other on the console.
	hit=$(sed -nE 's/^.*not ok [0-9]* ([a-z_]*)$/\1/p; s/^.*el2: FAULT audit ([a-z]+): .*/\1/p' "$run/lines" 2>/dev/null | awk '!seen[$0]++' | xargs)
	hit=${hit:-$(tail -n 1 "$run.verdict")}
}

stale=''
mutant() { # NAME CASE|audit:RULE FILE PERL-EXPRESSION [MACHINE [WORDS]]
	local name=$1 killer=$2 file=$spare/arch/arm64/$3 out hit cases="kernel_*.$2*" audit=''
	if [ "$wanted" != all ] && [[ " $wanted " != *" $name "* ]]; then
		perl -0pe "$4" "$file" | cmp -s "$file" && stale+=" $name"
		return 0
	fi
	case $killer in
	audit:*) killer=${killer#audit:} cases='kernel_*' audit=-A ;;
	esac
	perl -0pe "$4" "$file" > "$file.new"
	if cmp -s "$file" "$file.new"; then
		rm -f "$file.new"
		nok "mutant-$name" "does not apply to arch/arm64/$3 any more"
		return
	fi
	mv "$file.new" "$file"
	if ! out=$("$LAB/tree/kbuild.sh" "$spare" "$flavour" "$obj" Image 2>&1); then
		nok "mutant-$name" "does not build: $(tail -n 1 <<< "$out")"
	else
		suites "$name" "$cases" "${5-}" "${6-}" "$audit"
		if [[ " $hit " == *" $killer "* ]]; then ok "mutant-$name"; else nok "mutant-$name" "not killed by $killer: $hit"; fi
	fi
	git -C "$spare" checkout -q -- "arch/arm64/$3"
}

mkdir -p "$BUILD/run" || die "$BUILD/run can't be made; make room"
if [[ ${MUTANTS:-all} = all ]]; then
	"$LAB/tree/kbuild.sh" "$spare" "$flavour" "$obj" Image > /dev/null || { nok mutant-none "the series does not build"; exit; }
	suites none 'kernel_*' '' '' -A
	if [[ $hit = 'verdict: pass '* ]]; then ok mutant-none; else nok mutant-none "without a mutant: $hit"; fi
fi

mutants
# Those that are not made here: the line which each breaks is there.
if [ "$stale" ]; then nok mutants-apply "no longer apply:$stale; mend their lines in tools/lab/check/mutants.sh"; else ok mutants-apply; fi
