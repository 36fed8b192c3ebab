/* SPDX-License-Identifier: GPL-2.0-only */
/* For those who start CPUs. */
#ifndef __ASM_LINEAR_MAP_H
#define __ASM_LINEAR_MAP_H

struct completion;

/* In the idmap: proc.S. */
void wait_linear_map_split_to_ptes(void);

void linear_map_cpu_up_begin(unsigned int cpu);
void linear_map_cpu_up_wait(unsigned int cpu, struct completion *online,
			    unsigned long timeout);
void linear_map_cpu_up_end(unsigned int cpu);
void linear_map_secondary_start(void);
void linear_map_realm_init(void);

#endif /* __ASM_LINEAR_MAP_H */
