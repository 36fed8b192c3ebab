# shellcheck shell=bash disable=SC2154
# Sourced behind lib.sh by what runs a program of another Debian suite with that suite's own C library: nothing is installed.

# fetch_debs NAME 'SUITE...' MIB LIST FILE...: into $BUILD/NAME/root, the named FILEs (patterns) of the packages in LIST, whose lines
# are `architecture package version sha256`, and all shared libraries. $BUILD/NAME/debs says what is there. DEBS_ARCH=arm64 is for
# what the guest runs, not this machine.
sum_ok() { [ -f "$1" ] && [ "$(sha256sum < "$1")" = "$2  -" ]; }
fetch_debs() {
	local name=$1 suites=$2 mib=$3 list=$4 dir arch apt debs a package version sum deb updated='' files
	shift 4
	make_build
	dir=$BUILD/$name apt=$BUILD/apt-$name arch=${DEBS_ARCH-$(dpkg --print-architecture 2>/dev/null)}
	debs=$(grep "^$arch " "$list") && [ -n "$arch" ] || die "no $name is known for ${arch:-a machine without dpkg}; add it to ${list#"$TOP/"}"
	exec 8> "$BUILD/.$name.lock" && flock -w 300 8 || die "another make fetches $name into $BUILD; wait for it"
	[ "$(cat "$dir/debs" 2>/dev/null)" != "$debs" ] || return 0
	need_space 600
	scratch
	mkdir -p "$BUILD/dl" "$TMP/new/root"
	while read -r a package version sum; do
		deb=$BUILD/dl/${package}_${sum:0:12}.deb
		if ! sum_ok "$deb" "$sum"; then
			if [ -z "$updated" ]; then
				private_apt "$apt" "$suites" || die "can't get $name: no apt with a Debian mirror"
				[ -z "${DEBS_ARCH-}" ] || APT+=(-o APT::Architecture="$arch" -o APT::Architectures::="$arch")
				note "fetching $name from Debian's $suites ($mib MiB)" >&2
				apt-get "${APT[@]}" update > "$TMP/log" 2>&1 || die "can't get $name: apt-get update: $(last_line); mend the network"
				updated=1
			fi
			apt-cache "${APT[@]}" madison "$package" 2>/dev/null | awk -F ' *[|] *' -v v="$version" '$2 == v { f = 1 } END { exit !f }' ||
				die "Debian's $suites has no $package $version any more; write the version and checksum that it has to ${list#"$TOP/"}"
			(cd "$TMP" && apt-get "${APT[@]}" download "$package=$version") > "$TMP/log" 2>&1 ||
				die "can't get $package: apt-get download: $(last_line); mend the network"
			files=("$TMP/$package"_*.deb)
			sum_ok "${files[0]}" "$sum" || die "the checksum of $package $version is not the one in ${list#"$TOP/"}"
			mv "${files[0]}" "$deb"
		fi
		dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$TMP/new/root" --wildcards "$@" './usr/lib/*-linux-gnu/*.so*' 2> "$TMP/log"
	done <<< "$debs"
	[ -x "$TMP/new/root/${1#./}" ] || die "$name can't be unpacked: $(last_line)"
	echo "$debs" > "$TMP/new/debs"
	rm -rf "$dir" && mv "$TMP/new" "$dir" || die "$dir can't be made; make room"
}
last_line() { grep -v '^$' "$TMP/log" | tail -n 1; }

# private_program NAME FILE: sets run, the words that start it with the libraries that came with it
private_program() {
	local root=$BUILD/$1/root lib loader
	lib=$(echo "$root"/usr/lib/*-linux-gnu)
	loader=$(echo "$lib"/ld-linux-*.so.*)
	run=("$loader" --library-path "$lib" "$root/${2#./}")
}
