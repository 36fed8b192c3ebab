#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots an arm64 Image, or x86's bzImage, with the lab's initrd under QEMU and ends with a verdict.
set -u

usage="usage: run.sh [options] IMAGE INITRD
  -m MACHINE         which CPUs have FEAT_BBM level 3 without conflict aborts:
                       bbml3     all (default)
                       nobbml3   none
                       mixed     all but the last
                       reverse   all but the first
                       late      all but the last, which is left offline for the guest to bring up
                     x86 is another machine, with blocks of 2 MiB and 1 GiB, for a bzImage: -c, -M, -t, -a, -b, -w, -o, -i, -f, -s, -q
  -R                 as a Realm (Arm CCA): mixed, reverse, late and -R run under the EL2 model, see tools/lab/model/README.md
  -e                 under the model also where it isn't needed
  -A                 under the model, which audits every store to the kernel's live tables and every TLBI: any violation fails the
                       run, and so does a run with nothing to audit. OUTDIR/audit has the reports, with names if there is a
                       System.map where the build left it. With -x el2.audit.trace=64 OUTDIR/trace has what was audited, 64 MiB at most,
                     to be judged again without the boot: tools/lab/model/README.md
  -x 'WORDS'         more words for the model, e.g. 'el2.inject el2.bbm=1:3'
  -T                 with memory tagging (MTE), for CONFIG_KASAN_HW_TAGS
  -c CPUS            1 to 8 (default 4)
  -M MIB             memory (default 2048), up to 1 TiB; more than 16384 is a sparse file, which takes what the guest touches
  -t SECONDS         time limit (default 300)
  -a 'WORDS'         more words for the kernel command line, e.g. 'lab=secretmem,mixed lab.expect=heal'
  -b DISK            a raw image that the guest sees as a virtio disk, read-only
  -w MIB             an empty virtio disk of that size that the guest may write to, for swap; nothing of it is kept
  -d DIMMS           1 to 4 DIMMs of 1 GiB, plugged in and taken out as the guest asks for it on the console (lab=dimm lab.host=1):
                       the machine then has firmware, EFI and ACPI. EFI=FILE names another one than Debian's qemu-efi-aarch64
  -o OUTDIR          where console.log goes (default: a new folder in \$TMPDIR)
  -i                 instruction counting: one CPU (under the model those of -c), the same numbers each time, idle time costs nothing
  -f                 allocations are made to fail: what the kernel reports of that is no failure of the run
  -s                 interactive: the guest's shell on this terminal, without a time limit
  -q                 print the verdict only
exit status: 0 pass, 1 fail, 2 could not run"

die() { echo "run.sh: $*" >&2; exit 2; }
number() { [[ $2 =~ ^[0-9]+$ && $2 -ge $3 && $2 -le $4 ]] || die "$1 $2: a number from $3 to $4 is expected"; }

machine=bbml3 cpus=4 mib=2048 limit=300 words='' outdir='' icount='' injected='' shell='' quiet='' realm='' model='' model_words='' disk='' swap='' audit='' mte='' dimms=''
while getopts :m:c:M:t:a:o:x:b:w:d:ReATfisqh flag; do
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
	R) realm=1 model=1 ;;
	e) model=1 ;;
	A) audit=1 model=1 ;;
	T) mte=1 ;;
	f) injected=1 ;;
	i) icount=1 ;;
	s) shell=1 ;;
	q) quiet=1 ;;
	h) echo "$usage"; exit 0 ;;
	*) echo "$usage" >&2; die "-$OPTARG: unknown option, or its value is missing" ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 2 ] || { echo "$usage" >&2; die "an IMAGE and an INITRD are expected"; }
image=$1 initrd=$2

number -c "$cpus" 1 8
number -M "$mib" 128 1048576
number -t "$limit" 1 86400
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
[ -r "$initrd" ] || die "$initrd: no such initrd; run make -C tools/lab/guest first"

# shellcheck source=tools/lab/base.conf
. "$(dirname "$0")/base.conf"
version=$("$qemu" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p')
[ -n "$version" ] || die "$qemu: not found; install $package"
[ "$version" -ge "$QEMU_MIN" ] || die "$qemu is version $version; $QEMU_MIN or newer is needed (Debian 12: from bookworm-backports)"

case $machine in
bbml3 | nobbml3 | x86) ;;
mixed | reverse | late)
	model=1
	[ "$cpus" -ge 2 ] || die "-m $machine: one CPU lacks what another has, so -c 2 or more is needed"
	;;
