# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by the steps models and servers, behind run/boot.sh: the machines that servers are, a line each, and how one is judged.
#
#	SERVERS='*-kpti-on efi'    rows by name, one or more patterns
#	SERVERS_JOBS=1             boots at a time (2)
#	SERVERS_OBJ=DIR            boots the kernels that are built there (DIR/linux-small, DIR/base-small), and builds none
#	SERVERS_PAGE=1             writes tools/lab/check/machines.md anew, with these rows' results
#	TREES='base ours'          the unmodified base too, of which healing is not expected
#
# A row: its name; the flavour; the machine, as run.sh's arguments; words for the kernel; what the guest does; how ptcheck judges the
# dumps of its tables (none: they are not to be judged); and lines that the kernel must print there, each a regular expression
# behind a ~.
SERVERS_ROWS=()
add() { SERVERS_ROWS+=("$1|$2|$3|$4|$5|$6|$7"); }
short='lab.files=4 lab.mib=8'
dumped="lab=dump,secretmem,dump $short"

# Each CPU by its MIDR. All of these are mapped by pages, for none has BBML3; kpti=on maps user and kernel apart.
for model in a53:d03 a57:d07 a72:d08 a76:d0b n1:d0c v1:d40 n2:d49; do
	case $model in a*) cpu=cortex-${model%:*} ;; *) cpu=neoverse-${model%:*} ;; esac
	midr="~Booting Linux on physical CPU 0x0+ \\[0x41.f${model#*:}.\\]"
	add "$cpu-kpti-on" bench "-m nobbml3 -C $cpu -c 2 -M 512" kpti=on "$dumped lab.bbml3=0" '-m 2' "$midr~detected: Kernel page table isolation"
	add "$cpu-kpti-off" bench "-m nobbml3 -C $cpu -c 2 -M 512" kpti=off "$dumped lab.bbml3=0" '-m 2' "$midr~isolation forced OFF"
done
add bbml3-kpti-on bench '-m bbml3 -c 2 -M 1024' kpti=on "$dumped" '-m 1 -s 2' '~detected: Kernel page table isolation'
add bbml3-kpti-off bench '-m bbml3 -c 2 -M 1024' kpti=off "$dumped" '-m 1 -s 2' '~isolation forced OFF'

# The kernel stays at EL2 where it has VHE, and leaves it where it is told not to use that; a hypervisor it is in the step servers.
add el2 bench '-m bbml3 -V -c 2 -M 1024' '' "$dumped" '-m 1 -s 2' '~All CPU.s. started at EL2~detected: Virtualization Host Extensions'
add el2-left bench '-m bbml3 -V -c 2 -M 1024' kvm-arm.mode=nvhe "$dumped" '-m 1 -s 2' '~All CPU.s. started at EL2~ID_AA64MMFR1_EL1.11:8.: forced to 0'

