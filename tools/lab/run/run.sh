#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots an arm64 Image, or x86's bzImage, with the lab's initrd under QEMU and ends with a verdict.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/run/machines.sh"
die_status=2

usage="usage: run.sh [options] IMAGE INITRD
  -m MACHINE         which CPUs have BBML3, level 3 of FEAT_BBM (bbml3):
$(machine_help 23)
                     x86 is another machine, with blocks of 2 MiB and 1 GiB, for a bzImage: -c, -M, -t, -a, -b, -w, -o, -i, -f, -s, -q
  -R                 as a Realm (Arm CCA): mixed, reverse, late and -R run under the EL2 model, see tools/lab/model/README.md
  -e                 under the model also where it isn't needed
  -A                 under the model, which audits every store to the kernel's live tables and every TLBI: any violation fails the
                       run, and so does a run with nothing to audit. OUTDIR/audit has the reports, with names if there is a
                       System.map beside the Image, or where the build left it
                       With -x el2.audit.trace=64 OUTDIR/trace has what was audited, 64 MiB at most, to be judged again without the
                       boot: tools/lab/model/README.md
  -x 'WORDS'         more words for the model, e.g. 'el2.inject el2.bbm=1:3'
  -T                 with memory tagging (MTE), for CONFIG_KASAN_HW_TAGS
  -c CPUS            1 to 64 (default 4); more than 8 take a kernel for so many (flavour many, or small)
  -M MIB             memory (default 2048), up to 1 TiB; of more than 16384 this machine gives what the guest touches, 1/64 for its
                     struct pages alone: 5.5 GiB for 256 GiB, 19 GiB for 1 TiB, in memory or else as a file on the disk of TMPDIR
  -t SECONDS         time limit (default 300)
  -a 'WORDS'         more words for the kernel command line, e.g. 'lab=secretmem,mixed lab.expect=heal'
  -b DISK            a raw image that the guest sees as a virtio disk, read-only
  -w MIB             an empty virtio disk of that size that the guest may write to, for swap; nothing of it is kept
  -d DIMMS           1 to 4 DIMMs of 1 GiB, plugged in and taken out as the guest asks for it on the console (lab=dimm lab.host=1):
                       the machine then has firmware, EFI and ACPI. EFI=FILE names another one than Debian's qemu-efi-aarch64
  -C CPU             QEMU's name of a CPU, which all of them are then, with -m nobbml3: cortex-a53, neoverse-n1
  -V                 the kernel starts at EL2, where a server's firmware leaves it, and may be a hypervisor
  -E                 firmware, EFI and ACPI, without -d too
  -n NODES           2 to 4 NUMA nodes, among which memory and CPUs are divided
  -v MIB             memory that comes and goes by virtio-mem, as the guest asks for it on the console (lab=virtiomem)
  -o OUTDIR          where console.log goes (default: a new folder in \$TMPDIR)
  -i                 instruction counting: one CPU (under the model those of -c), the same numbers each time, idle time costs nothing
  -f                 allocations are made to fail: what the kernel reports of that is no failure of the run
  -s                 interactive: the guest's shell on this terminal, without a time limit
  -q                 print the verdict only
exit status: 0 pass, 1 fail, 2 could not run"

machine=bbml3 cpus=4 mib=2048 limit=300 words='' outdir='' icount='' injected='' shell='' quiet='' realm='' model='' model_words='' disk='' swap='' audit='' mte='' dimms=''
cpu_model='' el2='' firmware='' nodes='' virtio_mem=''
while getopts :m:c:M:t:a:o:x:b:w:d:C:n:v:VEReATfisqh flag; do
	case $flag in
	m) machine=$OPTARG ;;
	c) cpus=$OPTARG ;;
	M) mib=$OPTARG ;;
	t) limit=$OPTARG ;;
	a) words=$OPTARG ;;
	o) outdir=$OPTARG ;;
	x) model_words=$OPTARG ;;
	b) disk=$OPTARG ;;
	w) swap=$OPTARG ;;
	d) dimms=$OPTARG ;;
	C) cpu_model=$OPTARG ;;
	n) nodes=$OPTARG ;;
	v) virtio_mem=$OPTARG ;;
	V) el2=1 ;;
	E) firmware=1 ;;
	R) realm=1 model=1 ;;
	e) model=1 ;;
	A) audit=1 model=1 ;;
	T) mte=1 ;;
	f) injected=1 ;;
	i) icount=1 ;;
	s) shell=1 ;;
	q) quiet=1 ;;
	h) echo "$usage"; exit 0 ;;
	*) wrong_option ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 2 ] || { echo "$usage" >&2; die "an IMAGE and an INITRD are expected"; }
