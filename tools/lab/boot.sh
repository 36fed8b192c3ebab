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

# A second tree at the series, whose files may be broken on purpose: what mutants are made in, and the KUnit kernel is built from,
# so that the two share their objects. It is put back to the series here.
spare_tree() {
	spare=$BUILD/spare
	git -C "$TREE" worktree prune
	[ "$(git -C "$spare" rev-parse --show-toplevel 2>/dev/null)" = "$spare" ] || {
		rm -rf "$spare"
		git -C "$TREE" worktree add -q -f --detach "$spare" HEAD || die "$spare can't be made; make room"
	}
	git -C "$spare" reset -q --hard && git -C "$spare" checkout -q --detach "$(git -C "$TREE" rev-parse HEAD)" ||
		die "$spare can't be reset; remove it"
	make -s -C "$LAB/guest" OUT="$BUILD/guest/plain" || die "the guest's init does not build"
	initrd=$BUILD/guest/plain/initrd.cpio.gz
}
