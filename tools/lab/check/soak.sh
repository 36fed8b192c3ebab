#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The churn of kernel leaf mappings (kernel_leaf_fuzz, arch/arm64/mm/tests/) for as long as there are machines to spare: a list of
# jobs, each a line that is a shell command, to be run in any order, anywhere, at the top of this repository. A job boots a kernel,
# lasts two minutes, ten at the most, depends on no other, says how it went in KTAP, and does the same when it is run again.
#
#	SOAK_HOURS=8            how long the list is on one machine, one job at a time
#	SOAK_SEEDS=1..240       or these seeds, one job each
#	SOAK_LIMIT=1800         seconds for a job (600), where more of them run at a time than there are CPUs
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/run/machines.sh"

usage="usage: soak.sh                prints the list
       soak.sh kernels        builds the kernels and the guests that the jobs boot
       soak.sh -k KERNEL -m MACHINE -c CPUS -s SEED [options]    one job
  -k KERNEL    debug (KASAN, lockdep, PROVE_RCU), kcsan, or lab, kunit-16k, kunit-64k, which run under the auditor
  -m MACHINE   one of run.sh's; -R: as a Realm
  -s SEED      of all that is random
  -f PERCENT   of the operations in which an allocation is made to fail (0)
  -d MASK      disturbs the schedule: 1 by timers, 2 at the edges of locks, 3 by both (0)
  -w           beside processes that do what splits and collapses, too"

kernels='debug kcsan lab kunit-16k kunit-64k'
job_seconds=100 job_limit=${SOAK_LIMIT:-600} jobs_an_hour=30

# One that is KUnit's alone, without modules and all that processes could do: is_small KERNEL
is_small() { [ "$1" = kcsan ] || [[ $1 = kunit-* ]]; }

# KERNEL: what it needs, if all of it is there.
image() { echo "$BUILD/obj/linux-$1/arch/arm64/boot/Image"; }
initrd() {
	if is_small "$1"; then echo "$BUILD/guest/plain/initrd.cpio.gz"; else echo "$BUILD/guest/linux-$1/initrd.cpio.gz"; fi
}

kernels() {
	local k
	for k in $kernels; do
		"$LAB/tree/kbuild.sh" "$TREE" "$k" "$BUILD/obj/linux-$k" || exit
		if is_small "$k"; then
			lab_make -C "$LAB/guest" OUT="$BUILD/guest/plain" || die "the guest's init does not build"
		else
			lab_make -C "$LAB/guest" KOBJ="$BUILD/obj/linux-$k" OUT="$BUILD/guest/linux-$k" || die "the guest of linux-$k does not build"
		fi
	done
}

# Every combination once, those that differ in much behind each other.
combinations() {
	local kernel machine machines cpus fail delay work
	mapfile -t machines < <(machines_of_soak plain; machines_of_soak realm | sed 's/$/ -R/')
	for kernel in $kernels; do
		for machine in "${machines[@]}"; do
			for cpus in 1 2 4 8; do
				for fail in 0 10; do
					for delay in 0 3; do
						for work in '' ' -w'; do
							[[ $machine != mixed* ]] || [ "$cpus" != 1 ] || continue
							! is_small "$kernel" || [ -z "$work" ] || continue
							# Those without FAULT_INJECTION; without probes.
							[[ $kernel =~ debug|kcsan ]] || [ "$fail" = 0 ] || continue
							[[ $kernel != kunit-* ]] || [ "$delay" = 0 ] || continue
							echo "-k $kernel -m $machine -c $cpus -f $fail -d $delay$work"
						done
					done
				done
			done
		done
	done
}

