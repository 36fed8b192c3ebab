#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# make tree SERIES=: a tree of some of the series, the way back into patches/, and from one choice to another. trial.sh has how.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/check/trial.sh
. "$LAB/check/trial.sh"

without -
fake df 'echo header; echo fs 9 9 99999 9% /'
kernel "$TMP/kdir" 1.2.3
git -C "$TMP/kdir" init -q && git -C "$TMP/kdir" add -A && git -C "$TMP/kdir" commit -qm one
export KDIR=$TMP/kdir
keep=1 tree=$out/kdir/linux file=arch/arm64/mm/mmu.c patches=$repo/patches
g() { git -C "$tree" "$@"; }
names() { g for-each-ref --format='%(refname:lstrip=3)' refs/heads/series | xargs; }
say() { (cd "$tree" && sed -i "s/^$1\$/$2/" $file && git commit -qam "arm64: mm: Say $2") || die "git failed"; }
letter() { # SERIES NEEDS
	printf 'Subject: [PATCH 0/1] arm64: mm: One\n%s\n\nText.\n%s\n%s\n' "$2" '--- shortlog and diffstat, by make series ---' '--- end ---' > "$patches/$1/0000-cover-letter.txt"
}

# Four series; the third adds a file, to which the last one adds a line.
run "$lab/tree/base.sh" > /dev/null && run "$lab/tree/tree.sh" > /dev/null || die "make tree failed"
say 10 ten && g branch series/10-one
say 50 fifty && g branch series/20-two
echo new > "$tree/${file%/*}/new.c" && g add -A && say 90 ninety && g branch series/30-three
echo more >> "$tree/${file%/*}/new.c" && say 70 seventy && g branch series/40-four
run "$lab/tree/series.sh" > /dev/null || die "make series failed"
letter 10-one 'Needs: -'; letter 20-two 'Needs: -'; letter 30-three 'Needs: 10-one'; letter 40-four 'Needs: 20-two 30-three'
printf '| [%s](x) | for | ? | buys \\| more |\n' 10-one 20-two 30-three 40-four > "$patches/README.md"
works series run "$lab/tree/series.sh"
same needs-column "$(cut -d '|' -f 4 "$patches/README.md" | tr '\n' ';')" ' ; ; 10-one ; 20-two, 30-three ;'
same needs-column-alone "$(cut -d '|' -f 5- "$patches/README.md" | sort -u)" ' buys \| more |'
works check-series run "$lab/tree/check-series.sh"

