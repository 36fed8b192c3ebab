/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the lab's plugins use of QEMU's plugin API, version 4 (QEMU 9.2 and later) to
 * 7 (QEMU 11). No Debian package has QEMU's own header, so it is declared here anew:
 * the functions are part of the ABI, under these names; the types' names are ours.
 *
 * API is the version to build for: plugin.sh asks QEMU for it. What changed:
 *
 *	6	qemu_plugin_read_register() says whether it worked, not how much it read
 *	7	no callback gets the plugin's id; each gets a pointer of its own, last
 */
#ifndef QEMU_PLUGIN_API_H
#define QEMU_PLUGIN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT	__attribute__((visibility("default")))

#if !defined(API) || API < 4 || API > 7
#error "-DAPI=4 to 7 is expected"
#endif

/* QEMU looks these up by name in each plugin. */
EXPORT int qemu_plugin_version = API;

typedef uint64_t plugin_id;
typedef uint32_t mem_info;	/* of an access; only good to ask about it */

struct qemu_plugin_tb;		/* a block of translated code */
struct qemu_plugin_insn;
struct qemu_plugin_register;
struct qemu_plugin_hwaddr;

/* May a callback read registers? */
enum { CB_NO_REGS, CB_R_REGS };

/* Which accesses are of interest? */
enum { MEM_R = 1, MEM_W, MEM_RW };

struct qemu_info {
	const char *target;
	struct { int min, cur; } version;
	bool system;
	struct { int cpus, max_cpus; } smp;
};

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
			       int argc, char **argv);

/* What an element of qemu_plugin_get_registers() begins with: it grew, in QEMU 11. */
struct reg_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
	const char *feature;
};

/* GLib's GArray and GByteArray, which QEMU brings along. */
struct g_array { char *data; unsigned int len; };
struct g_bytes { uint8_t *data; unsigned int len; };
unsigned int g_array_get_element_size(struct g_array *a);
struct g_bytes *g_byte_array_new(void);
struct g_bytes *g_byte_array_set_size(struct g_bytes *b, unsigned int len);

/* When a block is translated: what is in it, and what is to be called when it runs. */
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest,
			     size_t len);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
	void (*cb)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
	void (*cb)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
	void (*cb)(unsigned int cpu, mem_info info, uint64_t va, void *data),
	int flags, int rw, void *data);

/* From within a callback. */
bool qemu_plugin_mem_is_store(mem_info info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(mem_info info, uint64_t va);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hw);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hw);
struct g_array *qemu_plugin_get_registers(void);
bool qemu_plugin_read_memory_vaddr(uint64_t va, struct g_bytes *b, size_t len);

#if API < 6
int qemu_plugin_read_register(struct qemu_plugin_register *reg, struct g_bytes *b);
#else
bool qemu_plugin_read_register(struct qemu_plugin_register *reg, struct g_bytes *b);
#endif

static inline const struct reg_descriptor *reg_at(struct g_array *regs, unsigned int i)
{
	return (void *)(regs->data + i * g_array_get_element_size(regs));
}

/* The value is put behind what is in b already. */
static inline bool read_register(struct qemu_plugin_register *reg, struct g_bytes *b)
{
	return qemu_plugin_read_register(reg, b) > 0;
}

/* What a plugin has called when something happens. What is NULL is not. */
struct callbacks {
	void (*cpu)(unsigned int cpu);			/* a CPU is there */
	void (*block)(struct qemu_plugin_tb *tb);	/* a block was translated */
	void (*flush)(void);				/* no translated block is left */
	void (*end)(void);				/* QEMU ends */
};

static struct callbacks callbacks;

#if API < 7
static inline void on_cpu(plugin_id id, unsigned int cpu)
{
	(void)id;
	callbacks.cpu(cpu);
}

static inline void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
	(void)id;
	callbacks.block(tb);
}

static inline void on_flush(plugin_id id)
{
	(void)id;
	callbacks.flush();
}

static inline void on_exit_of_qemu(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	callbacks.end();
}

#define CB_DATA
#define NO_DATA
#else
static inline void on_cpu(unsigned int cpu, void *data)
{
	(void)data;
	callbacks.cpu(cpu);
}

static inline void on_translation(struct qemu_plugin_tb *tb, void *data)
{
	(void)data;
	callbacks.block(tb);
}

static inline void on_flush(void *data)
{
	(void)data;
	callbacks.flush();
}

static inline void on_exit_of_qemu(void *data)
{
	(void)data;
	callbacks.end();
}

#define CB_DATA	, void *data
#define NO_DATA	, NULL
#endif

void qemu_plugin_register_vcpu_init_cb(plugin_id id, __typeof__(on_cpu) *cb CB_DATA);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   __typeof__(on_translation) *cb CB_DATA);
void qemu_plugin_register_flush_cb(plugin_id id, __typeof__(on_flush) *cb CB_DATA);
void qemu_plugin_register_atexit_cb(plugin_id id, __typeof__(on_exit_of_qemu) *cb,
				    void *data);

/* From qemu_plugin_install(). */
static inline void register_callbacks(plugin_id id, struct callbacks c)
{
	callbacks = c;
	if (c.cpu)
		qemu_plugin_register_vcpu_init_cb(id, on_cpu NO_DATA);
	if (c.block)
		qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation NO_DATA);
	if (c.flush)
		qemu_plugin_register_flush_cb(id, on_flush NO_DATA);
	if (c.end)
		qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
}

#endif /* QEMU_PLUGIN_API_H */
