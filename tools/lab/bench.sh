#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh BASE_OBJ OUR_OBJ OUTDIR: what fragmentation costs, what healing gives back, and what the series costs. The unmodified kernel
# and ours, from their build folders, do the same work on a machine of one CPU whose instructions are counted; a model of TLBs looks
# on (plugins/tlb.c). Leaves in OUTDIR table.txt, bench.json, bench.svg and report.html; `records` has all that they are made of.
#
#	BENCH_WORKLOADS	which (default: all there are)
#	BENCH_CORES	whose TLBs: n1, v2, n3, ampereone (default n1; the table shows the first)
#	BENCH_PACKAGES	a folder with Debian's programs for arm64, of bench-packages.sh
set -u
. "$(dirname "$0")/lib.sh"

[ $# = 3 ] || die "usage: bench.sh BASE_OBJ OUR_OBJ OUTDIR"
base=$1 ours=$2 out=$3
mib=${BENCH_MIB:-1024} cores=${BENCH_CORES:-n1} packages=${BENCH_PACKAGES-}
for obj in "$base" "$ours"; do
	[ -r "$obj/arch/arm64/boot/Image" ] || die "$obj: no kernel is built there; make bench builds it"
done
base=$(cd "$base" && pwd) ours=$(cd "$ours" && pwd)
for core in $cores; do
	[[ $core =~ ^(n1|v2|n3|ampereone)$ ]] || die "BENCH_CORES=$cores: n1, v2, n3 or ampereone is expected"
done
mkdir -p "$out" 2>/dev/null && out=$(cd "$out" && pwd) || die "$out can't be made; make room, or choose another folder with O="
scratch_tmp
records=$TMP/records
: > "$records"

# What the memory goes through between the workload's first turn and its second.
churn='lab.rounds=1 lab.files=20 lab.mib=16 lab.stride=1 lab.heal_ms=2000 lab.expect=noheal'
workloads=(pread stat kv)
for m in test_vmalloc test_bpf; do
	[ -r "$base/lib/$m.ko" ] && [ -r "$ours/lib/$m.ko" ] || { note "no $m.ko in both kernels: its rows are left out"; continue; }
	mods+=" $m"
	[ $m = test_bpf ] && workloads+=(test_bpf) || workloads+=(full_fit kvfree1 kvfree2 pcpu)
done

extra=
if [ "$packages" ]; then
	[ -r "$packages/programs" ] || die "BENCH_PACKAGES=$packages: no list of programs there; make it with bench-packages.sh"
	while read -r name words; do
		echo "$words" > "$TMP/$name"
		extra+=" bench/$name=$TMP/$name"
		workloads+=("$name")
	done < "$packages/programs"
	while read -r f; do extra+=" ${f#./}=$packages/root/${f#./}"; done < <(cd "$packages/root" && find . -type f -o -type l)
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
	MODS=$kos make -s -C "$LAB/guest" KOBJ="$2" EXTRA="$extra" OUT="$out/guest-$1" > "$TMP/log" 2>&1 ||
		die "the guest does not build: $(grep -m 1 -i error "$TMP/log" || tail -n 1 "$TMP/log")"
}

begin=$SECONDS done_runs=0 all_runs=0
progress() { printf '# %d of %d, %d:%02d min: %s\n' "$done_runs" "$all_runs" $(((SECONDS - begin) / 60)) $(((SECONDS - begin) % 60)) "$*" >&2; }
failed=0
fail() { echo "${me%.sh}: $*" >&2; failed=1; }

# model KERNEL OBJ CORE WORK: one boot with the model
model() {
	local report=$out/$1-$4-$3.report dir=$out/$1-$4-$3 why
	progress "$1, $4, TLBs of $3"
	done_runs=$((done_runs + 1))
	rm -f "$report"
	why=$("$LAB/bench-tlb.sh" "$report" "core=$3" "lab.bench=$4 $churn" -o "$dir" -M "$mib" -t "${BENCH_LIMIT:-1200}" \
		"$2/arch/arm64/boot/Image" "$out/guest-$1/initrd.cpio.gz" 2>&1) || { fail "$1, $4: $why"; return; }
	sed -n "s/^phase=/phase kernel=$1 work=$4 core=$3 at=/p; s/^part=/part kernel=$1 work=$4 core=$3 at=/p
		s/^map at=/map kernel=$1 work=$4 core=$3 at=/p; s/^run at=/run kernel=$1 work=$4 core=$3 at=/p
		s/^checked=/checked kernel=$1 work=$4 core=$3 walks=/p; s/^core=[^ ]*/core core=$3/p; s/^source=/source core=$3 text=/p" \
		"$report" >> "$records"
	sed -n "s/^lab_cost: \([a-z_]*\) n=/cost kernel=$1 at=\1 n=/p" "$dir/lines" >> "$records"
}

