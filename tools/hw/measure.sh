#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Measures the kernel that runs: its linear map, its TLB walks, and some loads, fresh, amid churn and after it. README.md is the manual.
# What it can't run it refuses by name, and goes on. What it changes it puts back, also when it is interrupted.
set -u
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
me=measure
die() { echo "$me: $*" >&2; exit 1; }
note() { echo "# $*"; }

usage="usage: measure.sh [options] LABEL
  LABEL      what this kernel is called in the report: base, ours
  -q, --quick    2 short runs of each load, not 5 (for a try; the figures mean little)
  -y, --yes      do not ask before it begins
  -o DIR         where the records go (results/ beside the script)
  -l 'LOADS'     only these of: fio memcached hackbench stress-ng read modules bpf"

loads='fio memcached hackbench stress-ng read modules bpf'
wanted=$loads quick='' yes='' out=$here/results
while [ $# -gt 0 ]; do
	case $1 in
	-q | --quick) quick=1 ;;
	-y | --yes) yes=1 ;;
	-o) out=${2-}; shift ;;
	-l) wanted=${2-}; shift ;;
	-h | --help) echo "$usage"; exit 0 ;;
	-*) echo "$usage" >&2; die "$1: unknown option" ;;
	*) break ;;
	esac
	shift
done
[ $# = 1 ] || { echo "$usage" >&2; die "one LABEL is expected: base, or ours"; }
label=$1
[[ $label =~ ^[A-Za-z0-9._-]+$ ]] || die "$label: a LABEL has letters, digits, . _ and -"
[ "$out" ] || die "-o: a folder is expected"
for load in $wanted; do [[ " $loads " = *" $load "* ]] || die "-l $load: one of these is expected: $loads"; done

runs=5 seconds=10 files=16 mib=32 bpf=5000 times=20 pages_mib=512 settle=10
[ ! "$quick" ] || runs=2 seconds=1 files=8 mib=16 bpf=200 times=2 pages_mib=64 settle=6
count=$(wc -w <<< "$wanted")
cat << END
This measures the kernel $(uname -r) as '$label', for about $((count * runs * 3 * (seconds + 2) / 60 + 2)) minutes: $runs runs of each of these, three times
(fresh; amid churn; when the churn has ended): $wanted.
It takes $((files * mib / 7 + pages_mib * 2)) MiB of memory. For that time there are: a tmpfs, a RAM disk (brd) with dm-crypt on it (named leafkit), a memcached on
127.0.0.1:21211, secret memory, modules of file systems that are loaded and removed, and debugfs, if it is not mounted.
All of that is gone at the end, and if you press ^C. Nothing is written but $out/$label.records.
END
[ "$(id -u)" = 0 ] || die "only root can read page tables and load modules; run it as root"
free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
[ "$free" -gt $((files * mib / 7 + pages_mib * 2 + 128)) ] || die "$free MiB of memory are free; make room, or use --quick"
if [ ! "$yes" ]; then
	read -rp 'Begin? [y/N] ' answer || answer=
	[ "$answer" = y ] || die "not begun"
fi
mkdir -p "$out" && tmp=$(mktemp -d "$out/.tmp.XXXXXX") || die "$out can't be written; name another folder with -o"

# What puts things back, the last first. A command that puts back does so even if ^C comes meanwhile.
undo=()
put_back() {
	trap '' INT TERM HUP
	local i
	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}" > /dev/null 2>&1 || echo "$me: could not put back: ${undo[i]}" >&2; done
	rm -rf "$tmp"
}
trap put_back EXIT
trap 'exit 130' INT TERM HUP
# change UNDO COMMAND...: a signal waits until it is known how to put back.
change() {
	local how=$1 stopped='' rc; shift
	trap 'stopped=1' INT TERM HUP
	"$@"
	rc=$?
	[ $rc != 0 ] || undo+=("$how")
	trap 'exit 130' INT TERM HUP
	[ ! "$stopped" ] || exit 130
	return $rc
}

# What is loaded by and by goes when all else is gone, also what something else pulled in.
loaded() { cut -d ' ' -f 1 /proc/modules 2> /dev/null | sort; } # none where there are no modules
loaded > "$tmp/modules"
new_modules_gone() {
	for round in 1 2 3 4 5; do
		for m in $(loaded | comm -13 "$tmp/modules" -); do rmmod "$m"; done
		[ "$(loaded | comm -13 "$tmp/modules" -)" ] || return 0
		sleep "0.$round"
	done
	return 1
}
undo+=(new_modules_gone)

records=$tmp/records
stage=-
record() { printf '%s\t%s\t%s\t%s\t%s\n' "$label" "$stage" "$1" "$2" "$3" >> "$records"; } # WHAT UNIT VALUE
refuse() { record "refused $1" - "$2"; note "$1: refused: $2"; }                            # WHAT WHY
have() { command -v "$1" > /dev/null; }

