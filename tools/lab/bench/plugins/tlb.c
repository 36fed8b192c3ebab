// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin: a model of the TLBs of an arm64 core, fed with what one CPU of the
 * guest fetches, loads and stores, at EL0 and EL1.
 *
 *	qemu-system-aarch64 -smp 1 -icount shift=0,sleep=off \
 *		-object memory-backend-file,id=ram,mem-path=RAM,share=on,size=2G \
 *		-M virt,memory-backend=ram \
 *		-plugin tlb.so,ram=RAM,out=FILE,image=0xSTART-0xEND[,core=NAME] ...
 *
 * ram=	the guest's memory: the plugin reads the live tables in it
 * image=	virtual addresses of the kernel image, _text and _end of System.map
 * core=	n1 (default), v2, n3 or ampereone; l1i=N, l1d=N, l2=NxWAYS and
 *		walk=N change its sizes
 * check=all	compare every access with QEMU's translation, not only misses
 *
 * Each miss is walked in the guest's tables from the roots that it put into
 * TTBR0_EL1 and TTBR1_EL1, and what comes out, as well as each entry of the second
 * level that hits, is compared with the translation that QEMU used. An entry that
 * survives a TLBI by mistake, or a table that the kernel freed too early, shows
 * there. Same image and command line, same bytes in FILE.
 *
 * The guest marks phases with instructions that are NOPs anywhere else:
 *
 *	hint #127	x0: a phase begins, X0 points to its name; "-" is not reported
 *	hint #126	the linear map as it is now, X0 points to a name for it
 *
 * Before the first mark nothing is modelled. Not modelled: prefetch, speculation,
 * the second page of an access that crosses into it, stage 2, several CPUs (QEMU
 * 10.0 crashes with -icount, several CPUs and memory callbacks). A program's code
 * is taken to be where it was first translated.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu-plugin-api.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)	(1ull << (n))

/*
 * What cores have. @sizes are the leaves that an entry can hold, as shifts: a
 * larger leaf is held in pieces. A row of entries with the contiguous bit counts
 * as a leaf of its own where its size is among them.
 */
#define S(n)		BIT(n)
#define PAGES		(S(12) | S(14) | S(16))
#define ALL_SIZES	(~0ull)

struct geometry {
	unsigned int entries;
	unsigned int ways;	/* 0: fully associative */
	uint64_t sizes;
};

struct core {
	const char *name;
	const char *source;
	struct geometry l1i, l1d, l2, walk;
};

/*
 * Not all is published, and not all of that could be read when this was written:
 * the sources say what was not. The walk caches are in no manual but those of the
 * Cortex-A53 and A55, with 64 entries. Which sizes the V2's and N3's entries hold is
 * taken to be as in the A76. What is compared are two kernels on the same TLBs.
 */
static const struct core cores[] = {
	{ "n1", "Cortex-A76 TRM 100798, A5.2 TLB organization; the N1 shares its design, its own TRM 100616 was not at hand",
	  { 48, 0, PAGES | S(21) | S(25) },
	  { 48, 0, PAGES | S(21) | S(29) },
	  { 1280, 5, PAGES | S(21) | S(25) | S(29) | S(30) },
	  { 64, 0, ALL_SIZES } },
	{ "v2", "not verified: TRM 102375 was not at hand; 48 data entries as published for the Cortex-X2, which it descends from",
	  { 48, 0, PAGES | S(21) | S(25) },
	  { 48, 0, PAGES | S(21) | S(29) },
	  { 2048, 8, PAGES | S(21) | S(25) | S(29) | S(30) },
	  { 64, 0, ALL_SIZES } },
	{ "n3", "not verified: neither the TRM nor measurements of the Cortex-A725, whose design it shares, were at hand",
	  { 32, 0, PAGES | S(21) | S(25) },
	  { 48, 0, PAGES | S(21) | S(29) },
	  { 1536, 6, PAGES | S(21) | S(25) | S(29) | S(30) },
	  { 64, 0, ALL_SIZES } },
	{ "ampereone", "Ampere at Hot Chips 2024: all entries are universal; how many there are is not published, assumed as for v2",
	  { 48, 0, ALL_SIZES },
	  { 48, 0, ALL_SIZES },
	  { 2048, 8, ALL_SIZES },
	  { 64, 0, ALL_SIZES } },
};

struct entry {
	uint64_t tag;		/* the address, shifted */
	uint64_t pa;		/* where it begins; of the next table in a walk cache */
	uint64_t used;
	uint16_t asid;
	uint8_t shift;
	uint8_t leaf;		/* shift of the leaf that it is of */
	bool global;
	bool valid;
};

