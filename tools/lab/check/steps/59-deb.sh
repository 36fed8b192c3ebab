#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# By name only.
# The packages of make deb FLAVOUR=small: both install into a Debian system and boot there, with the initrd that Debian makes, under
# systemd, which loads its BPF programs, and udev, which loads their modules. Then modules, units with BPF programs and secret memory
# come and go. The map heals on CPUs with BBML3, and is legal on all.
#
# Half an hour for the kernels, ten minutes for Debian and ten for the boots, on two cores; the first two are kept.
#
#	TREES=ours    one of the kernels alone (base ours)
#	DEB_WORDS=    more words for their command lines: kernel_collapse=off must fail
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"
me=deb
# shellcheck source=tools/lab/check/installed.sh
. "$LAB/check/installed.sh"
trees_wanted 'base ours'
packages
root deb bpftool initramfs-tools stress-ng zstd
lab_make -C "$LAB/guest" OUT="$BUILD/guest/tools" TREE_OF_TOOLS="$TREE" && lab_make -C "$LAB/run" OUT="$BUILD/tools" || die "the programs for the guest don't build"

install deb vmlinuz initrd.img config System.map
mv "$rundir/lab" "$TMP/boot"
mkdir "$TMP/work"
cp "$BUILD/guest/tools/bin/linear_map" "$BUILD/guest/tools/bin/leafmap" "$TMP/work"
cat > "$TMP/work/run" << 'EOS'
fail() { echo "$*"; exit 1; }
state=$(systemctl is-system-running --wait)
[ "$state" = running ] || fail "systemd says $state: $(systemctl --failed --plain --no-legend | cut -d ' ' -f 1 | xargs)"
uname -r > release
for m in virtio_net virtio_rng virtio_balloon; do
	grep -q "^$m " /proc/modules || fail "udev has not loaded $m"
	modinfo -n $m | grep -q "^/lib/modules/$(uname -r)/\|^/usr/lib/modules/$(uname -r)/" || fail "$m is not this kernel's"
done
programs() { bpftool prog show | grep -c '^[0-9]*:.* cgroup_'; }
[ "$(programs)" -gt 0 ] || fail 'systemd has no BPF programs'
echo "deb: $(wc -l < /proc/modules) modules, $(programs) BPF programs of systemd's"
./leafmap -j > before || fail 'leafmap fails'

stress-ng --quiet --secretmem 1 --timeout 30 &
stress=$!
for i in $(seq 6); do
	for m in dm-crypt brd fat vfat loop nvme autofs4 binfmt_misc configs dummy; do modprobe -q $m && modprobe -q -r $m; done
	systemd-run -q --wait -p IPAddressDeny=any -p DevicePolicy=closed -p MemoryDenyWriteExecute=yes sleep 1 || fail 'a unit with BPF programs does not run'
	udevadm trigger --action=change && udevadm settle
	[ $i != 3 ] || ./leafmap -j > churned
done
wait $stress || fail 'stress-ng --secretmem fails'
sleep 8
./leafmap -j > after
cat /proc/iomem > iomem
cat /sys/kernel/debug/kernel_page_tables > dump
grep '^direct_map_' /proc/vmstat > vmstat
./linear_map > selftest 2>&1
status=$?
sed 's/^/selftest: /' selftest
[ $status = 0 ] || fail "the selftest ends with $status: $(grep '^not ok' selftest | head -n 1)"
EOS

leaves() { sed -nE 's/.*"leaves":\{([^}]*)\}.*/\1/p' "$1" | head -n 1 | grep -oE ':[0-9]+' | tr -d : | awk '{ n += $1 } END { print n + 0 }'; }
# The tables and the memory map, as the lab's own guest prints them for ptcheck.
dump() { # DIR
	printf '%s\n' '# lab: dump begin' '# lab: page=4096'
	sed -nE 's/^ *([0-9a-f-]+ : (System RAM|Kernel code|Kernel data))$/# lab: iomem \1/p' "$1/iomem"
	cat "$1/dump"
	echo "# lab: dump end lines=$(wc -l < "$1/dump")"
}

# judge NAME MODE: what the guest has left. The map is as ptcheck says that it must be; whole: it is what it was before, or less.
judge() {
	local lab=$rundir/lab before churned after why
	before=$(leaves "$lab/before") churned=$(leaves "$lab/churned") after=$(leaves "$lab/after")
	note "$1: $(sed -n 's/^deb: //p' "$rundir/lines"); $before leaves, $churned amid churn, $after after it; $(xargs < "$lab/vmstat")"
	dump "$lab" > "$rundir/tables"
	# The text and the read-only data of what is loaded, which is some 10 MiB.
	if why=$("$BUILD/tools/ptcheck" -o on -x 65536 "$rundir/tables" 2>&1); then ok "$1-map"; else nok "$1-map" "$(head -n 1 <<< "$why")"; fi
	case $2 in
	whole)
		if [ "$before" -gt 0 ] && [ "$churned" -gt "$before" ] && [ "$after" -le $((before + before / 20)) ]; then ok "$1-healed"
		else nok "$1-healed" "$before leaves before, $churned amid churn, $after after it"; fi ;;
	pieces)
		if [ "$before" -gt 0 ] && [ "$after" -gt $((before + before / 20)) ]; then ok "$1-pieces"
		else nok "$1-pieces" "$before leaves before, $after after it: what is to be healed does not split"; fi ;;
	esac
}

took > /dev/null
while read -r name tree machine mode; do
	[[ " $trees " = *" $tree "* ]] || continue
	release=$(release_of "$tree")
	debian "deb-$name" "$TMP/work" -m "$machine" -a "${DEB_WORDS-}" -i "$TMP/boot/initrd.img-$release" "$TMP/boot/vmlinuz-$release" "$TMP/root" < /dev/null || continue
	if [ "$(cat "$rundir/lab/release")" != "$release" ]; then nok "deb-$name-release" "$(cat "$rundir/lab/release") runs, not $release"; fi
	judge "deb-$name" "$mode"
done << 'LIST'
base base bbml3 pieces
ours ours bbml3 whole
ours-nobbml3 ours nobbml3 any
LIST
exit 0
