#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots an arm64 Image with the lab's initrd under QEMU and ends with a verdict.
set -u

usage="usage: run.sh [options] IMAGE INITRD
  -m bbml3|nobbml3   the machine: its CPUs have FEAT_BBM level 3 without conflict aborts (default), or not
  -c CPUS            1 to 8 (default 4)
  -M MIB             memory (default 2048)
  -t SECONDS         time limit (default 300)
  -a 'WORDS'         more words for the kernel command line, e.g. 'lab=secretmem,mixed lab.expect=heal'
  -o OUTDIR          where console.log goes (default: a new folder in \$TMPDIR)
  -i                 instruction counting: one CPU, the same numbers each time, idle time costs nothing
  -s                 interactive: the guest's shell on this terminal, without a time limit
  -q                 print the verdict only
exit status: 0 pass, 1 fail, 2 could not run"

die() { echo "run.sh: $*" >&2; exit 2; }
number() { [[ $2 =~ ^[0-9]+$ && $2 -ge $3 && $2 -le $4 ]] || die "$1 $2: a number from $3 to $4 is expected"; }

machine=bbml3 cpus=4 mib=2048 limit=300 words='' outdir='' icount='' shell='' quiet=''
while getopts :m:c:M:t:a:o:isqh flag; do
	case $flag in
	m) machine=$OPTARG ;;
	c) cpus=$OPTARG ;;
	M) mib=$OPTARG ;;
	t) limit=$OPTARG ;;
	a) words=$OPTARG ;;
	o) outdir=$OPTARG ;;
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
number -M "$mib" 256 65536
number -t "$limit" 1 86400
[ -r "$image" ] || die "$image: no such Image; build the kernel first"
[ "$(dd if="$image" bs=1 skip=56 count=3 status=none)" = ARM ] || die "$image: not an arm64 Image"
[ -r "$initrd" ] || die "$initrd: no such initrd; run make -C tools/lab/guest first"

# shellcheck source=tools/lab/base.conf
. "$(dirname "$0")/base.conf"
qemu=${QEMU:-qemu-system-aarch64}
version=$("$qemu" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p')
[ -n "$version" ] || die "$qemu: not found; install qemu-system-arm"
[ "$version" -ge "$QEMU_MIN" ] || die "$qemu is version $version; $QEMU_MIN or newer is needed (Debian 12: from bookworm-backports)"

case $machine in
bbml3) cpu=max,midr=0x410fd8e0 ;; # Neoverse N3 is on the kernel's list of CPUs
nobbml3) cpu=max ;;
*) die "-m $machine: bbml3 or nobbml3 is expected" ;;
esac

outdir=${outdir:-$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX")}
mkdir -p "$outdir" || die "$outdir: can't be made"
log=$outdir/console.log

board=virt,gic-version=3,its=on
append="console=ttyAMA0 earlycon panic=-1 oops=panic printk.devkmsg=on log_buf_len=1M $words"
args=(-nic none -display none -no-reboot -cpu "$cpu" -m "$mib" -kernel "$image" -initrd "$initrd")
if [ "$icount" ]; then
	cpus=1 board+=,dtb-randomness=off append+=" nokaslr"
	args+=(-icount "shift=0,sleep=off" -seed 1 -rtc "clock=vm,base=2026-01-01")
fi
[ "$shell" ] && append+=" lab=shell"
args+=(-M "$board" -smp "$cpus" -append "$append")

rm -f "$log" "$outdir/lines"
if [ "$shell" ]; then
	"$qemu" "${args[@]}" -chardev stdio,id=tty,mux=on,signal=off,logfile="$log" -serial chardev:tty -mon tty
else
	timeout -k 5 "$limit" "$qemu" "${args[@]}" -monitor none -serial "file:$log" < /dev/null > "$outdir/qemu.log" 2>&1
fi
status=$?

[ -f "$log" ] || die "QEMU did not start: $(head -n 1 "$outdir/qemu.log" 2>/dev/null)"
# The console without time stamps.
tr -d '\r' < "$log" | sed 's/^\[ *[0-9]*\.[0-9]*\]\(\[ *[TC][0-9]*\]\)\? //' > "$outdir/lines"

bad='Kernel panic|Oops|Internal error|WARNING:|\bBUG:|UBSAN:|KASAN:|KCSAN:|KFENCE:|[Cc]all trace:|leaked|kmemleak: .*suspected'
bad+='|INFO: rcu|rcu: INFO:|detected stall|possible (circular|recursive) locking|inconsistent lock state|suspicious RCU usage'
bad+='|blocked for more than|workqueue lockup|soft lockup|hard LOCKUP|Unable to handle kernel|messages dropped'

# Why the run failed; nothing if it did not.
why() {
	local plan points failed
	grep -m 1 -E "$bad" "$outdir/lines" && return
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
	# KUnit's suites come before, as a KTAP document of their own.
	points=$(awk '/^KTAP version/ { n = 0 } /^ok / { n++ } END { print n + 0 }' "$outdir/lines")
	[ "$points" = "$plan" ] || { echo "$points of $plan results"; return; }
	grep -q '^# lab: done' "$outdir/lines" || echo "the guest's init did not end"
}

# Subtests of KUnit are indented: only the guest's own points count, so a nested suite's plan is not taken for ours.
reason=$(why)
[ "$quiet" ] || grep -E '^(ok|not ok) |^# lab: (failed|heal=|churn|idle)' "$outdir/lines"
if [ -n "$reason" ]; then
	echo "verdict: fail ($reason; console: $log)"
	exit 1
fi
echo "verdict: pass ($(grep -c '^ok ' "$outdir/lines") results; console: $log)"
