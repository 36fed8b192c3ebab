// SPDX-License-Identifier: GPL-2.0
/*
 * From reset to the guest's first instruction.
 *
 * QEMU has put into memory: the model, the device tree (its address comes in
 * X0), the initrd, and, with -device loader, the guest's Image. Nothing is
 * moved; what would overlap is refused.
 */
#include "model.h"

#define DEFAULT_IMAGE	GUEST_BASE
#define IMAGE_MAGIC	0x644d5241	/* "ARM\x64" */
#define IMAGE_ALIGN	(2 * MIB)
#define FLAGS_BE	BIT(0)

/* The header of an arm64 Image: Documentation/arch/arm64/booting.rst */
struct image {
	u32 code[2];
	u64 text_offset;
	u64 image_size;
	u64 flags;
	u64 reserved[3];
	u32 magic;
	u32 pe;
};

/*
 * Memory is zero when QEMU starts, and SYSTEM_RESET keeps it. A second boot
 * would begin with what the first one left, of which the RMM gives nobody
 * anything.
 */
static bool been_here __attribute__((section(".noinit")));

static void check_memory(void)
{
	u64 size = machine.ram_end - RAM_BASE;

	if (size > MAX_RAM_GIB * (u64)GIB)
		fail("%lu MiB of memory: start QEMU with -m %u at most", size / MIB, MAX_RAM_GIB * 1024);
	if (size <= MODEL_SIZE)
		fail("%lu MiB of memory: the model alone takes %lu; start QEMU with -m 1024 or more",
		     size / MIB, MODEL_SIZE / MIB);
	if (machine.ram_end & (GRANULE - 1))
		fail("the memory ends at 0x%lx: start QEMU with a multiple of 4 KiB", machine.ram_end);
}

static void check_overlap(const char *what, u64 start, u64 end)
{
	if (machine.image < end && start < machine.image_end)
		fail("the Image goes from 0x%lx to 0x%lx (its BSS) and over the %s from 0x%lx to 0x%lx: "
		     "load it behind that, and say where with el2.image=",
		     machine.image, machine.image_end, what, start, end);
}

static void check_image(void)
{
	const struct image *image = (struct image *)machine.image;

	if (machine.image & 7)
		fail("el2.image=0x%lx: expected a multiple of 2 MiB plus the Image's text_offset",
		     machine.image);
	if (machine.image + sizeof(*image) > machine.ram_end || image->magic != IMAGE_MAGIC)
		fail("no arm64 Image at 0x%lx: load one with -device loader,file=Image,addr=0x%lx,"
		     "force-raw=on", machine.image, machine.image);
	if (!image->image_size || (image->flags & FLAGS_BE))
		fail("the Image at 0x%lx is big-endian or from before Linux 3.17", machine.image);
	if ((machine.image - image->text_offset) & (IMAGE_ALIGN - 1))
		fail("the Image is at 0x%lx: a multiple of 2 MiB plus 0x%lx (its text_offset) is expected",
		     machine.image, image->text_offset);
	machine.image_end = machine.image + image->image_size;
	if (image->image_size > machine.ram_end || machine.image_end > machine.ram_end)
		fail("the Image goes from 0x%lx to 0x%lx, the memory to 0x%lx: start QEMU with a larger -m",
		     machine.image, machine.image_end, machine.ram_end);
	if (machine.initrd)
		check_overlap("initrd", machine.initrd, machine.initrd_end);
	check_overlap("device tree", machine.dtb, machine.dtb_end);
}

static void check_place(const char *what, u64 start, u64 end)
{
	if (start < GUEST_BASE || end > machine.ram_end)
		fail("the %s at 0x%lx is not in the guest's memory: start QEMU with -m 1024 or more",
		     what, start);
}

/**
 * start_guest() - this CPU goes down to EL1
 * @pc: where to
 * @x0: its X0; X1 to X3 are 0 as the boot protocol wants it
 */
static __attribute__((noreturn)) void start_guest(u64 pc, u64 x0)
{
	struct regs *regs = (struct regs *)(stacks[this_cpu()->index] + STACK_SIZE) - 1;

	memset(regs, 0, sizeof(*regs));
	regs->x[0] = x0;
	regs->pc = pc;
	regs->pstate = PSR_DAIF | PSR_EL1h;
	enter_guest(regs);
}

/**
 * secondary_boot() - a CPU that PSCI has turned on
 * @index: its own
 */
void secondary_boot(u64 index)
{
	struct cpu *cpu = &machine.cpu[index];
	u64 entry = cpu->entry, context = cpu->context;

	cpu_init(cpu);
	/* From here on it may be the target of a new CPU_ON, once it has turned itself off. */
	psci_started(cpu);
	halt_if_ending();
	start_guest(entry, context);
}

/**
 * boot() - the first CPU
 * @dtb: the device tree
 * @currentel: CurrentEL at the entry; if it is not EL2, the MMU is off
 * @secondary: where other CPUs are to start
 */
void boot(u64 dtb, u64 currentel, u64 secondary)
{
	uart_init();
	if (CURRENTEL_EL(currentel) != 2)
		fail("started at EL%lu: start QEMU with -M virt,virtualization=on", CURRENTEL_EL(currentel));
	if (been_here)
		fail("the machine was reset, and its memory is not as new: start QEMU with -no-reboot");
	been_here = true;

	write_sysreg(tpidr_el2, &machine.cpu[0]);
	machine.image = DEFAULT_IMAGE;
	words_read(fdt_read(dtb));
	check_memory();
	check_place("device tree", machine.dtb, machine.dtb_end);
	if (machine.initrd)
		check_place("initrd", machine.initrd, machine.initrd_end);
	check_image();
	fdt_shrink_memory();

	psci_init(secondary);
	s2_init();
	if (machine.audit)
		auditor_init();
	if (machine.realm) {
		ripas_init();
		dma_init();
	}
	/* Linux reads the tree before it has caches. */
	clean_to_poc(machine.dtb, machine.dtb_end - machine.dtb);
	cpu_init(&machine.cpu[0]);
	psci_started(&machine.cpu[0]);
	words_banner();
	start_guest(machine.image, machine.dtb);
}
