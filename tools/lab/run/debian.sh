#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots an arm64 kernel with a Debian system under QEMU (mkroot.sh makes one), has systemd run a script there, and ends with run.sh's
# verdict: no splat, the script's exit status, the machine switched off.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/run/machines.sh"
die_status=2

usage="usage: debian.sh [options] IMAGE ROOT
  -w DIR       a folder that the guest has as /lab. Its file run is run by root, in /lab, when the system is up. What the guest leaves
               in /lab is in OUTDIR/lab afterwards; the folder itself stays as it is
  -s           instead: a shell on this terminal, root's, until poweroff
  -i INITRD    an initrd, where the disk's driver is a module
  -k           what the guest changes in ROOT stays; without it ROOT is only read
  -m MACHINE   bbml3 or nobbml3: whether the CPUs have FEAT_BBM level 3 (bbml3)
  -c CPUS      1 to 64 (2)
  -M MIB       memory (2048)
  -t SECONDS   time limit (900)
  -a 'WORDS'   more words for the kernel command line
  -o OUTDIR    where console.log goes (default: a new folder in \$TMPDIR)
exit status: 0 pass, 1 fail, 2 could not run"

work='' shell='' initrd='' keep='' machine=bbml3 cpus=2 mib=2048 limit=900 words='' outdir=''
while getopts :w:si:km:c:M:t:a:o:h flag; do
	case $flag in
	w) work=$OPTARG ;;
	s) shell=1 ;;
	i) initrd=$OPTARG ;;
	k) keep=1 ;;
	m) machine=$OPTARG ;;
	c) cpus=$OPTARG ;;
	M) mib=$OPTARG ;;
	t) limit=$OPTARG ;;
	a) words=$OPTARG ;;
	o) outdir=$OPTARG ;;
	h) echo "$usage"; exit 0 ;;
	*) wrong_option ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 2 ] || { echo "$usage" >&2; die "an IMAGE and a ROOT are expected"; }
image=$1 root=$2
number '-c ' "$cpus" 1 64
number '-M ' "$mib" 512 65536
number '-t ' "$limit" 1 86400
one_of '-m ' "$machine" bbml3 nobbml3
[ -r "$image" ] || die "$image: no such Image; make deb builds one"
[ -r "$root" ] || die "$root: no such disk image; tools/lab/run/mkroot.sh makes one"
[ -z "$initrd" ] || [ -r "$initrd" ] || die "-i $initrd: no such file"
[[ ${work:+w}${shell:+s} = [ws] ]] || die "-w or -s is expected, and not both"
[ -z "$work" ] || [ -r "$work/run" ] || die "-w $work: there is no file run in it"
PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs > /dev/null && command -v debugfs > /dev/null || die "no mke2fs or debugfs; run make setup"

outdir=${outdir:-$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX")}
mkdir -p "$outdir" || die "$outdir: can't be made"
log=$outdir/console.log
rm -rf "$log" "$outdir/lines" "$outdir/lab" "$outdir/work.img"
in_list() { echo "${1//,/,,}"; }

find_machine "$machine"
cpu=max,pauth-impdef=on
[ "$lacks" = all ] || cpu+=,midr=0x410fd8e0 # Neoverse N3 is on the kernel's list of CPUs
snapshot=on
[ -z "$keep" ] || snapshot=off
disk() { # NAME FILE SNAPSHOT
	args+=(-drive "if=none,id=$1,format=raw,cache=unsafe,snapshot=$3,file=$(in_list "$2")" -device "virtio-blk-pci,drive=$1,serial=$1,disable-legacy=on")
}
append="console=ttyAMA0 root=LABEL=lab-root rw panic=-1 oops=panic printk.devkmsg=on log_buf_len=1M systemd.show_status=no $words"
# Without an initrd nobody looks for labels.
[ "$initrd" ] || append=${append/LABEL=lab-root//dev/vda}
# shellcheck disable=SC2054 # QEMU's commas
args=(-M virt,gic-version=3,its=on -cpu "$cpu" -smp "$cpus" -m "$mib" -display none -no-reboot -kernel "$image" ${initrd:+-initrd "$initrd"}
	-netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci -device virtio-balloon-pci)
disk root "$root" $snapshot
if [ "$work" ]; then
	truncate -s $(($(du -sm --apparent-size "$work" | cut -f 1) * 5 / 4 + 256))M "$outdir/work.img" &&
		mke2fs -q -F -t ext4 -m 0 -L lab-work -E root_owner=0:0 -d "$work" "$outdir/work.img" > "$outdir/qemu.log" 2>&1 || die "mke2fs: $(tail -n 1 "$outdir/qemu.log"); make room"
	disk work "$outdir/work.img" off
	append+=" lab.unit systemd.getty_auto=no"
fi
if [ "$shell" ]; then
	"${QEMU:-qemu-system-aarch64}" "${args[@]}" -append "$append" -chardev stdio,id=tty,mux=on,signal=off,logfile="$log" -serial chardev:tty -mon tty
	exit
fi
timeout -k 5 "$limit" "${QEMU:-qemu-system-aarch64}" "${args[@]}" -append "$append" -monitor none -serial "file:$log" < /dev/null > "$outdir/qemu.log" 2>&1
# shellcheck disable=SC2034 # the verdict's
status=$? injected='' audit=''
[ -f "$log" ] || die "QEMU did not start: $(head -n 1 "$outdir/qemu.log" 2>/dev/null)"
tr -d '\r' < "$log" | sed 's/^\[ *[0-9]*\.[0-9]*\]\(\[ *[TC][0-9]*\]\)\? //' > "$outdir/lines"
mkdir -p "$outdir/lab" && debugfs -R "rdump / \"$outdir/lab\"" "$outdir/work.img" > "$outdir/qemu.log" 2>&1 || die "$outdir/work.img can't be read: $(tail -n 1 "$outdir/qemu.log")"
rm -f "$outdir/work.img"

. "$LAB/run/verdict.sh"
reason=$(why)
if [ "$reason" ]; then
	echo "verdict: fail ($reason; console: $log)"
	exit 1
fi
echo "verdict: pass (console: $log)"
