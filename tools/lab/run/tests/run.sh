#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The runner's verdicts, with a stand-in for QEMU that prints a given console, and what it would have QEMU do.
set -u

run=$(cd "$(dirname "$0")/.." && pwd)/run.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

cat > "$tmp/qemu" <<'QEMU'
#!/usr/bin/env bash
[ "$1" = --version ] && { echo "QEMU emulator version ${FAKE_VERSION:-10.0.2}"; exit; }
echo "$*" > "$FAKE_ARGS"
while [ "${1-}" != -serial ]; do shift; done
cp "$FAKE_CONSOLE" "${2#file:}"
[ "${FAKE_HANG-}" ] && exec sleep 60
exit "${FAKE_STATUS:-0}"
QEMU
chmod +x "$tmp/qemu"
{ head -c 56 /dev/zero; printf 'ARMd'; } > "$tmp/Image"
: > "$tmp/initrd"
: > "$tmp/model.bin"
: > "$tmp/disk"
# What make check says of its own folders is not for these.
unset BUILD O KDIR MODEL
export QEMU=$tmp/qemu FAKE_CONSOLE=$tmp/console FAKE_ARGS=$tmp/args MODEL=$tmp/model.bin

# expect STATUS TEXT [run.sh's arguments]: the last line holds TEXT.
expect() {
	local status=$1 text=$2 out got
	shift 2
	out=$("$run" -o "$tmp/out" "$@" 2>&1)
	got=$?
	if [ $got != "$status" ] || ! tail -n 1 <<< "$out" | grep -qF -- "$text"; then
		printf 'run.sh: status %s and "%s" expected, got %s:\n%s\n' "$status" "$text" $got "$out"
		failed=1
	fi
}

# console LINE...: what the guest prints, as the console shows it.
console() { printf '[    0.123456] %s\r\n' "$@" > "$tmp/console"; }
boots() { expect "$1" "$2" "$tmp/Image" "$tmp/initrd"; }

good=("KTAP version 1" "1..2" "ok 1 boot" "ok 2 secretmem # SKIP why" "# lab: done")
console "${good[@]}" "DEBUG: this is no bug"
boots 0 "verdict: pass (2 results"

# One bad line among good ones, each the way the kernel prints it.
while IFS= read -r line; do
	console "${good[@]}" "$line"
	boots 1 "verdict: fail ($line"
