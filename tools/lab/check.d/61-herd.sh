#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Arm's memory model and the kernel's judge formal/litmus/*.litmus: each protocol without locks as it stands, and without each of its
# barriers. Then tests that are wrong on purpose, each of which must be found. Fetches herd7 (40 MiB) once.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
proof=$TREE/Documentation/arch/arm64/kernel-leaf-proof.rst
scratch_tmp

why=$("$LAB/formal/herd.sh" 2>&1) || { nok herd-fetch "$(tail -n 1 <<< "$why")"; exit; }
"$LAB/formal/litmus.sh" "$LAB/formal/litmus" > "$TMP/results" 2>&1
cat "$TMP/results"
note "herd: $(find "$LAB/formal/litmus" -name '*.litmus' | wc -l) protocols, $(grep -c '^ok ' "$TMP/results") results"

# The functions that a test names are there, and the proof's table and the tests name each other.
since=$(date +%s%N) missing=''
for test in "$LAB"/formal/litmus/*.litmus; do
	name=$(basename "$test" .litmus)
	functions=$(sed -n '2,/\*)$/p' "$test" | grep -oE '\b[a-z_0-9]+\(\)' | sort -u)
	[ -n "$functions" ] || missing="$missing $name:no-function"
	for f in $functions; do
		f=${f%()}
		grep -rqw "$f" "$TREE"/arch/arm64/{mm,kernel,net,include} "$TREE"/{include/linux,include/asm-generic,mm,kernel} || missing="$missing $name:$f()"
	done
	grep -qw -- "litmus: $name" "$proof" || missing="$missing $name:not-in-the-proof"
done
while read -r name; do
	[ -f "$LAB/formal/litmus/$name.litmus" ] || missing="$missing $name:no-such-test"
done < <(grep -oE 'litmus: [a-z0-9-]+' "$proof" | cut -d ' ' -f 2 | sort -u)
if [ -z "$missing" ]; then ok herd-names; else nok herd-names "$missing"; fi

# Each way in which a test can be wrong: wrong NAME WORDS, with the sed script that makes it from unfold-pte on stdin.
wrong() {
	local name=herd-wrong-$1 said
	rm -rf "$TMP/wrong" && mkdir "$TMP/wrong"
	sed -f - "$LAB/formal/litmus/unfold-pte.litmus" > "$TMP/wrong/unfold-pte.litmus"
	said=$("$LAB/formal/litmus.sh" "$TMP/wrong" 2>&1 | grep -m 1 '^not ok ')
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
