#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts the base kernel into build/linux, a git tree with one commit on the branch `base`. Does nothing where it is there.
# When Debian has replaced the pinned package and kernel.org can't be reached, the newest of the same X.Y that the suite has serves, if all
# patches apply to it; apt checks its signature.
# KDIR=: from the developer's tree instead, whose HEAD (or files, without git) becomes that commit.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/am.sh"

lock_build

# The author and the dates are fixed: the same base gives the same commit.
export GIT_AUTHOR_NAME='Kernel lab' GIT_AUTHOR_EMAIL=lab@localhost GIT_AUTHOR_DATE='2026-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE

from_apt() { # to $TMP/linux.tar.xz; says why it can't on stdout
	local deb="$BUILD/dl/$BASE_PACKAGE.deb" apt=$BUILD/apt
	if ! sum_ok "$deb" "$BASE_SHA256"; then
		[ ! -f "$deb" ] || note "$deb is damaged, fetching it again" >&2
		private_apt "$apt" "$BASE_SUITE" || { echo "no apt with a Debian mirror"; return 1; }
		note "fetching $BASE_PACKAGE $BASE_PACKAGE_VERSION (160 MiB)" >&2
		apt-get "${APT[@]}" update > "$TMP/log" 2>&1 || { echo "apt-get update: $(last)"; return 1; }
		(cd "$TMP" && apt-get "${APT[@]}" download "$BASE_PACKAGE=$BASE_PACKAGE_VERSION") > "$TMP/log" 2>&1 ||
			{ echo "apt-get download: $(last)"; return 1; }
		mkdir -p "$BUILD/dl" && mv "$TMP"/"$BASE_PACKAGE"_*.deb "$TMP/deb" || { echo "apt-get download left nothing"; return 1; }
		sum_ok "$TMP/deb" "$BASE_SHA256" || { echo "the checksum of $BASE_PACKAGE is not the one in tools/lab/tree/base.conf"; return 1; }
		mv "$TMP/deb" "$deb"
	fi
	tarball_of "$deb"
}

tarball_of() { # DEB
	dpkg-deb --fsys-tarfile "$1" | tar -xf - -C "$TMP" -O "./usr/src/$BASE_PACKAGE.tar.xz" > "$TMP/linux.tar.xz" || { echo "$1 can't be unpacked"; return 1; }
}

# The newest that there is instead, if the pinned one is gone: its version goes to $TMP/instead
from_suite() {
	local have newest
	private_apt "$BUILD/apt" "$BASE_SUITE" || { echo "no apt with a Debian mirror"; return 1; }
	have=$(apt-cache "${APT[@]}" madison "$BASE_PACKAGE" 2>/dev/null | awk -F ' *[|] *' '{ print $2 }')
	! grep -qxF "$BASE_PACKAGE_VERSION" <<< "$have" || { echo "it has $BASE_PACKAGE_VERSION"; return 1; }
	newest=$(grep "^${BASE_VERSION%.*}[.]" <<< "$have" | sort -V | tail -n 1)
	[ "$newest" ] || { echo "it has no other ${BASE_VERSION%.*}"; return 1; }
	note "fetching $BASE_PACKAGE $newest (160 MiB)" >&2
	(cd "$TMP" && rm -f ./*.deb && apt-get "${APT[@]}" download "$BASE_PACKAGE=$newest") > "$TMP/log" 2>&1 || { echo "apt-get download: $(last)"; return 1; }
	tarball_of "$TMP/$BASE_PACKAGE"_*.deb && rm -f "$TMP"/*.deb && echo "$newest" > "$TMP/instead"
}

from_kernel_org() {
	local name=${BASE_URL##*/} part="$TMP/linux.tar.xz"
	command -v curl > /dev/null || { echo "no curl"; return 1; }
	note "fetching $name (150 MiB)" >&2
	curl -fsSL --retry 2 --connect-timeout 20 -o "$TMP/sums" "${BASE_URL%/*}/sha256sums.asc" 2> "$TMP/log" || { last; return 1; }
	curl -fsSL --retry 2 --connect-timeout 20 -o "$part" "$BASE_URL" 2> "$TMP/log" || { last; return 1; }
	listed "$TMP/sums" "$name" "$part" || { echo "the checksum of $name is not the one in sha256sums.asc"; return 1; }
}

