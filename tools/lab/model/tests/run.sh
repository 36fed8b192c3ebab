#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The model's own tests: each is a boot of tests/guest.c, by way of run.sh. A result is a line `ok ...` or `not ok ...`.
#
#	O=build tools/lab/model/tests/run.sh
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/lab/lib.sh
. "$here/../../lib.sh"
make_build
scratch_tmp

out=$BUILD/model
mkdir -p "$out"
flock "$out" make -s -C "$LAB/model" OUT="$out" || die "the model does not build"
if ! why=$(make -s -C "$LAB/model" OUT="$TMP/out" 2>&1); then nok builds "$(tail -n 1 <<< "$why")"
elif [ -n "$why" ]; then nok builds "$(head -n 1 <<< "$why")"
else ok builds; fi
export MODEL=$out/model.bin
image=$out/test.bin
echo "no archive, but not empty either" > "$TMP/initrd"

# lab TEST [run.sh's arguments]: boots the test guest; sets verdict, and the console's lines are in $TMP/run/lines.
lab() {
	local test=$1
	shift
	rm -rf "$TMP/run"
	verdict=$("$LAB/run/run.sh" -q -t 30 -o "$TMP/run" -a "t=$test" "$@" "$image" "$TMP/initrd" 2>&1 | tail -n 1)
}

# The guest's own results are all good.
passes() { # NAME TEST [run.sh's arguments]
	local name=$1
	shift
	lab "$@"
	case $verdict in "verdict: pass "*) ok "$name" ;; *) nok "$name" "$verdict" ;; esac
}

# The run fails with a report of CPU, PC and address as the guest foretold them, and with TEXT.
faults() { # NAME TEXT TEST [run.sh's arguments]
	local name=$1 text=$2 want got
	shift 2
	lab "$@"
	want=$(sed -n 's/^# fault: //p' "$TMP/run/lines")
	got=$(sed -nE 's/^el2: FAULT (cpu [0-9]+ pc 0x[0-9a-f]+) lr 0x[0-9a-f]+ (ipa 0x[0-9a-f]+): .*/\1 \2/p' "$TMP/run/lines")
	if [ -z "$want" ]; then nok "$name" "the guest did not come to it: $verdict"
	elif [ "$got" != "$want" ]; then nok "$name" "reported '$got', not '$want': $verdict"
	elif [[ $verdict != "verdict: fail (el2: FAULT "*"$text"* ]]; then nok "$name" "$verdict"
	elif grep -q '^not ok' "$TMP/run/lines"; then nok "$name" "$(grep -m 1 '^not ok' "$TMP/run/lines")"
	else ok "$name"; fi
}

# The model itself refuses, in one line.
refuses() { # NAME TEXT [run.sh's arguments]
	local name=$1 text=$2
	shift 2
	lab none "$@"
	said "$name" "$text" "$TMP/run/lines"
}
said() { # NAME TEXT FILE
	local lines
	lines=$(grep '^el2: ' "$3" | grep -vE '^el2: (plain|Realm), ')
	if [[ $lines != "el2: error: "*"$2"* ]]; then nok "$1" "it says: $lines"
	elif [ "$(wc -l <<< "$lines")" != 1 ]; then nok "$1" "it says more than a line: $lines"
	else ok "$1"; fi
}

# What run.sh would not start: refuses_raw NAME TEXT BOARD [QEMU's arguments]
refuses_raw() {
	local name=$1 text=$2 board=$3
	shift 3
	if ! timeout -k 2 20 "${QEMU:-qemu-system-aarch64}" -M "virt,gic-version=3$board" -cpu max -nic none -display none -monitor none \
		-serial "file:$TMP/console" -kernel "$MODEL" "$@" < /dev/null > "$TMP/qemu.log" 2>&1; then
		nok "$name" "QEMU did not end, or would not begin: $(head -n 1 "$TMP/qemu.log")"
		return
	fi
	tr -d '\r' < "$TMP/console" > "$TMP/lines"
	said "$name" "$text" "$TMP/lines"
}
loaded() { load=(-device "loader,file=$1,addr=${2:-0x44000000},force-raw=on"); }