/* Where the last entry was that translated such an address; just to be faster. */
#define HINTS	256

struct tlb {
	struct geometry g;
	unsigned int sets;
	struct entry *entry;
	unsigned int held[64];	/* valid entries of each size */
	uint64_t held_sizes;
	struct entry *hint[HINTS];
};

static struct tlb l1i, l1d, l2, walk_cache;
static struct core core;
static uint64_t now;

enum region { USER, LINEAR, IMAGE, MODULES, VMALLOC, VMEMMAP, OTHER, REGIONS };

static const char * const region_names[REGIONS] = {
	"user", "linear", "image", "modules", "vmalloc", "vmemmap", "other",
};

struct counts {
	uint64_t l1i, l1d, walks, refs;
};

enum { TLBI_ALL, TLBI_PAGE, TLBI_RANGE, TLBI_KINDS };

struct phase {
	struct phase *next;
	char name[64];
	uint64_t insns, data;
	uint64_t tlbi[TLBI_KINDS], dsb, isb;
	struct counts c[REGIONS][64];	/* by the leaf's shift */
};

static struct phase *first, *phase;	/* the one that goes on; NULL before the first */
static struct phase **last_phase = &first;

static uint64_t ttbr[2], tcr;
static uint16_t asid;
static uint64_t image_start, image_end;
static uint64_t linear_start, linear_end, vmemmap_start, vmemmap_end;

static uint8_t *ram;
static uint64_t ram_size;
#define RAM_START	0x40000000ull	/* of QEMU's virt machine */

static uint64_t checked, disagreed;
static bool check_all;
static FILE *out;
static char *maps;
static size_t maps_size;
static FILE *maps_file;

/* The guest's registers. */

static struct qemu_plugin_register *xreg[31], *reg_ttbr[2], *reg_tcr;
static struct g_bytes *bytes;

static uint64_t read_reg(struct qemu_plugin_register *reg)
{
	uint64_t v = 0;

	g_byte_array_set_size(bytes, 0);
	if (reg && read_register(reg, bytes))
		memcpy(&v, bytes->data, bytes->len < 8 ? bytes->len : 8);
	return v;
}

static uint64_t read_x(unsigned int n)
{
	return n < 31 ? read_reg(xreg[n]) : 0;
}

static void cpu_init(unsigned int cpu)
{
	struct g_array *regs = qemu_plugin_get_registers();

	(void)cpu;
	bytes = g_byte_array_new();
	for (unsigned int i = 0; i < regs->len; i++) {
		const struct reg_descriptor *d = reg_at(regs, i);
		unsigned int n;
		char end;

		if (sscanf(d->name, "x%u%c", &n, &end) == 1 && n < 31)
			xreg[n] = d->handle;
		else if (!strcmp(d->name, "TTBR0_EL1"))
			reg_ttbr[0] = d->handle;
		else if (!strcmp(d->name, "TTBR1_EL1"))
			reg_ttbr[1] = d->handle;
		else if (!strcmp(d->name, "TCR_EL1"))
			reg_tcr = d->handle;
	}
	if (!xreg[0] || !reg_ttbr[0] || !reg_ttbr[1] || !reg_tcr) {
		fprintf(stderr, "tlb: this QEMU does not show the registers; QEMU 10.0 does\n");
		exit(1);
	}
}

/* The guest's tables. */

struct regime {
	unsigned int page;	/* shift */
	unsigned int bits;	/* of an address */
	unsigned int stride;	/* bits that a level translates */
	int first;		/* level */
};

static struct regime regime_of(bool kernel)
{
	static const unsigned int tg0[] = { 12, 16, 14, 12 }, tg1[] = { 12, 14, 12, 16 };
	struct regime r;

	r.page = kernel ? tg1[tcr >> 30 & 3] : tg0[tcr >> 14 & 3];
	r.bits = 64 - (kernel ? tcr >> 16 & 63 : tcr & 63);
	r.stride = r.page - 3;
	r.first = 4 - (int)((r.bits - r.page + r.stride - 1) / r.stride);
	return r;
}

static unsigned int level_shift(const struct regime *r, int level)
{
	return r->page + (3 - level) * r->stride;
}

/* log2 of the leaves that one contiguous bit joins */
static unsigned int cont_bits(const struct regime *r, int level)
{
	if (r->page == 12)
		return 4;
	if (r->page == 14)
		return level == 3 ? 7 : 5;
	return 5;
}

