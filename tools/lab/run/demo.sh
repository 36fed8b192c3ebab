#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# demo.sh: the unmodified kernel and ours are built and do the same work; shows what becomes of the map, and the table of leaves.
# What can be seen early is: each kernel's first boot comes as soon as it is built. Leaves all in build/demo.
set -u
. "$(dirname "$0")/../lib.sh"
[ $# = 0 ] || die "no arguments are known"
. "$LAB/run/boot.sh"
make_build

out=$BUILD/demo mib=${DEMO_MIB:-8192} cpus=${DEMO_CPUS:-4}
mkdir -p "$out" || die "$out can't be made; make room"
rm -rf "$out"/*-secretmem "$out"/*-mixed "$out"/*.verdict
status=0

# What comes, and how long that takes on two fast cores with nothing in a cache: in seconds. Once the first part is over, this machine's
# speed is known.
part=0 begin=$SECONDS percent=100
parts=(260 'build the unmodified kernel' 40 'boot it: memfd_secret files come and go' 240 'build the kernel with the series'
	40 'boot it: the same' 50 'boot the unmodified kernel: all kinds of work at once' 50 'boot ours: the same')
next() {
	local i left=0
	[ $part != 2 ] || percent=$(((SECONDS - begin) * 100 / parts[0]))
	for ((i = part; i < ${#parts[@]}; i += 2)); do left=$((left + parts[i])); done
	printf '[%d/%d] %s (about %d min to go in all)\n' $((part / 2 + 1)) $((${#parts[@]} / 2)) "${parts[part + 1]}" $(((left * percent / 100 + 59) / 60)) >&2
	part=$((part + 2))
}

work() { # WHO WORKLOAD EXPECT
	local words='lab.heal_ms=5000'
	next
	[ "$2" != secretmem ] || words+=' lab.rounds=2 lab.files=16 lab.mib=32 lab.stride=7'
	"$LAB/run/run.sh" -q -m bbml3 -c "$cpus" -M "$mib" -t "${DEMO_LIMIT:-600}" -o "$out/$1-$2" \
		-a "lab=$2 lab.expect=$3 $words" "$image" "$initrd" > "$out/$1-$2.verdict" 2>&1 || { status=1; cat "$out/$1-$2.verdict" >&2; }
}
picture() { python3 "$LAB/run/demo.py" "$out" "$mib" picture; }

next
guest base-lab
base_image=$image base_initrd=$initrd
work base secretmem noheal
picture
next
guest linux-lab
work ours secretmem heal
picture
ours_image=$image ours_initrd=$initrd image=$base_image initrd=$base_initrd
work base mixed noheal
image=$ours_image initrd=$ours_initrd
work ours mixed heal

{
	echo "Leaves of the kernel's linear map by size, and the kernel's page-table pages (tables)"
	echo "$((mib / 1024)) GiB, $cpus CPUs, BBML3 (-cpu max,midr=0x410fd8e0), rodata=on, QEMU"
	python3 "$LAB/run/demo.py" "$out" "$mib" table
} > "$out/table.txt"
python3 "$LAB/run/demo.py" "$out" "$mib" readme > "$out/readme.md"
picture
cat "$out/table.txt"
[ $status = 0 ] || { echo "demo: a run failed; see the verdicts above" >&2; exit 1; }
cat <<EOT

$(((SECONDS - begin + 59) / 60)) min, after the download. The table is $out/table.txt, the consoles are beside it. What to try next:
  make shell                      a shell in the guest: cat /sys/kernel/debug/kernel_page_tables
  make check STEPS=quick          KUnit's suites under the auditor, in under five minutes
  make try IMAGE=/path/to/Image   your own kernel on all of the machines
EOT
