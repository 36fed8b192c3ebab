#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Debian packages of the base and of ours, with the same config, in build/deb/: two kernels to be installed beside each other.
#
#	FLAVOUR=debian       the config is Debian's for arm64 (its package of the base's version); where that can't be had, the kernel's
#	                     defconfig with what Debian switches on, and a line says so. Hours on two cores
#	FLAVOUR=cloud        Debian's for machines in a cloud: a third of that
#	FLAVOUR=small        configs/small.config, a server without most drivers: half an hour
#	CONFIG=/path         this one
#	TREES="base ours"    one of the kernels alone
#
# On an arm64 machine there are the packages of headers, too, for modules of one's own. Elsewhere they would need arm64's OpenSSL.
# The objects stay in build/obj/{base,linux}-FLAVOUR: built again, only what has changed is.
set -u
. "$(dirname "$0")/../lib.sh"
[ $# = 0 ] || die "no arguments are known; FLAVOUR= and CONFIG= choose the config"

flavour=${FLAVOUR:-debian} trees=${TREES:-base ours} config=${CONFIG-}
one_of FLAVOUR= "$flavour" debian cloud small
for tree in $trees; do one_of TREES= "$tree" base ours; done
[ -z "$config" ] || [ -z "${FLAVOUR-}" ] || die "FLAVOUR= and CONFIG= are two ways to say the same; leave one out"
[ -z "$config" ] || [ -r "$config" ] || die "CONFIG=$config: no such file"
for c in dpkg-buildpackage dh_builddeb rsync; do command -v $c > /dev/null || die "no $c; run make setup NEEDS=deb"; done
make_build
out=$BUILD/deb

# The package of configs that belongs to the package of the source: its file for arm64, in $out/NAME.config
debian_config() { # NAME FILE
	local apt=$out/apt package=${BASE_PACKAGE/source/config} deb=$out/config.deb opts
	[ ! -s "$out/$1.config" ] || [ "$(cat "$out/$1.of" 2>/dev/null)" != "$package $BASE_PACKAGE_VERSION" ] || return 0
	private_apt "$apt" "$BASE_SUITE" || { echo "no apt with a Debian mirror"; return 1; }
	opts=("${APT[@]}" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status="$apt/status")
	: > "$apt/status"
	apt-get "${opts[@]}" update > "$TMP/log" 2>&1 &&
		(cd "$TMP" && apt-get "${opts[@]}" download "$package=$BASE_PACKAGE_VERSION") >> "$TMP/log" 2>&1 || { echo "apt-get: $(grep -m 1 '^[EW]:' "$TMP/log")"; return 1; }
	mv "$TMP/$package"_*.deb "$deb" && dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$TMP" -O "./usr/src/$package/$2" 2> "$TMP/log" | xz -dc > "$TMP/config" &&
		[ -s "$TMP/config" ] || { echo "$package has no $2"; return 1; }
	mv "$TMP/config" "$out/$1.config" && echo "$package $BASE_PACKAGE_VERSION" > "$out/$1.of"
}

mkdir -p "$out" || die "$out can't be made; make room"
scratch
kbuild_flavour=deb whole=
if [ "$config" ]; then
	whole=$(realpath "$config") name=custom
	note "the config is $config, with tools/lab/tree/configs/deb.config"
elif [ "$flavour" = small ]; then
	kbuild_flavour=small name=small
else
	name=$flavour file=config.arm64_none_arm64.xz
	[ "$flavour" != cloud ] || file=config.arm64_none_cloud-arm64.xz
	if why=$(debian_config "$name" "$file"); then
		whole=$out/$name.config
		note "the config is Debian's, of $(cat "$out/$name.of"), with tools/lab/tree/configs/deb.config"
	else
		kbuild_flavour=defconfig whole=$out/defconfig.config
		note "Debian's config can't be had ($why): it is the kernel's defconfig, with tools/lab/tree/configs/defconfig.config"
		make -s -C "$BUILD/base" O="$TMP/defconfig" ARCH=arm64 CROSS_COMPILE="${CROSS_COMPILE-aarch64-linux-gnu-}" defconfig > "$TMP/log" 2>&1 &&
			mv "$TMP/defconfig/.config" "$whole" || die "defconfig: $(tail -n 1 "$TMP/log")"
	fi
fi

# 25 objects a minute and core, of cores as they were when this was written: two of a server of 2023.
size=$({ cat "$BUILD"/obj/*-"$name"/.lab-size; sed -n 's/^# size: *//p' "$LAB/tree/configs/$kbuild_flavour.config"; } 2>/dev/null | head -n 1)
[ "$flavour" != cloud ] || [ "$config" ] || size=6000
for tree in $trees; do
	obj=$BUILD/obj/${tree/ours/linux}-$name
	[ -e "$obj/vmlinux.o" ] || note "$tree: about $size objects, $((size / 120 / $(nproc) + 1)) minutes or more on $(nproc) cores that have nothing else to do"
done
need_space $((size * 2))

profiles=pkg.linux-upstream.nokerneldbg
[ "$(uname -m)" = aarch64 ] || profiles+=' pkg.linux-upstream.nokernelheaders'
for tree in $trees; do
	obj=$BUILD/obj/${tree/ours/linux}-$name src=$BUILD/${tree/ours/linux}
	version=$(tree_version < "$src/Makefile") || die "$src is no kernel tree; run make tree"
	# The packages come to be beside the folder of objects, and with names that don't say what they are of.
	mkdir -p "$obj" || die "$obj can't be made; make room"
	rm -f "$BUILD/obj"/linux-*.{deb,changes,buildinfo}
	# What the build needs is for setup.sh to say: the package's own list has libraries that this config does without.
	WHOLE=$whole KDEB_PKGVERSION=$version-1 KDEB_CHANGELOG_DIST=unstable DEB_BUILD_OPTIONS=terse DPKG_FLAGS=-d \
		DEB_BUILD_PROFILES=$profiles "$LAB/tree/kbuild.sh" "$src" "$kbuild_flavour" "$obj" bindeb-pkg || exit
	release=$(cat "$obj/include/config/kernel.release")
	mkdir -p "$out/$name" && rm -f "$out/$name/"linux-*-"$release"_*.deb
	[ -f "$BUILD/obj/linux-image-${release}_$version-1_arm64.deb" ] || die "there is no package of $release; see $obj/build.log"
	find "$BUILD/obj" -maxdepth 1 -name "linux-[ih]*-${release}_*.deb" -exec mv -t "$out/$name" {} + || die "$out can't be written; make room"
	rm -f "$BUILD/obj"/linux-*.{deb,changes,buildinfo}
done
find "$out/$name" -name '*.deb' -printf '%s %p\n' | sort -k 2 | awk '{ printf "%7.1f MiB  %s\n", $1 / 1048576, $2 }'