# A server's own kernel (flavour small). What is printed by the hypervisor says which it is.
mixed="lab=dump,secretmem,mixed $short lab.churn_s=5"
guests="lab=dump,kvm,mixed $short lab.churn_s=5"
add efi small '-m bbml3 -E -c 2 -M 2048' '' "$mixed" '-m 1' '~efi: EFI v~ACPI: RSDP'
add efi-nobbml3 small '-m nobbml3 -E -c 2 -M 1024' '' "$mixed" '-m 2' '~efi: EFI v~ACPI: RSDP'
add el2-vhe small '-m bbml3 -V -c 2 -M 2048' '' "$guests" '-m 1' '~kvm .1.: VHE mode initialized~# lab: churn .* kvm=[1-9]'
add el2-nvhe small '-m bbml3 -V -c 2 -M 2048' kvm-arm.mode=nvhe "$guests" '-m 1' '~kvm .1.: Hyp nVHE mode initialized~# lab: churn .* kvm=[1-9]'
# Protected KVM lets no kernel take this one's place: kexec_load() is -EBUSY.
add el2-protected small '-m bbml3 -V -c 2 -M 2048' kvm-arm.mode=protected "$guests lab.without=kexec" '-m 1' '~kvm .1.: Protected h?n?VHE mode initialized~# lab: churn .* kvm=[1-9]'
add el2-efi-nobbml3 small '-m nobbml3 -V -E -c 2 -M 1024' '' "$guests" '-m 2' '~efi: EFI v~kvm .1.: VHE mode initialized'
add numa small '-m bbml3 -n 2 -c 4 -M 4096' '' "$mixed" '-m 1' '~Initmem setup node 1 '
# Two cores can't run 64 CPUs that all churn at once: RCU stalls. One workload after another here; all CPUs at once in SIZE=share.
add cpus-64 many '-m bbml3 -c 64 -M 4096' '' "lab=machine,dump,secretmem,setmem,modules,bpf,dump lab.cpus=64 $short" '-m 1 -s 2' '~Total of 64 processors activated'
add virtio-mem small '-m bbml3 -v 1024 -c 2 -M 2048' memhp_default_state=online_movable 'lab=virtiomem lab.hot_at=3072 lab.hot_mib=1024 lab.rounds=2' none '~virtio_mem'
add dimms small '-m bbml3 -d 2 -c 2 -M 1024' memhp_default_state=online_movable 'lab=dimm lab.hot_mib=1024 lab.host=1 lab.hot_at=69632 lab.rounds=2' none '~ACPI: RSDP'
add kfence-late small '-m bbml3 -c 2 -M 2048' '' "lab=dump,kfence,secretmem,mixed $short lab.churn_s=5" '-m 1' '~# lab: kfence allocations=[1-9]'
add debug-pagealloc small '-m bbml3 -c 2 -M 1024' debug_pagealloc=on "lab=secretmem,mixed $short lab.churn_s=5" none '~Kernel command line: .*debug_pagealloc=on'
# One kernel after another. The second is told by lab.next= what to do.
# Under EFI, which alone tells the next kernel where the GIC's tables are: it goes on with them, and without EFI may have text there.
add kexec small '-m bbml3 -E -c 2 -M 2048' '' "lab=next lab.next=dump+secretmem+mixed $short lab.churn_s=3" '-m 1' '~# lab: kexec$'
add kdump server '-m bbml3 -c 2 -M 1024' 'crashkernel=384M sysctl.kernel.sysrq=1' "lab=crash lab.next=vmcore $short lab.churn_s=3 lab.snapshots=0" none '~# lab: crash on purpose~# lab: vmcore '
# A livepatch that is there before the module that it patches: its text is relocated when that comes, beside all the rest.
add livepatch server '-m bbml3 -c 2 -M 2048' '' "lab=dump,livepatch,mixed $short lab.churn_s=5" '-m 1' '~livepatch: enabling patch .lab_klp.~livepatch: applying patch .lab_klp. to loading module .lab_target.~# lab: churn .* livepatch=[1-9]'
# Its locks sleep, and lockdep looks at each.
add rt rt '-m bbml3 -c 4 -M 2048' '' "$mixed lab.last_s=300" '-m 1' '~PREEMPT_RT~Lock dependency validator'

row_names() { printf '%s\n' "${SERVERS_ROWS[@]%%|*}"; }
find_row() { # NAME: sets flavour, machine, words, does, judge and facts
	local r name
	for r in "${SERVERS_ROWS[@]}"; do
		IFS='|' read -r name flavour machine words does judge facts <<< "$r"
		[ "$name" != "$1" ] || return 0
	done
	return 1
}

# find_facts LINES FACTS: says which of them is not there.
find_facts() {
	local fact list
	IFS='~' read -ra list <<< "${2#\~}"
	for fact in "${list[@]}"; do
		grep -qE -e "$fact" "$1" || { echo "the machine is not what it should be: no line \"$fact\""; return 1; }
	done
}