image=$1 initrd=$2

number '-c ' "$cpus" 1 64
number '-M ' "$mib" 128 1048576
number '-t ' "$limit" 1 86400
[ -r "$image" ] || die "$image: no such Image; build the kernel first"
case $machine in
x86)
	[ "$(dd if="$image" bs=1 skip=514 count=4 status=none | tr -d '\0')" = HdrS ] || die "$image: not an x86 bzImage"
	[ -z "$realm$model$mte$model_words" ] || die "-m x86: there is no model, no Realm and no MTE; leave out -R, -e, -A, -T and -x"
	qemu=${QEMU_X86:-qemu-system-x86_64} package=qemu-system-x86
	;;
*)
	[ "$(dd if="$image" bs=1 skip=56 count=3 status=none | tr -d '\0')" = ARM ] || die "$image: not an arm64 Image"
	qemu=${QEMU:-qemu-system-aarch64} package=qemu-system-arm
	;;
esac
[ -r "$initrd" ] || die "$initrd: no such initrd; make initrd builds one"

version=$("$qemu" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p')
[ -n "$version" ] || die "$qemu: not found; install $package"
[ "$version" -ge "$QEMU_MIN" ] || die "$qemu is version $version; $QEMU_MIN or newer is needed (Debian 12: from bookworm-backports)"

[ "$machine" = x86 ] || is_machine "$machine" || die "-m $machine: $(machine_words), or x86, is expected"
if machine_is_mixed "$machine"; then
	model=1
	[ "$cpus" -ge 2 ] || die "-m $machine: one CPU lacks what another has, so -c 2 or more is needed"
fi
efi=${EFI:-/usr/share/qemu-efi-aarch64/QEMU_EFI.fd}
if [ "$dimms" ]; then
	number '-d ' "$dimms" 1 4
	[ -z "$model$icount$shell" ] && [ "$machine" != x86 ] || die "-d: with -m bbml3 or nobbml3 alone, and without -R, -e, -A, -i and -s"
	[ "$mib" -le 16384 ] || die "-d: -M $mib: 16384 MiB at most"
	firmware=1
fi
if [ "$cpu_model$el2$firmware$nodes$virtio_mem" ]; then
	[ -z "$model" ] && [ "$machine" != x86 ] || die "-C, -V, -E, -n and -v: with -m bbml3 or nobbml3 alone, and without -R, -e and -A"
	[ -z "$cpu_model" ] || [ "$machine" = nobbml3 ] || die "-C $cpu_model: its CPUs have no BBML3, so -m nobbml3 is needed"
	[ -z "$nodes" ] || number '-n ' "$nodes" 2 4
	[ -z "$nodes" ] || [ $((mib % nodes)) = 0 ] && [ "$cpus" -ge "${nodes:-1}" ] || die "-n $nodes: a CPU for each is needed, and memory that can be divided by it"
	[ -z "$virtio_mem" ] || number '-v ' "$virtio_mem" 2 16384
	[ -z "$virtio_mem" ] || [ -z "$dimms$icount$shell" ] && [ "$mib" -le 16384 ] || die "-v: without -d, -i and -s, and with -M 16384 at most"
	[ -z "$firmware" ] || [ -r "$efi" ] || die "$efi: no such firmware; install qemu-efi-aarch64, or name another by EFI="
fi
# What these are: model/README.md. With rodata=off the kernel's text is writable, as asked for.
allow=tagged,early
[[ " $words " != *" rodata=off "* ]] || allow+=,wx
[ -z "$audit" ] || model_words="el2.audit el2.audit.allow=$allow $model_words"
for word in $model_words; do
	[[ $word = el2.* ]] || die "-x $word: a word for the model begins with el2."
done
[ -z "$model_words" ] || [ "$model" ] || die "-x $model_words: there is no model to take it; add -e, -R or another -m"
[ -z "$model" ] || [ "$cpus" -le 8 ] || die "-c $cpus: the model has 8 CPUs at the most"
[ -z "$model" ] || [ "$mib" -le 16384 ] || die "-M $mib: the model has 16384 MiB at most"
[ -z "$disk" ] || [ -r "$disk" ] && [ ! -d "$disk" ] || die "-b $disk: no such file"
[ -z "$swap" ] || number '-w ' "$swap" 1 16384
[ -z "$swap" ] || [ -z "$disk$realm" ] || die "-w: not with -b or -R"

outdir=${outdir:-$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX")}
mkdir -p "$outdir" || die "$outdir: can't be made"
log=$outdir/console.log

. "$LAB/run/qemu.sh"

rm -f "$log" "$outdir/lines"
if [ "$shell" ]; then
	"$qemu" "${args[@]}" -chardev stdio,id=tty,mux=on,signal=off,logfile="$log" -serial chardev:tty -mon tty
	status=$?
elif [ "$dimms$virtio_mem" ]; then
	# From the console to the monitor, each line as it comes.
	rm -f "$outdir/monitor" && mkfifo "$outdir/monitor" && exec {monitor}<> "$outdir/monitor" || die "$outdir/monitor: can't be made"
	tail --pid=$$ -s 0.1 -n +1 -F "$log" 2> /dev/null > >(sed -unE '
		s/.*# lab: host plug ([0-9]) at (0x[0-9a-f]+).*/device_add pc-dimm,id=dimm\1,memdev=ram\1,addr=\2/p
		s/.*# lab: host resize ([0-9]+)M.*/qom-set virtiomem requested-size \1M/p
		s/.*# lab: host unplug ([0-9]).*/device_del dimm\1/p' >&"$monitor") &
	watcher=$!
	timeout -k 5 "$limit" "$qemu" "${args[@]}" -monitor stdio -serial "file:$log" <&"$monitor" > "$outdir/qemu.log" 2>&1
	status=$?
	kill "$watcher"
	wait "$watcher" 2> /dev/null
	rm "$outdir/monitor"
else
	timeout -k 5 "$limit" "$qemu" "${args[@]}" -monitor none -serial "file:$log" < /dev/null > "$outdir/qemu.log" 2>&1
	status=$?
fi

[ -f "$log" ] || die "QEMU did not start: $(head -n 1 "$outdir/qemu.log" 2>/dev/null)"
# The console without time stamps.
tr -d '\r' < "$log" | sed 's/^\[ *[0-9]*\.[0-9]*\]\(\[ *[TC][0-9]*\]\)\? //' > "$outdir/lines"

. "$LAB/run/verdict.sh"
# Subtests of KUnit are indented: only the guest's own points count, so a nested suite's plan is not taken for ours.
reason=$(why)
map=$(dirname "$image")/System.map
[ -r "$map" ] || map=$(dirname "$image")/../../../System.map
[ -z "$audit" ] || "$LAB/model/audit/names.sh" "$outdir/lines" "$map" > "$outdir/audit"
[ "$quiet" ] || grep -E '^(ok|not ok) |^# lab: (failed|heal=|churn|idle)' "$outdir/lines"
if [ -n "$reason" ]; then
	echo "verdict: fail ($reason; console: $log)"
	exit 1
fi
echo "verdict: pass ($(grep -c '^ok ' "$outdir/lines") results; console: $log)"