# Who a CPU is, when it comes up and when it comes back: lines `CPU MIDR BBM`.
identity() { # NAME LINES [run.sh's arguments]
	local name=$1 want=$2 got
	shift 2
	lab identity "$@"
	got=$(sed -n 's/^# identity: cpu \(.*\) midr \(.*\) bbm \(.*\)/\1 \2 \3/p' "$TMP/run/lines")
	if [[ $verdict != "verdict: pass "* ]]; then nok "$name" "$verdict"
	elif [ "$got" != "$want" ]; then nok "$name" "$(xargs <<< "$got")"
	else ok "$name"; fi
}

n3=0x410fd8e0
max=$(lab identity -e -m nobbml3; sed -n 's/^# identity: cpu 0 midr \(.*\) bbm .*/\1/p' "$TMP/run/lines")
four() { printf '0 %s %s\n1 %s %s\n2 %s %s\n3 %s %s' "$@"; }
identity identity-bbml3 "$(four $n3 2 $n3 2 $n3 2 $n3 2)" -e
identity identity-mixed "$(four $n3 2 $n3 2 $n3 2 "$max" 2)" -m mixed
identity identity-reverse "$(four "$max" 2 $n3 2 $n3 2 $n3 2)" -m reverse -R
identity identity-words "$(four 0x12345678 3 0xabc 1 0xabc 2 0x12345678 3)" -e \
	-x 'el2.midr=0x12345678 el2.midr=1-2:0xabc el2.bbm=3 el2.bbm=1:1 el2.bbm=2:2'
identity identity-late "$(four $n3 2 $n3 2 $n3 2 "$max" 3)" -m late -x el2.bbm=3:3

passes plain none -e
passes one-cpu none -e -c 1
passes eight-cpus none -R -c 8
passes 16-gib none -R -M 16384
passes 256-mib none -R -M 256
passes counted none -R -i
passes psci psci -e
passes psci-realm psci -R
passes psci-cpu-on-fails psci-cpu-on-fails -e -x el2.cpu_on_fails=2-3
passes psci-errors psci-errors -e -x el2.inject
passes psci-errors-realm psci-errors -R -x el2.inject
passes rsi rsi -R
passes rsi-errors rsi-errors -R -x el2.inject
passes destroyed destroyed -R -x el2.destroyed=0x50000000
passes race race -R

# el2.audit: sequences that break a rule and near ones that do not, one boot for each shape of the tables. The guest asks the
# auditor what it saw; el2.inject keeps its reports from failing the run.
judges() { # NAME TEST [run.sh's arguments]: and it is not that nothing was audited
	local name=$1 n
	passes "$@" -e -x 'el2.audit el2.inject'
	n=$(sed -nE 's/^el2: audit: ([0-9]+) stores .*/\1/p' "$TMP/run/lines")
	if [ "${n:-0}" -gt 0 ]; then ok "$name-stores"; else nok "$name-stores" "the auditor counts ${n:-no} stores"; fi
}
for shape in '' -39 -52 -16k -16k-48 -16k-52 -64k -64k-52; do
	judges "audit$shape" "audit$shape"
	[ "$shape" = -52 ] || continue
	if grep -q '^el2: noted audit walk: va 0x[0-9a-f]* level -1 ' "$TMP/run/lines"; then ok audit-52-level; else nok audit-52-level "no level -1"; fi
done
judges audit-counted audit -i -c 1
judges audit-no-bbml3 audit-no-bbml3 -m nobbml3
judges audit-mixed audit-mixed -m mixed
judges audit-realm audit -R

# What run.sh makes of them: audited NAME TEXT TEST [run.sh's arguments]; TEXT is what fails the run, or nothing.
audited() {
	local name=$1 text=$2
	shift 2
	lab "$@"
	if [ -z "$text" ] && [[ $verdict != "verdict: pass "* ]]; then nok "$name" "$verdict"
	elif [ "$text" ] && [[ $verdict != "verdict: fail (el2: FAULT audit $text"* ]]; then nok "$name" "$verdict"
	else ok "$name"; fi
}
audited audit-report 'oa: va 0xffff000000001000' audit-bad -A
pc=$(sed -n 's/^# audit: va .* pc 0x\(.*\)/\1/p' "$TMP/run/lines") vbar=$(sed -n 's/^el2: audit: .* vbar 0x\(.*\)/\1/p' "$TMP/run/lines")
want="va 0xffff000000001000 level 3 old 0x60000100001703 (4K 0x100001000 RW Normal)"
want+=" new 0x60000200000703 (4K 0x200000000 RW Normal) cpu 0 pc 0x$pc "
if grep -qF "$want" "$TMP/run/lines"; then ok audit-report-form; else nok audit-report-form "not as expected: $want"; fi
# Linked elsewhere, as a kernel with KASLR is.
printf 'ffff8000%08x %s\n' $((0x10000000)) 'T vectors' $((0x10000000 + 0x${pc:-0} - 0x${vbar:-0})) 't the_bad_store' \
	$((0x10000000 + 0x${pc:-0} - 0x${vbar:-0} + 4)) 't next' | sort > "$TMP/map"
