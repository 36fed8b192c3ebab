// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's device tree: what the model reads from it, and what it takes out.
 *
 * Everything is changed in place: a property becomes shorter or other words,
 * and FDT_NOP fills what is left (Devicetree specification, chapter 5).
 */
#include "model.h"

#define FDT_MAGIC		0xd00dfeed
#define FDT_BEGIN_NODE		1
#define FDT_END_NODE		2
#define FDT_PROP		3
#define FDT_NOP			4
#define FDT_END			9
#define MAX_DEPTH		8

/* A host bridge's ranges: phys.hi phys.mid phys.lo, the CPU's address, the size. */
#define PCI_RANGE_CELLS		7
#define PCI_RANGE_MEM64		0x03	/* phys.hi bits 25:24 */

struct header {
	u32 magic, totalsize, off_struct, off_strings, off_rsvmap, version, last_comp, boot_cpu;
};

/* A property, and where it is. */
struct prop {
	const char *node;
	const char *parent;
	const char *name;
	u32 *len;
	u32 *value;
};

static struct {
	u64 at;
	u32 *memory;		/* /memory's reg */
	u32 *pci_ranges;	/* /pcie's ranges */
	u32 *pci_ranges_len;
} tree;

static u32 cpu32(u32 value)
{
	return __builtin_bswap32(value);
}

static u64 read_cells(const u32 *cells, u32 len)
{
	return len >= 8 ? (u64)cpu32(cells[0]) << 32 | cpu32(cells[1]) : cpu32(cells[0]);
}

static void write_cells64(u32 *cells, u64 value)
{
	cells[0] = cpu32(value >> 32);
	cells[1] = cpu32(value);
}

static struct fdt_words bootargs;

static void see_prop(const struct prop *prop)
{
	u32 len = cpu32(*prop->len);

	if (begins(prop->node, "memory@") && same(prop->name, "reg")) {
		if (tree.memory || len != 16)
			fail("there is more than one range of memory: start QEMU without -numa");
		tree.memory = prop->value;
	} else if (same(prop->parent, "cpus") && begins(prop->node, "cpu@") &&
		   same(prop->name, "reg")) {
		u64 mpidr = read_cells(prop->value, len);

		if (mpidr != machine.ncpus || machine.ncpus == MAX_CPUS)
			fail("there is a CPU with the MPIDR 0x%lx: start QEMU with 1 to %u CPUs",
			     mpidr, MAX_CPUS);
		machine.cpu[machine.ncpus].index = machine.ncpus;
		machine.ncpus++;
	} else if (same(prop->node, "chosen")) {
		if (same(prop->name, "bootargs")) {
			bootargs.text = (char *)prop->value;
			bootargs.len = len;
		} else if (same(prop->name, "linux,initrd-start")) {
			machine.initrd = read_cells(prop->value, len);
		} else if (same(prop->name, "linux,initrd-end")) {
			machine.initrd_end = read_cells(prop->value, len);
		}
	} else if (begins(prop->node, "pcie@")) {
		if (same(prop->name, "reg")) {
			machine.ecam = read_cells(prop->value, 8);
		} else if (same(prop->name, "ranges")) {
			tree.pci_ranges = prop->value;
			tree.pci_ranges_len = prop->len;
		}
	}
}

/**
 * fdt_read() - go through the tree once
 * @dtb: where it is
 *
 * Return: the kernel's command line, in place.
 */
struct fdt_words fdt_read(u64 dtb)
{
	const struct header *header = (struct header *)dtb;
	const char *strings, *path[MAX_DEPTH] = { "" };
	u32 *p, depth = 0;

	if (!dtb || (dtb & 7) || cpu32(header->magic) != FDT_MAGIC)
		fail("no device tree at 0x%lx: start the model with QEMU's -kernel, as an Image", dtb);
	machine.dtb = dtb;
	machine.dtb_end = dtb + cpu32(header->totalsize);
	strings = (const char *)dtb + cpu32(header->off_strings);
	p = (u32 *)(dtb + cpu32(header->off_struct));

	while (cpu32(*p) != FDT_END) {
		struct prop prop;

		switch (cpu32(*p++)) {
		case FDT_BEGIN_NODE:
			if (++depth >= MAX_DEPTH)
				fail("the device tree is more than %u nodes deep", MAX_DEPTH);
			path[depth] = (const char *)p;
			while (*(const char *)p)
				p = (u32 *)((char *)p + 1);
			p = (u32 *)(((u64)p + 4) & ~3UL);
			break;
		case FDT_END_NODE:
			depth--;
			break;
		case FDT_PROP:
			prop.node = path[depth];
			prop.parent = path[depth ? depth - 1 : 0];
			prop.name = strings + cpu32(p[1]);
			prop.len = p;
			prop.value = p + 2;
			see_prop(&prop);
			p += 2 + (cpu32(p[0]) + 3) / 4;
			break;
		case FDT_NOP:
			break;
		default:
			fail("the device tree at 0x%lx is damaged", dtb);
		}
	}
	if (!tree.memory || !machine.ncpus || !bootargs.text)
		fail("the device tree lacks memory, CPUs or bootargs: start QEMU with -append");
	if (read_cells(tree.memory, 8) != RAM_BASE)
		fail("the memory begins at 0x%lx, not at 0x%x: start QEMU with -M virt",
		     read_cells(tree.memory, 8), RAM_BASE);
	machine.ram_end = RAM_BASE + read_cells(tree.memory + 2, 8);
	return bootargs;
}

/* fdt_shrink_memory() - the model's part of the memory is none to the guest */
void fdt_shrink_memory(void)
{
	write_cells64(tree.memory, GUEST_BASE);
	write_cells64(tree.memory + 2, machine.ram_end - GUEST_BASE);
}

/* fdt_cut_pci_window() - take the 64-bit window out of /pcie's ranges */
void fdt_cut_pci_window(void)
{
	u32 len = cpu32(*tree.pci_ranges_len), cells = len / 4, keep = 0;

	for (u32 i = 0; i + PCI_RANGE_CELLS <= cells; i += PCI_RANGE_CELLS) {
		u32 *range = &tree.pci_ranges[i];

		if (((cpu32(range[0]) >> 24) & 3) == PCI_RANGE_MEM64)
			continue;
		for (u32 j = 0; j < PCI_RANGE_CELLS; j++)
			tree.pci_ranges[keep + j] = range[j];
		keep += PCI_RANGE_CELLS;
	}
	*tree.pci_ranges_len = cpu32(keep * 4);
	for (u32 i = keep; i < cells; i++)
		tree.pci_ranges[i] = cpu32(FDT_NOP);
}
