#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# By name only.
# The machines that servers are: EFI and ACPI, EL2 with each kind of hypervisor, 64 CPUs, NUMA, memory and DIMMs that come and go, KFENCE
# switched on late, kexec, a crash and its dump, a livepatch with a late relocation, PREEMPT_RT with lockdep. They take kernels of
# their own (flavours small, server, many and rt), of which small takes long to build. The head of check/servers.sh has the variables; the
# result is in check/machines.md.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"
# shellcheck source=tools/lab/check/servers.sh
. "$LAB/check/servers.sh"

me=servers
servers "small server many rt"
