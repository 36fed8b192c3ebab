#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# CPUs that servers and boards have, from Cortex-A53 to Neoverse N2, with user and kernel mapped apart (kpti=on) and together. The
# head of check/servers.sh has the variables; the result is in check/machines.md.
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"
# shellcheck source=tools/lab/check/servers.sh
. "$LAB/check/servers.sh"

me=models
servers bench

took > /dev/null
# A machine that is another one must be seen.
find_row cortex-a72-kpti-on
if [ "$(find_facts <(echo 'Booting Linux on physical CPU 0x0000000000 [0x410fd083]') "$facts")" ] &&
	[ "$(find_facts <(echo 'CPU features: detected: Kernel page table isolation (KPTI)') "$facts")" ]; then ok models-sees
else nok models-sees "a machine without its CPU or without KPTI passes"; fi
