// SPDX-License-Identifier: GPL-2.0
/*
 * DMA in a Realm.
 *
 * Linux hands the shared address of a buffer to a device (virtio with
 * iommu_platform=on): bit 40 is set. On a real machine the SMMU or the host
 * sees to it that memory is there. QEMU's devices are behind neither, and QEMU
 * has no memory at 1 TiB.
 *
 * So it is given some: an ivshmem device, whose BAR 2 is the same file as the
 * machine's memory, with the memory at the offset RAM_BASE of it. The BAR is
 * programmed to 1 TiB here, and physical address 1 TiB + x is x. It takes
 *
 *	-M virt,highmem-mmio-size=1T,memory-backend=ram ...
 *	-object memory-backend-file,id=ram,mem-path=F,share=on,offset=1G,size=M
 *	-object memory-backend-file,id=alias,mem-path=F,share=on,size=S
 *	-device ivshmem-plain,memdev=alias
 *
 * with S the least power of two that is not below 1 GiB + M. The CPUs do not
 * come by there: stage 2 leads both aliases of a page to its own address.
 *
 * Linux must neither move the BAR nor put others where it is: the device's
 * page of configuration space reads as all ones, which says that nothing is
 * there, and the 64-bit window of the host bridge is taken from the device tree.
 */
#include "model.h"

#define DEVICES			32	/* on bus 0 */
#define ECAM_DEVICE(device)	((u64)(device) << 15)
#define PCI_VENDOR_DEVICE	0x00
#define PCI_COMMAND		0x04
#define PCI_COMMAND_MEMORY	BIT(1)
#define PCI_BAR2		0x18
#define PCI_BAR3		0x1c	/* the upper half of a 64-bit BAR 2 */
#define PCI_BAR_FLAGS		0xfUL
#define IVSHMEM			0x11101af4

static u8 nothing[GRANULE] __attribute__((aligned(GRANULE)));

static u32 read_config(u64 page, u32 offset)
{
	return *(volatile u32 *)(page + offset);
}

static void write_config(u64 page, u32 offset, u32 value)
{
	*(volatile u32 *)(page + offset) = value;
}

/* The usual way to learn a BAR's size: all ones in, and see which bits stay zero. */
static u64 bar_size(u64 page)
{
	u64 bar;

	write_config(page, PCI_BAR2, ~0U);
	write_config(page, PCI_BAR3, ~0U);
	bar = (u64)read_config(page, PCI_BAR3) << 32 | read_config(page, PCI_BAR2);
	return ~(bar & ~PCI_BAR_FLAGS) + 1;
}

/* dma_init() - if there is an ivshmem device, it is the window */
void dma_init(void)
{
	u64 page = 0;

	if (!machine.ecam)
		return;
	for (u32 i = 0; i < DEVICES; i++) {
		if (read_config(machine.ecam + ECAM_DEVICE(i), PCI_VENDOR_DEVICE) == IVSHMEM)
			page = machine.ecam + ECAM_DEVICE(i);
	}
	if (!page)
		return;
	if (bar_size(page) < machine.ram_end)
		fail("the ivshmem device has %lu MiB, DMA needs %lu: make its file larger",
		     bar_size(page) / MIB, machine.ram_end / MIB);
	write_config(page, PCI_BAR2, 0);
	write_config(page, PCI_BAR3, SHARED >> 32);
	write_config(page, PCI_COMMAND, PCI_COMMAND_MEMORY);

	memset(nothing, 0xff, sizeof(nothing));
	machine.hidden = page;
	lock(&s2_lock);
	s2_map(page | SHARED, GRANULE, (u64)nothing, S2_NORMAL_RO);
	unlock(&s2_lock);
	fdt_cut_pci_window();
}