static bool read_desc(uint64_t pa, uint64_t *desc)
{
	if (pa < RAM_START || pa - RAM_START > ram_size - 8)
		return false;
	*desc = __atomic_load_n((uint64_t *)(ram + (pa - RAM_START)), __ATOMIC_RELAXED);
	return true;
}

static uint64_t desc_address(uint64_t desc, unsigned int shift)
{
	return desc & (BIT(48) - 1) & ~(BIT(shift) - 1);
}

struct leaf {
	uint64_t pa;		/* of the leaf's begin */
	unsigned int shift;
	bool global;
};

enum { DESC_NONE, DESC_TABLE, DESC_LEAF };

static int desc_kind(const struct regime *r, int level, uint64_t desc, struct leaf *l)
{
	if (!(desc & 1) || (level == 3 && !(desc & 2)))
		return DESC_NONE;
	if (level < 3 && (desc & 2))
		return DESC_TABLE;
	l->shift = level_shift(r, level);
	if (desc & BIT(52))
		l->shift += cont_bits(r, level);
	l->pa = desc_address(desc, l->shift);
	l->global = !(desc & BIT(11));
	return DESC_LEAF;
}

/* Addresses carry tags in their top byte. */
static uint64_t canonical(uint64_t va)
{
	return (int64_t)(va << 8) >> 8;
}

static bool is_kernel(uint64_t va)
{
	return va >> 55 & 1;
}

/* A TLB's entries. */

static bool covers(const struct entry *e, uint64_t va)
{
	return e->valid && va >> e->shift == e->tag && (e->global || e->asid == asid);
}

static struct entry *tlb_set(struct tlb *t, uint64_t va, unsigned int shift)
{
	return t->entry + (va >> shift) % t->sets * t->g.ways;
}

static struct entry *tlb_find(struct tlb *t, uint64_t va)
{
	struct entry **hint = &t->hint[(va >> 12) % HINTS];
	uint64_t sizes = t->held_sizes;

	if (*hint && covers(*hint, va)) {
		(*hint)->used = ++now;
		return *hint;
	}
	if (t->sets == 1) /* all sizes in one scan */
		sizes &= -sizes;
	for (; sizes; sizes &= sizes - 1) {
		unsigned int shift = __builtin_ctzll(sizes);
		struct entry *e = tlb_set(t, va, shift);

		for (unsigned int i = 0; i < t->g.ways; i++, e++) {
			if (covers(e, va)) {
				e->used = ++now;
				*hint = e;
				return e;
			}
		}
	}
	return NULL;
}

static void tlb_drop(struct tlb *t, struct entry *e)
{
	e->valid = false;
	if (!--t->held[e->shift])
		t->held_sizes &= ~BIT(e->shift);
}

static struct entry *tlb_insert(struct tlb *t, uint64_t va, unsigned int shift)
{
	struct entry *set = tlb_set(t, va, shift), *e = set;

	for (unsigned int i = 0; i < t->g.ways; i++) {
		if (!set[i].valid) {
			e = &set[i];
			break;
		}
		if (set[i].used < e->used)
			e = &set[i];
	}
	if (e->valid)
		tlb_drop(t, e);
	*e = (struct entry) { .tag = va >> shift, .shift = shift, .used = ++now,
			      .asid = asid, .valid = true };
	t->held[shift]++;
	t->held_sizes |= BIT(shift);
	return e;
}

/* The largest size that the TLB knows, and no larger than what is to go in. */
static unsigned int tlb_shift(const struct tlb *t, unsigned int shift)
{
	return 63 - __builtin_clzll(t->g.sizes & (BIT(shift + 1) - 1));
}

static struct entry *tlb_fill(struct tlb *t, uint64_t va, const struct entry *from)
{
	unsigned int shift = tlb_shift(t, from->shift);
	struct entry src = *from, *e = tlb_insert(t, va, shift);

	e->pa = src.pa + (va & (BIT(src.shift) - 1) & ~(BIT(shift) - 1));
	e->leaf = src.leaf;
	e->global = src.global;
	return e;
}

static void tlb_init(struct tlb *t, const struct geometry *g)
{
	t->g = *g;
	if (!t->g.ways)
		t->g.ways = t->g.entries;
	t->sets = t->g.entries / t->g.ways;
	t->entry = calloc(t->g.entries, sizeof(*t->entry));
	if (!t->entry)
		abort();
}

/* What a TLBI takes away. */
struct victims {
	uint64_t start, end;	/* the last address */
	uint16_t asid;
	bool any_asid;
	bool spare_global;	/* TLBI ASIDE1 */
	bool leaf_only;
};

