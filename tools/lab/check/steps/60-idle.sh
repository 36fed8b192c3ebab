#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A minute of guest time without a single wake-up of the worker, which was seen at work before. And nobody who loads a module waits
# while kexec_load() copies the tables of 12 GiB in pieces.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

guest linux-lab
boot idle -m bbml3 -i -M 2048 -t 120 -a "lab=idle lab.idle_s=60 lab.expect=heal"
boot copying -m bbml3 -i -c 1 -M 16384 -t 300 -a "lab=copying lab.mib=12000"
