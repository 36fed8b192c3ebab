#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The runner's verdicts, with a stand-in for QEMU that prints a given console.
set -u

run=$(cd "$(dirname "$0")/.." && pwd)/run.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

cat > "$tmp/qemu" <<'QEMU'
#!/usr/bin/env bash
[ "$1" = --version ] && { echo "QEMU emulator version ${FAKE_VERSION:-10.0.2}"; exit; }
while [ "${1-}" != -serial ]; do shift; done
cp "$FAKE_CONSOLE" "${2#file:}"
[ "${FAKE_HANG-}" ] && exec sleep 60
exit "${FAKE_STATUS:-0}"
QEMU
chmod +x "$tmp/qemu"
{ head -c 56 /dev/zero; printf 'ARMd'; } > "$tmp/Image"
: > "$tmp/initrd"
export QEMU=$tmp/qemu FAKE_CONSOLE=$tmp/console

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
LINES

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

expect 2 "bbml3 or nobbml3" -m 7 "$tmp/Image" "$tmp/initrd"
expect 2 "number from 1 to 8" -c 9 "$tmp/Image" "$tmp/initrd"
expect 2 "number from 256" -M many "$tmp/Image" "$tmp/initrd"
expect 2 "unknown option" -z "$tmp/Image" "$tmp/initrd"
expect 2 "an IMAGE and an INITRD" "$tmp/Image"
expect 2 "no such Image" "$tmp/none" "$tmp/initrd"
expect 2 "not an arm64 Image" "$tmp/qemu" "$tmp/initrd"
expect 2 "no such initrd" "$tmp/Image" "$tmp/none"
FAKE_VERSION=9.2.0 boots 2 "10 or newer is needed"
QEMU=$tmp/none boots 2 "not found"
exit $failed