static void tlb_invalidate(struct tlb *t, const struct victims *v)
{
	for (unsigned int i = 0; i < t->g.entries; i++) {
		struct entry *e = &t->entry[i];
		uint64_t start = e->tag << e->shift;

		if (!e->valid || start > v->end || start + (BIT(e->shift) - 1) < v->start)
			continue;
		if (e->global ? !v->spare_global : v->any_asid || e->asid == v->asid)
			tlb_drop(t, e);
	}
}

static void invalidate(const struct victims *v)
{
	tlb_invalidate(&l1i, v);
	tlb_invalidate(&l1d, v);
	tlb_invalidate(&l2, v);
	if (!v->leaf_only)
		tlb_invalidate(&walk_cache, v);
}

static const struct victims everything = { 0, ~0ull, .any_asid = true };

/* One access. */

static enum region region_of(uint64_t va)
{
	if (!is_kernel(va))
		return USER;
	if (va < linear_end)
		return LINEAR;
	if (va >= image_start && va < image_end)
		return IMAGE;
	if (va < linear_end + BIT(31))
		return MODULES;
	if (va < vmemmap_start)
		return VMALLOC;
	return va < vmemmap_end ? VMEMMAP : OTHER;
}

/*
 * Walks from the deepest table that the walk cache knows. Its entries for the
 * kernel's half are the same for all ASIDs.
 *
 * Return: false if there is no translation.
 */
static bool walk(uint64_t va, struct leaf *l, unsigned int *refs)
{
	bool kernel = is_kernel(va);
	struct regime r = regime_of(kernel);
	uint64_t table = ttbr[kernel] & (BIT(48) - 1) & ~63ull;
	struct entry *best = NULL;
	int level = r.first;

	/* Each level has entries of another size; the smallest is the deepest. */
	for (uint64_t sizes = walk_cache.held_sizes; sizes; sizes &= sizes - 1) {
		unsigned int shift = __builtin_ctzll(sizes);

		for (unsigned int i = 0; i < walk_cache.g.entries && !best; i++) {
			struct entry *e = &walk_cache.entry[i];

			if (e->shift == shift && covers(e, va))
				best = e;
		}
		if (best)
			break;
	}
	if (best) {
		best->used = ++now;
		table = best->pa;
		level = 4 - (int)((best->shift - r.page) / r.stride);
	}
	for (*refs = 0; level <= 3; level++) {
		unsigned int shift = level_shift(&r, level);
		unsigned int bits = level == r.first ? r.bits - shift : r.stride;
		uint64_t desc;
		int kind;

		if (!read_desc(table + (va >> shift & (BIT(bits) - 1)) * 8, &desc))
			return false;
		++*refs;
		kind = desc_kind(&r, level, desc, l);
		if (kind == DESC_LEAF)
			return true;
		if (kind == DESC_NONE)
			return false;
		table = desc_address(desc, r.page);
		best = tlb_insert(&walk_cache, va, shift);
		best->pa = table;
		best->global = kernel;
	}
	return false;
}

static void complain(uint64_t va, uint64_t ours, uint64_t qemu, const char *what)
{
	if (disagreed++ < 8)
		fprintf(stderr, "tlb: %s: %#" PRIx64 " is at %#" PRIx64 " for QEMU, and here at %#" PRIx64 " (%s)\n",
			what, va, qemu, ours, phase->name);
}

/* What QEMU says of an access is asked for only when it is needed. */
struct access {
	enum { DATA, FETCH, CACHE_OP } kind;
	mem_info info;		/* DATA: a load or a store */
	const uint8_t *host;	/* FETCH: where QEMU has the instruction */
};

/* QEMU shows where it has an instruction, not its physical address: the distance is one for all. */
static bool qemu_address(const struct access *a, uint64_t va, uint64_t pa, uint64_t *qemu)
{
	static const uint8_t *host_ram;
	struct qemu_plugin_hwaddr *hw;

	if (a->kind == CACHE_OP) /* no callback, nothing to compare with */
		return false;
	if (a->kind == FETCH) {
		/* A program may run elsewhere than where it was translated. */
		if (!a->host || !is_kernel(va))
			return false;
		if (!host_ram)
			host_ram = a->host - pa;
		*qemu = a->host - host_ram;
		return true;
	}
	hw = qemu_plugin_get_hwaddr(a->info, va);
	if (!hw)
		return false;
	*qemu = qemu_plugin_hwaddr_phys_addr(hw);
	return true;
}

static void check(const struct access *a, uint64_t va, const struct entry *e, const char *what)
{
	uint64_t pa = e->pa + (va & (BIT(e->shift) - 1)), qemu;

	if (!qemu_address(a, va, pa, &qemu))
		return;
	checked++;
	if (qemu != pa)
		complain(va, pa, qemu, what);
}

