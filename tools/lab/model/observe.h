/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the model and the auditor.
 */
#ifndef OBSERVE_H
#define OBSERVE_H

#include "audit/audit.h"
#include "model.h"

/* observe.c: events, one at a time, under audit_lock, which is taken before s2_lock */
extern struct lock audit_lock;
void observe_init(void);
bool observe(const struct audit_event *event);

/* emulate.c */
u32 store_emulate(struct regs *regs, u64 esr, u64 ipa);
#endif
