/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes a trace of what the auditor is told. In place of audit_init() and
 * audit_event(): they are called from here.
 */
#ifndef RECORD_H
#define RECORD_H

#include "audit.h"

/**
 * record_init() - begin
 * @setup: for audit_init()
 * @calls: the same
 * @out: where bytes of the trace go
 * @limit: how many there may be
 */
void record_init(const struct audit_setup *setup, const struct audit_calls *calls,
		 void (*out)(const void *bytes, u32 len), u64 limit);
bool record_event(const struct audit_event *event);

#endif