# From all to some, and what is in there.
works some run SERIES=30-three "$lab/tree/tree.sh"
same some-series "$(names)" '10-one 30-three'
same some-content "$(sed -n '10p;50p;70p;90p' "$tree/$file" | xargs) $(cat "$tree/${file%/*}/new.c")" 'ten 50 70 ninety new'
works some-again run SERIES=30-three "$lab/tree/tree.sh"
same some-again-quietly "$(cat "$TMP/stdout")" ''
works some-agrees run "$lab/tree/check-series.sh"
same some-agrees-says "$(grep -c '^# .* holds 10-one 30-three: the others are not compared' "$TMP/stdout")" 1
same some-copies "$(cat "$repo/${file%/*}/new.c")" "$(printf 'new\nmore')"

# Work in it goes back to its folder, and nowhere else.
(cd "$patches" && find . -type f ! -path './30-three/*.patch' -exec sha256sum {} + | sort) > "$TMP/others"
(cd "$tree" && sed -i 's/^ninety$/NINETY/' $file && echo more old >> "${file%/*}/new.c" && sed -i 's/new/NEW/' "${file%/*}/new.c" &&
	sed -i '$d' "${file%/*}/new.c" && git commit -qa --amend -m 'arm64: mm: Say ninety') || die "git failed"
fails commits-of-no-branch 'the branch series/30-three does not lie between series/10-one and HEAD' run "$lab/tree/tree.sh"
g branch -f series/30-three HEAD
fails unsaved "commits that patches/ does not hold; then save with make series, stay with make tree SERIES='10-one 30-three', or drop" run "$lab/tree/tree.sh"
same unsaved-is-kept "$(names) $(sed -n 90p "$tree/$file")" '10-one 30-three NINETY'
works unsaved-is-used run SERIES=30-three "$lab/tree/tree.sh"
same unsaved-is-said "$(grep -c 'holds work that patches/ does not' "$TMP/stdout")" 1
fails some-differs '1 differences' run "$lab/tree/check-series.sh"
same some-differs-where "$(grep -v '^#' "$TMP/stdout")" 'patches/30-three/0001-arm64-mm-Say-ninety.patch: build/linux has another version'
works some-saved run "$lab/tree/series.sh"
same some-saved-says "$(grep -v '^# .*more than' "$TMP/stdout" | tail -n 1)" '# 2 series, 2 patches, 1 added files; as they were: 20-two 40-four'
same some-saved-there "$(grep -c '^+NINETY' "$patches/30-three"/*.patch)" 1
same others-untouched "$(cd "$patches" && find . -type f ! -path './30-three/*.patch' -exec sha256sum {} + | sort | diff "$TMP/others" -)" ''
same said-what-breaks "$(sed -n 's/.*# \(patches.* not apply\).*/\1/p' "$TMP/stdout")" 'patches/40-four/0001-arm64-mm-Say-seventy.patch does not apply'
works some-saved-agrees-as-far-as-it-goes run SERIES=30-three "$lab/tree/tree.sh"
fails breaks-the-rest 'patches/40-four/0001-arm64-mm-Say-seventy.patch does not apply' run "$lab/tree/tree.sh"
same breaks-nothing-here "$(names) $(sed -n 90p "$tree/$file")" '10-one 30-three NINETY'
(cd "$tree" && sed -i 's/NEW/new/' "${file%/*}/new.c" && git commit -qa --amend -m 'arm64: mm: Say ninety' && git branch -f series/30-three) || die "git failed"
works mended run "$lab/tree/series.sh"
works all-again run "$lab/tree/tree.sh"
same all-again-series "$(names) $(sed -n '50p;90p' "$tree/$file" | xargs)" '10-one 20-two 30-three 40-four fifty NINETY'
works all-agrees run "$lab/tree/check-series.sh"

# What is not saved is not dropped, unless that is asked for.
works other run SERIES='20-two 10-one' "$lab/tree/tree.sh"
same other-series "$(names)" '10-one 20-two'
echo x >> "$tree/Kbuild"
fails dirty 'uncommitted changes, and it was made of 10-one 20-two; commit' run "$lab/tree/tree.sh"
g checkout -q Kbuild
echo x > "$tree/mine" && g add -A && g commit -qm mine
fails behind '1 commits lie behind series/20-two; take them into it: git branch -f series/20-two HEAD' run "$lab/tree/tree.sh"
works forced run FORCE=1 SERIES=all "$lab/tree/tree.sh"
same forced-series "$(names)" '10-one 20-two 30-three 40-four'
fails no-such-series '50-none: no such series; there are: 10-one 20-two 30-three 40-four' run SERIES=50-none "$lab/tree/tree.sh"
works new-in-some run SERIES=20-two "$lab/tree/tree.sh"
say 30 thirty && g branch series/30-three
fails branch-of-another 'patches/30-three was not taken into .*, which has a branch series/30-three; rename that' run "$lab/tree/series.sh"
g branch -m series/30-three series/25-new
works new-series run "$lab/tree/series.sh"
same new-series-there "$(cd "$patches" && echo *)" '10-one 20-two 25-new 30-three 40-four README.md'
fails new-series-without-letter '2 differences' run "$lab/tree/check-series.sh"
letter 25-new 'Needs: 20-two'; printf '| [25-new](x) | for | | buys |\n' >> "$patches/README.md"
works new-series-again run "$lab/tree/series.sh"
works new-series-agrees run "$lab/tree/check-series.sh"
works new-series-by-name run SERIES=25-new "$lab/tree/tree.sh"
same new-series-alone "$(names)" '20-two 25-new'

# What the heads of the letters say.
sed -i 's/| 20-two |/| 10-one |/' "$patches/README.md"
fails column-differs '1 differences' run "$lab/tree/check-series.sh"
same column-differs-says "$(grep -v '^#' "$TMP/stdout")" 'patches/README.md: the columns are not what the cover letters and the patches say; run make series'
sed -i 's/| 10-one | buys |/| 20-two | buys |/' "$patches/README.md"
echo '| [60-gone](x) | for | | buys |' >> "$patches/README.md"
fails row-of-none '1 differences' run "$lab/tree/check-series.sh"
sed -i '$d' "$patches/README.md"
sed -i 's/^Needs: .*/Needs: 40-four 99-none/' "$patches/25-new/0000-cover-letter.txt"
fails needs-wrong '3 differences' run "$lab/tree/check-series.sh"
same needs-wrong-says "$(sed -n 's/.*Needs: //p' "$TMP/stdout" | tr '\n' ';')" '40-four, which does not come before it;99-none, which is no series;'
fails needs-of-none '99-none: no such series' run SERIES=25-new "$lab/tree/tree.sh"
sed -i '/^Needs: /d' "$patches/25-new/0000-cover-letter.txt"
fails needs-missing "patches/25-new/0000-cover-letter.txt has no line 'Needs: NN-name ...' in its head; add it" run SERIES=25-new "$lab/tree/tree.sh"
same nothing-done "$(names)" '20-two 25-new'