if "$LAB/model/audit/names.sh" "$TMP/run/lines" "$TMP/map" | grep -q "pc 0x$pc <the_bad_store+0x0>"; then ok audit-names
else nok audit-names "$("$LAB/model/audit/names.sh" "$TMP/run/lines" "$TMP/map" | head -n 1)"; fi
audited audit-flood 'oa:' audit-flood -A
if [ "$(grep -c '^el2: FAULT audit oa: va' "$TMP/run/lines")" = 6 ] && grep -q '^el2: FAULT audit oa: 100 of these' "$TMP/run/lines"; then
	ok audit-flood-is-counted
else
	nok audit-flood-is-counted "$(grep -c '^el2: FAULT' "$TMP/run/lines") lines"
fi
audited audit-tagged 'type:' audit-tagged -e -x el2.audit
audited audit-tagged-allowed '' audit-tagged -A
audited audit-gap '' audit-gap -A -x el2.audit.gaps
if grep -q '^el2: noted audit gap: va' "$TMP/run/lines"; then ok audit-gap-is-said; else nok audit-gap-is-said "$verdict"; fi
audited audit-gap-silent '' audit-gap -A
if grep -q '^el2: noted' "$TMP/run/lines"; then nok audit-gap-is-not-said "$verdict"; else ok audit-gap-is-not-said; fi
audited audit-gap-split 'gap: va' audit-gap-split -A
lab audit-copy-down -e -x 'el2.audit el2.inject'
said audit-copy-down 'the auditor does no copy that goes down' "$TMP/run/lines"
audited audit-nothing 'nothing: 0 stores' none -A

faults shared-alias-of-ram 'a read through the shared alias of a page whose RIPAS is RAM; expected the protected alias 0x50000000' shared-of-ram -R
faults shared-alias-write 'a write through the shared alias' shared-write -R
faults empty 'a read through the protected alias of a page whose RIPAS is EMPTY; expected the shared alias 0x10050000000' empty -R
faults not-set 'a write through the protected alias of a page whose RIPAS is EMPTY' not-set -R -x el2.empty=0x50000000
faults fetch 'an instruction fetch through the protected alias' fetch -R
faults table-walk 'a stage 1 table walk through the protected alias' walk -R
faults device 'where there is no memory (RIPAS EMPTY); expected the shared alias 0x10009000000' device -R
faults destroyed-read 'a page whose RIPAS is DESTROYED' destroyed-read -R -x el2.destroyed=0x50000000
faults model "a write of the model's memory" model -e
faults model-in-realm 'where there is no memory' model -R
faults model-shared "a write of the model's memory" model-shared -R
faults beyond 'beyond the 41 bits of IPA' beyond -e
faults execute-device 'an instruction fetch from a device' execute-device -e
faults execute-shared 'an instruction fetch from a page that the host can write' execute-shared -R
faults secondary 'a read through the protected alias' secondary -R
faults cpu-id 'CPU_ON of the MPIDR 0x7, which no CPU has; expected 0 to 0x3' cpu-id -e
faults entry 'CPU_ON with this entry point' entry -e
faults bad-range 'RSI_IPA_STATE_SET from this address' bad-range -R
faults bad-config 'RSI_REALM_CONFIG to this address' bad-config -R
head -c 1M /dev/zero > "$TMP/disk"
faults hidden-function 'the PCI function that the model hides' hidden -R -b "$TMP/disk"