last() { tail -n 1 "$TMP/log"; }
sum_ok() { [ -f "$1" ] && [ "$(sha256sum < "$1")" = "$2  -" ]; }
listed() { sum_ok "$3" "$(awk -v n="$2" '$2 == n { print $1 }' "$1")"; } # SUMS NAME FILE

unpack() { # TARBALL, into $TMP/linux
	note "unpacking ${1##*/}"
	mkdir "$TMP/linux" && tar -xf "$1" -C "$TMP/linux" --strip-components=1 2> "$TMP/log" ||
		die "${1##*/} can't be unpacked: $(last); fetch it again, or make room"
}

commit_tree() { # in $TMP/linux
	note "making the git tree (a minute)"
	# Debian's .gitignore ignores everything: new files would be overlooked.
	sed -i -e '\,^/\*$,d' -e '\,^!/debian/$,d' "$TMP/linux/.gitignore" 2> /dev/null
	(cd "$TMP/linux" && git init -q . && git -c core.bigFileThreshold=1 add -A -f . &&
		git commit -q -m "Linux $(tree_version < Makefile)" && git branch base) > "$TMP/log" 2>&1 ||
		die "git can't store the base: $(last)"
	if [ -f "$TMP/instead" ]; then
		why=$(am_series "$TMP/linux" base "$TMP/am" 2>&1) ||
			die "Debian's $BASE_SUITE has no $BASE_PACKAGE $BASE_PACKAGE_VERSION any more, and $(cat "$TMP/instead") won't do: ${why#*: }"
		note "the base is $(cat "$TMP/instead"), to which all patches apply: Debian's $BASE_SUITE has no $BASE_PACKAGE $BASE_PACKAGE_VERSION any more"
		git -C "$TMP/linux" config lab.instead "$BASE_VERSION"
	fi
	mv "$TMP/linux" "$TREE" || die "$TREE can't be made"
}

pinned() {
	local got why_apt why_org why_suite why
	if git -C "$TREE" rev-parse -q --verify base > /dev/null 2>&1; then
		got=$(git -C "$TREE" show base:Makefile | tree_version)
		[ "$got" = "$BASE_VERSION" ] || [ "$(git -C "$TREE" config lab.instead)" = "$BASE_VERSION" ] ||
			die "$TREE is based on Linux $got, not $BASE_VERSION; move it away (save your commits) and run make again"
		return
	fi
	[ ! -e "$TREE" ] || die "$TREE is there but has no branch 'base'; move it away and run make again"
	need_space 6144
	scratch
	if [ -n "$BASE_TARBALL" ]; then
		[ -f "$BASE_TARBALL" ] || die "BASE_TARBALL=$BASE_TARBALL: no such file; name linux-$BASE_VERSION.tar.xz"
		local sums=${BASE_TARBALL%/*}/sha256sums.asc
		[ "$sums" != "$BASE_TARBALL/sha256sums.asc" ] || sums=sha256sums.asc
		if [ -f "$sums" ]; then
			listed "$sums" "${BASE_TARBALL##*/}" "$BASE_TARBALL" ||
				die "the checksum of $BASE_TARBALL is not the one in $sums; fetch it again"
		else
			note "no sha256sums.asc beside $BASE_TARBALL: its checksum is not verified"
		fi
		got=$BASE_TARBALL
	elif why_apt=$(from_apt); then
		got=$TMP/linux.tar.xz
	elif note "not from Debian: $why_apt" && why_org=$(from_kernel_org); then
		got=$TMP/linux.tar.xz
	elif why_suite=$(from_suite); then
		got=$TMP/linux.tar.xz
	else
		die "can't get the base kernel (Debian: $why_apt; kernel.org: $why_org; instead: $why_suite); mend the network, or name a file with BASE_TARBALL="
	fi
	unpack "$got"
	[ "$got" = "$BASE_TARBALL" ] || rm -f "$got"
	got=$(tree_version < "$TMP/linux/Makefile" 2>/dev/null)
	[ -f "$TMP/instead" ] || [ "$got" = "$BASE_VERSION" ] || die "the tarball holds Linux $got, not $BASE_VERSION; name linux-$BASE_VERSION.tar.xz with BASE_TARBALL="
	commit_tree
}