done << 'LINES'
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
Internal error: Oops: 0000000096000007 [#1] SMP
Unable to handle kernel paging request at virtual address ffff000002000000
WARNING: CPU: 0 PID: 1 at arch/arm64/mm/pageattr.c:61 pageattr_pud_entry+0x44/0x60
WARNING: possible circular locking dependency detected
WARNING: suspicious RCU usage
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591
BUG: KASAN: use-after-free in split_pmd+0x10/0x20
BUG: KCSAN: data-race in a / b
UBSAN: shift-out-of-bounds in lib/x.c:1:2
Call trace:
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
Failed to decrypt memory, 512 pages will be leaked
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!
INFO: task init:1 blocked for more than 120 seconds.
el2: FAULT cpu 0 pc 0x44000400 lr 0x44000200 ipa 0x9000030: a read through the protected alias
el2: error: no table is left for stage 2
LINES

# When all is over, only the model's word counts.
console "${good[@]}" "reboot: Power down" "WARNING: kernel/sched/core.c:3389 at set_task_cpu+0x54/0x12c, CPU#1: swapper/1/0"
boots 0 "verdict: pass (2 results"
console "${good[@]}" "reboot: Power down" "el2: FAULT cpu 0 pc 0x0"
boots 1 "verdict: fail (el2: FAULT"

# A crash on purpose ends where the next kernel begins, and excuses nothing before and after.
crash=("# lab: crash on purpose" "Kernel panic - not syncing: sysrq triggered crash" "Call trace:" "Booting Linux on physical CPU 0x0000000000 [0x410fd8e0]")
console "${crash[@]}" "${good[@]}"
boots 0 "verdict: pass (2 results"
console "WARNING: at mm/a.c" "${crash[@]}" "${good[@]}"
boots 1 "verdict: fail (WARNING: at mm/a.c"
console "${crash[@]}" "${good[@]}" "Call trace:"
boots 1 "verdict: fail (Call trace:"
console "${good[@]:0:3}" "${crash[@]:0:3}"
boots 1 "verdict: fail (1 of 2 results"

console "${good[@]:0:3}" "not ok 2 secretmem" "# lab: done"
boots 1 "verdict: fail (not ok 2 secretmem"
console "${good[@]:0:3}" "# lab: done"
boots 1 "verdict: fail (1 of 2 results"
console "${good[@]:0:4}"
boots 1 "verdict: fail (the guest's init did not end"
console "Booting Linux on physical CPU 0x0000000000"
boots 1 "verdict: fail (no KTAP plan"
console "${good[@]:0:3}"
FAKE_HANG=1 expect 1 "verdict: fail (hang: killed after 1 s; last line: ok 1 boot" -t 1 "$tmp/Image" "$tmp/initrd"
console "${good[@]}"
FAKE_STATUS=3 boots 1 "verdict: fail (QEMU ended with 3"

# starts WITH WITHOUT [run.sh's arguments]: what QEMU gets has each of the words WITH, and none of WITHOUT.
starts() {
	local with=$1 without=$2 word
	shift 2
	expect 0 "verdict: pass" "$@" "$tmp/Image" "$tmp/initrd"
	for word in $with; do
		grep -qF -- "$word" "$tmp/args" || { echo "run.sh $*: QEMU does not get $word: $(cat "$tmp/args")"; failed=1; }
	done
	for word in $without; do
		! grep -qF -- "$word" "$tmp/args" || { echo "run.sh $*: QEMU gets $word: $(cat "$tmp/args")"; failed=1; }
	done
}
none="el2. virtualization virtio ivshmem maxcpus"
starts "-kernel $tmp/Image max,midr=0x410fd8e0 -smp 4" "$none"
starts "-kernel $tmp/Image -smp 4" "$none midr=" -m nobbml3
starts "-icount -smp 1 nokaslr" "$none" -i
starts "virtio-blk-pci file=$tmp/disk" "el2. ivshmem iommu_platform" -b "$tmp/disk"
starts "virtio-blk-pci format=raw,file=/proc/self/fd/" "el2. ivshmem readonly" -w 64
EFI=$tmp/disk starts "-bios -m 2048M,slots=2,maxmem=96G id=ram1,size=1G -monitor stdio" "el2. ram2" -d 2
EFI=$tmp/disk starts "-bios $tmp/disk -kernel $tmp/Image" "maxmem= stdio" -E
starts "-cpu cortex-a72 -smp 4" "$none midr=" -m nobbml3 -C cortex-a72
starts "virtualization=on midr=0x410fd8e0" "el2." -V
starts "node,nodeid=0,memdev=node0,cpus=0-1 node,nodeid=1,memdev=node1,cpus=2-3 size=1024M" "nodeid=2" -n 2
starts "virtio-mem-pci,id=virtiomem maxmem=3072M -monitor stdio" "pc-dimm" -v 1024
starts "-smp 64" "$none" -c 64
starts "-kernel $tmp/model.bin file=$tmp/Image,addr=0x44000000 virtualization=on el2.image=0x44000000 -smp 4" "midr= el2.nobbml3 el2.realm ivshmem" -e
starts "el2.nobbml3=0-3" "el2.realm maxcpus" -e -m nobbml3
starts "el2.nobbml3=2 -smp 3" "el2.realm maxcpus" -m mixed -c 3
starts "el2.nobbml3=0 " "el2.realm maxcpus" -m reverse -c 3
starts "el2.nobbml3=2 maxcpus=2 -smp 3" "el2.realm" -m late -c 3
starts "el2.realm earlycon=pl011,mmio32,0x10009000000" "el2.nobbml3 ivshmem" -R
starts "el2.realm iommu_platform=on ivshmem-plain memory-backend=ram size=3000M size=4096M" "" -R -b "$tmp/disk" -M 3000
starts "el2.inject el2.bbm=1:3" "" -e -x "el2.inject el2.bbm=1:3"
starts "-icount -smp 2 nokaslr el2.nobbml3=1" "" -m mixed -c 2 -i
# More memory than this machine may have: of QEMU's own where there is enough for what the guest touches, else a file without a name.
echo 'MemAvailable:   16777216 kB' > "$tmp/meminfo"
starts "-m 2048 " memory-backend
MEMINFO=$tmp/meminfo TMPDIR=$tmp starts "memory-backend-ram,id=ram,size=262144M,reserve=off,prealloc=off memory-backend=ram -m 262144 -smp 64" memory-backend-file -M 262144 -c 64
echo 'MemAvailable:    1048576 kB' > "$tmp/meminfo"
MEMINFO=$tmp/meminfo TMPDIR=$tmp starts "memory-backend-file,id=ram,mem-path=/proc/self/fd/ ,share=on,size=20000M,reserve=off,prealloc=off" memory-backend-ram -M 20000
[ -z "$(find "$tmp" -name 'lab-memory.*')" ] || { echo "run.sh -M 20000: its file is left behind"; failed=1; }
MEMINFO=$tmp/meminfo TMPDIR=/proc expect 2 "-M 1048576: the guest may touch 19456 MiB; free are 1024 of memory, 0 in /proc" -M 1048576 "$tmp/Image" "$tmp/initrd"
# An Image of 100 MiB does not fit below the initrd.
{ head -c 16 /dev/zero; printf '\0\0\100\006\0\0\0\0'; head -c 32 /dev/zero; printf 'ARMd'; } > "$tmp/Image"
starts "addr=0x48400000 el2.image=0x48400000" "" -e

# The other architecture.
{ head -c 514 /dev/zero; printf 'HdrS'; } > "$tmp/bzImage"
QEMU_X86=$tmp/qemu expect 0 "verdict: pass" -m x86 -c 2 "$tmp/bzImage" "$tmp/initrd"
for word in "-M q35" "-smp 2,sockets=2" "-cpu max,pse=on,pdpe1gb=on" "console=ttyS0" no_timer_check; do
	grep -qF -- "$word" "$tmp/args" || { echo "run.sh -m x86: QEMU does not get $word: $(cat "$tmp/args")"; failed=1; }
done
expect 2 "not an x86 bzImage" -m x86 "$tmp/Image" "$tmp/initrd"
expect 2 "not an arm64 Image" "$tmp/bzImage" "$tmp/initrd"
expect 2 "leave out -R" -m x86 -R "$tmp/bzImage" "$tmp/initrd"
QEMU_X86=$tmp/none expect 2 "install qemu-system-x86" -m x86 "$tmp/bzImage" "$tmp/initrd"

expect 2 ", or x86, is expected" -m 7 "$tmp/Image" "$tmp/initrd"
expect 2 "so -c 2 or more" -m mixed -c 1 "$tmp/Image" "$tmp/initrd"
expect 2 "so -c 2 or more" -m late -c 1 "$tmp/Image" "$tmp/initrd"
expect 2 "there is no model to take it" -x el2.inject "$tmp/Image" "$tmp/initrd"
expect 2 "begins with el2." -e -x "el2.inject quiet" "$tmp/Image" "$tmp/initrd"
expect 2 "the model has 8 CPUs at the most" -e -c 9 "$tmp/Image" "$tmp/initrd"
expect 2 "16384 MiB at most" -R -M 16385 "$tmp/Image" "$tmp/initrd"
expect 2 "-b $tmp/none: no such file" -b "$tmp/none" "$tmp/Image" "$tmp/initrd"
expect 2 "-b $tmp: no such file" -R -b "$tmp" "$tmp/Image" "$tmp/initrd"
expect 2 "number from 1 to 16384" -w 0 "$tmp/Image" "$tmp/initrd"
expect 2 "number from 1 to 4" -d 5 "$tmp/Image" "$tmp/initrd"
EFI=$tmp/disk expect 2 "-d: with -m bbml3 or nobbml3 alone" -d 1 -A "$tmp/Image" "$tmp/initrd"
EFI=$tmp/disk expect 2 "-d: -M 20000" -d 1 -M 20000 "$tmp/Image" "$tmp/initrd"
EFI=$tmp/none expect 2 "install qemu-efi-aarch64" -d 1 "$tmp/Image" "$tmp/initrd"
expect 2 "so -m nobbml3 is needed" -C cortex-a53 "$tmp/Image" "$tmp/initrd"
expect 2 "and without -R, -e and -A" -V -A "$tmp/Image" "$tmp/initrd"
expect 2 "a CPU for each is needed" -n 4 -c 2 "$tmp/Image" "$tmp/initrd"
expect 2 "-v: without -d" -v 1024 -i "$tmp/Image" "$tmp/initrd"
expect 2 "the model has 8 CPUs" -e -c 9 "$tmp/Image" "$tmp/initrd"
EFI=$tmp/none expect 2 "install qemu-efi-aarch64" -E "$tmp/Image" "$tmp/initrd"
expect 2 "-w: not with -b or -R" -R -w 64 "$tmp/Image" "$tmp/initrd"
TMPDIR=$tmp/none expect 2 "set TMPDIR" -o "$tmp/out" -w 64 "$tmp/Image" "$tmp/initrd"
MODEL=$tmp/none expect 2 "make model builds one" -e "$tmp/Image" "$tmp/initrd"
MODEL='' O=/dev/null/x expect 2 "choose another folder with O=" -e "$tmp/Image" "$tmp/initrd"
expect 2 "number from 1 to 64" -c 65 "$tmp/Image" "$tmp/initrd"
expect 2 "number from 128" -M many "$tmp/Image" "$tmp/initrd"
expect 2 "unknown option" -z "$tmp/Image" "$tmp/initrd"
expect 2 "an IMAGE and an INITRD" "$tmp/Image"
expect 2 "no such Image" "$tmp/none" "$tmp/initrd"
expect 2 "not an arm64 Image" "$tmp/qemu" "$tmp/initrd"
expect 2 "no such initrd" "$tmp/Image" "$tmp/none"
FAKE_VERSION=9.2.0 boots 2 "10 or newer is needed"
QEMU=$tmp/none boots 2 "not found"
exit $failed
