#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh BASE_OBJ OUR_OBJ SUITE_OBJ OUTDIR: what fragmentation costs, what healing gives back, and what the series costs. The
# unmodified kernel and ours, from their build folders, do the same work on a machine of one CPU whose instructions are counted; a
# model of TLBs looks on (plugins/tlb.c). Our kernel in SUITE_OBJ, which may be OUR_OBJ, has the KUnit suite that says what a
# collapse costs. Leaves in OUTDIR table.txt, bench.json, bench.svg and report.html; `records` has all that they are made of.
#
#	BENCH_WORKLOADS	which (default: all there are; none with '')
#	BENCH_CORES	whose TLBs: n1, v2, n3, ampereone (default n1; the table shows the first)
#	BENCH_PACKAGES	a folder with Debian's programs for arm64, of packages.sh
#	BENCH_LARGE	MiB of the large machine (default 262144, for which this one needs 6 GiB)
#	BENCH_JOBS	how many machines run at a time (default 2)
set -u
. "$(dirname "$0")/../lib.sh"

[ $# = 4 ] || die "usage: bench.sh BASE_OBJ OUR_OBJ SUITE_OBJ OUTDIR"
base=$1 ours=$2 suite=$3 out=$4
mib=${BENCH_MIB:-1024} limit=${BENCH_LIMIT:-1200} cores=${BENCH_CORES:-n1} packages=${BENCH_PACKAGES-} large=${BENCH_LARGE:-262144}
number BENCH_LARGE= "$large" 98304 917504
for obj in "$base" "$ours" "$suite"; do
	[ -r "$obj/arch/arm64/boot/Image" ] || die "$obj: no kernel is built there; make bench builds it"
done
base=$(cd "$base" && pwd) ours=$(cd "$ours" && pwd) suite=$(cd "$suite" && pwd)
for core in $cores; do
	[[ $core =~ ^(n1|v2|n3|ampereone)$ ]] || die "BENCH_CORES=$cores: n1, v2, n3 or ampereone is expected"
done
mkdir -p "$out" 2>/dev/null && out=$(cd "$out" && pwd) || die "$out can't be made; make room, or choose another folder with O="
scratch_tmp
records=$TMP/records
: > "$records"

# What the memory goes through between the workload's first turn and its second.
churn='lab.rounds=1 lab.files=20 lab.mib=16 lab.stride=1 lab.heal_ms=2000 lab.expect=noheal'
workloads=(pread seqread stat kv)
for m in test_vmalloc test_bpf; do
	[ -r "$base/lib/$m.ko" ] && [ -r "$ours/lib/$m.ko" ] || { note "no $m.ko in both kernels: its rows are left out"; continue; }
	mods+=" $m"
	[ $m = test_bpf ] && workloads+=(test_bpf) || workloads+=(full_fit kvfree1 kvfree2 pcpu)
done

if [ "$packages" ]; then
	[ -r "$packages/programs" ] || die "BENCH_PACKAGES=$packages: no list of programs there; make it with bench/packages.sh"
	packages=$(cd "$packages" && pwd)
	while read -r name words; do workloads+=("$name"); done < "$packages/programs"
fi
read -ra chosen <<< "${BENCH_WORKLOADS-${workloads[*]}}"
for w in ${chosen[@]+"${chosen[@]}"}; do
	[[ " ${workloads[*]} " = *" $w "* ]] || die "BENCH_WORKLOADS: no workload '$w'; there are: ${workloads[*]}"
done

# The same initrd for both, but for the modules.
initrd() { # KERNEL OBJ
	local kos='' m
	for m in ${mods-}; do kos+=" $2/lib/$m.ko"; done
	# In the environment, so that the lab's own modules are added to these.
	MODS=$kos make -s -C "$LAB/guest" KOBJ="$2" OUT="$out/guest-$1" > "$TMP/log" 2>&1 ||
		die "the guest does not build: $(grep -m 1 -i error "$TMP/log" || tail -n 1 "$TMP/log")"
}

# initrd_for KERNEL WORK: a program and its libraries come before it, for the boots that run them only
initrd_for() {
	local words root=$packages/root/$2 first=$TMP/$2.cpio
	[ "$packages" ] && words=$(sed -n "s/^$2 //p" "$packages/programs") && [ "$words" ] || { echo "$out/guest-$1/initrd.cpio.gz"; return; }
	{
		flock 8
		[ -e "$first" ] || { mkdir -p "$root/bench" && echo "$words" > "$root/bench/$2" &&
			(cd "$root" && find . -mindepth 1 | sort | cpio --quiet -o -H newc -R 0:0 --reproducible) > "$first"; }
	} 8> "$TMP/.lock"
	cat "$first" "$out/guest-$1/initrd.cpio.gz" > "$TMP/initrd-$1-$2" && echo "$TMP/initrd-$1-$2"
}

# Each job prints its records; what it has to say instead goes to stderr. $slots of them run at a time.
begin=$SECONDS all_jobs=() slots=${BENCH_JOBS:-2}
[[ $slots =~ ^[1-9][0-9]*$ ]] || die "BENCH_JOBS=$slots: a number of boots at a time is expected"
job() { all_jobs+=("$*"); }
run_jobs() {
	local n=${#all_jobs[@]} i
	for ((i = 0; i < n; i++)); do
		while [ "$(jobs -rp | wc -l)" -ge "$slots" ]; do wait -n; done
		[ ! -s "$TMP/failed" ] || break
		printf '# %d of %d, %d:%02d min: %s\n' $((i + 1)) "$n" $(((SECONDS - begin) / 60)) $(((SECONDS - begin) % 60)) "${all_jobs[i]}" >&2
		# shellcheck disable=SC2086 # words
		{ ${all_jobs[i]} > "$TMP/records.$i" || echo "${all_jobs[i]}" >> "$TMP/failed"; } &
	done
	wait
	# All or nothing: what a failed run left out would look like a result.
	[ ! -s "$TMP/failed" ] || die "no table, for what is said above; the consoles are in $out"
	for ((i = 0; i < n; i++)); do cat "$TMP/records.$i"; done >> "$records"
}
fail() { echo "${me%.sh}: $*" >&2; return 1; }
obj_of() { case $1 in base) echo "$base" ;; suite) echo "$suite" ;; *) echo "$ours" ;; esac; }
image_of() { echo "$(obj_of "$1")/arch/arm64/boot/Image"; }