static void touch(uint64_t va, const struct access *a)
{
	struct tlb *l1 = a->kind == FETCH ? &l1i : &l1d;
	struct entry *e = tlb_find(l1, va), leaf = { 0 };
	struct counts *c;
	struct leaf l;
	unsigned int refs;
	enum region where;

	if (e) {
		if (check_all)
			check(a, va, e, "hit");
		return;
	}
	where = region_of(va);
	e = tlb_find(&l2, va);
	if (e) {
		leaf = *e;
		check(a, va, e, "second level");
	} else {
		uint64_t qemu;

		if (!walk(va, &l, &refs)) {
			/* A fetch may be of code that was translated elsewhere. */
			if (a->kind == DATA && qemu_address(a, va, 0, &qemu))
				complain(va, 0, qemu, "no translation");
			return;
		}
		leaf = (struct entry) { .shift = l.shift, .leaf = l.shift, .pa = l.pa,
					.global = l.global };
		check(a, va, &leaf, "walk");
		c = &phase->c[where][l.shift];
		c->walks++;
		c->refs += refs;
		leaf = *tlb_fill(&l2, va, &leaf);
	}
	c = &phase->c[where][leaf.leaf];
	++*(a->kind == FETCH ? &c->l1i : &c->l1d);
	tlb_fill(l1, va, &leaf);
}

static void on_mem(unsigned int cpu, mem_info info, uint64_t va, void *data)
{
	struct access a = { .kind = DATA, .info = info };

	(void)cpu;
	(void)data;
	if (!phase)
		return;
	phase->data++;
	touch(canonical(va), &a);
}

/* One block of translated code, in one page or two. */
struct block {
	struct block *next;
	uint64_t insns;
	uint64_t va[2];
	const uint8_t *host[2];
	unsigned int pages;
};

static struct block *blocks;

static void on_block(unsigned int cpu, void *data)
{
	const struct block *b = data;

	(void)cpu;
	if (!phase)
		return;
	phase->insns += b->insns;
	for (unsigned int i = 0; i < b->pages; i++)
		touch(b->va[i], &(struct access) { .kind = FETCH, .host = b->host[i] });
}

static void free_blocks(void)
{
	while (blocks) {
		struct block *b = blocks;

		blocks = b->next;
		free(b);
	}
}

/* Instructions that matter. The data of their callbacks is the instruction. */

static void set_asid(void)
{
	asid = ttbr[tcr >> 22 & 1] >> 48;
	if (!(tcr & BIT(36)))
		asid &= 0xff;
}

static void on_msr(unsigned int cpu, void *data)
{
	uint32_t word = (uintptr_t)data;
	uint64_t v = read_x(word & 31);

	(void)cpu;
	if (!phase)
		return;
	if ((word >> 5 & 7) == 2)
		tcr = v;
	else
		ttbr[word >> 5 & 1] = v;
	set_asid();
}

static void on_barrier(unsigned int cpu, void *data)
{
	(void)cpu;
	if (phase)
		++*(data ? &phase->isb : &phase->dsb);
}

/* DC by address; DC ZVA, which clears pages, is one. */
static void on_dc(unsigned int cpu, void *data)
{
	(void)cpu;
	if (!phase)
		return;
	phase->data++;
	touch(canonical(read_x((uintptr_t)data & 31)), &(struct access) { .kind = CACHE_OP });
}

static void on_tlbi(unsigned int cpu, void *data)
{
	uint32_t word = (uintptr_t)data;
	unsigned int crm = word >> 8 & 15, op2 = word >> 5 & 7;
	uint64_t v = read_x(word & 31);
	struct victims what = { .asid = v >> 48 };

	(void)cpu;
	if (!phase)
		return;
	if (crm == 2 || crm == 5 || crm == 6) {
		static const unsigned int tg[] = { 12, 12, 14, 16 };
		unsigned int shift = tcr & BIT(59) ? 16 : tg[v >> 46 & 3];
		unsigned int page = tg[v >> 46 & 3];
		uint64_t pages = ((v >> 39 & 31) + 1) << (5 * (v >> 44 & 3) + 1);

		/* 37 bits of the address, of which the highest is its sign */
		what.start = (uint64_t)((int64_t)(v << 27) >> 27) << shift;
		what.end = what.start + (pages << page) - 1;
		what.any_asid = op2 & 2;
		what.leaf_only = op2 & 4;
		phase->tlbi[TLBI_RANGE]++;
	} else if (op2 == 0) {
		what = everything;
		phase->tlbi[TLBI_ALL]++;
	} else if (op2 == 2) {
		what.end = ~0ull;
		what.spare_global = true;
		phase->tlbi[TLBI_ALL]++;
	} else {
		what.start = canonical(v << 12);
		what.end = what.start + 4095;
		what.any_asid = op2 & 2;
		what.leaf_only = op2 & 4;
		phase->tlbi[TLBI_PAGE]++;
	}
	invalidate(&what);
}

