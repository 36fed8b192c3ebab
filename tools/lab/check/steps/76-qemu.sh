#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 10 and a newer one (run/newer-qemu.sh; fetches 30 MiB once): boots, a Realm, CPUs that differ and the auditor work on each, and so
# do the plugins. The same boot executes the same instructions, but for what the two machines do not have in common: a newer QEMU says
# more of them in its device tree and its ID registers. So the whole count may differ by 0.2 %, and functions that look at
# neither may not differ at all.
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

guest linux-lab
scratch_tmp
functions='mark_rodata_ro sched_init paging_init workqueue_init_early'
newer=$("$LAB/run/newer-qemu.sh" 2> "$TMP/why") || { nok qemu-fetch "$(tail -n 1 "$TMP/why")"; exit; }
qemus=("${QEMU:-qemu-system-aarch64}" "$newer")

for q in "${qemus[@]}"; do
	export QEMU=$q
	v=$("$q" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
	name=qemu-${v:-none} versions+=("$v")
	boot "$name-realm" -R -c 2 -q -a lab=none
	boot "$name-mixed" -m mixed -c 2 -q -a 'lab=secretmem lab.expect=heal'
	boot "$name-audit" -A -c 2 -q -a lab=none
	for n in 1 2; do
		took > /dev/null
		COUNT_PROBES=$functions "$LAB/bench/count.sh" -M 1024 -a 'quiet lab=none' "$image" "$initrd" > "$TMP/$v.$n" 2> "$TMP/why" ||
			{ nok "$name-count" "$(tail -n 1 "$TMP/why")"; break; }
	done
	if [ ! -s "$TMP/$v.2" ]; then :
	elif cmp -s "$TMP/$v.1" "$TMP/$v.2"; then ok "$name-count"
	else nok "$name-count" "two runs differ: $(diff "$TMP/$v.1" "$TMP/$v.2" | sed -n 2p)"; fi
	if why=$("$LAB/bench/tlb.sh" "$TMP/$v.tlb" check=all 'lab.bench=tlbi' -M 1024 -t 300 "$image" "$initrd" 2>&1) && [ -s "$TMP/$v.tlb" ]; then ok "$name-tlb"
	else nok "$name-tlb" "$(tail -n 1 <<< "$why")"; fi
	if why=$("$LAB/bench/share.sh" "$TMP/$v.share" -c 4 -M 8192 -t 300 "$image" "$initrd" 2>&1) &&
		grep -q '^phase=share_apart cpus=4 .*shared=0$' "$TMP/$v.share"; then ok "$name-share"
	else nok "$name-share" "$(tail -n 1 <<< "$why")"; fi
done

a=${versions[0]} b=${versions[1]}
if [ "$a" = "$b" ]; then nok qemu-two "both are QEMU $a; unset QEMU, or change tools/lab/tree/qemu.debs"; else ok qemu-two; fi
first=$(head -n 1 "$TMP/$a.1") second=$(head -n 1 "$TMP/$b.1")
note "the same boot: $first instructions on QEMU $a, $second on $b"
if [ $((first)) -gt 0 ] && [ $(((first > second ? first - second : second - first) * 500)) -le $((first)) ]; then ok qemu-same-count
else nok qemu-same-count "${first:-none} and ${second:-none}: more than 0.2 % apart"; fi
if [ -s "$TMP/$a.1" ] && why=$(diff <(tail -n +2 "$TMP/$a.1") <(tail -n +2 "$TMP/$b.1")) && [ "$(grep -c 'calls=1 ' "$TMP/$a.1")" = 4 ]; then ok qemu-same-functions
else nok qemu-same-functions "$(sed -n '2p;$p' <<< "$why" | xargs)"; fi
# The same for the model of TLBs, whose report has walks and entries, by what the guest's loop does and nothing else.
for v in "$a" "$b"; do grep -o '^part=.*region=vmalloc .*' "$TMP/$v.tlb" > "$TMP/$v.parts" 2> /dev/null; done
if [ -s "$TMP/$a.parts" ] && why=$(diff "$TMP/$a.parts" "$TMP/$b.parts"); then ok qemu-same-tlb
else nok qemu-same-tlb "$(sed -n '2p;$p' <<< "${why:-nothing to compare}" | xargs)"; fi