refuses word 'el2.foo: no such word; there are' -e -x el2.foo
refuses word-with-value 'el2.realm=1: no such word' -e -x el2.realm=1
refuses word-prefix 'el2.realmx: no such word' -e -x el2.realmx
refuses audit-allow 'el2.audit.allow=foo: expected names' -e -x 'el2.audit el2.audit.allow=foo'
refuses audit-allow-comma 'el2.audit.allow=tagged,: expected names' -e -x 'el2.audit el2.audit.allow=tagged,'
refuses audit-allow-alone 'add el2.audit' -e -x el2.audit.allow=tagged
refuses audit-gaps-alone 'add el2.audit' -e -x el2.audit.gaps
refuses word-long 'has more than 63 letters' -e -x "el2.$(printf 'x%.0s' {1..64})"
refuses no-such-cpu 'el2.nobbml3=4: expected CPUs' -e -x el2.nobbml3=4
refuses cpu-list 'el2.nobbml3=2-1: expected CPUs' -e -x el2.nobbml3=2-1
refuses cpu-list-end 'el2.nobbml3=1,: expected CPUs' -e -x el2.nobbml3=1,
refuses midr-too-large 'el2.midr=0x123456789: expected VALUE' -e -x el2.midr=0x123456789
refuses midr-junk 'el2.midr=1:: expected VALUE' -e -x el2.midr=1:
refuses bbm-level 'el2.bbm=4: expected LEVEL' -e -x el2.bbm=4
refuses empty-unaligned 'el2.empty=0x50000800: expected the address' -R -x el2.empty=0x50000800
refuses empty-elsewhere 'el2.empty=0x9000000: expected the address' -R -x el2.empty=0x9000000
refuses empty-plain 'add el2.realm' -e -x el2.empty=0x50000000
refuses image-elsewhere 'no arm64 Image at 0x60000000' -e -x el2.image=0x60000000
refuses image-unaligned 'multiple of 2 MiB' -e -x el2.image=0x60000004
refuses image-not-in-memory 'el2.image=0x1000: expected' -e -x el2.image=0x1000

loaded "$image"
refuses_raw el1 'started at EL1: start QEMU with -M virt,virtualization=on' '' -m 1024 -append 'x t=none' "${load[@]}"
refuses_raw no-image 'no arm64 Image at 0x44000000: load one' ,virtualization=on -m 1024 -append 'x t=none'
refuses_raw no-append 'start QEMU with -append' ,virtualization=on -m 1024 "${load[@]}"
refuses_raw bbml3-by-qemu 'start QEMU with -cpu max' ,virtualization=on -m 1024 -append 'x el2.nobbml3=0' -cpu max,midr=0x410fd8e0 "${load[@]}"
refuses_raw nine-cpus 'start QEMU with 1 to 8 CPUs' ,virtualization=on -m 1024 -append 'x t=none' -smp 9 "${load[@]}"
refuses_raw too-much-memory 'start QEMU with -m 16384 at most' ,virtualization=on -m 17408 -append 'x t=none' "${load[@]}"
refuses_raw too-little-memory 'start QEMU with -m 1024 or more' ,virtualization=on -m 64 -append 'x t=none'
refuses_raw small-addresses 'start QEMU with -cpu max' ,virtualization=on -m 1024 -append 'x t=none' -cpu cortex-a53 "${load[@]}"
refuses_raw reset 'the machine was reset' ,virtualization=on -m 1024 -append 'x t=reset' -smp 4 "${load[@]}"

# Images that are none, or too large: the header's fields are at 8 (text_offset), 16 (image_size) and 24 (flags).
patched() { # OFFSET BYTES
	cp "$image" "$TMP/image"
	printf '%b' "$2" | dd of="$TMP/image" bs=1 seek="$1" conv=notrunc status=none
	loaded "$TMP/image"
}
patched 56 'XXXX'
refuses_raw not-an-image 'no arm64 Image at' ,virtualization=on -m 1024 -append 'x t=none' "${load[@]}"
patched 24 '\0003'
refuses_raw big-endian 'big-endian' ,virtualization=on -m 1024 -append 'x t=none' "${load[@]}"
patched 8 '\0000\0000\0010'
refuses_raw text-offset 'a multiple of 2 MiB plus 0x80000' ,virtualization=on -m 1024 -append 'x t=none' "${load[@]}"
patched 16 '\0000\0000\0000\0100'
refuses_raw image-too-large 'start QEMU with a larger -m' ,virtualization=on -m 1024 -append 'x t=none' "${load[@]}"
patched 16 '\0000\0000\0000\0010'
refuses_raw image-over-initrd 'over the initrd from 0x48000000' ,virtualization=on -m 1024 -append 'x t=none' -initrd "$TMP/initrd" "${load[@]}"
refuses_raw image-over-dtb 'over the device tree from 0x48000000' ,virtualization=on -m 1024 -append 'x t=none' "${load[@]}"
# run.sh finds a place for that one.
image=$TMP/image
passes large-image none -e
