#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# tools/hw on this machine: what it refuses, that it puts back what it changed when it is stopped, and the report of made-up records.
# Programs that would change the machine are fakes, which write down how they were called.
# shellcheck disable=SC2016,SC2317
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
hw=$TOP/tools/hw
# shellcheck source=tools/lab/check/trial.sh
. "$LAB/check/trial.sh"
kit=$TMP/kit calls=$TMP/calls records=$TMP/results/base.records
mkdir -p "$kit/bin" && cp "$hw/measure.sh" "$hw/report.py" "$kit/" || die "$kit can't be made; make room"
printf '#!/bin/sh\necho "ok 1 made up"\n' > "$kit/bin/linear_map"
printf '#!/bin/sh\necho "{\\"in_pieces\\":3,\\"leaves\\":{\\"4K\\":5,\\"2M\\":7}}"\n' > "$kit/bin/leafmap"
printf '#!/bin/sh\necho 42\n[ "$1" != secret ] || exec cat\n' > "$kit/bin/kitwork"
chmod +x "$kit/bin/"*
measure() { run "$kit/measure.sh" -q -y -o "$TMP/results" "$@"; }
# A machine on which all can be done.
all_there() {
	local f
	without
	fake id 'echo 0'
	fake sleep :
	for f in mount umount modprobe rmmod cryptsetup udevadm; do fake $f "echo $f \$* >> $calls"; done
	fake mountpoint 'exit 1'
	fake perf 'echo "event syntax error: no such event" >&2; exit 129'
	fake hackbench 'echo "Time: 1.5"'
	fake fio "$1"
	rm -rf "$TMP/results" && : > "$calls"
}

without
works help run "$kit/measure.sh" --help
all_there 'exit 1'; fake id 'echo 1000'
fails not-root 'run it as root$' measure base
all_there 'exit 1'
fails bad-label 'a LABEL has letters' measure 'a b'
fails bad-load '-l iperf: one of these is expected' measure -l iperf base
fails not-begun 'not begun$' run "$kit/measure.sh" -q base < /dev/null
same not-begun-nothing-done "$(cat "$calls")" ''

# What is not there is refused by name, and the rest runs.
without fio cryptsetup hackbench perf memcached
fake id 'echo 0'; fake mountpoint 'exit 0'; fake sleep :
works refusals measure -l 'fio memcached hackbench bpf' base
for what in fio memcached hackbench perf; do
	same "refused-$what" "$(awk -F'\t' -v w="refused $what" '$3 == w { print $5; exit }' "$records")" \
		"no program $what$([ $what != hackbench ] || echo ' (package rt-tests)')"
done
same others-run "$(awk -F'\t' '$3 == "bpf" { print $2, $5 }' "$records" | sort | uniq -c | xargs)" '2 churned 42 2 fresh 42 2 healed 42'
same leaves-added "$(awk -F'\t' '$3 == "leaves" { print $5 }' "$records" | sort -u)" 12
same selftest-ran "$(awk -F'\t' '$3 == "selftest" { print $5 }' "$records")" '1 ok, 0 skipped'

# perf without the events.
all_there 'exit 1'; fake mountpoint 'exit 0'
works no-events measure -l 'hackbench' base
same no-events-refused "$(awk -F'\t' '$3 ~ /^refused perf/ { n++ } END { print n + 0 }' "$records")" 5
same no-events-runs "$(awk -F'\t' '$3 == "hackbench" { n++ } END { print n + 0 }' "$records")" 6

# Put back, at the end and when it is stopped amid a load, and amid a change.
back="umount $TMP/results/.tmp.X/tmpfs cryptsetup close leafkit rmmod brd"
undone() { sed -nE 's,(\.tmp\.)[^/]*,\1X,; /^(umount .*tmpfs|cryptsetup close|rmmod)/p' "$calls" | xargs; }
if [ -e /dev/ram0 ]; then note 'this machine has a RAM disk: fio is refused here, as it must'; back=${back%% cryptsetup*}; fi
all_there 'seq -s ";" 60'
works ended measure -l 'fio read' base
same ended-put-back "$(undone)" "$back"
same ended-nothing-left "$(ls -A "$TMP/results")" base.records
for signal in INT TERM HUP; do
	all_there "seq -s ';' 60"
	fake hackbench "kill -$signal \$(cat $TMP/pid); echo Time: 1"
	# Run by timeout, so that no signal is ignored from the start.
	run timeout 60 sh -c "echo \$\$ > $TMP/pid; exec $kit/measure.sh -q -y -o $TMP/results -l 'fio read hackbench' base" > /dev/null 2>&1
	same "$signal-status" $? 130
	same "$signal-put-back" "$(undone)" "$back"
	same "$signal-nothing-left" "$(ls -A "$TMP/results")" ''
	all_there "seq -s ';' 60"
	fake cryptsetup "echo cryptsetup \$* >> $calls; kill -$signal \$(cat $TMP/pid)"
	run timeout 60 sh -c "echo \$\$ > $TMP/pid; exec $kit/measure.sh -q -y -o $TMP/results -l 'read fio' base" > /dev/null 2>&1
	[ -e /dev/ram0 ] || same "$signal-amid-a-change" "$(undone)" "cryptsetup close leafkit rmmod brd umount $TMP/results/.tmp.X/tmpfs"
done

# The report.
without
line() { printf '%s\t%s\t%s\t%s\t%s\n' "$@"; }
for label in base ours; do
	{
		line $label - kernel - "7.3.4-<$label>"
		for v in 5 1 9 2 4; do line $label fresh hackbench s $v; done
		line $label - 'refused fio' - 'no program fio'
		line $label healed leaves number 147
	} > "$TMP/$label.records"
done
works report run "$kit/report.py" -o "$TMP/report" "$TMP/base.records" "$TMP/ours.records"
same report-median "$(python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print([(k, v["what"], v["stage"], v["median"]) for k in d for v in d[k]["values"]])' "$TMP/report/report.json")" \
	"[('base', 'hackbench', 'fresh', 4.0), ('base', 'leaves', 'healed', 147.0), ('ours', 'hackbench', 'fresh', 4.0), ('ours', 'leaves', 'healed', 147.0)]"
same report-spread "$(grep -o '4 (1 to 9)' "$TMP/report/report.html" | wc -l)" 2
same report-refused "$(grep -c 'no program fio' "$TMP/report/report.html")" 2
same report-escapes "$(grep -c '<base>' "$TMP/report/report.html")" 0
for row in available page_tables leaves in_pieces fio memcached hackbench stress-ng read modules bpf; do
	grep -q "<td>$row</td>" "$TMP/report/report.html" && ok "report-row-$row" || nok "report-row-$row" 'no such row'
done
fails report-none 'run measure.sh first$' run "$kit/report.py" "$TMP/none"
fails report-twice 'the label base is there twice' run "$kit/report.py" "$TMP/base.records" "$TMP/base.records"
fails report-garbage 'no records of measure.sh$' run "$kit/report.py" "$kit/report.py"
exit 0