/* Marks. */

static bool read_name(char *name, size_t len)
{
	g_byte_array_set_size(bytes, 0);
	if (!qemu_plugin_read_memory_vaddr(read_x(0), bytes, len))
		return false;
	memcpy(name, bytes->data, len);
	name[len - 1] = 0;
	for (char *c = name; *c; c++) {
		if (*c <= ' ' || *c > '~')
			*c = '_';
	}
	return *name;
}

/* Where things are: asm/memory.h. */
static void find_regions(void)
{
	struct regime r = regime_of(true);
	unsigned int min = r.bits < 48 ? r.bits : r.page == 14 && r.bits > 47 ? 47 : 48;

	linear_start = -BIT(r.bits);
	linear_end = -BIT(min - 1);
	vmemmap_end = -BIT(30);
	vmemmap_start = vmemmap_end - ((linear_end - linear_start) >> (r.page - 6));
}

static void on_phase(unsigned int cpu, void *data)
{
	char name[sizeof(phase->name)];
	bool begin = !phase;

	(void)cpu;
	(void)data;
	if (!read_name(name, sizeof(name))) {
		fprintf(stderr, "tlb: a mark without a name is ignored\n");
		return;
	}
	phase = calloc(1, sizeof(*phase));
	if (!phase)
		abort();
	strcpy(phase->name, name);
	*last_phase = phase;
	last_phase = &phase->next;
	if (begin) {
		ttbr[0] = read_reg(reg_ttbr[0]);
		ttbr[1] = read_reg(reg_ttbr[1]);
		tcr = read_reg(reg_tcr);
		set_asid();
		find_regions();
	}
}

static const char *size_name(unsigned int shift)
{
	static char text[8];

	if (shift >= 64)
		return "none";
	snprintf(text, sizeof(text), "%llu%c", BIT(shift % 10), "BKMGTP"[shift / 10]);
	return text;
}

/* A picture of the linear map: runs of leaves of one size. */
struct picture {
	const char *name;
	struct regime r;
	uint64_t tables[2];	/* of the linear map, and of all else */
	uint64_t leaves[64];
	uint64_t run_start, run_end;
	unsigned int run_shift;	/* 64: nothing is mapped */
};

static void end_run(struct picture *p)
{
	if (p->run_end > p->run_start && p->run_shift < 64)
		fprintf(maps_file, "run at=%s start=%#" PRIx64 " bytes=%" PRIu64 " leaf=%s\n",
			p->name, p->run_start - linear_start, p->run_end - p->run_start,
			size_name(p->run_shift));
}

static void add_run(struct picture *p, uint64_t va, uint64_t bytes, unsigned int shift)
{
	if (shift != p->run_shift || va != p->run_end) {
		end_run(p);
		p->run_start = va;
		p->run_shift = shift;
	}
	p->run_end = va + bytes;
}

static void draw(struct picture *p, uint64_t table, int level, uint64_t va)
{
	unsigned int shift = level_shift(&p->r, level);
	uint64_t n = BIT(level == p->r.first ? p->r.bits - shift : p->r.stride);

	p->tables[va >= linear_end]++;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = va + (i << shift), desc;
		struct leaf l;
		int kind;

		if (!read_desc(table + i * 8, &desc))
			return;
		kind = desc_kind(&p->r, level, desc, &l);
		if (kind == DESC_TABLE) {
			draw(p, desc_address(desc, p->r.page), level + 1, at);
		} else if (kind == DESC_LEAF && at < linear_end) {
			/* A row counts once, at its begin. */
			if (!(at & (BIT(l.shift) - 1)))
				p->leaves[l.shift]++;
			add_run(p, at, BIT(shift), l.shift);
		}
	}
}

