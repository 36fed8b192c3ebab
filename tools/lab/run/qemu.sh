# shellcheck shell=bash disable=SC2015,SC2154
# Sourced by run.sh behind its options: what QEMU gets to be that machine, in the array args, and how many CPUs that is, in cpus.

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

# MiB that are free: of memory, and in a folder, where a tmpfs has no more than there is memory.
memory_free() { awk '/^MemAvailable:/ { print int($2 / 1024) }' "${MEMINFO:-/proc/meminfo}"; }
room_in() {
	local free memory
	free=$(df -Pm "$1" 2> /dev/null | awk 'NR == 2 { print $4 }') memory=$(memory_free)
	[ -w "$1" ] && [ "$free" ] || free=0
	[ "$(stat -f -c %T "$1" 2> /dev/null)" != tmpfs ] || [ "$free" -lt "$memory" ] || free=$memory
	echo "$free"
}

# memory_fd MIB NEEDED WHY: descriptor memfd is a file of so much, with no name once QEMU can be started: nothing is left behind,
# whatever ends this. It takes as much room as the guest touches, for which so much must be free.
memory_fd() {
	local dir file
	for dir in /dev/shm "${TMPDIR:-/tmp}" ''; do [ "$dir" ] && [ "$(room_in "$dir")" -gt "$2" ] && break; done
	[ "$dir" ] || die "$3: the guest may touch $2 MiB; free are $(memory_free) of memory, $(room_in "${TMPDIR:-/tmp}") in ${TMPDIR:-/tmp}: set TMPDIR, or use a smaller -M"
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

# More than this machine may have, of which the guest touches its struct pages, 1/64, tables, 1/512 if all of its map is split, and
# what it works on. Memory of QEMU's own comes in large pages, which halves the time of a boot, and has no name. Where there is not so
# much, or the host would count all of it, it is a file, on a disk if need be.
large_memory() {
	local needed=$((mib / 64 + mib / 512 + 1024))
	board+=,memory-backend=ram
	if [ "$(memory_free)" -gt $needed ] && [ "$(cat /proc/sys/vm/overcommit_memory)" != 2 ]; then
		args+=(-object "memory-backend-ram,id=ram,size=${mib}M,reserve=off,prealloc=off")
	else
		memory_fd "$mib" $needed "-M $mib"
		args+=(-object "memory-backend-file,id=ram,mem-path=/proc/self/fd/$memfd,share=on,size=${mib}M,reserve=off,prealloc=off")
	fi
}

# What the CPUs are, without the model and with it.
cpu=max last=$((cpus - 1))
if find_machine "$machine"; then
	case $lacks in
	none) # Neoverse N3 is on the kernel's list of CPUs
		lacks=''
		[ "$model" ] || cpu+=,midr=0x410fd8e0 ;;
	all) lacks=0-$last ;;
	first) lacks=0 ;;
	last) lacks=$last ;;
	esac
	[ "$machine" != late ] || words+=" maxcpus=$last"
else # x86
	lacks='' cpu+=,pse=on,pdpe1gb=on
fi

cpu=${cpu_model:-$cpu}
board=virt,gic-version=3,its=on${mte:+,mte=on}${el2:+,virtualization=on}
console="ttyAMA0 earlycon" sockets=''
# The MP table of a PC names one CPU in each package.
[ "$machine" != x86 ] || { board=q35 console="ttyS0 earlycon=uart8250,io,0x3f8" sockets=,sockets=$cpus; }
args=(-nic none -display none -no-reboot -cpu "$cpu" -initrd "$initrd")
if [ "$model" ]; then
	if [ -z "${MODEL-}" ]; then
		MODEL=$BUILD/model
		mkdir -p "$MODEL" 2>/dev/null && MODEL=$(cd "$MODEL" && pwd) || die "$MODEL: can't be made; choose another folder with O="
		why=$(flock "$MODEL" env -u MAKEFLAGS make -s -C "$LAB/model" OUT="$MODEL" 2>&1) || die "the model does not build: $(tail -n 1 <<< "$why")"
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
	for ((i = 0; i < dimms; i++)); do args+=(-object "memory-backend-ram,id=ram$i,size=1G"); done
fi
[ -z "$firmware" ] || args+=(-bios "$efi")
for ((i = 0; i < ${nodes:-0}; i++)); do
	args+=(-object "memory-backend-ram,id=node$i,size=$((mib / nodes))M"
		-numa "node,nodeid=$i,memdev=node$i,cpus=$((cpus * i / nodes))-$((cpus * (i + 1) / nodes - 1))")
done
if [ "$virtio_mem" ]; then
	memory+=M,maxmem=$((mib + virtio_mem))M
	args+=(-object "memory-backend-ram,id=more,size=${virtio_mem}M" -device "virtio-mem-pci,id=virtiomem,memdev=more,requested-size=0")
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
