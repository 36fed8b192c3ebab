#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs the steps in steps/ (STEPS= names some of them) and ends with the line `N passed, N failed`. A step prints its results
# with ok and nok of lib.sh; one that prints none, fails without saying so or exceeds its time counts as a failure.
#
# CHECK_JOBS steps run at a time (2: a link or a boot of one CPU leaves the other one idle); each shows when it has ended. They
# start in the order of their names: the long ones first, so that no core waits for the last one.
set -u
. "$(dirname "$0")/../lib.sh"
jobs=${CHECK_JOBS:-2}
number CHECK_JOBS= "$jobs" 1
[ $# = 0 ] || die "no arguments are known; STEPS='NAME ...' chooses steps"
make_build
export BUILD TREE TOP LAB J

dir=$BUILD/check
mkdir -p "$dir" || die "$dir can't be made; make room"
exec {lock}> "$dir/.lock" && flock -n "$lock" || die "another make check works in $BUILD; wait for it, or choose another folder with O="
rm -f "$dir"/*.log
passed=0 failed=0 chosen=()
for step in ${STEPS-}; do
	found=$(find "$LAB/check/steps" -name "[0-9][0-9]-$step.sh")
	[ -n "$found" ] || die "no step '$step'; there are: $(find "$LAB/check/steps" -name '*.sh' -printf '%f\n' | sort | sed 's/^..-//; s/\.sh$//' | xargs)"
	chosen+=("$found")
done
# One with this line in its head takes long for what it finds: it is for those who name it, and make soak lists it.
[ "${#chosen[@]}" -gt 0 ] || mapfile -t chosen < <(grep -Lx '# By name only.' "$LAB"/check/steps/[0-9][0-9]-*.sh | sort)
[ "${#chosen[@]}" -gt 1 ] || jobs=1

results() { grep --line-buffered -E '^(ok|not ok|#|[a-z-]+: )'; }

declare -A name_of=() began=() # by process
trap 'kill "${!name_of[@]}" 2>/dev/null; exit 130' INT TERM HUP

start() { # STEP
	local name
	name=$(basename "$1" .sh) name=${name#??-}
	: > "$dir/$name.log" # for tail, which may be there first
	timeout -k 10 "${STEP_LIMIT:-4200}" bash "$1" < /dev/null >> "$dir/$name.log" 2>&1 {lock}>&- &
	name_of[$!]=$name began[$!]=$SECONDS
	[ "$jobs" -gt 1 ] || { echo "# $name"; tail -q -s 0.2 -n +1 -f --pid=$! "$dir/$name.log" | results; }
}

# What the children that have ended since the last call have used, in seconds: sets cpu.
cpu_all=0
cpu_used() {
	local user sys before=$cpu_all
	times > "$dir/.times"
	{ read -r && read -r user sys; } < "$dir/.times"
	cpu_all=$(awk -F '[ms ]+' '{ printf "%d", $1 * 60 + $2 + $3 * 60 + $4 }' <<< "$user $sys")
	cpu=$((cpu_all - before))
}

finish() { # waits for a step and counts its results
	local pid='' rc name log good bad why='' seconds cpu
	wait -n -p pid "${!name_of[@]}"
	rc=$? name=${name_of[$pid]} log=$dir/${name_of[$pid]}.log seconds=$((SECONDS - began[$pid]))
	unset "name_of[$pid]"
	cpu_used
	[ "$jobs" = 1 ] || { echo "# $name"; results < "$log"; }
	good=$(grep -c '^ok ' "$log") bad=$(grep -c '^not ok ' "$log")
	if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then why="no end after $seconds s"
	elif [ "$rc" != 0 ] && [ "$bad" = 0 ]; then why="exit status $rc"
	elif [ $((good + bad)) = 0 ]; then why="no result"; fi
	[ -z "$why" ] || { bad=$((bad + 1)); echo "not ok $name - $why, see $log" | tee -a "$log"; }
	echo "# $name: $good passed, $bad failed, $seconds s, $cpu s of CPU"
	passed=$((passed + good)) failed=$((failed + bad))
}

for step in "${chosen[@]}"; do
	[ "${#name_of[@]}" -lt "$jobs" ] || finish
	start "$step"
done
while [ "${#name_of[@]}" -gt 0 ]; do finish; done
base_line "$TREE"
[ "$failed" = 0 ] || grep -h '^not ok ' "$dir"/*.log
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