*) die "-m $machine: bbml3, nobbml3, mixed, reverse, late or x86 is expected" ;;
esac
efi=${EFI:-/usr/share/qemu-efi-aarch64/QEMU_EFI.fd}
if [ "$dimms" ]; then
	number -d "$dimms" 1 4
	[ -z "$model$icount$shell" ] && [ "$machine" != x86 ] || die "-d: with -m bbml3 or nobbml3 alone, and without -R, -e, -A, -i and -s"
	[ "$mib" -le 16384 ] || die "-d: -M $mib: 16384 MiB at most"
	[ -r "$efi" ] || die "$efi: no such firmware; install qemu-efi-aarch64, or name another by EFI="
fi
# What these are: model/README.md. With rodata=off the kernel's text is writable, as asked for.
allow=tagged,early
[[ " $words " != *" rodata=off "* ]] || allow+=,wx
[ -z "$audit" ] || model_words="el2.audit el2.audit.allow=$allow $model_words"
for word in $model_words; do
	[[ $word = el2.* ]] || die "-x $word: a word for the model begins with el2."
done
[ -z "$model_words" ] || [ "$model" ] || die "-x $model_words: there is no model to take it; add -e, -R or another -m"
[ -z "$model" ] || [ "$mib" -le 16384 ] || die "-M $mib: the model has 16384 MiB at most"
[ -z "$disk" ] || [ -r "$disk" ] && [ ! -d "$disk" ] || die "-b $disk: no such file"
[ -z "$swap" ] || number -w "$swap" 1 16384
[ -z "$swap" ] || [ -z "$disk$realm" ] || die "-w: not with -b or -R"

# What the CPUs are, without the model and with it.
cpu=max last=$((cpus - 1)) lacks=
case $machine in
bbml3) [ "$model" ] || cpu+=,midr=0x410fd8e0 ;; # Neoverse N3 is on the kernel's list of CPUs
nobbml3) lacks=0-$last ;;
mixed) lacks=$last ;;
reverse) lacks=0 ;;
late) lacks=$last words+=" maxcpus=$last" ;;
x86) cpu+=,pse=on,pdpe1gb=on ;;
esac

