#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs the steps in check.d/ (STEPS= names some of them) and ends with the line `N passed, N failed`. A step prints its results
# with ok and nok of lib.sh; one that prints none, fails without saying so or exceeds its time counts as a failure.
set -u
. "$(dirname "$0")/lib.sh"
make_build
export BUILD TREE TOP LAB J

dir=$BUILD/check
mkdir -p "$dir" || die "$dir can't be made; make room"
rm -f "$dir"/*.log
passed=0 failed=0 chosen=()
for step in ${STEPS-}; do
	found=$(find "$LAB/check.d" -name "[0-9][0-9]-$step.sh")
	[ -n "$found" ] || die "no step '$step'; there are: $(find "$LAB/check.d" -name '*.sh' -printf '%f\n' | sort | sed 's/^..-//; s/\.sh$//' | xargs)"
	chosen+=("$found")
done
[ "${#chosen[@]}" -gt 0 ] || mapfile -t chosen < <(find "$LAB/check.d" -name '[0-9][0-9]-*.sh' | sort)

for step in "${chosen[@]}"; do
	name=$(basename "$step" .sh) name=${name#??-}
	log=$dir/$name.log
	echo "# $name"
	begin=$SECONDS
	timeout -k 10 "${STEP_LIMIT:-2400}" bash "$step" < /dev/null 2>&1 | tee "$log" | grep --line-buffered -E '^(ok|not ok|#|[a-z-]+: )'
	rc=${PIPESTATUS[0]}
	good=$(grep -c '^ok ' "$log") bad=$(grep -c '^not ok ' "$log")
	why=
	if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then why="no end after $((SECONDS - begin)) s"
	elif [ "$rc" != 0 ] && [ "$bad" = 0 ]; then why="exit status $rc"
	elif [ $((good + bad)) = 0 ]; then why="no result"; fi
	[ -z "$why" ] || { bad=$((bad + 1)); echo "not ok $name - $why, see $log" | tee -a "$log"; }
	echo "# $name: $good passed, $bad failed, $((SECONDS - begin)) s"
	passed=$((passed + good)) failed=$((failed + bad))
done
[ "$failed" = 0 ] || grep -h '^not ok ' "$dir"/*.log
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
