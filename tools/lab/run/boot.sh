# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the steps that boot: sourced behind lib.sh.

# guest TREE-FLAVOUR [tools]: builds that kernel (linux-lab, base-lab, ...) and the initrd with its modules; sets image and initrd.
# With tools there are the tree's programs in it, too.
guest() {
	local obj=$BUILD/obj/$1 out=$BUILD/guest/$1${2:+-$2}
	"$LAB/tree/kbuild.sh" "$BUILD/${1%%-*}" "${1#*-}" "$obj" || exit
	lab_make -C "$LAB/guest" KOBJ="$obj" OUT="$out" TREE_OF_TOOLS="${2:+$TREE}" || die "the guest of $1 does not build"
	image=$obj/arch/arm64/boot/Image initrd=$out/initrd.cpio.gz
	[ "$(cat "$obj/.lab-arch")" != x86_64 ] || image=$obj/arch/x86/boot/bzImage
}

# boot NAME [run.sh's arguments]: one boot, one result; the console stays in $BUILD/run/NAME.
boot() {
	local name=$1 out
	shift
	rundir=$BUILD/run/$name
	if out=$("$LAB/run/run.sh" -o "$rundir" "$@" "$image" "$initrd" 2>&1); then
		ok "$name"
	else
		nok "$name" "$(tail -n 1 <<< "$out")"
		return 1
	fi
}

# The initrd without modules, for kernels of any tree.
plain_initrd() {
	lab_make -C "$LAB/guest" OUT="$BUILD/guest/plain" || die "the guest's init does not build"
	initrd=$BUILD/guest/plain/initrd.cpio.gz
}

# suites_of FLAVOUR: builds a kernel with KUnit's suites and no modules (kunit-16k, kunit-64k); sets image and initrd.
suites_of() {
	"$LAB/tree/kbuild.sh" "$TREE" "$1" "$BUILD/obj/linux-$1" Image || exit
	image=$BUILD/obj/linux-$1/arch/arm64/boot/Image
	plain_initrd
}

# worktree DIR COMMIT: a second tree there, at that commit and as git has it.
worktree() {
	git -C "$TREE" worktree prune
	[ "$(git -C "$1" rev-parse --show-toplevel 2>/dev/null)" = "$1" ] || {
		rm -rf "$1"
		git -C "$TREE" worktree add -q -f --detach "$1" "$2" || die "$1 can't be made; make room"
	}
	git -C "$1" reset -q --hard && git -C "$1" checkout -q --detach "$2" || die "$1 can't be reset; remove it"
}

# The tree whose files may be broken on purpose, put back to the series. Mutants are made in it, and the kernel that is KUnit's alone
# is built from it, so that the two share their objects; who has it has it alone until descriptor 7 is closed.
spare_tree() {
	spare=$BUILD/spare
	exec 7> "$BUILD/.spare-lock" || die "$BUILD can't be written; choose another folder with O="
	flock 7
	worktree "$spare" "$(git -C "$TREE" rev-parse HEAD)"
}

# trees_wanted [DEFAULT]: sets trees, which are ours, the unmodified base, or both, as TREES= says.
trees_wanted() {
	local tree
	trees=${TREES:-${1:-ours}}
	for tree in $trees; do one_of TREES= "$tree" base ours; done
}

# chosen NAME: one of the patterns in the array patterns is its.
chosen() {
	local p
	for p in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $p ]] || return 0
	done
	return 1
}

# kunit_passed DIR: kunit.py judges the console there. Sets total, its line of counts; false unless some passed and none failed.
kunit_passed() {
	python3 "$TREE/tools/testing/kunit/kunit.py" parse "$1/console.log" > "$1/kunit.txt" 2>&1
	total=$(grep -E 'Ran [0-9]+ tests' "$1/kunit.txt") total=${total#*] }
	grep -qE 'passed: [1-9]' <<< "$total" && ! grep -qE '(failed|crashed|errors): [1-9]' <<< "$total"
}