# model KERNEL CORE WORK: one boot with the model
model() {
	local report=$out/$1-$3-$2.report dir=$out/$1-$3-$2 why rd
	rd=$(initrd_for "$1" "$3")
	rm -f "$report"
	why=$("$LAB/bench/tlb.sh" "$report" "core=$2" "lab.bench=$3 $churn" -o "$dir" -M "$mib" -t "$limit" "$(image_of "$1")" "$rd" 2>&1) ||
		{ fail "$1, $3: $why"; return; }
	rm -f "$TMP/initrd-$1-$3"
	sed -n "s/^phase=/phase kernel=$1 work=$3 core=$2 at=/p; s/^part=/part kernel=$1 work=$3 core=$2 at=/p
		s/^map at=/map kernel=$1 work=$3 core=$2 at=/p; s/^run at=/run kernel=$1 work=$3 core=$2 at=/p
		s/^checked=/checked kernel=$1 work=$3 core=$2 walks=/p; s/^core=[^ ]*/core core=$2/p; s/^source=/source core=$2 text=/p" \
		"$report"
}

# cost KERNEL MACHINE: what changes of permissions cost
cost() {
	local report=$out/$1-cost-$2.report dir=$out/$1-cost-$2 why
	why=$("$LAB/bench/tlb.sh" "$report" '' lab.bench=cost -o "$dir" -m "$2" -M "$mib" -t "$limit" "$(image_of "$1")" \
		"$out/guest-$1/initrd.cpio.gz" 2>&1) || { fail "$1, cost, $2: $why"; return; }
	sed -n "s/^lab_cost: \([a-z_]*\) n=/cost kernel=$1 machine=$2 at=\1 n=/p" "$dir/lines"
	[ "$2" != bbml3 ] || sed -n "s/^phase=/flushes kernel=$1 at=/p" "$report"
}

# boot KERNEL MACHINE CPUS MIB: all instructions from reset to power-off, with one initrd for both, which has no modules. The median of
# five boots that differ by a word of the command line: when a timer interrupts what changes a boot by 1/1000, and is the same each time
# that the same boot is run. On a mixed machine the linear map is repainted in pages.
boot() {
	local said probe='' several=() all='' pads=(a bcdefgh ijklmnopqrstu vwxyzvwxyzvwxyzvwxyz abcdefghijklmnopqrstuvwxyz) pad
	[ "$2" != mixed ] || probe=linear_map_split_to_ptes
	[ "$3" = 1 ] || several=(-e)
	for pad in "${pads[@]}"; do
		said=$(COUNT_PROBES=$probe "$LAB/bench/count.sh" ${several[@]+"${several[@]}"} -c "$3" -m "$2" -M "$4" -t "$limit" \
			-a "quiet lab=none bench.pad=$pad" "$(image_of "$1")" "$out/guest-plain/initrd.cpio.gz" 2>&1) || { fail "$1, boot: $said"; return; }
		all+=$(head -n 1 <<< "$said")$'\n'
	done
	echo "boot kernel=$1 machine=$2 cpus=$3 mib=$4 insns=$(printf %s "$all" | sort -n | sed -n 3p)"
	[ ! "$probe" ] || sed -n "s/^$probe calls=/repaint kernel=$1 calls=/p" <<< "$said"
}

# share KERNEL: which cache lines four CPUs have in common that change permissions in blocks of their own
share() {
	local report=$out/$1-share.report why
	why=$("$LAB/bench/share.sh" "$report" -o "$out/$1-share" -c 4 -M 8192 -t "$limit" "$(image_of "$1")" "$out/guest-$1/initrd.cpio.gz" 2>&1) ||
		{ fail "$1, share: $why"; return; }
	awk -v k="$1" '{ sub(/ cpus read=/, " read=") }
		sub(/^phase=/, "") { at = $1; print "share kernel=" k " at=" $0 }
		sub(/^line=/, "") { print "line kernel=" k " at=" at " addr=" $0 }' "$report"
}

