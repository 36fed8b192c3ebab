#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Tries each series on the kernels that Debian's suites hold now (DRIFT_SUITES): it applies, with or without offsets, or a hunk does
# not. A series goes on top of what applied before it; one that needs a failed one isn't tried. A package is 160 MiB, and is fetched into
# build/drift once; only the files that the patches touch are kept of it. The table is build/drift/table.txt, too. Ends with 0 where
# all kernels could be had: what does not apply is a result.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/needs.sh"

[ $# = 0 ] || die "usage: [DRIFT_SUITES='SUITE...'] drift.sh"
make_build
suites=${DRIFT_SUITES:-trixie trixie-backports forky sid experimental}
exec 8> "$BUILD/.drift.lock" && flock -w 5 8 || die "another make drift works in $BUILD; wait for it"
need_space 2048
scratch
dir=$BUILD/drift
mkdir -p "$dir"
last() { grep -v '^$' "$TMP/log" | tail -n 1; }

private_apt "$BUILD/apt-drift" "$suites" || die "no apt with a Debian mirror; run it on Debian"
apt-get "${APT[@]}" update > "$TMP/log" 2>&1 || die "apt-get update: $(last); mend the network"
[ -n "$(series_names)" ] || die "there are no series in patches/; nothing to try"
patches | xargs git apply --numstat | cut -f 3 | sort -u > "$TMP/files"

# The newest of each package in each suite; the same one in two suites counts once. `version package suites`, oldest first.
apt-cache "${APT[@]}" search --names-only '^linux-source-[0-9]+\.[0-9]+$' | cut -d ' ' -f 1 | sort -u | while read -r package; do
	apt-cache "${APT[@]}" madison "$package" | awk -F ' *[|] *' -v p="$package" '
		{ sub(/^ */, "", $2); split($3, a, " "); sub(/\/.*/, "", a[2]) } !seen[a[2]]++ { in_[$2] = in_[$2] (in_[$2] == "" ? "" : ",") a[2] }
		END { for (v in in_) print v, p, in_[v] }'
done | sort -V > "$TMP/kernels"
[ -s "$TMP/kernels" ] || die "Debian's $suites hold no linux-source; name other ones by DRIFT_SUITES="

# fetch VERSION PACKAGE: $dir/VERSION gets the touched files, and the list of what it was asked for
fetch() {
	local deb at=$dir/${1//[^A-Za-z0-9.+-]/_}
	kernel=$at
	! cmp -s "$TMP/files" "$at/files" || return 0
	note "fetching $2 $1 (160 MiB)"
	(cd "$TMP" && rm -f ./*.deb && apt-get "${APT[@]}" download "$2=$1") > "$TMP/log" 2>&1 || die "$2 $1: apt-get download: $(last); mend the network"
	deb=$(echo "$TMP/$2"_*.deb)
	rm -rf "$TMP/new" && mkdir -p "$TMP/new/tree"
	# What a patch adds is not there, which tar says.
	{ sed 's,^,linux-source-*/,' "$TMP/files"; echo 'linux-source-*/Makefile'; } > "$TMP/members"
	dpkg-deb --fsys-tarfile "$deb" | tar -xOf - "./usr/src/$2.tar.xz" |
		tar -xJf - -C "$TMP/new/tree" --strip-components=1 --wildcards -T "$TMP/members" > "$TMP/log" 2>&1
	rm -f "$deb"
	[ -f "$TMP/new/tree/Makefile" ] || die "$2 $1 can't be unpacked: $(last)"
	cp "$TMP/files" "$TMP/new/files"
	rm -rf "$at" && mv "$TMP/new" "$at" || die "$at can't be made; make room"
}

# try SERIES, in the repository of one kernel: prints what becomes of it. What does not apply leaves the tree as it was.
try() {
	local p s n=0 moved=0
	for s in $(series_closure "$1"); do
		[ "$s" = "$1" ] || [ -z "${failed[$s]-}" ] || { said="needs $s"; return 1; }
	done
	while read -r p; do
		n=$((n + 1))
		if git apply --index -v "$p" > "$TMP/log" 2>&1; then
			moved=$((moved + $(grep -c '^Hunk .* succeeded' "$TMP/log")))
			continue
		fi
		# Which hunks these are is only said with --reject.
		git apply --reject -v "$p" > "$TMP/log" 2>&1
		said="patch $n: $(awk '/^Checking patch/ { f = $3; sub(/\.\.\.$/, "", f); checked[f] } /^Applying patch/ { f = $3 }
			/^error: .*: (No such file|does not exist|already exists)/ && !why { why = substr($0, 8) }
			/^Rejected hunk/ { h = $3; gsub(/[^0-9#]/, "", h); r[f] = r[f] " " h }
			END { for (f in r) out = out (out == "" ? "" : ", ") f " hunk" r[f]; print out == "" ? why : out }' "$TMP/log")"
		return 1
	done < <(patches "$1")
	said=applies
	[ $moved = 0 ] || said="applies, offsets: $moved"
}

printf 'series' > "$TMP/table"
while read -r s; do printf '\n%s' "$s"; done < <(series_names) >> "$TMP/table"
echo >> "$TMP/table"
while read -r version package where; do
	fetch "$version" "$package"
	rm -rf "$TMP/git" && cp -r "$kernel/tree" "$TMP/git" && cd "$TMP/git" || die "$TMP can't be written; make room"
	rm -f .gitignore
	git init -q && git add -A -f && git commit -qm "$version" || die "git can't store $version"
	declare -A failed=()
	{
		echo "$(tree_version < Makefile) ($where)"
		while read -r s; do
			if try "$s"; then
				git commit -q --allow-empty -m "$s"
			else
				failed[$s]=1
				git reset -q --hard && git clean -qfdx
			fi
			echo "$said"
		done < <(series_names)
	} > "$TMP/column"
	cd "$TOP" || exit
	paste "$TMP/table" "$TMP/column" > "$TMP/wider" && mv "$TMP/wider" "$TMP/table"
done < "$TMP/kernels"
{
	echo "Debian's $suites, $(date -u +%F)"
	columns < "$TMP/table"
} > "$TMP/out" && mv "$TMP/out" "$dir/table.txt" && cat "$dir/table.txt"