# boot KERNEL OBJ MACHINE CPUS: all instructions from reset to power-off. On a mixed machine the linear map is repainted in pages.
boot() {
	local said probe=
	progress "$1, boot, $3"
	done_runs=$((done_runs + 1))
	[ "$3" != mixed ] || probe=linear_map_split_to_ptes
	said=$(COUNT_PROBES=$probe "$LAB/count.sh" -c "$4" -m "$3" -M "$mib" -t 600 -a 'quiet lab=none' "$2/arch/arm64/boot/Image" \
		"$out/guest-$1/initrd.cpio.gz" 2>&1) || { fail "$1, boot: $said"; return; }
	echo "boot kernel=$1 machine=$3 insns=$(head -n 1 <<< "$said")" >> "$records"
	sed -n "s/^$probe calls=/repaint kernel=$1 calls=/p" <<< "$said" >> "$records"
}

# The suite's case `costs` reports a collapse in ticks; the base has no such suite.
collapse() {
	progress "ours, the cost of a collapse"
	done_runs=$((done_runs + 1))
	"$LAB/run.sh" -q -i -o "$out/ours-kunit" -M "$mib" -t 600 -a 'kunit.enable=1 kunit.filter_glob=kernel_collapse.costs lab=none' \
		"$ours/arch/arm64/boot/Image" "$out/guest-ours/initrd.cpio.gz" > "$TMP/log" 2>&1 || { fail "$(tail -n 1 "$TMP/log")"; return; }
	grep -q 'ticks: ' "$out/ours-kunit/lines" || { note "no suite kernel_collapse in our kernel: the cost of a collapse is left out"; return; }
	awk '/ticks: / { sub(/.*ticks: /, ""); n = split($0, part, /, /)
		for (i = 1; i <= n; i++) if (match(part[i], / [0-9]+$/)) {
			name = substr(part[i], 1, RSTART - 1); gsub(/ /, "_", name)
			print "kunit kernel=ours at=" name " ticks=" substr(part[i], RSTART + 1) } }' "$out/ours-kunit/lines" >> "$records"
}

initrd base "$base"
initrd ours "$ours"
read -ra all_cores <<< "$cores"
all_runs=$((2 * ${#chosen[@]} * ${#all_cores[@]} + 2 + 6 + 1))
for core in $cores; do
	for w in ${chosen[@]+"${chosen[@]}"}; do
		model base "$base" "$core" "$w"
		model ours "$ours" "$core" "$w"
	done
done
model base "$base" "${all_cores[0]}" cost
model ours "$ours" "${all_cores[0]}" cost
for m in 'bbml3 1' 'nobbml3 1' 'mixed 2'; do
	# shellcheck disable=SC2086
	boot base "$base" $m
	# shellcheck disable=SC2086
	boot ours "$ours" $m
done
collapse

# All or nothing: what a failed run left out would look like a result.
[ $failed = 0 ] || die "no table, for what is said above; the consoles are in $out"
for f in table.txt bench.json bench.svg report.html; do rm -f "${out:?}/$f"; done
mv "$records" "$out/records"
{
	grep -q '^CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y' "$base/.config" && opt=-O2 || opt=-Os
	echo "make bench: unmodified $BASE_VERSION and with the series, $opt, one CPU, $mib MiB, instructions counted (an instruction is not a cycle)"
	awk -f "$LAB/bench-table.awk" "$out/records"
} > "$out/table.txt"
awk -f "$LAB/bench-json.awk" "$out/records" > "$out/bench.json"
awk -f "$LAB/bench-svg.awk" "$out/records" > "$out/bench.svg"
{
	echo '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A linear map that heals: make bench</title>'
	echo '<style>body{font:16px/1.5 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222;background:#fff}'
	echo 'pre{font-size:13px;line-height:1.35;overflow-x:auto}svg{max-width:100%;height:auto}</style></head><body>'
	echo '<h1>A linear map that heals: make bench</h1>'
	cat "$out/bench.svg"
	echo '<pre>'
	sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' "$out/table.txt"
	echo '</pre></body></html>'
} > "$out/report.html"
cat "$out/table.txt"
note "the picture is $out/bench.svg, all of it $out/report.html and $out/bench.json"