# server NAME TREE: one boot, one result, and what the page says of it.
server() {
	local flavour machine words does judge facts name=server-$1 dir said out expect=heal why=''
	took > /dev/null # ok and nok count from here
	find_row "$1"
	[ "$2" = ours ] || name+=-base expect=noheal
	[ "$2" = ours ] || [[ $judge != '-m 1'* ]] || judge='-m 1 -d 1'
	dir=$servers/run/$1-$2
	# shellcheck disable=SC2086 # words
	out=$("$LAB/run/run.sh" -q $machine -t 400 -o "$dir" -a "$words $does lab.heal_ms=15000 lab.expect=$expect" \
		"${image_of[$2-$flavour]}" "${initrd_of[$2-$flavour$(next_of "$does")]}" 2>&1) || why=$(tail -n 1 <<< "$out")
	[ "$why" ] || why=$(find_facts "$dir/lines" "$facts")
	# shellcheck disable=SC2086 # words
	[ "$why" ] || [ "$judge" = none ] || said=$("$BUILD/tools/ptcheck" $judge "$dir/console.log") || why=$(head -n 1 <<< "$said")
	server_said "$1" "$2" "$why" > "$servers/said/$1-$2"
	if [ "$why" ]; then nok "$name" "$why"; else ok "$name"; fi
}