list() {
	local all n first last hours=${SOAK_HOURS:-8} i step=101
	number SOAK_HOURS= "$hours" 1
	first=1 last=$((hours * jobs_an_hour))
	if [ -n "${SOAK_SEEDS-}" ]; then
		[[ $SOAK_SEEDS =~ ^([0-9]+)\.\.([0-9]+)$ ]] || die "SOAK_SEEDS=$SOAK_SEEDS: FIRST..LAST is expected, e.g. 1..240"
		first=${BASH_REMATCH[1]} last=${BASH_REMATCH[2]}
		[ "$first" -le "$last" ] || die "SOAK_SEEDS=$SOAK_SEEDS: the first is greater than the last"
	fi
	mapfile -t all < <(combinations)
	n=${#all[@]}
	# Prime, and so to each of them.
	[ $((n % step)) != 0 ] || step=103
	cat << EOT
# $((last - first + 1)) jobs of two minutes; $n different ones, then the same with other seeds.
# make soak-kernels builds what they boot.   make -s soak | parallel -j2   runs them here, two at a time;
# make -s soak | parallel --sshlogin HOST1,HOST2 --wd /this/repository    on others; or line by line by whatever you have.
#
# What a plain make check leaves out, one at a time here:
#	make check STEPS=bisect				the ends of the series; with BISECT_COMMITS=all every commit
#	make check STEPS='kunit audit' AUDIT='ours-*' KUNIT_FLAVOURS='kunit-16k kunit-36 kunit-39'	16K pages, and two and three levels
#	make check STEPS=mutants MUTANTS=all		every mutant, not one of each kind
#	make check STEPS=matrix MATRIX_CORNERS=ours	16K and 64K pages
#	make check STEPS='matrix audit execmem dimm' TREES='base ours'	the unmodified base beside ours
#	make check STEPS=dimm DIMM_ROUNDS=10		ten rounds, not two
#	make check STEPS=x86 X86='boots riscv'		x86_64 booted, not only riscv64 compiled
#	make check STEPS=dimm DIMM=efi			DIMMs unplugged by the host: a kernel with EFI and ACPI
#	make check STEPS=size SIZE='used heal share'	256 GiB in use and healed; 64 CPUs, a kernel of their own: 15 minutes
#	make check STEPS='models servers'		CPUs from Cortex-A53 to Neoverse N2, and the machines that servers are: three kernels more
#	make check STEPS=debug				the churn under KASAN and lockdep: a kernel and ten minutes
#	make check STEPS=deb				both kernels as Debian packages, and a Debian with systemd on them
#	make check STEPS=send				make send of each series, with a mail sink and b4
#	make check STEPS=alone				each series built, booted and tested on what it needs alone
EOT
	for ((i = first; i <= last; i++)); do
		echo "tools/lab/check/soak.sh -s $i ${all[i * step % n]}"
	done
}

job() {
	local kernel='' machine='' realm='' cpus='' seed='' fail=0 delay=0 work='' mib=2048 flag name dir words args verdict image initrd
	while getopts :k:m:c:s:f:d:Rwh flag; do
		case $flag in
		k) kernel=$OPTARG ;;
		m) machine=$OPTARG ;;
		R) realm=1 ;;
		c) cpus=$OPTARG ;;
		s) seed=$OPTARG ;;
		f) fail=$OPTARG ;;
		d) delay=$OPTARG ;;
		w) work=1 ;;
		h) echo "$usage"; exit 0 ;;
		*) wrong_option ;;
		esac
	done
	[ $# -lt $OPTIND ] && [ "$kernel" ] && [ "$machine" ] && [ "$cpus" ] && [ "$seed" ] || { echo "$usage" >&2; die "-k, -m, -c and -s are expected"; }
	# shellcheck disable=SC2086 # words
	one_of '-k ' "$kernel" $kernels
	number '-s ' "$seed" 0
	number '-f ' "$fail" 0 100
	number '-d ' "$delay" 0 3
	number SOAK_LIMIT= "$job_limit" 1
	! is_small "$kernel" || [ -z "$work" ] || die "-w: the kernel of -k $kernel is KUnit's alone"
	image=$(image "$kernel") initrd=$(initrd "$kernel")
	for f in "$image" "$initrd"; do
		[ -r "$f" ] || die "$f is not there; make soak-kernels builds it"
	done

	name=$kernel-$machine${realm:+-realm}-c$cpus-f$fail-d$delay${work:+-w}-s$seed
	dir=$BUILD/soak/$name
	mkdir -p "$dir" || die "$dir can't be made; make room"
	# As many threads as CPUs, but never one alone.
	words="kunit.enable=1 kunit.autorun=0 kunit.filter_glob=kernel_leaf_fuzz leaf_fuzz.threads=$((cpus > 1 ? cpus : 3))"
	words+=" leaf_fuzz.ops=10000000 leaf_fuzz.seconds=$job_seconds leaf_fuzz.fail=$fail leaf_fuzz.delay=$delay lab.seed=$seed lab.snapshots=0"
	if [ "$work" ]; then words+=" lab=fuzzmixed lab.files=2 lab.mib=8 lab.churn_s=$((job_seconds / 2)) lab.last_s=$((job_limit / 2))"; else words+=" lab=fuzz"; fi
	# With KASAN those who read ptdump beside it take minutes for each gigabyte of pages.
	[[ $kernel$work != debug1 ]] || mib=1024
	args=(-q -m "$machine" -c "$cpus" -M "$mib" -t "$job_limit" -o "$dir")
	[ -z "$realm" ] || args+=(-R)
	[ "$fail" = 0 ] || args+=(-f)
	[[ ! $kernel =~ lab|kunit ]] || args+=(-A)

	echo 'KTAP version 1'
	echo '1..1'
	verdict=$("$LAB/run/run.sh" "${args[@]}" -a "$words" "$image" "$initrd" 2>&1 | tail -n 1)
	sed -n 's/^ *# *churn: \(seed=\)/# \1/p; s/^el2: audit: /# audit: /p' "$dir/lines"
	if [[ $verdict == 'verdict: pass '* ]]; then
		echo "ok 1 $name"
		rm -rf "$dir"
		return 0
	fi
	sed -n 's/^ *# *churn: \(seed [0-9]* thread\)/# \1/p' "$dir/lines"
	echo "# $verdict"
	echo "not ok 1 $name"
	return 1
}

case ${1-} in
'') list ;;
kernels) make_build; kernels ;;
*) make_build; job "$@" ;;
esac
