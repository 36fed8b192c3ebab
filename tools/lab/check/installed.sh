# shellcheck shell=bash disable=SC2154
# Sourced by the steps deb and kitboot, behind run/boot.sh, with me and trees set: the packages of make deb FLAVOUR=small, installed into
# a Debian system that mkroot.sh has made, as a person would. What fails here ends the step.
dir=$BUILD/debian
# Not one of scratch(): whoever locks build/ removes those.
TMP=$dir/.$me
rm -rf "$TMP" && mkdir -p "$TMP" || die "$TMP can't be made; make room"
trap 'rm -rf "$TMP"' EXIT
trap 'exit 130' INT TERM HUP
obj_of() { echo "$BUILD/obj/${1/ours/linux}-small"; } # TREE
release_of() { cat "$(obj_of "$1")/include/config/kernel.release"; }

packages() {
	NEEDS=deb "$LAB/tree/setup.sh" || { nok "$me-setup" "what is needed can't be installed; run make setup NEEDS=deb"; exit; }
	FLAVOUR=small TREES=$trees "$LAB/tree/deb.sh" > "$dir/packages.log" 2>&1 || { nok "$me-packages" "$(tail -n 1 "$dir/packages.log")"; exit; }
	note "$me-packages: $(grep -oE '[0-9.]+ MiB .*' "$dir/packages.log" | sed 's, /.*/, ,' | paste -sd ';' | sed 's/;/; /g')"
	ok "$me-packages"
	image=$(obj_of "${trees%% *}")/arch/arm64/boot/Image
}

root() { # NAME PACKAGE...
	local name=$1
	shift
	"$LAB/run/mkroot.sh" "$image" "$dir/$name.img" "$@" > "$dir/root.log" 2>&1 || { nok "$me-root" "$(tail -n 1 "$dir/root.log")"; exit; }
	ok "$me-root"
}

# debian NAME WORK [debian.sh's arguments] ROOT: one boot, one result.
debian() {
	local name=$1 work=$2 out
	shift 2
	rundir=$BUILD/run/$name
	if out=$("$LAB/run/debian.sh" -o "$rundir" -w "$work" "$@" 2>&1); then ok "$name"; else
		nok "$name" "$(tail -n 1 <<< "$out")"
		return 1
	fi
}

# Both kernels, one behind the other, into a copy of the root: $TMP/root. What is in /boot then is left in $rundir/lab.
install() { # NAME FILE... (in /boot, of each kernel)
	local tree name=$1
	shift
	mkdir "$TMP/install"
	for tree in $trees; do cp "$BUILD/deb/small/linux-image-$(release_of "$tree")"_*.deb "$TMP/install" || die "the package of $tree is gone; run it again"; done
	{ echo "files='$*'"; cat << 'EOS'
dpkg -i linux-image-*.deb || exit
for deb in linux-image-*.deb; do
	package=$(dpkg-deb -f $deb Package) release=${package#linux-image-}
	dpkg -s $package | grep -qx 'Status: install ok installed' || { echo "$package is not installed"; exit 1; }
	for f in $files; do
		[ -s /boot/$f-$release ] || { echo "no /boot/$f-$release"; exit 1; }
		cp /boot/$f-$release .
	done
	[ -s /lib/modules/$release/modules.dep ] || { echo "no modules of $release"; exit 1; }
done
rm -f ./*.deb
EOS
	} > "$TMP/install/run"
	cp --sparse=always "$dir/$name.img" "$TMP/root" || die "$TMP/root can't be written; make room"
	debian "$me-install" "$TMP/install" -k -t 1800 "$image" "$TMP/root" || exit 0
}
