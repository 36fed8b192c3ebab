#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# demo.sh BASE_IMAGE OUR_IMAGE INITRD OUTDIR: the unmodified kernel and ours do the same work; prints the table of leaves.
set -u

lab=$(cd "$(dirname "$0")/.." && pwd)
[ $# = 4 ] || { echo "usage: demo.sh BASE_IMAGE OUR_IMAGE INITRD OUTDIR" >&2; exit 2; }
base=$1 ours=$2 initrd=$3 out=$4
mib=${DEMO_MIB:-8192} cpus=${DEMO_CPUS:-4}
mkdir -p "$out" || exit 2
status=0

# boot WHO IMAGE WORKLOAD EXPECT WORDS
boot() {
	printf '%s: %s... ' "$1" "$3" >&2
	"$lab/run/run.sh" -q -m bbml3 -c "$cpus" -M "$mib" -t "${DEMO_LIMIT:-600}" -o "$out/$1-$3" \
		-a "lab=$3 lab.expect=$4 $5" "$2" "$initrd" > "$out/$1-$3.verdict" 2>&1 || status=1
	cat "$out/$1-$3.verdict" >&2
}

# table WORKLOAD TITLE: the rows of the base and of ours, joined by phase and round.
table() {
	[ -f "$out/base-$1/lines" ] && [ -f "$out/ours-$1/lines" ] || return
	printf '\n%s\n' "$2"
	awk '
	function get(name) { return match($0, " " name "=[^ ]*") ? substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 2) : "-" }
	function cells(key,    i, s) {
		for (i = 1; i <= n; i++)
			s = s sprintf(" %*s", width[i], (key, i) in v ? v[key, i] : "-")
		return s
	}
	function label(key,    p) {
		split(key, p, " ")
		if (p[1] == "boot") return "after boot"
		if (p[1] == "open") return "round " p[2] ": files open"
		if (p[1] == "closed") return "round " p[2] ": files closed"
		if (p[1] == "churn") return "at work"
		if (p[1] == "mixed-closed") return "all ended"
		return "later"
	}
	BEGIN {
		n = split("4K 64K 2M 32M 1G leaves kernel_pt", name, " ")
		split("6 5 4 4 3 7 7", width, " ")
	}
	/^# lab: phase=/ {
		key = get("phase") " " get("round")
		if (!(key in seen)) { seen[key] = 1; order[++rows] = key }
		for (i = 1; i <= n; i++) v[FILENAME "/" key, i] = get(name[i])
	}
	/^# lab: heal=/ { heal[FILENAME] = get("heal"); ms[FILENAME] = get("ms"); limit[FILENAME] = get("limit") }
	END {
		head = ""
		for (i = 1; i <= n; i++) head = head sprintf(" %*s", width[i], name[i] == "kernel_pt" ? "tables" : name[i])
		printf "%-23s %-42s   %s\n", "", "unmodified", "with the series"
		printf "%-22s %s  |%s\n", "leaves of the map", head, head
		for (r = 1; r <= rows; r++)
			printf "%-22s %s  |%s\n", label(order[r]), cells(ARGV[1] "/" order[r]), cells(ARGV[2] "/" order[r])
		printf "healed: unmodified %s; with the series %s", heal[ARGV[1]], heal[ARGV[2]]
		if (heal[ARGV[2]] == "yes") printf ", seen %d ms after the last close (at most %d leaves allowed)", ms[ARGV[2]], limit[ARGV[2]]
		print ""
	}' "$out/base-$1/lines" "$out/ours-$1/lines"
}

for work in secretmem mixed; do
	words="lab.heal_ms=5000"
	[ $work = secretmem ] && words+=" lab.rounds=2 lab.files=16 lab.mib=32 lab.stride=7"
	boot base "$base" $work noheal "$words"
	boot ours "$ours" $work heal "$words"
done

{
	echo "Leaves of the kernel's linear map by size, and the kernel's page-table pages (tables)"
	echo "$((mib / 1024)) GiB, $cpus CPUs, BBML3 (-cpu max,midr=0x410fd8e0), rodata=on, QEMU"
	table secretmem "16 memfd_secret files of 32 MiB, every 7th page touched, then closed; twice"
	table mixed "secretmem, eBPF, modules, kprobes and ftrace on all CPUs while the page tables are read"
} | tee "$out/table.txt"
[ $status = 0 ] || echo "demo: a run failed; see the verdicts above" >&2
exit $status
