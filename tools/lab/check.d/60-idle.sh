#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A minute of guest time without a single wake-up of the worker, which was seen at work before.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/boot.sh
. "$LAB/boot.sh"

guest linux-lab
boot idle -m bbml3 -i -M 2048 -t 120 -a "lab=idle lab.idle_s=60 lab.expect=heal"
