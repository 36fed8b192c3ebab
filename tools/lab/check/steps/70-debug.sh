#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The churn under KASAN, lockdep and the other checkers: no splat. Time to heal is not what this measures. And the suite that changes
# leaves in interrupts and with interrupts off.
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

guest linux-debug
words="lab=secretmem,bpf,modules,setmem,mixed,memory,hotplug lab.expect=heal lab.heal_ms=30000 lab.files=4 lab.mib=16 lab.churn_s=20"
words+=" mem=2G lab.hot_at=3072 lab.hot_mib=1024 lab.rounds=2 page_poison=1"
boot debug-churn -m bbml3 -c 4 -M 3072 -t 600 -a "$words"
boot debug-kunit -m bbml3 -c 2 -M 4096 -t 600 -a "kunit.enable=1 kunit.filter_glob=kernel_leaf_split lab=none"
