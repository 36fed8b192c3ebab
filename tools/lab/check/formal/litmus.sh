#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Judges litmus tests with herd7: litmus.sh DIR. Each DIR/NAME.litmus is run as it stands, when herd7 must say Never, and once without
# each of its marks. A mark is a letter, (*A*) behind an instruction or // A behind a statement, and has a line in the test's head:
#
#	(* without A: NOP *)			what is there instead; herd7 must say Sometimes
#	(* without A: NOP; Never: REASON *)	herd7 still says Never, for this reason
#	(* in FUNCTION(): PATTERN *)		what it is about, in the kernel's code (check/steps/61-herd.sh looks; no braces; ONE|OTHER())
#	(* requires-BBM: REASON *)		Arm's model asks for break-before-make in what stands, and that is right
#
# (*AB*) is taken out with A and with B; in C, `nothing` is no statement. So the weaker tests can't drift apart from the test.
set -u
. "$(dirname "$0")/../../lib.sh"
[ $# = 1 ] && [ -d "$1" ] || die "usage: litmus.sh DIR, with DIR/*.litmus"
dir=$(cd "$1" && pwd)
scratch_tmp

weaken() { # TEST MARK REPLACEMENT
	awk -v mark="$2" -v with="$3" '
		# A cell of assembler: of those in the line, the one that the mark ends.
		match($0, /\(\*[A-Z]+\*\)/) && !/^\(\*/ {
			n = split($0, cell, "|")
			for (i = 1; i <= n; i++)
				if (match(cell[i], /\(\*[A-Z]+\*\)/) && index(substr(cell[i], RSTART + 2, RLENGTH - 4), mark))
					cell[i] = " " with (i == n ? " ;" : " ")
			line = cell[1]
			for (i = 2; i <= n; i++) line = line "|" cell[i]
			print line
			next
		}
		match($0, /\/\/ [A-Z]+$/) && index(substr($0, RSTART + 3), mark) { print "\t" (with == "nothing" ? "" : with); next }
		{ print }' "$1"
}

# What is to be run, and what herd7 must say: RUN VERDICT BBM
run=$TMP/run
mkdir "$run"
tests=("$dir"/*.litmus)
for test in "${tests[@]}"; do
	name=$(basename "$test" .litmus)
	cp "$test" "$run/$name.litmus" 2>/dev/null || { nok "$name" "no test in $dir"; exit 1; }
	bbm=$(grep -c '^(\* requires-BBM: .*\*)$' "$test")
	echo "$name Never $bbm"
	while IFS= read -r line; do
		mark=${line%%:*} with=${line#*: } verdict=Sometimes
		case $with in *'; Never: '?*) verdict=Never with=${with%%; Never: *} ;; esac
		weaken "$test" "$mark" "$with" > "$run/$name-$mark.litmus"
		echo "$name-$mark $verdict any"
	done < <(sed -n 's/^(\* without \([A-Z]: .*\) \*)$/\1/p' "$test")
done > "$TMP/list"

export HERD=$LAB/check/formal/herd.sh
# shellcheck disable=SC2016 # for the shell that xargs starts
judge='timeout 100 "$HERD" "$1.litmus" > "$1.out" 2>&1 || echo "herd7 ended with $?" >> "$1.out"'
# Not in $run: the scripts take O= to be relative to where they are called.
cut -d ' ' -f 1 "$TMP/list" | xargs -P "$(nproc)" -I {} sh -c "$judge" sh "$run/{}"

# A test names itself, has marks, and each mark has its line and a place.
flaws() { # TEST NAME
	local marks heads
	[ "$(head -n 1 "$1")" = "AArch64 $2" ] || [ "$(head -n 1 "$1")" = "C $2" ] || { echo "its first line is not 'AArch64 $2' or 'C $2'"; return; }
	marks=$(grep -v '^(\*' "$1" | grep -oE '\(\*[A-Z]+\*\)|// [A-Z]+$' | grep -o '[A-Z]' | sort -u | xargs)
	heads=$(sed -n 's/^(\* without \([A-Z]\): .* \*)$/\1/p' "$1" | sort | xargs)
	[ -n "$marks" ] || { echo "no line of it is marked"; return; }
	[ "$marks" = "$heads" ] || echo "its lines are marked $marks, its head has ${heads:-none}"
}

while read -r name verdict bbm; do
	out=$run/$name.out
	said=$(sed -n 's/^Observation [^ ]* \([A-Za-z]*\) .*/\1/p' "$out")
	seconds=$(sed -n 's/^Time [^ ]* //p' "$out")
	flags=$(grep -c '^Flag requires-BBM' "$out") why=''
	[ ! -f "$dir/$name.litmus" ] || why=$(flaws "$dir/$name.litmus" "$name")
	if [ -n "$why" ]; then :
	elif [ -z "$said" ] || grep -q '^herd7 ended' "$out"; then why="herd7: $(grep -m 1 . "$out")"
	elif [ "$said" != "$verdict" ]; then why="herd7 says $said, not $verdict"
	elif [ "$bbm" != any ] && [ "$flags" != "$bbm" ]; then
		why="Arm's model asks $([ "$flags" = 0 ] && echo for no || echo for) break-before-make, the head of the test says otherwise"
	fi
	if [ -z "$why" ]; then echo "ok $name: $verdict ($seconds s)"; else echo "not ok $name ($seconds s) - $why"; fi
done < "$TMP/list"