outdir=${outdir:-$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX")}
mkdir -p "$outdir" || die "$outdir: can't be made"
log=$outdir/console.log

# QEMU's lists separate by commas; one in a file's name is doubled.
in_list() { echo "${1//,/,,}"; }

# The model goes where the kernel would, and the Image behind it as QEMU's loader puts it, by default where the model ends. If it
# is too large for the place up to the initrd, which QEMU puts 128 MiB into the memory, it goes behind initrd and device tree.
header() { od -A n -t u8 -j "$1" -N 8 "$image" | tr -d ' '; }
place_image() {
	local offset size base=$((0x44000000)) initrd_base=$((0x48000000)) align=$((0x200000)) initrd_end
	offset=$(header 8) size=$(header 16)
	if [ $((base + offset + size)) -gt $initrd_base ]; then
		initrd_end=$((initrd_base + $(stat -L -c %s "$initrd")))
		base=$(((initrd_end + 3 * align - 1) / align * align))
	fi
	printf '0x%x' $((base + offset))
}

# memory_fd MIB NEEDED WHY: descriptor memfd is a file of so much, with no name once QEMU can be started: nothing is left behind,
# whatever ends this. It takes as much room as the guest touches, for which so much must be free.
memory_fd() {
	local dir free file
	for dir in /dev/shm "${TMPDIR:-/tmp}"; do
		free=$(df -Pm "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }')
		[ "${free:-0}" -gt "$2" ] && [ -w "$dir" ] && break
		free=
	done
	[ "$free" ] || die "$3: $2 MiB are free neither in /dev/shm nor in ${TMPDIR:-/tmp}; set TMPDIR, or use a smaller -M"
	file=$(mktemp "$dir/lab-memory.XXXXXX") && exec {memfd}<> "$file" && rm "$file" && truncate -s "${1}M" "/proc/self/fd/$memfd" ||
		die "$dir: can't be written, or has no files of $1 MiB; set TMPDIR"
}

# A Realm's disk does DMA by way of a second view of the memory, so that is a file (model/dma.c).
realm_memory() {
	local window=1024
	while [ $window -lt $((mib + 1024)) ]; do window=$((window * 2)); done
	memory_fd $window "$mib" "-R -b"
	board+=,highmem-mmio-size=1T,memory-backend=ram
	args+=(-object "memory-backend-file,id=ram,mem-path=/proc/self/fd/$memfd,share=on,offset=1G,size=${mib}M"
		-object "memory-backend-file,id=alias,mem-path=/proc/self/fd/$memfd,share=on,size=${window}M"
		-device "ivshmem-plain,memdev=alias,addr=0x1f")
}

# More than this machine may have, of which the guest touches its struct pages, 1/64, and what it works on.
large_memory() {
	memory_fd "$mib" $((mib / 32 + 1024)) "-M $mib"
	board+=,memory-backend=ram
	args+=(-object "memory-backend-file,id=ram,mem-path=/proc/self/fd/$memfd,share=on,size=${mib}M")
}

board=virt,gic-version=3,its=on${mte:+,mte=on}
console="ttyAMA0 earlycon" sockets=''
# The MP table of a PC names one CPU in each package.
[ "$machine" != x86 ] || { board=q35 console="ttyS0 earlycon=uart8250,io,0x3f8" sockets=,sockets=$cpus; }
args=(-nic none -display none -no-reboot -cpu "$cpu" -initrd "$initrd")
if [ "$model" ]; then
	if [ -z "${MODEL-}" ]; then
		lab=$(cd "$(dirname "$0")" && pwd)
		MODEL=${BUILD:-${O:-$lab/../../build}${KDIR:+/kdir}}/model
		mkdir -p "$MODEL" 2>/dev/null && MODEL=$(cd "$MODEL" && pwd) || die "$MODEL: can't be made; choose another folder with O="
		why=$(flock "$MODEL" env -u MAKEFLAGS make -s -C "$lab/model" OUT="$MODEL" 2>&1) || die "the model does not build: $(tail -n 1 <<< "$why")"
		MODEL=$MODEL/model.bin
	fi
	[ -r "$MODEL" ] || die "MODEL=$MODEL: no such file; make model builds one"
	board+=,virtualization=on
	place=$(place_image)
	args+=(-kernel "$MODEL" -device "loader,file=$(in_list "$image"),addr=$place,force-raw=on")
	words+=" el2.image=$place${lacks:+ el2.nobbml3=$lacks} $model_words"
	[[ " $model_words" != *" el2.audit.trace="* ]] || args+=(-semihosting-config "enable=on,target=native,arg=$(in_list "$outdir/trace")")
	# A Realm has its UART in the shared half from the start: Documentation/arch/arm64/arm-cca.rst.
	[ "$realm" ] && words+=" el2.realm" console="ttyAMA0 earlycon=pl011,mmio32,0x10009000000"
else
	args+=(-kernel "$image")
fi
[ "$mib" -le 16384 ] || large_memory
if [ "$disk" ]; then
	[ -z "$realm" ] || realm_memory
	args+=(-drive "if=none,id=disk,format=raw,readonly=on,file=$(in_list "$disk")"
		-device "virtio-blk-pci,drive=disk,disable-legacy=on${realm:+,iommu_platform=on}")
fi
if [ "$swap" ]; then # without a name once QEMU has it
	file=$(mktemp "${TMPDIR:-/tmp}/lab-swap.XXXXXX") && exec {swapfd}<> "$file" && rm "$file" && truncate -s "${swap}M" "/proc/self/fd/$swapfd" ||
		die "${TMPDIR:-/tmp}: can't be written; set TMPDIR"
	args+=(-drive "if=none,id=swap,format=raw,file=/proc/self/fd/$swapfd" -device "virtio-blk-pci,drive=swap,disable-legacy=on")
fi
memory=$mib
if [ "$dimms" ]; then # addresses enough for DIMMs at 68 GiB, whose struct pages need tables of their own
	memory+=M,slots=$dimms,maxmem=96G
	args+=(-bios "$efi")
	for ((i = 0; i < dimms; i++)); do args+=(-object "memory-backend-ram,id=ram$i,size=1G"); done
fi
append="console=$console panic=-1 oops=panic printk.devkmsg=on log_buf_len=1M $words"
if [ "$icount" ]; then
	[ "$model" ] || cpus=1
	[ "$machine" = x86 ] || board+=,dtb-randomness=off
	append+=" nokaslr"
	args+=(-icount "shift=0,sleep=off" -seed 1 -rtc "clock=vm,base=2026-01-01")
fi
# On a busy host ticks come too late for the kernel's look at whether they come at all.
[ "$machine" != x86 ] || append+=" no_timer_check"
[ "$shell" ] && append+=" lab=shell"
args+=(-M "$board" -smp "$cpus$sockets" -m "$memory" -append "$append")

rm -f "$log" "$outdir/lines"
if [ "$shell" ]; then
	"$qemu" "${args[@]}" -chardev stdio,id=tty,mux=on,signal=off,logfile="$log" -serial chardev:tty -mon tty
	status=$?
elif [ "$dimms" ]; then
	# From the console to the monitor, each line as it comes.
	rm -f "$outdir/monitor" && mkfifo "$outdir/monitor" && exec {monitor}<> "$outdir/monitor" || die "$outdir/monitor: can't be made"
	tail --pid=$$ -s 0.1 -n +1 -F "$log" 2> /dev/null > >(sed -unE '
		s/.*# lab: host plug ([0-9]) at (0x[0-9a-f]+).*/device_add pc-dimm,id=dimm\1,memdev=ram\1,addr=\2/p
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

bad='Kernel panic|Oops|Internal error|WARNING:|\bBUG:|UBSAN:|KASAN:|KCSAN:|KFENCE:|[Cc]all trace:|leaked|kmemleak: .*suspected'
bad+='|INFO: rcu|rcu: INFO:|detected stall|possible (circular|recursive) locking|inconsistent lock state|suspicious RCU usage'
bad+='|blocked for more than|workqueue lockup|soft lockup|hard LOCKUP|Unable to handle kernel|messages dropped'
bad+='|^el2: (FAULT|error)'

# With -f a report of an allocation that failed, warn_alloc()'s, may have its call trace; whatever else it holds still counts.
without_reports() {
	if [ "$injected" ]; then
		awk '/ mode:0x.*nodemask=/ { near = 12 } near && /^Call trace:/ { near = 0; next } near { near-- } { print }'
	else
		cat
	fi
}

# Why the run failed; nothing if it did not.
why() {
	local plan points failed
	# Behind this line a kernel marks its CPUs offline while they still run, and now and then warns of it (set_task_cpu()).
	sed '/^reboot: Power down/q' "$outdir/lines" | without_reports | grep -m 1 -E "$bad" && return
	grep -m 1 -E '^el2: (FAULT|error)' "$outdir/lines" && return
	if [ $status = 124 ] || [ $status = 137 ]; then
		echo "hang: killed after $limit s; last line: $(grep -v '^$' "$outdir/lines" | tail -n 1)"
		return
	fi
	[ $status = 0 ] || { echo "QEMU ended with $status: $(head -n 1 "$outdir/qemu.log" 2>/dev/null)"; return; }
	plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' "$outdir/lines" | tail -n 1)
	if [ -z "$plan" ]; then
		grep -m 1 '^# lab: failed' "$outdir/lines" || echo "no KTAP plan: the guest's init did not run"
		return
	fi
	failed=$(grep -m 1 '^not ok ' "$outdir/lines") && { echo "$failed"; return; }
	# KUnit's suites come before, as a KTAP document of their own; or one by one, when the guest asks for one.
	points=$(awk '/^KTAP version/ { n = 0 } /^ok 1 kernel_/ { next } /^ok / { n++ } END { print n + 0 }' "$outdir/lines")
	[ "$points" = "$plan" ] || { echo "$points of $plan results"; return; }
	grep -q '^# lab: done' "$outdir/lines" || { echo "the guest's init did not end"; return; }
	[ -z "$audit" ] || grep -q '^el2: audit: ' "$outdir/lines" || echo "the auditor did not come to its end"
}

# Subtests of KUnit are indented: only the guest's own points count, so a nested suite's plan is not taken for ours.
reason=$(why)
[ -z "$audit" ] || "$(dirname "$0")/model/audit/names.sh" "$outdir/lines" "$(dirname "$image")/../../../System.map" > "$outdir/audit"
[ "$quiet" ] || grep -E '^(ok|not ok) |^# lab: (failed|heal=|churn|idle)' "$outdir/lines"
if [ -n "$reason" ]; then
	echo "verdict: fail ($reason; console: $log)"
	exit 1
fi
echo "verdict: pass ($(grep -c '^ok ' "$outdir/lines") results; console: $log)"
