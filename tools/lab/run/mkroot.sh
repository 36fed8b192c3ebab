#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A Debian system for arm64 as a disk image, for debian.sh to boot: systemd, udev, kmod, what a script needs, and the packages that are
# named. debootstrap fetches and unpacks Debian's packages; they are set up by themselves, in a machine under QEMU. That takes ten
# minutes and is done once: the image is made anew only if the packages, the suite or this script change.
set -u
. "$(dirname "$0")/../lib.sh"
die_status=2

usage="usage: mkroot.sh [options] IMAGE OUT [PACKAGE...]
  IMAGE      an arm64 kernel that has ext4 and virtio disks built in, e.g. build/obj/base-small/arch/arm64/boot/Image
  OUT        the disk image, which takes as much room as is used of it
  -s MIB     its size (4096)
  -u SUITE   of Debian (the stable one that the base's package is for)
  -r SITE    Debian's mirror (the one that apt has)"

size=4096 suite=${BASE_SUITE%-backports} site=
while getopts :s:u:r:h flag; do
	case $flag in
	s) size=$OPTARG ;;
	u) suite=$OPTARG ;;
	r) site=$OPTARG ;;
	h) echo "$usage"; exit 0 ;;
	*) wrong_option ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || { echo "$usage" >&2; die "an IMAGE and an OUT are expected"; }
image=$1 out=$2
shift 2
number '-s ' "$size" 1024 65536
[ -r "$image" ] || die "$image: no such Image; make deb FLAVOUR=small builds one"
PATH=$PATH:/usr/sbin:/sbin
mapfile -t packages < <(printf '%s\n' systemd-sysv udev kmod login dbus "$@" | sort -u)

key=$(printf '%s\n' "$(sha256sum < "$0")" "$suite" "$size" "${packages[@]}" | sha256sum)
exec 8> "$out.lock" || die "$out can't be written; make its folder, or name another"
flock 8 # steps that run at once
[ ! -f "$out" ] || [ "$(cat "$out.key" 2>/dev/null)" != "$key" ] || exit 0

command -v debootstrap > /dev/null && command -v mke2fs > /dev/null || die "no debootstrap or mke2fs; run make setup NEEDS=deb"
# shellcheck disable=SC2016 # apt's
site=${site:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep '/debian/*$' | head -n 1)}
[ "$site" ] || die "no Debian mirror in apt's sources; name one by -r"
# Owners of files are written down for those who are not root.
if [ "$(id -u)" != 0 ] && [ -z "${FAKEROOTKEY-}" ]; then
	command -v fakeroot > /dev/null || die "no fakeroot; run make setup NEEDS=deb, or run this as root"
	exec 8>&-
	exec fakeroot "$0" -s "$size" -u "$suite" -r "$site" "$image" "$out" "$@"
fi

make_build
need_space $((size / 2 + 1024))
scratch
cache=$BUILD/dl/debs
mkdir -p "$cache" || die "$cache can't be made; make room"
note "fetching Debian's $suite for arm64: ${packages[*]}"
debootstrap --foreign --arch=arm64 --variant=minbase --cache-dir="$cache" --include="$(IFS=,; echo "${packages[*]}")" \
	"$suite" "$TMP/root" "$site" > "$TMP/log" 2>&1 || die "debootstrap: $(grep -m 1 '^E:' "$TMP/log" || tail -n 1 "$TMP/log"); mend the network or the list of packages"

# What is there before the packages are set up, and stays.
put() { # FILE [MODE] < text
	mkdir -p "$TMP/root/$(dirname "$1")" && cat > "$TMP/root/$1" && chmod "${2:-644}" "$TMP/root/$1"
}
echo lab | put etc/hostname
echo '127.0.0.1 localhost lab' | put etc/hosts
put etc/machine-id < /dev/null
# A disk of work that comes with the boot has a script, run, which root runs when the system is up.
put etc/systemd/system/lab.service << 'UNIT'
[Unit]
Description=the script on the disk of work
ConditionKernelCommandLine=lab.unit
After=multi-user.target

[Service]
Type=exec
ExecStart=/usr/local/sbin/lab-unit

[Install]
WantedBy=multi-user.target
UNIT
put usr/local/sbin/lab-unit 755 << 'SCRIPT'
#!/bin/sh
# The script's lines go where the kernel's go, one by one; the last of them says why it failed.
mkdir -p /lab
if mount -o rw LABEL=lab-work /lab && cd /lab; then
	{ sh ./run; echo $? > status; } 2>&1 < /dev/null | tee -a output | while IFS= read -r line; do printf '%.900s\n' "$line" > /dev/kmsg; done
	status=$(cat status) why=$(tail -n 1 output)
	cd /
	umount /lab || status=71 why='the disk of work is still in use'
else
	status=72 why='no disk of work'
fi
if [ "$status" = 0 ]; then echo 'ok 1 unit' > /dev/kmsg; else echo "not ok 1 unit - it ends with $status: $why" > /dev/kmsg; fi
echo '1..1' > /dev/kmsg
echo '# lab: done' > /dev/kmsg
systemctl poweroff
SCRIPT
# By hand: no password, on this console alone.
put etc/systemd/system/serial-getty@.service.d/lab.conf << 'UNIT'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 - $TERM
UNIT
put debootstrap/lab 755 << 'SCRIPT'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive
mount -t proc proc /proc
mount -t sysfs sysfs /sys
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/lab
if /debootstrap/debootstrap --second-stage && systemctl enable lab.service && [ -L /etc/systemd/system/multi-user.target.wants/lab.service ]; then
	apt-get clean
	rm -rf /debootstrap
	echo '# lab: root made'
else
	tail -n 5 /debootstrap/debootstrap.log
fi
sync
mount -o remount,ro /
systemctl poweroff -ff
SCRIPT

truncate -s "${size}M" "$TMP/image" &&
	mke2fs -q -F -t ext4 -m 0 -L lab-root -d "$TMP/root" "$TMP/image" >> "$TMP/log" 2>&1 || die "mke2fs: $(tail -n 1 "$TMP/log"); make room"
rm -rf "$TMP/root"
note "setting up ${#packages[@]} packages and what they need, under QEMU (about 10 minutes)"
timeout -k 5 "${ROOT_LIMIT:-3600}" "${QEMU:-qemu-system-aarch64}" -M virt,gic-version=3 -cpu cortex-a76 -smp 2 -m 2048 -nic none -display none -no-reboot \
	-drive "if=none,id=root,format=raw,cache=unsafe,discard=unmap,file=${TMP//,/,,}/image" -device virtio-blk-pci,drive=root -kernel "$image" -monitor none \
	-append "console=ttyAMA0 root=/dev/vda rw panic=-1 init=/debootstrap/lab" -serial "file:$TMP/console" < /dev/null > "$TMP/qemu.log" 2>&1
if ! grep -q '^# lab: root made' "$TMP/console" 2>/dev/null; then
	tr -d '\r' < "$TMP/console" > "$out.log" 2>/dev/null
	die "the packages can't be set up: $(grep -v '^$' "$out.log" | tail -n 1) $(head -n 1 "$TMP/qemu.log"); see $out.log, then run it again"
fi
e2fsck -fp "$TMP/image" > "$TMP/log" 2>&1
[ $? -le 1 ] || die "the file system is damaged: $(tail -n 1 "$TMP/log"); run it again"
rm -f "$out.key" && mv "$TMP/image" "$out" && echo "$key" > "$out.key" || die "$out can't be written; make room"