# A tree that lacks what tools/lab/tree/prerequisite/ brings has it in its base: a patch that does not apply is one that it has.
add_prerequisites() { # changes $tree
	local p
	export GIT_DIR=$TREE/.git GIT_INDEX_FILE=$TMP/index
	git read-tree "$tree" || die "git can't store the base"
	while read -r p; do
		git apply --cached "$p" 2> /dev/null || continue
		note "KDIR lacks tools/lab/tree/prerequisite/${p##*/}, which is applied first"
	done < <(find "$LAB/tree/prerequisite" -name '*.patch' 2> /dev/null | sort)
	tree=$(git write-tree) || die "git can't store the base"
	unset GIT_DIR GIT_INDEX_FILE
}

# KDIR is only read. A new HEAD in it makes a new base, that tree.sh then moves the series to.
from_kdir() {
	local tree old commit add
	need_space 4096
	scratch
	if [ ! -d "$TREE" ]; then
		git init -q "$TMP/linux"
		mv "$TMP/linux" "$TREE" || die "$TREE can't be made"
	fi
	if git -C "$KDIR" rev-parse -q --verify HEAD > /dev/null 2>&1 && [ "$(git -C "$KDIR" rev-parse --show-toplevel)" = "$(cd "$KDIR" && pwd -P)" ]; then
		commit=$(git -C "$KDIR" rev-parse HEAD)
		[ "$(git -C "$TREE" config lab.kdir)" != "$commit" ] || return 0
		note "reading $commit from KDIR"
		git -C "$TREE" fetch -q --no-tags --depth=1 "file://$KDIR" HEAD:refs/lab/kdir --force > "$TMP/log" 2>&1 ||
			die "KDIR=$KDIR: git can't read it: $(last)"
		tree=$(git -C "$TREE" rev-parse 'refs/lab/kdir^{tree}')
	else # files; the index keeps their times, so that only changed ones are read again
		commit=files
		note "reading the files of KDIR"
		export GIT_INDEX_FILE=$BUILD/kdir.index
		add=(-A)
		# Debian's .gitignore ignores everything.
		! grep -qsx '/\*' "$KDIR/.gitignore" || add+=(-f -- . ':!*.o' ':!*.ko' ':!*.a' ':!*.cmd' ':!vmlinux*')
		(cd "$KDIR" && git --git-dir="$TREE/.git" --work-tree=. -c core.bigFileThreshold=1 add "${add[@]}") > "$TMP/log" 2>&1 ||
			die "KDIR=$KDIR: its files can't be read: $(last)"
		tree=$(git --git-dir="$TREE/.git" write-tree)
		unset GIT_INDEX_FILE
	fi
	add_prerequisites
	old=$(git -C "$TREE" rev-parse -q --verify base) || old=
	if [ -z "$old" ] || [ "$(git -C "$TREE" rev-parse 'base^{tree}')" != "$tree" ]; then
		local new
		new=$(git -C "$TREE" commit-tree -m "Linux $(git -C "$TREE" show "$tree:Makefile" | tree_version) from KDIR" "$tree") ||
			die "git can't store the base"
		if [ -z "$old" ]; then
			git -C "$TREE" update-ref refs/heads/base "$new"
			git -C "$TREE" reset -q --hard base || die "$TREE can't be filled; make room"
		else
			git -C "$TREE" update-ref refs/lab/base "$new"
		fi
	fi
	git -C "$TREE" config lab.kdir "$commit"
}

if [ -n "$KDIR" ]; then from_kdir; else pinned; fi
