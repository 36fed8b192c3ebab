# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the steps that boot: sourced behind lib.sh.

# guest TREE-FLAVOUR: builds that kernel (linux-lab, base-lab, ...) and the initrd with its modules; sets image and initrd.
guest() {
	image=$BUILD/obj/$1/arch/arm64/boot/Image
	initrd=$BUILD/guest/$1/initrd.cpio.gz
	"$LAB/kbuild.sh" "$BUILD/${1%%-*}" "${1#*-}" "$BUILD/obj/$1" || exit
	make -s -C "$LAB/guest" KOBJ="$BUILD/obj/$1" OUT="$BUILD/guest/$1" || die "the guest of $1 does not build"
}

# boot NAME [run.sh's arguments]: one boot, one result; the console stays in $BUILD/run/NAME.
boot() {
	local name=$1 out
	shift
	rundir=$BUILD/run/$name
	if out=$("$LAB/run.sh" -o "$rundir" "$@" "$image" "$initrd" 2>&1); then
		ok "$name"
	else
		nok "$name" "$(tail -n 1 <<< "$out")"
		return 1
	fi
}
