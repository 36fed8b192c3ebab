#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The EL2 model does what its README says: its own tests, which need no kernel.
exec "$LAB/model/tests/run.sh"
