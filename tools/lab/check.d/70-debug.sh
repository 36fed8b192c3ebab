#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The churn under KASAN, lockdep and the other checkers: no splat. Time to heal is not what this measures.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/boot.sh
. "$LAB/boot.sh"

guest linux-debug
boot debug-churn -m bbml3 -c 4 -M 2048 -t 600 \
	-a "page_poison=1 lab=secretmem,bpf,modules,setmem,mixed lab.files=4 lab.mib=16 lab.churn_s=30 lab.heal_ms=30000 lab.expect=heal"
