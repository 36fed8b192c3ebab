#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Prints the name of a QEMU that is newer than the machine's, for QEMU=: QEMU=$(tools/lab/run/newer-qemu.sh) run.sh ...
# Debian's package of it comes into build/qemu (30 MiB) with the libraries of its own suite: nothing is installed.
# tools/lab/tree/qemu.debs says which.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/debs.sh"

[ $# = 0 ] || die "usage: newer-qemu.sh"
fetch_debs qemu 'trixie trixie-backports' 30 "$LAB/tree/qemu.debs" ./usr/bin/qemu-system-aarch64
private_program qemu ./usr/bin/qemu-system-aarch64
printf -v words '%q ' "${run[@]}"
wrapper=$BUILD/qemu/qemu-system-aarch64
if [ "$(tail -n 1 "$wrapper" 2>/dev/null)" != "exec $words\"\$@\"" ]; then
	printf '#!/bin/bash\nexec %s"$@"\n' "$words" > "$wrapper.$$" && chmod +x "$wrapper.$$" && mv "$wrapper.$$" "$wrapper" ||
		die "$wrapper can't be written; make room"
fi
why=$("$wrapper" --version 2>&1) || die "$wrapper does not run: $(head -n 1 <<< "$why"); remove $BUILD/qemu to have it again"
echo "$wrapper"
