#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The linear map heals: 8 GiB, 4 CPUs, at most 2 % more leaves than at boot and no more tables, within 5 s.
# Also after hibernation.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

machine=(-m bbml3 -c 4 -M 8192 -t 300)
bar="lab.expect=heal lab.heal_ms=5000 lab.slack=2"

guest linux-lab
boot heal-secretmem "${machine[@]}" -a "lab=secretmem $bar lab.rounds=2 lab.files=16 lab.mib=32 lab.stride=7"
boot heal-mixed "${machine[@]}" -a "lab=mixed $bar lab.churn_s=10"
for work in bpf modules setmem; do
	boot heal-$work "${machine[@]}" -a "lab=$work $bar"
done

# Memory that comes, is split all over, and goes with its tables still queued.
boot memory-hotplug -m bbml3 -c 4 -M 5120 -t 300 -a "mem=3G lab=memory lab.hot_at=4096 lab.hot_mib=1024 lab.rounds=6"

# Read-only text and split leaves while an image of memory is written and put in the place of memory.
for m in bbml3 nobbml3; do
	boot "hibernate-$m" -m $m -c 4 -M 1024 -w 1024 -t 300 -a "lab=hibernate $bar lab.rounds=1 lab.files=4 lab.mib=16 lab.stride=3"
done

# A bar that a kernel passes which does not collapse would be none. (make does the same with the unmodified base.)
out=$("$LAB/run/run.sh" -o "$BUILD/run/heal-off" "${machine[@]}" -a "kernel_collapse=off lab=secretmem $bar" "$image" "$initrd" 2>&1)
if grep -q '^verdict: fail (not ok 3 secretmem-heal' <<< "$out"; then
	ok heal-not-by-itself
else
	nok heal-not-by-itself "with kernel_collapse=off: $(tail -n 1 <<< "$out")"
fi

# A table on the queue that no address leads to is a mistake. It is reported, once, and does not keep the worker busy for ever.
out=$("$LAB/run/run.sh" -o "$BUILD/run/heal-stray" -m bbml3 -c 4 -M 512 -t 120 -a 'lab=bench lab.bench=stray' "$image" "$initrd" 2>&1)
if ! grep -q '^lab_burst: stray=gone' "$BUILD/run/heal-stray/lines"; then
	nok heal-stray "it stays queued; $(tail -n 1 <<< "$out")"
elif [ "$(grep -c '^WARNING: ' "$BUILD/run/heal-stray/lines")" != 1 ]; then
	nok heal-stray "one warning is expected; see $BUILD/run/heal-stray/lines"
else
	ok heal-stray
fi