static void on_map(unsigned int cpu, void *data)
{
	char name[sizeof(phase->name)];
	struct picture p = { .name = name, .run_shift = 64 };
	uint64_t leaves = 0;

	(void)cpu;
	(void)data;
	if (!phase || !read_name(name, sizeof(name))) {
		fprintf(stderr, "tlb: a map without a name, or before the first phase, is ignored\n");
		return;
	}
	p.r = regime_of(true);
	draw(&p, ttbr[1] & (BIT(48) - 1) & ~63ull, p.r.first, linear_start);
	end_run(&p);
	for (unsigned int s = 0; s < 64; s++)
		leaves += p.leaves[s];
	fprintf(maps_file, "map at=%s leaves=%" PRIu64 " tables=%" PRIu64 " other_tables=%" PRIu64,
		name, leaves, p.tables[0], p.tables[1]);
	for (unsigned int s = 0; s < 64; s++) {
		if (p.leaves[s])
			fprintf(maps_file, " %s=%" PRIu64, size_name(s), p.leaves[s]);
	}
	fputc('\n', maps_file);
}

/* Translation. */

#define HINT_PHASE	0xd5032fffu	/* hint #127 */
#define HINT_MAP	0xd5032fdfu	/* hint #126 */

static void look_at(struct qemu_plugin_insn *insn)
{
	void (*cb)(unsigned int cpu, void *data) = NULL;
	uint32_t word = 0;
	void *data;
	int flags = CB_R_REGS;

	if (qemu_plugin_insn_data(insn, &word, sizeof(word)) != sizeof(word))
		return;
	data = (void *)(uintptr_t)word;
	if (word == HINT_PHASE) {
		cb = on_phase;
	} else if (word == HINT_MAP) {
		cb = on_map;
	} else if ((word & 0xffffff00) == 0xd5182000 && (word >> 5 & 7) <= 2) {
		/* MSR TTBR0_EL1, TTBR1_EL1, TCR_EL1 */
		cb = on_msr;
	} else if ((word & 0xffffe000) == 0xd5088000) {
		/* TLBI of EL1, with nXS and without: CRn 8 and 9 */
		cb = on_tlbi;
	} else if ((word & 0xfff8f000) == 0xd5087000 && (word >> 5 & 7) == 1 &&
		   ((word >> 16 & 7) == 3 || (word >> 8 & 15) == 6)) {
		/* DC by address, IC IVAU */
		cb = on_dc;
	} else if ((word & 0xfffff0ff) == 0xd503309f || (word & 0xfffff3ff) == 0xd503323f) {
		cb = on_barrier;
		data = NULL;
		flags = CB_NO_REGS;
	} else if ((word & 0xfffff0ff) == 0xd50330df) {
		cb = on_barrier;
		flags = CB_NO_REGS;
	}
	if (cb)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, flags, data);
	qemu_plugin_register_vcpu_mem_cb(insn, on_mem, CB_NO_REGS, MEM_RW, NULL);
}

static void translated(struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->next = blocks;
	blocks = b;
	b->insns = qemu_plugin_tb_n_insns(tb);
	for (size_t i = 0; i < b->insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t va = canonical(qemu_plugin_insn_vaddr(insn));

		if (!b->pages || (b->pages == 1 && (va ^ b->va[0]) >> 12)) {
			b->va[b->pages] = va;
			b->host[b->pages++] = qemu_plugin_insn_haddr(insn);
		}
		look_at(insn);
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS, b);
}

/* The report: lines of name=value. */

static void add_counts(struct counts *to, const struct counts *c)
{
	to->l1i += c->l1i;
	to->l1d += c->l1d;
	to->walks += c->walks;
	to->refs += c->refs;
}

static void print_counts(const struct counts *c)
{
	fprintf(out, " l1i=%" PRIu64 " l1d=%" PRIu64 " walks=%" PRIu64 " refs=%" PRIu64 "\n",
		c->l1i, c->l1d, c->walks, c->refs);
}

static void print_phase(const struct phase *p)
{
	struct counts kernel = { 0 }, user = { 0 };

	for (unsigned int r = 0; r < REGIONS; r++) {
		for (unsigned int s = 0; s < 64; s++)
			add_counts(r == USER ? &user : &kernel, &p->c[r][s]);
	}
	fprintf(out, "phase=%s insns=%" PRIu64 " data=%" PRIu64 " tlbi=%" PRIu64
		" tlbi_range=%" PRIu64 " tlbi_all=%" PRIu64 " dsb=%" PRIu64 " isb=%" PRIu64
		" user_walks=%" PRIu64 " user_refs=%" PRIu64,
		p->name, p->insns, p->data, p->tlbi[TLBI_PAGE], p->tlbi[TLBI_RANGE],
		p->tlbi[TLBI_ALL], p->dsb, p->isb, user.walks, user.refs);
	print_counts(&kernel);
	for (unsigned int r = 0; r < REGIONS; r++) {
		for (unsigned int s = 0; s < 64; s++) {
			const struct counts *c = &p->c[r][s];

			if (r == USER || !(c->l1i + c->l1d))
				continue;
			fprintf(out, "part=%s region=%s leaf=%s", p->name,
				region_names[r], size_name(s));
			print_counts(c);
		}
	}
}