# A row of the page.
server_said() { # NAME TREE WHY
	local result=clean steps step
	steps=${does#lab=} steps=${steps%% *}
	[ ! "$judge" = none ] && result+=', tables judged'
	[ "$2" != ours ] || ! grep -qs '^# lab: heal=yes' "$dir/lines" || result+=', healed'
	[ "$2" != base ] || ! grep -qs '^# lab: heal=no' "$dir/lines" || result+=', stays split'
	[ -z "$3" ] || result="fails: ${3%%; console*}"
	step=servers
	[ "$flavour" != bench ] || step=models
	# shellcheck disable=SC2016 # marks of the page
	printf '| %s | %s | `%s` | %s%s | %s | `make check STEPS=%s SERVERS=%s%s` |\n' "$1" "$2" "$machine" "${words:+\`$words\`, }" "${steps//,/, }" \
		"${result//|/,}" "$step" "$1" "$([ "$2" = ours ] || echo " TREES=base")"
}

page=$LAB/check/machines.md
page_head() {
	cat << 'EOT'
# The machines that servers are

`make check STEPS='models servers' SERVERS_PAGE=1` has written this; by hand it is not changed. Each row is a boot: no splat, all results of
the guest, and the page tables as they must be before and after. The rows are lines of `servers.sh`.

| machine | tree | QEMU (`run.sh`) | what was run | result | command |
| --- | --- | --- | --- | --- | --- |
EOT
}
not_run() { # NAME TREE
	local flavour machine words does judge facts dir=$servers
	[ "$2" = ours ] || return 0
	find_row "$1"
	# shellcheck disable=SC2016 # marks of the page
	server_said "$1" ours '' | sed 's/| clean[^|]* | `make check/| **not run yet** | `make check/'
}
# write_page: the rows that have run now, and of the others what the page has.
write_page() {
	local name tree
	{
		page_head
		for name in $(row_names); do
			for tree in ours base; do
				cat "$servers/said/$name-$tree" 2> /dev/null || grep "^| $name | $tree |" "$page" 2> /dev/null | grep -v 'not run yet' || not_run "$name" "$tree"
			done
		done
	} > "$page.new" && mv "$page.new" "$page" || die "$page can't be written"
}

# servers FLAVOURS: boots the rows of these flavours.
servers() {
	local patterns trees name tree k names=() queue=() n=0 running=0 servers=$BUILD/servers flavour machine words does judge facts
	declare -gA image_of initrd_of
	trees_wanted
	number SERVERS_JOBS= "${SERVERS_JOBS:=2}" 1
	[[ ${SERVERS_PAGE-} = '' || $SERVERS_PAGE = 1 ]] || die "SERVERS_PAGE=$SERVERS_PAGE: 1 is expected, or nothing"
	read -ra patterns <<< "${SERVERS:-*}"
	for name in $(row_names); do
		find_row "$name"
		[[ " $1 " = *" $flavour "* ]] && chosen "$name" && names+=("$name")
	done
	[ "${#names[@]}" -gt 0 ] || die "SERVERS=${SERVERS-}: no such row of this step; there are: $(row_names | xargs)"
	mkdir -p "$servers/said" "$servers/result" || die "$servers can't be made; make room"
	rm -f "$servers"/said/* "$servers"/result/*
	lab_make -C "$LAB/run" OUT="$BUILD/tools" || die "ptcheck does not build"
	for name in "${names[@]}"; do
		find_row "$name"
		for tree in $trees; do
			queue+=("$name $tree")
			k=linux-$flavour
			[ "$tree" = ours ] || k=base-$flavour
			if [ -z "${image_of[$tree-$flavour]-}" ]; then
				kernel_there "$k"
				image_of[$tree-$flavour]=$image initrd_of[$tree-$flavour]=$initrd
			fi
			[ "$(next_of "$does")" ] && [ -z "${initrd_of[$tree-$flavour-next]-}" ] || continue
			next_initrd "$k" "${image_of[$tree-$flavour]}"
			initrd_of[$tree-$flavour-next]=$initrd
		done
	done
	for name in "${queue[@]}"; do
		[ $running -lt "$SERVERS_JOBS" ] || { wait -n; running=$((running - 1)); }
		# shellcheck disable=SC2086 # two words
		server $name > "$servers/result/$n" 2>&1 &
		n=$((n + 1)) running=$((running + 1))
	done
	wait
	find "$servers/result" -type f | sort -V | xargs cat
	[ -z "${SERVERS_PAGE-}" ] || write_page
	took > /dev/null
	# Each row has been run for the page at some time.
	for name in "${names[@]}"; do
		grep "^| $name | ours |" "$page" | grep -qv 'not run yet' || { nok "servers-page" "$page says of $name that it was not run; write it with SERVERS_PAGE=1"; return; }
	done
	ok servers-page
}

# -next if one kernel comes after another: its initrd then holds the other one, with makedumpfile and the lab's modules.
next_of() { [[ $1 != *lab.next=* ]] || echo -next; } # WORDS
next_initrd() { # TREE-FLAVOUR IMAGE
	local obj=$BUILD/obj/$1 out=$BUILD/guest/$1 extra
	[ -z "${SERVERS_OBJ-}" ] || obj=$SERVERS_OBJ/$1
	extra=$("$LAB/check/dumper.sh") || exit
	lab_make -C "$LAB/guest" KOBJ="$obj" OUT="$out-dumper" EXTRA="$extra" &&
		lab_make -C "$LAB/guest" OUT="$out-next" EXTRA="next/Image=$2 next/initrd.cpio.gz=$out-dumper/initrd.cpio.gz" ||
		die "the guest of $1 that holds another kernel does not build"
	initrd=$out-next/initrd.cpio.gz
}

# As guest of boot.sh, or what SERVERS_OBJ= has.
kernel_there() { # TREE-FLAVOUR
	local obj=${SERVERS_OBJ-}/$1
	[ "${SERVERS_OBJ-}" ] || { guest "$1"; return; }
	image=$obj/arch/arm64/boot/Image initrd=$BUILD/guest/$1/initrd.cpio.gz
	[ -r "$image" ] || die "SERVERS_OBJ=$SERVERS_OBJ: $image is not there; leave SERVERS_OBJ unset to have it built"
	lab_make -C "$LAB/guest" KOBJ="$obj" OUT="$BUILD/guest/$1" || die "the guest of $1 does not build"
}