# The machine, and the kernel's own words.
record kernel - "$(uname -r)"
record model - "$(cat /proc/device-tree/model /sys/class/dmi/id/product_name 2> /dev/null | tr '\0' '\n' | head -n 1)"
record midr - "$(cat /sys/devices/system/cpu/cpu*/regs/identification/midr_el1 2> /dev/null | sort | uniq -c | awk '{ print $1 " x " $2 }' | paste -sd ,)"
record cpus - "$(nproc)"
record memory KiB "$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)"
record words - "$(dmesg 2> /dev/null | grep -iE 'bbm|linear map|kernel_leaf' | sed 's/^\[[^]]*\] *//' | sort -u | paste -sd ';')"
record cmdline - "$(xargs -0 < /proc/cmdline 2> /dev/null)"

if [ ! -d /sys/kernel/debug/tracing ] && [ ! -e /sys/kernel/debug/sleep_time ] && ! mountpoint -q /sys/kernel/debug; then
	change 'umount /sys/kernel/debug' mount -t debugfs none /sys/kernel/debug 2> /dev/null
fi

# The map.
look() {
	record available KiB "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)"
	record page_tables KiB "$(awk '/^PageTables:/ { print $2 }' /proc/meminfo)"
	if json=$("$here/bin/leafmap" -j 2> "$tmp/why"); then
		record leaves number "$(sed -nE 's/.*"leaves":\{([^}]*)\}.*/\1/p' <<< "$json" | head -n 1 | grep -oE ':[0-9]+' | tr -d : | awk '{ n += $1 } END { print n + 0 }')"
		record in_pieces blocks "$(sed -nE 's/.*"in_pieces":([0-9]+).*/\1/p' <<< "$json" | head -n 1)"
	else refuse leaves "leafmap: $(head -n 1 "$tmp/why") (CONFIG_PTDUMP_DEBUGFS)"; fi
	grep '^direct_map_' /proc/vmstat > "$tmp/vmstat" || refuse direct_map "/proc/vmstat has no direct_map_* (the base has them on x86 only)"
	while read -r name value; do record "$name" number "$value"; done < "$tmp/vmstat"
}

# perf: each event by itself, so that one which is not there takes no other with it.
events=()
if have perf; then
	for e in instructions l1d_tlb_refill l1i_tlb_refill dtlb_walk itlb_walk; do
		if perf stat -a -x, -e "$e:k" -o "$tmp/perf" true 2> "$tmp/why" && ! grep -q '^<not' "$tmp/perf"; then events+=("$e:k")
		else refuse "perf $e" "$( (grep -h . "$tmp/why"; grep -oh '^<not[^>]*>' "$tmp/perf" 2> /dev/null) | head -n 1)"; fi
	done
else refuse perf 'no program perf'; fi

