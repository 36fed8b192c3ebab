#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Arm's memory model and the kernel's judge formal/litmus/*.litmus: each protocol without locks as it stands, and without each of its
# barriers. Then tests that are wrong on purpose, each of which must be found. Fetches herd7 (40 MiB) once.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
proof=$TREE/Documentation/arch/arm64/kernel-leaf-proof.rst
scratch_tmp

why=$("$LAB/check/formal/herd.sh" 2>&1) || { nok herd-fetch "$(tail -n 1 <<< "$why")"; exit; }
"$LAB/check/formal/litmus.sh" "$LAB/check/formal/litmus" > "$TMP/results" 2>&1
cat "$TMP/results"
note "herd: $(find "$LAB/check/formal/litmus" -name '*.litmus' | wc -l) protocols, $(grep -c '^ok ' "$TMP/results") results"

# The text of a function, without comments and on one line: a definition begins in the first column and ends with a brace there.
body() { # NAME
	local files
	files=$(grep -rlwE "$1" "$TREE"/arch/arm64/{mm,kernel,net,include/asm} "$TREE"/mm/vmalloc.c --include=*.[chS])
	[ -n "$files" ] || return
	# shellcheck disable=SC2086
	awk -v name="($1)" '
		FNR == 1 { inside = 0 }
		!inside && ($0 ~ "^[A-Za-z].*[ *]" name "\\(" || $0 ~ "^" name "\\(" || $0 ~ "^SYM_[A-Z_]*START\\(" name "\\)" || $0 ~ "^\\.macro[ \t]+" name ",") { inside = 1; text = "" }
		inside { sub("//.*", ""); text = text " " $0 }
		inside && /;[ \t]*$/ && text !~ /[{]/ && text !~ /SYM_|\.macro/ { inside = 0 }
		inside && /^}|^SYM_FUNC_END|^\.endm/ { print text; inside = 0 }' $files | sed -E ':a; s,/\*([^*]|\*[^/])*\*/, ,; ta; s/[ \t]+/ /g'
}

# What a test is about is still in the code, and the proof's table and the tests name each other: names DIR
names() {
	local test name line what missing='' f
	for test in "$1"/*.litmus; do
		name=$(basename "$test" .litmus)
		grep -q '^(\* in ' "$test" || missing="$missing; $name is about no code"
		while IFS= read -r line; do
			f=${line%%()*} what=${line#*: }
			body "$f" | grep -qE -e "$what" || missing="$missing; $name: $f() has no $what"
		done < <(sed -n 's/^(\* in \([a-z_0-9|]*(): .*\) \*)$/\1/p' "$test")
		grep -qw -- "litmus: $name" "$proof" || missing="$missing; $name is not in the proof"
	done
	while read -r name; do
		[ -f "$1/$name.litmus" ] || missing="$missing; the proof has $name, which is none"
	done < <(grep -oE 'litmus: [a-z0-9-]+' "$proof" | cut -d ' ' -f 2 | sort -u)
	echo "${missing#; }"
}
took > /dev/null
why=$(names "$LAB/check/formal/litmus")
if [ -z "$why" ]; then ok herd-code; else nok herd-code "$why"; fi

# Each way in which a test can be wrong: wrong NAME WORDS, with the sed script that makes it from unfold-pte on stdin.
wrong() {
	local name=herd-wrong-$1 said
	rm -rf "$TMP/wrong" && mkdir "$TMP/wrong"
	sed -f - "$LAB/check/formal/litmus/unfold-pte.litmus" > "$TMP/wrong/unfold-pte.litmus"
	said=$("$LAB/check/formal/litmus.sh" "$TMP/wrong" 2>&1 | grep -m 1 '^not ok ')
	if [[ $said = *"$2"* ]]; then ok "$name"; else nok "$name" "it says: ${said:-all is well}"; fi
}
wrong allowed 'herd7 says Sometimes, not Never' <<< '/^ DMB.*(\*B\*)/s/DMB ISHLD (\*B\*)/NOP (*B*)/'
wrong needless 'herd7 says Never, not Sometimes' <<< 's/^(\* without A: NOP/(* without A: DMB ISH/'
wrong excuse 'herd7 says Sometimes, not Never' <<< 's/^(\* without A: NOP/&; Never: so I believe/'
wrong unmarked 'no line of it is marked' <<< '/^(\* without/d; s/ (\*[AB]\*)//g'
wrong no-head 'its lines are marked A B, its head has A' <<< '/^(\* without B/d'
wrong no-line 'its lines are marked B, its head has A B' <<< 's/(\*A\*)//'
wrong syntax 'herd7:' <<< 's/LDR W2/LDRX W2/'
wrong name "its first line is not" <<< '1s/unfold/fold/'
wrong bbm 'break-before-make' <<< '2i (* requires-BBM: not so *)'
mkdir "$TMP/names" && cp "$LAB"/check/formal/litmus/*.litmus "$TMP/names"
sed -i 's/ smp_acquire__after_ctrl_dep/ smp_mb/' "$TMP/names/unfold-pte.litmus"
mv "$TMP/names/walk-once.litmus" "$TMP/names/walk-twice.litmus"
why=$(names "$TMP/names")
if [[ $why = *'unfold-pte: group_is_cont() has no smp_mb'*'walk-twice is not in the proof'*'the proof has walk-once, which is none' ]]; then ok herd-wrong-code
else nok herd-wrong-code "it says: ${why:-all is well}"; fi
