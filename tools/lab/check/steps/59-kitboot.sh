#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# By name only.
# The kit for real machines (tools/hw), end to end: on both kernels of make deb FLAVOUR=small, installed into a Debian system, it measures
# (--quick) and makes one report. Each load has its figures on both kernels and in each of the three columns; QEMU's CPUs have no event
# of a TLB, which the kit has to say. The report is build/kit/report.html and .json.
#
# As the step deb: half an hour for the kernels, ten minutes for Debian, which are kept, and ten for the boots.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"
me=kitboot
# shellcheck source=tools/lab/check/installed.sh
. "$LAB/check/installed.sh"
trees='base ours'
packages
root kit fio cryptsetup-bin memcached rt-tests stress-ng linux-perf
install kit vmlinuz
mv "$rundir/lab" "$TMP/install-boot"

if why=$("$TOP/tools/hw/kit.sh" 2>&1); then ok kitboot-tarball; else nok kitboot-tarball "$(tail -n 1 <<< "$why")"; exit; fi
mkdir "$TMP/work" && cp "$BUILD/kit/leafmap-kit.tar.gz" "$TMP/work/" || die "$TMP/work can't be made; make room"
took > /dev/null
begun=$SECONDS
for tree in $trees; do
	# The kit finds debugfs mounted, or has to mount it, and then unmounts it.
	debugfs='! mountpoint -q /sys/kernel/debug || umount /sys/kernel/debug || exit'
	[ "$tree" = base ] || debugfs='mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug || exit'
	cat > "$TMP/work/run" <<- EOS
		$debugfs
		tar xf leafmap-kit.tar.gz && cp leafmap-kit/report.py . || exit
		before="\$(cut -d ' ' -f 1 /proc/modules | sort | xargs) \$(cut -d ' ' -f 2 /proc/mounts | sort | xargs)"
		leafmap-kit/measure.sh --quick --yes -o results $tree < /dev/null || exit
		after="\$(cut -d ' ' -f 1 /proc/modules | sort | xargs) \$(cut -d ' ' -f 2 /proc/mounts | sort | xargs)"
		rm -rf leafmap-kit
		[ "\$before" = "\$after" ] || { echo "it has not put back what it changed: \$before; now \$after"; exit 1; }
	EOS
	debian "kitboot-$tree" "$TMP/work" -m bbml3 -t 1200 "$TMP/install-boot/vmlinuz-$(release_of "$tree")" "$TMP/root" || continue
	cp "$rundir/lab/results/$tree.records" "$TMP/" && cp "$rundir/lab/report.py" "$TMP/" || nok "kitboot-$tree-records" "no records are left; see $rundir/lines"
done

why=$(cd "$TMP" && python3 report.py -o "$BUILD/kit" base.records ours.records 2>&1) || { nok kitboot-report "$(tail -n 1 <<< "$why")"; exit; }
ok kitboot-report
note "both kernels were measured in $((SECONDS - begun)) s; the report is $BUILD/kit/report.html"

# Two runs a load, in each column; the loads of the kit are what its help names.
read -ra loads <<< "$(sed -n "s/^loads='\(.*\)'/\1/p" "$TOP/tools/hw/measure.sh")"
for tree in $trees; do
	for load in "${loads[@]}"; do
		got=$(awk -F'\t' -v l="$load" '$3 == l { n[$2]++ } END { print n["fresh"] + 0, n["churned"] + 0, n["healed"] + 0 }' "$TMP/$tree.records")
		if [ "$got" = '2 2 2' ]; then ok "kitboot-$tree-$load"
		else nok "kitboot-$tree-$load" "figures: $got; $(awk -F'\t' -v l="refused $load" '$3 == l { print $5; exit }' "$TMP/$tree.records")"; fi
	done
	if [ "$(awk -F'\t' '$3 ~ /^refused perf .*(tlb|walk)/' "$TMP/$tree.records" | wc -l)" = 4 ]; then ok "kitboot-$tree-events"
	else nok "kitboot-$tree-events" "QEMU has no such events, and the kit does not say so"; fi
done
leaves() { awk -F'\t' -v s="$2" '$2 == s && $3 == "leaves" { print $5 }' "$TMP/$1.records"; } # TREE STAGE
note "leaves when fresh, churned, healed: base $(leaves base fresh) $(leaves base churned) $(leaves base healed), ours $(leaves ours fresh) $(leaves ours churned) $(leaves ours healed)"
if [ "$(leaves ours healed)" -le $(($(leaves ours fresh) * 21 / 20)) ] && [ "$(leaves ours churned)" -gt "$(leaves ours healed)" ]; then ok kitboot-heals; else nok kitboot-heals "ours has not healed"; fi
if [ "$(leaves base healed)" -gt $(($(leaves base fresh) * 21 / 20)) ]; then ok kitboot-base-stays; else nok kitboot-base-stays "what heals on the base does not split"; fi
exit 0