# measured LOAD COMMAND...: with perf, if there are events. The load prints its figure.
measured() {
	local load=$1 e n per
	shift
	if [ ${#events[@]} = 0 ]; then "$@"; return; fi
	perf stat -a -x, -o "$tmp/perf" -e "$(IFS=,; echo "${events[*]}")" -- "$@" || return
	n=$(awk -F, '$3 ~ /^instructions/ { print $1 }' "$tmp/perf")
	for e in "${events[@]}"; do
		per=$(awk -F, -v e="$e" -v n="${n:-0}" '$3 == e && n > 0 && $1 ~ /^[0-9]/ { printf "%.4f", $1 * 1000 / n }' "$tmp/perf")
		[ ! "$per" ] || [ "$e" = instructions:k ] || record "$load ${e%:k}" MPKI "$per"
	done
}

# The loads: ready_LOAD says why it can't run; LOAD prints a figure.
disk=
ready_fio() {
	have fio || { echo 'no program fio'; return; }
	have cryptsetup || { echo 'no program cryptsetup'; return; }
	[ ! -e /dev/ram0 ] || { echo '/dev/ram0 is there already, and may be in use'; return; }
	[ ! -e /dev/mapper/leafkit ] || { echo '/dev/mapper/leafkit is there already'; return; }
	change 'rmmod brd' modprobe brd rd_nr=1 rd_size=$((pages_mib * 1024)) 2> "$tmp/why" || { echo "brd: $(head -n 1 "$tmp/why")"; return; }
	head -c 32 /dev/urandom > "$tmp/key"
	change 'udevadm settle; cryptsetup close leafkit' cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 --key-file "$tmp/key" /dev/ram0 leafkit 2> "$tmp/why" ||
		{ echo "cryptsetup: $(head -n 1 "$tmp/why")"; return; }
	disk=/dev/mapper/leafkit
}
run_fio() {
	measured fio fio --name=kit --filename="$disk" --rw=randrw --bs=4k --direct=1 --ioengine=psync --time_based --runtime="$seconds" --size=100% \
		--output-format=terse --terse-version=3 | awk -F';' 'NF > 50 { print $8 + $49 }'
}
ready_memcached() {
	have memcached || { echo 'no program memcached'; return; }
	memcached -u root -l 127.0.0.1 -p 21211 -m 64 > /dev/null 2>&1 &
	undo+=("kill $!; wait $! || :")
	local pid=$! i
	for i in $(seq 50); do
		if (: < /dev/tcp/127.0.0.1/21211) 2> /dev/null; then return; fi
		kill -0 $pid 2> /dev/null || break
		sleep 0.1
	done
	echo "memcached does not answer on 127.0.0.1:21211 ($i tries)"
}
run_memcached() { measured memcached "$here/bin/kitwork" memcached 21211 "$seconds"; }
ready_hackbench() { have hackbench || echo 'no program hackbench (package rt-tests)'; }
run_hackbench() { measured hackbench hackbench -g 4 -l $((seconds * 100)) | awk '/^Time:/ { print $2 }'; }
ready_stress-ng() { have stress-ng || echo 'no program stress-ng'; }
run_stress-ng() {
	measured stress-ng stress-ng --vm 1 --vm-bytes 64M --pipe 1 --timeout "$seconds" --metrics-brief --temp-path "$tmp" 2>&1 |
		awk '$NF ~ /^[0-9.]+$/ && / (vm|pipe) / { n += $(NF - 1) } END { if (n) print n }'
}
ready_read() {
	mkdir -p "$tmp/tmpfs"
	change "umount $tmp/tmpfs" mount -t tmpfs -o size="$((pages_mib + 16))M" leafkit "$tmp/tmpfs" 2> "$tmp/why" || { echo "tmpfs: $(head -n 1 "$tmp/why")"; return; }
	head -c "${pages_mib}M" /dev/zero > "$tmp/tmpfs/file" || echo 'tmpfs: no room'
}
run_read() { measured read "$here/bin/kitwork" read "$tmp/tmpfs/file" "$times"; }
modules=
ready_modules() {
	have modprobe || { echo 'no program modprobe'; return; }
	for m in fat vfat isofs udf cramfs squashfs minix ufs hfs; do
		grep -q "^$m " "$tmp/modules" || { modprobe -n -q "$m" && ! grep -q "/$m\.ko" "/lib/modules/$(uname -r)/modules.builtin" && modules+=" $m"; }
	done
	[ "$modules" ] || echo 'none of the modules that it loads are there, or all are in use'
}
load_modules() { # how often
	local i m
	for i in $(seq "$1"); do for m in $modules; do modprobe -q "$m" && modprobe -q -r "$m" || return; done; done
}
run_modules() {
	local t
	t=$(date +%s%N)
	load_modules "$seconds" || return
	awk -v n="$((seconds * $(wc -w <<< "$modules")))" -v t="$(($(date +%s%N) - t))" 'BEGIN { printf "%.1f\n", n * 1e9 / t }'
}
ready_bpf() { "$here/bin/kitwork" bpf 1 2>&1 > /dev/null | head -n 1; }
run_bpf() { measured bpf "$here/bin/kitwork" bpf "$bpf"; }
declare -A unit=([fio]=IO/s [memcached]=ops/s [hackbench]=s [stress-ng]=bogo-ops/s [read]=MiB/s [modules]=loads/s [bpf]=loads/s)

stage=boot && look
stage=- runnable=
for load in $wanted; do
	"ready_$load" > "$tmp/reason"
	if [ -s "$tmp/reason" ]; then refuse "$load" "$(head -n 1 "$tmp/reason")"; else runnable+=" $load"; fi
done

all_loads() { # STAGE
	local load i value
	stage=$1
	look
	for load in $runnable; do
		for i in $(seq $runs); do
			value=$("run_$load" 2> "$tmp/why" | tail -n 1)
			if [[ $value =~ ^[0-9.]+$ ]]; then record "$load" "${unit[$load]}" "$value"
			else refuse "$load" "run $i printed no figure: $(grep -v '^#' "$tmp/why" | head -n 1)"; break; fi
		done
		note "$stage: $load"
	done
}

all_loads fresh
stage=churned
coproc secret { exec "$here/bin/kitwork" secret "$files" "$mib" 2> "$tmp/why"; }
# shellcheck disable=SC2154 # bash sets secret_PID
pid=$secret_PID
undo+=("! kill -0 $pid || kill $pid")
if read -r touched <&"${secret[0]}"; then record secret_pages number "$touched"; else refuse churn "$(head -n 1 "$tmp/why")"; fi
[ ! "$modules" ] || load_modules 3
"$here/bin/kitwork" bpf 100 > /dev/null 2>&1
all_loads churned
kill "$pid" 2> /dev/null
wait "$pid" 2> /dev/null; sleep "$settle"
all_loads healed

stage=healed
if timeout 900 "$here/bin/linear_map" > "$tmp/ktap" 2>&1; then record selftest - "$(grep -c '^ok' "$tmp/ktap") ok, $(grep -c '# SKIP' "$tmp/ktap") skipped"
else record selftest - "exit status $?: $(grep -h '^not ok' "$tmp/ktap" | paste -sd ';')"; fi
mv "$records" "$out/$label.records" || die "$out/$label.records can't be written"
note "the records are in $out/$label.records; with those of the other kernel: ./report.py $out/*.records"
