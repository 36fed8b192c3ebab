// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual machine of one CPU and 2 MiB that is made, runs a few instructions, and
 * goes: the hypervisor maps and unmaps memory beside what the others do.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lab.h"

#define DEVICE		"/dev/kvm"

bool kvm_is_there(void)
{
	return !access(DEVICE, R_OK | W_OK);
}

#ifdef __aarch64__
#define RAM_AT		0x80000000ull
#define RAM_SIZE	(2u << 20)
/* No memory is there: a store to it ends KVM_RUN. */
#define REPORT_AT	0x10000ull

/* The sum of the numbers from 1 to x1, stored at x0. */
static const uint32_t program[] = {
	0xd2800002,	/* mov x2, #0 */
	0x8b010042,	/* add x2, x2, x1 */
	0xf1000421,	/* subs x1, x1, #1 */
	0x54ffffc1,	/* b.ne back to add */
	0xf9000002,	/* str x2, [x0] */
	0x14000000,	/* b to itself */
};

static int must(int result, const char *what)
{
	if (result < 0)
		give_up("kvm: %s: %s", what, strerror(errno));
	return result;
}

static void *map(size_t size, int fd)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		give_up("kvm: mmap: %s", strerror(errno));
	return at;
}

static void set_reg(int cpu, uint64_t reg, uint64_t value)
{
	struct kvm_one_reg one = {
		.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | reg,
		.addr = (uintptr_t)&value,
	};

	must(ioctl(cpu, KVM_SET_ONE_REG, &one), "KVM_SET_ONE_REG");
}

void kvm_bout(unsigned int *seed)
{
	uint64_t upto = 1 + rnd(seed, 100000), sum;
	int kvm = must(open(DEVICE, O_RDWR | O_CLOEXEC), DEVICE);
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	size_t size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	void *ram = map(RAM_SIZE, -1);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = RAM_AT,
		.memory_size = RAM_SIZE,
		.userspace_addr = (uintptr_t)ram,
	};
	struct kvm_vcpu_init init;
	struct kvm_run *run;
	int cpu;

	memcpy(ram, program, sizeof(program));
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	cpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	must(ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init), "KVM_ARM_PREFERRED_TARGET");
	must(ioctl(cpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	set_reg(cpu, KVM_REG_ARM_CORE_REG(regs.pc), RAM_AT);
	set_reg(cpu, KVM_REG_ARM_CORE_REG(regs.regs[0]), REPORT_AT);
	set_reg(cpu, KVM_REG_ARM_CORE_REG(regs.regs[1]), upto);
	run = map(size, cpu);

	while (must(ioctl(cpu, KVM_RUN, 0), "KVM_RUN") || run->exit_reason == KVM_EXIT_INTR)
		;
	memcpy(&sum, run->mmio.data, sizeof(sum));
	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != REPORT_AT ||
	    !run->mmio.is_write || run->mmio.len != sizeof(sum))
		give_up("kvm: it ends with %u, not with its store", run->exit_reason);
	if (sum != upto * (upto + 1) / 2)
		give_up("kvm: the sum up to %llu is %llu there", (unsigned long long)upto,
			(unsigned long long)sum);

	munmap(run, size);
	close(cpu);
	close(vm);
	close(kvm);
	munmap(ram, RAM_SIZE);
}
#else
void kvm_bout(unsigned int *seed)
{
	(void)seed;
	give_up("kvm: this is for arm64");
}
#endif