# The base collapses nothing; the suite's kernel has what hurries the worker. heal MIB: what the collapse of one block costs, of two, and so on
heal() {
	"$LAB/run/run.sh" -q -i -o "$out/ours-heal-$1" -M "$1" -t "$limit" -a 'lab=bench lab.bench=heal' "$(image_of suite)" \
		"$out/guest-suite/initrd.cpio.gz" > "$TMP/heal-$1" 2>&1 || { fail "heal, $1 MiB: $(tail -n 1 "$TMP/heal-$1")"; return; }
	sed -n "s/^lab_heal: mib=[0-9]* /heal kernel=ours mib=$1 /p" "$out/ours-heal-$1/lines"
}

# used KERNEL MACHINE, heal_all GIB: a large machine's page tables; in memory that the host need not have
size() { "$LAB/bench/size.sh" "$@" || { fail "size $*"; return; }; }
used() { size used "$1" "$2" "$large" "$out/$1-used-$2" "$(image_of "$1")" "$out/guest-$1/initrd.cpio.gz"; }
heal_all() { size heal ours "$1" "$out/ours-heal-all-$1" "$(image_of suite)" "$out/guest-suite/initrd.cpio.gz"; }

# What the locks are held for at a time, when memfd_secret() comes and goes.
batch() {
	local said
	said=$(COUNT_PROBES=collapse_table "$LAB/bench/count.sh" -M "$mib" -t "$limit" -a "lab=secretmem $churn" "$(image_of ours)" \
		"$out/guest-ours/initrd.cpio.gz" 2>&1) || { fail "batch: $said"; return; }
	sed -n 's/^collapse_table calls=/batch kernel=ours calls=/p' <<< "$said"
}

# The suite's case `costs` reports a collapse in ticks.
collapse() {
	"$LAB/run/run.sh" -q -i -o "$out/ours-kunit" -M 4096 -t "$limit" -a 'kunit.enable=1 kunit.filter_glob=kernel_collapse.costs lab=none' \
		"$suite/arch/arm64/boot/Image" "$out/guest-ours/initrd.cpio.gz" > "$TMP/collapse" 2>&1 || { fail "$(tail -n 1 "$TMP/collapse")"; return; }
	grep -q 'ticks: ' "$out/ours-kunit/lines" || { note "no suite kernel_collapse in our kernel: the cost of a collapse is left out" >&2; return; }
	awk '/ticks: / { sub(/.*ticks: /, ""); n = $NF; sub(/ [0-9]+$/, ""); gsub(/ /, "_"); print "kunit kernel=ours at=" $0 " ticks=" n }' \
		"$out/ours-kunit/lines"
}

initrd base "$base"
initrd ours "$ours"
initrd suite "$suite"
make -s -C "$LAB/guest" OUT="$out/guest-plain" > "$TMP/log" 2>&1 || die "the guest does not build: $(tail -n 1 "$TMP/log")"
read -ra all_cores <<< "$cores"
for core in "${all_cores[@]}"; do
	for w in ${chosen[@]+"${chosen[@]}"}; do
		job model base "$core" "$w"
		job model ours "$core" "$w"
	done
done
for k in base ours; do
	job cost $k bbml3
	job cost $k nobbml3
	for m in bbml3 nobbml3; do
		job boot $k $m 4 8192
		job boot $k $m 1 2048
	done
	job boot $k mixed 2 2048
	job share $k
	job used $k bbml3
	job used $k nobbml3
done
job collapse
job batch
for gib in 2 8 16; do job heal $((gib * 1024)); done
for gib in 8 24 64 $((large / 1024)); do job heal_all "$gib"; done
run_jobs

for f in table.txt bench.json bench.svg report.html; do rm -f "${out:?}/$f"; done
mv "$records" "$out/records"
{
	grep -q '^CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y' "$base/.config" && opt=-O2 || opt=-Os
	echo "make bench: unmodified $BASE_VERSION and with the series, $opt, one CPU, $mib MiB, instructions counted (an instruction is not a cycle)"
	awk -f "$LAB/bench/table.awk" "$out/records"
} > "$out/table.txt"
python3 "$LAB/bench/records-json.py" < "$out/records" > "$out/bench.json"
awk -f "$LAB/bench/svg.awk" "$out/records" > "$out/bench.svg"
{
	echo '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A linear map that heals: make bench</title>'
	echo '<style>body{font:16px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222;background:#fff}'
	echo 'pre{font-size:13px;line-height:1.35;overflow-x:auto}svg{max-width:100%;height:auto}'
	echo '@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}}</style></head><body>'
	echo '<h1>A linear map that heals: make bench</h1>'
	cat "$out/bench.svg"
	echo '<pre>'
	sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' "$out/table.txt"
	echo '</pre></body></html>'
} > "$out/report.html"
cat "$out/table.txt"
note "the picture is $out/bench.svg, all of it $out/report.html and $out/bench.json"
