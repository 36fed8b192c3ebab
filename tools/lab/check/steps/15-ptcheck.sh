#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The checker of page-table dumps and the runner, against inputs with known answers.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"

if why=$(lab_make -C "$LAB/run" OUT="$BUILD/tools" 2>&1) && [ -z "$why" ]; then
	ok ptcheck-builds
else
	nok ptcheck-builds "$(head -n 1 <<< "$why")"
fi
if why=$("$LAB/run/tests/ptcheck.sh" "$BUILD/tools/ptcheck" 2>&1); then ok ptcheck-rules; else nok ptcheck-rules "$(head -n 1 <<< "$why")"; fi
if why=$("$LAB/run/tests/run.sh" 2>&1); then ok runner-verdicts; else nok runner-verdicts "$(head -n 1 <<< "$why")"; fi