static void print_geometry(const char *name, const struct geometry *g)
{
	fprintf(out, " %s=%u", name, g->entries);
	if (g->ways)
		fprintf(out, "x%u", g->ways);
}

static void at_exit(void)
{
	fprintf(out, "core=%s", core.name);
	print_geometry("l1i", &core.l1i);
	print_geometry("l1d", &core.l1d);
	print_geometry("l2", &core.l2);
	print_geometry("walk", &core.walk);
	fprintf(out, "\nsource=%s\n", core.source);
	for (const struct phase *p = first; p; p = p->next) {
		if (strcmp(p->name, "-"))
			print_phase(p);
	}
	fclose(maps_file);
	fwrite(maps, 1, maps_size, out);
	fprintf(out, "checked=%" PRIu64 " disagreed=%" PRIu64 "\n", checked, disagreed);
	if (fclose(out))
		fprintf(stderr, "tlb: the report can't be written: %s\n", strerror(errno));
}

/* Arguments. */

static int refuse(const char *arg, const char *why)
{
	fprintf(stderr, "tlb: %s: %s\n", arg, why);
	return 1;
}

static bool map_ram(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		return false;
	ram_size = st.st_size;
	ram = mmap(NULL, ram_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return ram != MAP_FAILED;
}

/* N or NxWAYS */
static bool read_geometry(const char *text, struct geometry *g)
{
	unsigned int entries, ways = 0;
	char end;
	int n = sscanf(text, "%ux%u%c", &entries, &ways, &end);

	if ((n != 2 && sscanf(text, "%u%c", &entries, &end) != 1) || !entries ||
	    entries > 65536 || (n == 2 && (!ways || entries % ways)))
		return false;
	g->entries = entries;
	g->ways = n == 2 ? ways : 0;
	return true;
}

static bool choose_core(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cores); i++) {
		if (!strcmp(cores[i].name, name)) {
			core = cores[i];
			return true;
		}
	}
	return false;
}

/* @changes: a second pass, over what changes the core that the first one chose */
static const char *take(const char *arg, bool changes)
{
	static const struct {
		const char *name;
		struct geometry *g;
	} sizes[] = {
		{ "l1i=", &core.l1i }, { "l1d=", &core.l1d },
		{ "l2=", &core.l2 }, { "walk=", &core.walk },
	};
	char end;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t len = strlen(sizes[i].name);

		if (!strncmp(arg, sizes[i].name, len))
			return !changes || read_geometry(arg + len, sizes[i].g) ? NULL :
			       "entries, or entriesxways that divide them, are expected";
	}
	if (changes)
		return NULL;
	if (!strncmp(arg, "core=", 5))
		return choose_core(arg + 5) ? NULL : "n1, v2, n3 or ampereone is expected";
	if (!strncmp(arg, "ram=", 4))
		return map_ram(arg + 4) ? NULL : "can't be read; the file of memory-backend-file is expected";
	if (!strncmp(arg, "out=", 4)) {
		out = fopen(arg + 4, "we");
		return out ? NULL : "can't be written";
	}
	if (!strncmp(arg, "image=", 6))
		return sscanf(arg + 6, "%" SCNx64 "-%" SCNx64 "%c", &image_start, &image_end, &end) == 2 ?
		       NULL : "0xSTART-0xEND is expected";
	if (!strcmp(arg, "check=all")) {
		check_all = true;
		return NULL;
	}
	return "unknown";
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
			       int argc, char **argv)
{
	choose_core("n1");
	for (int i = 0; i < 2 * argc; i++) {
		const char *why = take(argv[i % argc], i >= argc);

		if (why)
			return refuse(argv[i % argc], why);
	}
	if (!ram || !out)
		return refuse("ram=RAM,out=FILE", "are expected");
	if (!info->system || info->smp.cpus != 1)
		return refuse("-smp", "a machine with one CPU is expected");
	maps_file = open_memstream(&maps, &maps_size);
	if (!maps_file)
		return refuse("out", strerror(errno));
	tlb_init(&l1i, &core.l1i);
	tlb_init(&l1d, &core.l1d);
	tlb_init(&l2, &core.l2);
	tlb_init(&walk_cache, &core.walk);
	register_callbacks(id, (struct callbacks){
		.cpu = cpu_init,
		.block = translated,
		.flush = free_blocks,
		.end = at_exit,
	});
	return 0;
}
