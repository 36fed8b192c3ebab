#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# By name only.
# Explores all states of formal/collapse.pml, once with each observer, and sees each broken rule break the assertion that is there for
# it: OBSERVER MUTANT WORDS, where WORDS are in the assertion that fails.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"

scratch_tmp
model=$LAB/check/formal/collapse.pml

explore() { # OBSERVER [MUTANT]: pan's report is $TMP/report
	(
		mkdir -p "$TMP/pan" && cd "$TMP/pan" && rm -f pan* || exit
		spin "-D$1" ${2:+"-DM_$2"} -a "$model" && ${HOSTCC:-gcc} -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000 -w24
	) > "$TMP/report" 2>&1
}

for observer in CPU WALKER PTDUMP; do
	name=spin-${observer,,}
	explore "$observer"
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$TMP/report")
	why=$(grep -m 1 -iE '^pan:1:|error: |aborting|max search depth' "$TMP/report")
	unreached=$(grep -m 1 -A 1000 '^unreached in' "$TMP/report" | grep -m 1 'assert(' | grep -v 'assert(0)')
	if [ -n "$why" ] || ! grep -q 'errors: 0$' "$TMP/report"; then nok "$name" "${why:-$(tail -n 1 "$TMP/report")}"
	elif [ -n "$unreached" ]; then nok "$name" "never asserted: $unreached"
	else ok "$name"; note "$name: $states states"; fi
done

while read -r observer mutant words; do
	explore "$observer" "$mutant"
	said=$(grep -m 1 '^pan:1:' "$TMP/report")
	if [[ $said = *"$words"* ]]; then ok "spin-$mutant"
	else nok "spin-$mutant" "an assertion of '$words' is to fail, not: ${said:-$(tail -n 1 "$TMP/report")}"; fi
done <<-MUTANTS
	CPU NO_LOCK pmd
	CPU NO_QUEUE pmd
	CPU NO_EXCLUSION pmd
	CPU UNQUEUE_EARLY pmd
	CPU TLBI_FIRST tlb
	CPU LAST_LEVEL tlb
	CPU NO_TLBI tlb
	CPU TLBI_UNLOCKED tlb
	CPU NO_DEPOSIT promised
	CPU KEEP_DEPOSIT state[
	WALKER NO_GRACE e[
	PTDUMP NO_PTDUMP_LOCK e[
MUTANTS
