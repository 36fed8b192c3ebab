#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The base that is gone from the mirror, and make drift, with a mirror that has one package: newer than the pinned one, and holds a kernel
# of four files. trial.sh has how.
# shellcheck disable=SC2016
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/check/trial.sh
. "$LAB/check/trial.sh"

without; fake curl 'echo "curl: (6) no such host" >&2; exit 6'
fake df 'echo header; echo fs 9 9 99999 9% /'
newer=${BASE_VERSION%.*}.99
kernel "$TMP/linux-$newer" "$newer"
mkdir -p "$TMP/deb/DEBIAN" "$TMP/deb/usr/src" "$repo/patches/10-say"
printf 'Package: %s\nVersion: %s-1\nArchitecture: all\nMaintainer: Lab <lab@localhost>\nDescription: one\n' "$BASE_PACKAGE" "$newer" > "$TMP/deb/DEBIAN/control"
tar -C "$TMP" -cJf "$TMP/deb/usr/src/$BASE_PACKAGE.tar.xz" --transform "s,^linux-$newer,$BASE_PACKAGE," "linux-$newer"
dpkg-deb -b "$TMP/deb" "$TMP/newer.deb" > /dev/null || die "dpkg-deb failed"
fake apt-get 'case $* in *indextargets*) echo "http://mirror.invalid/debian" ;; *download*=*'"$newer"'-1) cp '"$TMP/newer.deb $BASE_PACKAGE"'_1_all.deb ;; *download*) echo "E: Version was not found" >&2; exit 100 ;; esac'
fake apt-cache 'for v in '"${BASE_VERSION%.*}.98-1 $newer-1"'; do echo "'"$BASE_PACKAGE"' | $v | http://mirror.invalid/debian s/main all Packages"; done'
say_50() { # LINE: a patch that changes it
	printf 'From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Lab <lab@localhost>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] arm64: mm: Say fifty\n\n---\ndiff --git a/arch/arm64/mm/mmu.c b/arch/arm64/mm/mmu.c\n--- a/arch/arm64/mm/mmu.c\n+++ b/arch/arm64/mm/mmu.c\n@@ -49,3 +49,3 @@\n 49\n-%s\n+fifty\n 51\n-- \n2\n' "$1" > "$repo/patches/10-say/0001-say.patch"
}
say_50 500
fails base-gone-no-patch "no $BASE_PACKAGE ${BASE_PACKAGE_VERSION//+/[+]} any more, and $newer-1 won't do: patches/10-say/0001-say.patch does not apply" run "$lab/tree/base.sh"
say_50 50
works base-gone run "$lab/tree/base.sh"
same base-gone-says "$(grep -c "^# the base is $newer-1, to which all patches apply: Debian's $BASE_SUITE has no $BASE_PACKAGE $BASE_PACKAGE_VERSION any more" "$TMP/stdout")" 1
works base-gone-again run "$lab/tree/base.sh"
run "$lab/tree/check-series.sh" > "$TMP/stdout" 2> /dev/null
same base-gone-named "$(grep -x '# base: .*' "$TMP/stdout")" "# base: Linux $newer, not the pinned $BASE_VERSION"

# The same mirror, in one suite: offsets, a hunk that does not apply, and a series that needs that one.
say_50 50
letter() { printf 'Subject: [PATCH 0/1] x\nNeeds: %s\n\nText.\n' "$2" > "$repo/patches/$1/0000-cover-letter.txt"; }
mkdir "$repo/patches/20-other" "$repo/patches/30-third"
sed 's/@@ -49,3 +49,3 @@/@@ -9,3 +9,3 @@/; s/^ 49/ 19/; s/^-50/-20/; s/^ 51/ 21/' "$repo/patches/10-say/0001-say.patch" > "$TMP/moved"
sed 's/@@ -49,3 +49,3 @@/@@ -59,3 +59,3 @@/; s/^ 49/ 59/; s/^-50/-6000/; s/^ 51/ 61/' "$repo/patches/10-say/0001-say.patch" > "$TMP/gone"
cp "$TMP/moved" "$repo/patches/30-third/0001-moved.patch"
cp "$TMP/gone" "$repo/patches/20-other/0001-gone.patch"
letter 10-say -; letter 20-other 10-say; letter 30-third 10-say
fake apt-cache 'case $* in *search*) echo "'"$BASE_PACKAGE"' - x" ;; *) echo " '"$BASE_PACKAGE"' | '"$newer"'-1 | http://mirror.invalid/debian s/main all Packages" ;; esac'
keep=1
works drift run DRIFT_SUITES=s "$lab/tree/drift.sh"
same drift-table "$(tail -n +3 "$TMP/stdout" | sed 's/  */ /' | tr '\n' '|')" \
	"series $newer (s)|10-say applies|20-other patch 1: arch/arm64/mm/mmu.c hunk #1|30-third applies, offsets: 1|"
letter 30-third 20-other
works drift-again run DRIFT_SUITES=s "$lab/tree/drift.sh"
same drift-needs "$(tail -n 1 "$TMP/stdout" | sed 's/  */ /')" '30-third needs 20-other'
same drift-fetched-once "$(grep -c fetching "$TMP/stdout")" 0
fake apt-cache ':'
fails drift-none "Debian's s hold no linux-source; name other ones by DRIFT_SUITES=" run DRIFT_SUITES=s "$lab/tree/drift.sh"
fake apt-get 'case $* in *indextargets*) echo "http://mirror.invalid/debian" ;; *) echo "E: no such host" >&2; exit 100 ;; esac'
fails drift-no-network 'apt-get update: .*no such host; mend the network' run DRIFT_SUITES=s "$lab/tree/drift.sh"
