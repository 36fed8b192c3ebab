#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The auditor's own tests, on the host. A result is a line `ok ...` or `not ok ...`.
#
#	O=build tools/lab/model/host/tests.sh [tests] [boots] [mutants]
#
# tests are its rules, traces and files; boots are two of the model with its test guest, whose traces are judged again; mutants
# break a rule each, of which the tests must tell. Without a name all of them run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/lab/lib.sh
. "$here/../../lib.sh"
[ $# -gt 0 ] || set -- tests boots mutants
for part; do [[ $part =~ ^(tests|boots|mutants)$ ]] || die "$part: expected tests, boots or mutants"; done
make_build
scratch_tmp

model=$LAB/model out=$BUILD/model
mkdir -p "$out"
flock "$out" make -s -C "$model" OUT="$out" host || die "the auditor does not build for this machine"

# expect NAME STATUS TEXT COMMAND...: ends with that, and says so in one line.
expect() {
	local name=$1 want=$2 text=$3 said status
	shift 3
	said=$("$@" 2>&1)
	status=$?
	if [ $status != "$want" ]; then nok "$name" "it ends with $status, not with $want: $(tail -n 1 <<< "$said")"
	elif [[ $(tail -n 1 <<< "$said") != *"$text"* ]]; then nok "$name" "it says: $(tail -n 1 <<< "$said")"
	else ok "$name"; fi
}

rules() {
	local name trace log line
	mkdir "$TMP/traces"
	mapfile -t log < <("$out/audit-test" -t "$TMP/traces" 2>&1)
	for line in "${log[@]}"; do
		name=${line#not ok } name=${name#ok } name=${name%%[: ]*}
		case $line in
		"ok "*) ok "audit-$name" ;;
		"not ok "*) nok "audit-$name" "$(printf '%s\n' "${log[@]}" | grep -m 1 -A 1 '^# not ok' | xargs)" ;;
		esac
	done
	[ ${#log[@]} -gt 20 ] || nok audit-tests "there are ${#log[@]} results: ${log[*]}"
	# Told again, it says the same; and how it ends is as it ended.
	for trace in "$TMP/traces"/*.trace; do
		name=${trace##*/} name=${name%.trace}
		[[ $name != trace-full* ]] || continue
		"$out/audit-replay" "$trace" > "$TMP/replay"
		if cmp -s "$TMP/replay" "${trace%.trace}.said"; then ok "replay-$name"
		else nok "replay-$name" "$(diff "$TMP/replay" "${trace%.trace}.said" | sed -n 2p)"; fi
	done
}

traces() {
	local trace=$TMP/traces/4k-48.trace clean=$TMP/traces/clean.trace n
	expect replay-of-a-violation 1 ' violations;' "$out/audit-replay" "$trace"
	expect replay-of-none 0 ' 0 violations;' "$out/audit-replay" "$clean"
	expect replay-of-a-full-one 1 'it was full behind event' "$out/audit-replay" "$TMP/traces/trace-full.trace"
	expect replay-of-a-full-one-without-any 3 'it was full behind event' "$out/audit-replay" "$TMP/traces/trace-full-clean.trace"
	# What a full one has is what it would have had.
	"$out/audit-replay" "$TMP/traces/trace-full.trace" | grep '^el2: FAULT' > "$TMP/part"
	n=$(wc -l < "$TMP/part")
	if [ "$n" -gt 0 ] && cmp -s "$TMP/part" <(grep '^el2: FAULT' "$TMP/traces/trace-full.said" | head -n "$n"); then ok replay-of-a-part
	else nok replay-of-a-part "$n lines are not the first of what was said"; fi
	head -c -3 "$clean" > "$TMP/short"
	expect replay-of-half-a-record 2 'is damaged behind event' "$out/audit-replay" "$TMP/short"
	# The last record is a byte and VBAR_EL1, in ten.
	head -c -11 "$clean" > "$TMP/endless"
	expect replay-without-an-end 3 'without an end' "$out/audit-replay" "$TMP/endless"
	head -c 4000 "$trace" | tail -c 100 | cat "$trace" - > "$TMP/long"
	expect replay-ends-at-the-end 1 ' violations;' "$out/audit-replay" "$TMP/long"
	{ head -c 3000 "$trace"; head -c 3000 /dev/zero | tr '\0' '\377'; } > "$TMP/bad"
	expect replay-of-rubbish 2 'is damaged behind event' "$out/audit-replay" "$TMP/bad"
	echo "no trace" > "$TMP/none"
	expect replay-of-no-trace 2 'no trace; el2.audit.trace= writes one' "$out/audit-replay" "$TMP/none"
	printf 'el2audit\377' > "$TMP/other"
	expect replay-of-another-version 2 'of another version' "$out/audit-replay" "$TMP/other"
	expect replay-of-nothing 2 "can't be read" "$out/audit-replay" "$TMP/nothing"
	expect replay-without-a-name 2 'usage: audit-replay TRACE' "$out/audit-replay"
	expect test-that-is-none 2 'no such test' "$out/audit-test" foo
}

files() {
	local nm=${CROSS_COMPILE-aarch64-linux-gnu-}nm objects=() foreign
	[ "$(uname -m)" != aarch64 ] || nm=${CROSS_COMPILE-}nm
	flock "$out" make -s -C "$model" OUT="$out" || die "the model does not build"
	mapfile -t objects < <(cd "$model" && for f in *.S *.c audit/*.c; do echo "$out/${f%.*}.o"; done)
	expect no-circle 0 '' "$here/circles.sh" "$nm" "${objects[@]}"
	# It must be able to fail: two files that need each other, by way of a third.
	echo 'void b(void); void a(void) { b(); }' > "$TMP/a.c"
	echo 'void c(void); void b(void) { c(); }' > "$TMP/b.c"
	echo 'void a(void); void c(void) { a(); }' > "$TMP/c.c"
	(cd "$TMP" && cc -c a.c b.c c.c) || die "cc does not work"
	expect a-circle-is-seen 1 'a circle: ' "$here/circles.sh" nm "$TMP/a.o" "$TMP/b.o" "$TMP/c.o"
	expect circles-of-nothing 2 'no such object' "$here/circles.sh" nm "$TMP/none.o"
	# The auditor calls nothing but itself, memset() and memcpy().
	foreign=$(cat <("$nm" -u "$out"/audit/*.o) <("$nm" --defined-only "$out"/audit/*.o) |
		awk '$1 == "U" { need[$2] } NF == 3 && $2 ~ /[A-Z]/ { have[$3] }
			END { for (s in need) if (!(s in have) && s !~ /^mem(set|cpy)$/) print s }' | sort | xargs)
	if [ -z "$foreign" ]; then ok auditor-alone; else nok auditor-alone "it needs $foreign"; fi
}

# said_again NAME VERDICT STATUS [run.sh's arguments]: a boot whose trace, judged here, says what the console has.
said_again() {
	local name=$1 want=$2 status=$3 verdict got
	shift 3
	rm -rf "$TMP/run"
	verdict=$("$LAB/run/run.sh" -q -t 60 -o "$TMP/run" "$@" "$out/test.bin" "$TMP/initrd" 2>&1 | tail -n 1)
	"$out/audit-replay" "$TMP/run/trace" > "$TMP/replay" 2>&1
	got=$?
	if [[ $verdict != "verdict: $want"* ]]; then nok "$name" "$verdict"
	elif [ $got != "$status" ]; then nok "$name" "audit-replay ends with $got, not with $status: $(tail -n 1 "$TMP/replay")"
	elif ! cmp -s "$TMP/replay" <(grep -E '^el2: (audit:|(FAULT|noted) audit )' "$TMP/run/lines"); then
		nok "$name" "$(diff "$TMP/replay" <(grep -E '^el2: (audit:|(FAULT|noted) audit )' "$TMP/run/lines") | sed -n 2p)"
	else ok "$name"; fi
}

boots() {
	local lines
	flock "$out" make -s -C "$model" OUT="$out" || die "the model does not build"
	export MODEL=$out/model.bin
	echo "no archive, but not empty either" > "$TMP/initrd"
	said_again boot-clean pass 0 -A -a t=audit-tagged -x el2.audit.trace=1
	said_again boot-violation 'fail (el2: FAULT audit oa: ' 1 -A -a t=audit-bad -x el2.audit.trace=1
	said_again boot-mixed pass 1 -e -m mixed -a t=audit-mixed -x 'el2.audit el2.inject el2.audit.trace=1'
	said_again boot-all-rules pass 1 -e -a t=audit-16k-52 -x 'el2.audit el2.inject el2.audit.trace=4'
	# Without semihosting there is no file; and an audit of nothing has no trace.
	timeout -k 2 20 "${QEMU:-qemu-system-aarch64}" -M virt,gic-version=3,virtualization=on -cpu max -m 1024 -nic none -display none \
		-monitor none -serial "file:$TMP/console" -kernel "$MODEL" -device "loader,file=$out/test.bin,addr=0x44000000,force-raw=on" \
		-append 't=none el2.audit el2.audit.trace=1' < /dev/null > /dev/null 2>&1
	lines=$(tr -d '\r' < "$TMP/console" | grep '^el2: ')
	if [[ $lines = "el2: error: el2.audit.trace= needs a file to write to: start QEMU with -semihosting-config "* ]]; then ok boot-without-a-file
	else nok boot-without-a-file "it says: $lines"; fi
	"$LAB/run/run.sh" -q -t 60 -o "$TMP/run" -e -a t=none -x el2.audit.trace=1 "$out/test.bin" "$TMP/initrd" > /dev/null 2>&1
	if grep -q '^el2: error: .*are for an audit: add el2.audit' "$TMP/run/lines"; then ok boot-without-an-audit
	else nok boot-without-an-audit "it says: $(grep -m 1 '^el2: ' "$TMP/run/lines")"; fi
	"$LAB/run/run.sh" -q -t 60 -o "$TMP/run" -e -a t=none -x 'el2.audit el2.audit.trace=0' "$out/test.bin" "$TMP/initrd" > /dev/null 2>&1
	if grep -q '^el2: error: el2.audit.trace=0: expected MiB' "$TMP/run/lines"; then ok boot-of-no-mib
	else nok boot-of-no-mib "it says: $(grep -m 1 '^el2: ' "$TMP/run/lines")"; fi
}

# One shape of the tables is enough for them.
shape='4k-48 patience no-bbml3 mixed form flood nothing tagged tagged-allowed early early-allowed wx-allowed gap-noted gap-silent'

# broken NAME FILE SED: builds $TMP/mutant/test, with that line of FILE changed.
broken() {
	local name=$1 file=$2 work=$TMP/mutant object objects
	rm -rf "$work"
	mkdir "$work"
	sed -E "$3" "$model/audit/$file" > "$work/$file"
	if cmp -s "$work/$file" "$model/audit/$file"; then nok "mutant-$name" "it changes nothing: the line is another one now"; return 1; fi
	object=$out/host/audit/${file%.c}.o
	if ! "${HOSTCC:-cc}" -std=gnu11 -O1 -w -I"$model" -I"$model/audit" -c -o "$work/mutant.o" "$work/$file" 2> "$TMP/log"; then
		nok "mutant-$name" "it does not compile: $(head -n 1 "$TMP/log")"
		return 1
	fi
	mapfile -t objects < <(printf '%s\n' "$out"/host/audit/*.o | grep -vxF "$object")
	"${HOSTCC:-cc}" -o "$work/test" "${objects[@]}" "$work/mutant.o" "$out/host/host/test.o" || die "cc does not link"
}

# mutant NAME FILE SED: of the auditor; a test must fail.
mutant() {
	broken "$@" || return
	# shellcheck disable=SC2086 # names
	if "$TMP/mutant/test" $shape > "$TMP/log" 2>&1; then nok "mutant-$1" "no test tells"
	else ok "mutant-$1"; fi
}

# mutant_of_trace NAME SED: of the recorder; the tests pass, and a trace says something else, or can't be read.
mutant_of_trace() {
	local trace
	broken "$1" record.c "$2" || return
	rm -rf "$TMP/other"
	mkdir "$TMP/other"
	# shellcheck disable=SC2086 # names
	"$TMP/mutant/test" -t "$TMP/other" $shape > "$TMP/log" 2>&1 || { nok "mutant-$1" "it changes what is judged"; return; }
	for trace in "$TMP/other"/*.trace; do
		"$out/audit-replay" "$trace" 2>&1 | cmp -s - "${trace%.trace}.said" || { ok "mutant-$1"; return; }
	done
	nok "mutant-$1" "no trace tells"
}

mutants() {
	mutant oa desc.c 's/if \(leaf_address\(old, old_level\) - old_va !=.*/if (false) {/'
	mutant type desc.c 's/if \(memory_type\(old\) != memory_type\(new\) &&/if (false \&\&/'
	mutant share desc.c 's/if \(!geo\.lpa && S1_SH/if (false \&\& S1_SH/'
	mutant global desc.c 's/if \(\(old & S1_NG\) &&/if (false \&\&/'
	mutant resize judge.c 's/if \(cpus_without_bbml3\(cpus\)\)/if (false)/'
	mutant resize-of-all judge.c 's/if \(cpus_without_bbml3\(cpus\)\)/if (true)/'
	mutant cont group.c 's/^	if \(!with\)/	if (true)/'
	mutant cont-at-once group.c 's/h->who\.thread != who->thread/false/'
	mutant hole judge.c 's/if \(!desc_is_leaf\(desc, level\)\) \{/if (false) {/'
	mutant stale stale.c 's/^	if \(more\)/	if (false)/'
	mutant stale-larger stale.c 's/pool\[index\]\.passed && /false \&\& /'
	mutant walk tlbi.c 's/if \(t->last_level \|\|/if (/'
	mutant walk-ttl tlbi.c 's/if \(t->ttl >= 0 && t->ttl != s->level\)/if (false)/'
	mutant walk-asid tlbi.c 's/^		if \(t->asid\)$/		if (false)/'
	mutant reuse audit.c 's/if \(t->walked && t->places == NONE\)/if (false)/'
	mutant order-before tlbi.c 's/why = barrier_missing\(who\.pc, stored,.*/why = NULL;/'
	mutant order-behind tlbi.c 's/why = early \? NULL :.*/why = NULL;/'
	mutant order-early tlbi.c 's/ && cpus_active\(\) == BIT\(t\.cpu\)//'
	mutant order-loads order.c 's/access == 3 \|\| \(stores_do && access == 2\)/true/'
	mutant order-fill order.c 's/if \(fills\(insn\)\)/if (false)/'
	mutant wx judge.c 's/\(may & RIGHT_W\) && \(may & RIGHT_X\)/false/'
	mutant grant judge.c 's/rights\(c->new, c->limits\) & ~rights\(desc, limits\) & RIGHT_X/false/'
	mutant gap gap.c 's/\|\| b->thread != c->who->thread/|| true/'
	mutant gap-thread gap.c 's/\|\| b->thread != c->who->thread/|| false/'
	mutant gap-noted gap.c 's/if \(setup\.gaps &&/if (false \&\&/'
	mutant nothing say.c 's/if \(!counts\.stores \|\|.*\{/if (false) {/'
	mutant lines say.c 's/#define LINES_PER_RULE	6/#define LINES_PER_RULE	7/'
	mutant patience who.c 's/#define PATIENCE	16384/#define PATIENCE	16777216/'
	mutant off audit.c 's/^	stale_forget_cpus\(BIT\(cpu\)\);/	;/'
	mutant_of_trace trace-pages 's/^	if \(!on \|\| full\)/	if (true)/'
	mutant_of_trace trace-code 's/^	byte\(TRACE_CODE_AT\);/	return;/'
	mutant_of_trace trace-registers 's/^	byte\(TRACE_REGISTERS\);/	return;/'
	mutant_of_trace trace-lr 's/\(event->lr == last\.lr\[cpu\] \? 0 : TRACE_LR\)/0/'
	mutant_of_trace trace-thread 's/\(event->thread == last\.thread\[cpu\] \? 0 : TRACE_THREAD\)/0/'
	mutant_of_trace trace-cpu 's/cpu == last\.cpu \? 0 : TRACE_CPU/0/'
	mutant tagged desc.c 's/\(setup\.allow & AUDIT_ALLOW_TAGGED\)/true/'
}

for part; do
	case $part in
	tests)
		TIMEFORMAT="# the auditor's tests and replays: %R s, of which the processor %U and %S"
		{ time rules; } 2>&1
		traces
		files ;;
	boots) boots ;;
	mutants) mutants ;;
	esac
done
