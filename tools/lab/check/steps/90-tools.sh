#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# What the lab's tools do when something is wrong: one line on stderr, a non-zero exit, nothing half-written. trial.sh has how.
# shellcheck disable=SC2016
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
real_tree=$TREE
# shellcheck source=tools/lab/check/trial.sh
. "$LAB/check/trial.sh"

# Set-up.
without qemu-system-aarch64; fake id 'echo 1000'
fails no-qemu 'missing: qemu-system-arm; run: sudo make setup$' run "$lab/tree/setup.sh"
without; fake id 'echo 1000'; fake qemu-system-aarch64 'echo QEMU emulator version 7.2.9'
fails old-qemu 'QEMU is version 7, 10 or newer is needed; run: sudo make setup$' run "$lab/tree/setup.sh"
without; fake old-qemu 'echo QEMU emulator version 9.1.0'
fails old-qemu-by-name 'version 9, not QEMU 10 or newer' run QEMU="$fake/old-qemu" "$lab/tree/setup.sh"
# What make check alone needs, of the same version.
without qemu-system-x86_64; fake id 'echo 1000'
fails no-qemu-x86 "missing: qemu-system-x86; run: sudo make setup NEEDS='check' STEPS='x86' X86='boots'\$" run NEEDS=check STEPS=x86 X86=boots "$lab/tree/setup.sh"
works no-qemu-x86-not-asked run NEEDS=check STEPS=x86 "$lab/tree/setup.sh"
without; fake id 'echo 1000'
fails no-efi 'none: no such file; leave EFI unset' run NEEDS=check DIMM=efi EFI="$TMP/none" "$lab/tree/setup.sh"
works no-efi-not-asked run NEEDS=check STEPS=dimm EFI="$TMP/none" "$lab/tree/setup.sh"
without riscv64-linux-gnu-gcc; fake id 'echo 1000'
[ "$(uname -m)" = riscv64 ] || fails no-riscv "missing: gcc-riscv64-linux-gnu; run: sudo make setup NEEDS='check' STEPS='x86'\$" run NEEDS=check STEPS=x86 "$lab/tree/setup.sh"
without bison flex sparse; fake id 'echo 1000'
fails no-packages 'missing: bison flex sparse; run: sudo make setup$' run "$lab/tree/setup.sh"
without bison apt-get; fake id 'echo 0'
fails no-apt 'missing: bison; install' run "$lab/tree/setup.sh"
without bison; fake id 'echo 0'; fake apt-get 'echo "E: Unable to fetch some archives" >&2; exit 100'
fails install-fails 'Unable to fetch some archives; install by hand' run "$lab/tree/setup.sh"
fails no-such-cross 'no nope-gcc in PATH' run CROSS_COMPILE=nope- "$lab/tree/setup.sh"
if [ "$(uname -m)" != aarch64 ]; then
	without aarch64-linux-gnu-gcc; fake id 'echo 1000'
	fails no-cross 'missing: gcc-aarch64-linux-gnu( libc6-dev-arm64-cross)?; run' run "$lab/tree/setup.sh"
fi

# The download.
without; fake curl 'echo "curl: (6) no such host" >&2; exit 6'
fake apt-get 'case $* in *indextargets*) echo "http://mirror.invalid/debian" ;; *) echo "E: no such host" >&2; exit 100 ;; esac'
fails no-network 'base kernel \(Debian: .*no such host; kernel.org: .*no such host\); mend the network' run "$lab/tree/base.sh"
fake apt-get 'case $* in *indextargets*) echo "http://mirror.invalid/debian" ;; *download*) echo bad > '"$BASE_PACKAGE"'_1_all.deb ;; esac'
fails corrupt-deb "checksum of $BASE_PACKAGE is not" run "$lab/tree/base.sh"
same corrupt-deb-not-kept "$(find "$out" -name '*.deb')" ''
fake curl 'while [ "$1" != -o ]; do shift; done; echo "0123  linux-'"$BASE_VERSION"'.tar.xz" > "$2"'
fails corrupt-download "kernel.org: the checksum of linux-$BASE_VERSION.tar.xz is not" run "$lab/tree/base.sh"
fake df 'echo header; echo fs 9 9 100 9% /'
fails no-space '100 MiB free, 6144 are needed' run "$lab/tree/base.sh"
same no-space-nothing-fetched "$(find "$out" -name '*.xz' -o -name '*.deb')" ''

# herd7.
without; fake dpkg 'echo riscv64'
fails herd-no-arch 'no herd is known for riscv64; add it to tools/lab/tree/herd.debs' run "$lab/check/formal/herd.sh"
without; fake dpkg 'echo amd64'
fake apt-get 'case $* in *indextargets*) echo "http://mirror.invalid/debian" ;; *) echo "E: no such host" >&2; exit 100 ;; esac'
fails herd-no-network "can't get herd: apt-get update: .*no such host; mend the network" run "$lab/check/formal/herd.sh"
fake apt-get 'case $* in *indextargets*) echo "http://mirror.invalid/debian" ;; *download*) echo bad > herdtools7_1_amd64.deb ;; esac'
fake apt-cache 'echo "herdtools7 | 9.99-1 | http://mirror.invalid/debian forky/main amd64 Packages"'
fails herd-version-gone "Debian's forky has no herdtools7 $(sed -n 's/^amd64 herdtools7 \([^ ]*\) .*/\1/p' "$lab/tree/herd.debs") any more; write" run "$lab/check/formal/herd.sh"
fake apt-cache 'echo "herdtools7 | '"$(sed -n 's/^amd64 herdtools7 \([^ ]*\) .*/\1/p' "$lab/tree/herd.debs")"' | http://mirror.invalid/debian forky/main amd64 Packages"'
fails herd-corrupt-deb 'checksum of herdtools7 .* is not the one in tools/lab/tree/herd.debs' run "$lab/check/formal/herd.sh"
same herd-nothing-kept "$(find "$out" -name '*.deb' -o -name herd -type d)" ''
fails herd-no-test 'usage: litmus.sh DIR' run "$lab/check/formal/litmus.sh"

# A tarball.
without
old=1.2.3
kernel "$TMP/linux-$old" $old
tar -C "$TMP" -cJf "$TMP/wrong.tar.xz" linux-$old
echo garbage > "$TMP/garbage.tar.xz"
mkdir "$TMP/sums"; cp "$TMP/wrong.tar.xz" "$TMP/sums/linux-$BASE_VERSION.tar.xz"; echo "0123  linux-$BASE_VERSION.tar.xz" > "$TMP/sums/sha256sums.asc"
# Room is not what these are about.
fake df 'echo header; echo fs 9 9 99999 9% /'
fails no-tarball "no such file; name linux-$BASE_VERSION.tar.xz" run BASE_TARBALL="$TMP/none.tar.xz" "$lab/tree/base.sh"
fails wrong-version "holds Linux $old, not $BASE_VERSION" run BASE_TARBALL="$TMP/wrong.tar.xz" "$lab/tree/base.sh"
fails garbage-tarball "garbage.tar.xz can't be unpacked" run BASE_TARBALL="$TMP/garbage.tar.xz" "$lab/tree/base.sh"
fails wrong-checksum "checksum of .*linux-$BASE_VERSION.tar.xz is not the one in" run BASE_TARBALL="$TMP/sums/linux-$BASE_VERSION.tar.xz" "$lab/tree/base.sh"
linux=linux-$BASE_VERSION
kernel "$TMP/$linux" "$BASE_VERSION"
head -c 1M /dev/zero > "$TMP/$linux/big"
tar -C "$TMP" -cJf "$TMP/right.tar.xz" "$linux"
# Another base is another line in base.conf; a tree of the one before is left as it is.
made_up=9.8.7
kernel "$TMP/linux-$made_up" $made_up
tar -C "$TMP" -cJf "$TMP/linux-$made_up.tar.xz" linux-$made_up
cp "$lab/tree/base.conf" "$TMP/base.conf"
sed -i "s/^BASE_VERSION=.*/BASE_VERSION=$made_up/" "$lab/tree/base.conf"
fails bump-other-tarball "holds Linux $BASE_VERSION, not $made_up" run BASE_TARBALL="$TMP/right.tar.xz" "$lab/tree/base.sh"
works bump run BASE_TARBALL="$TMP/linux-$made_up.tar.xz" "$lab/tree/base.sh"
same bump-version "$(git -C "$out/linux" show base:Makefile | head -n 3 | sed 's/.*= //' | xargs)" "${made_up//./ }"
cp "$TMP/base.conf" "$lab/tree/base.conf"
keep=1 fails bump-back "is based on Linux $made_up, not $BASE_VERSION; move it away" run BASE_TARBALL="$TMP/right.tar.xz" "$lab/tree/base.sh"
rm -rf "$out"
small() { (trap '' XFSZ; ulimit -f 256; run "$@"); }
fails disk-full-midway "right.tar.xz can't be unpacked.*make room" small BASE_TARBALL="$TMP/right.tar.xz" "$lab/tree/base.sh"
fails build-not-writable 'choose another folder with O=' run O=/dev/null/x "$lab/tree/base.sh"
(mkdir -p "$out" && exec 9> "$out/.lock" && flock 9 && sleep 20) & sleep 0.5
fails locked 'another make works in' run LOCK_WAIT=0 "$lab/tree/base.sh"
kill $! && wait $! 2>/dev/null

# KDIR, and the way of a patch into the tree and back.
fails kdir-missing 'KDIR=/nonexistent is not a kernel tree' run KDIR=/nonexistent "$lab/tree/base.sh"
fails kdir-other 'is not a kernel tree' run KDIR="$TMP/sums" "$lab/tree/base.sh"
kdir=$TMP/$linux
git -C "$kdir" init -q && git -C "$kdir" add -A && git -C "$kdir" commit -qm one
echo '// not committed' >> "$kdir/arch/arm64/mm/mmu.c"
state() { (cd "$kdir" && find . -type f -exec sha256sum {} + | sort; find . -printf '%p %T@\n' | sort; git rev-parse HEAD); }
state > "$TMP/before"
keep=1 tree=$out/kdir/linux
export KDIR=$kdir
works kdir-base run "$lab/tree/base.sh"
works kdir-tree run "$lab/tree/tree.sh"
(cd "$tree" && sed -i 's/^50$/fifty/' arch/arm64/mm/mmu.c && git commit -qam 'arm64: mm: Say fifty' &&
	mkdir -p arch/arm64/mm/tests && echo new > arch/arm64/mm/tests/new.c && git add -A && git commit -qm 'arm64: mm: Add new') || die "git failed"
head=$(git -C "$tree" rev-parse HEAD)
fails series-no-branch 'has no branch series/NN-name' run "$lab/tree/series.sh"
git -C "$tree" branch series/10-say HEAD~
fails series-behind '1 commits lie behind series/10-say; take them into it' run "$lab/tree/series.sh"
git -C "$tree" branch series/20-add HEAD~
fails series-empty 'no commit is of the series 20-add; remove it' run "$lab/tree/series.sh"
git -C "$tree" branch -f series/20-add HEAD && git -C "$tree" branch -f series/10-say base
fails series-first-empty 'no commit is of the series 10-say' run "$lab/tree/series.sh"
git -C "$tree" branch -f series/10-say HEAD && git -C "$tree" branch -f series/20-add HEAD~
fails series-order 'the branch series/20-add does not lie between series/10-say and HEAD' run "$lab/tree/series.sh"
git -C "$tree" branch -f series/10-say HEAD~ && git -C "$tree" branch -f series/20-add HEAD
works series run "$lab/tree/series.sh"
first=$repo/patches/10-say/0001-arm64-mm-Say-fifty.patch
same series-names "$(cd "$repo/patches" && echo */*)" '10-say/0001-arm64-mm-Say-fifty.patch 20-add/0001-arm64-mm-Add-new.patch'
same series-copies "$(cat "$repo/arch/arm64/mm/tests/new.c")" new
cp -r "$repo/patches" "$TMP/saved"
cover() { printf 'Subject: [PATCH 0/1] arm64: mm: One\nNeeds: -\n\nText.\n%s\n%s\n' '--- shortlog and diffstat, by make series ---' '--- end ---'; }
for s in 10-say 20-add; do cover > "$repo/patches/$s/0000-cover-letter.txt"; done
printf '| [%s](x) | a | | b |\n' 10-say 20-add > "$repo/patches/README.md"
works series-again run "$lab/tree/series.sh"
same series-stable "$(diff -r "$TMP/saved" "$repo/patches" | xargs)" \
	"Only in $repo/patches/10-say: 0000-cover-letter.txt Only in $repo/patches/20-add: 0000-cover-letter.txt Only in $repo/patches: README.md"
same cover-filled "$(grep -h ' 1 file changed' "$repo/patches"/*/0000-cover-letter.txt | xargs)" '1 file changed, 1 insertion(+), 1 deletion(-) 1 file changed, 1 insertion(+)'
mkdir "$repo/patches/30-none" && echo text > "$repo/patches/30-none/0000-cover-letter.txt"
fails series-keeps-covers '30-none/0000-cover-letter.txt is of no series .* remove its folder' run "$lab/tree/series.sh"
rm -r "$repo/patches/30-none"
works check-series-agrees run "$lab/tree/check-series.sh"
sed -i 's,0/1,0/3,' "$repo/patches/20-add/0000-cover-letter.txt"
fails check-series-count '2 differences' run "$lab/tree/check-series.sh"
sed -i 's,0/3,0/1,' "$repo/patches/20-add/0000-cover-letter.txt"
echo changed > "$repo/arch/arm64/mm/tests/new.c"; touch "$repo/arch/arm64/mm/extra.c"; sed -i 's/+fifty/+FIFTY/' "$first"
fails check-series-differs '3 differences' run "$lab/tree/check-series.sh"
fails check-series-fresh-clone '2 differences' run KDIR= O="$TMP/none" "$lab/tree/check-series.sh"
rm "$repo/arch/arm64/mm/extra.c"
fails tree-keeps-changes 'uncommitted changes' run sh -c "echo x >> $tree/Kbuild; $lab/tree/tree.sh"
git -C "$tree" checkout -q Kbuild
echo mine > "$tree/mine" && git -C "$tree" add -A && git -C "$tree" commit -qm mine
fails tree-keeps-commits '1 commits lie behind series/20-add; take them into it' run "$lab/tree/tree.sh"
same tree-kept "$(git -C "$tree" log -1 --format=%s)" mine
works tree-forced run FORCE=1 "$lab/tree/tree.sh"
same tree-follows-patches "$(sed -n 50p "$tree/arch/arm64/mm/mmu.c")" FIFTY
sed -i 's/+FIFTY/+fifty/' "$first"
works tree-back run "$lab/tree/tree.sh"
git -C "$tree" reset -q --hard base
rm -rf "$out/kdir"
works tree-anew run sh -c "$lab/tree/base.sh && $lab/tree/tree.sh"
same tree-content "$(git -C "$tree" rev-parse 'HEAD^{tree}')" "$(git -C "$tree" rev-parse "$head^{tree}" 2>/dev/null || git -C "$tree" rev-parse 'HEAD^{tree}')"
one=$(git -C "$tree" rev-parse HEAD)
same tree-branches "$(git -C "$tree" log --format=%s -1 series/10-say) $(git -C "$tree" rev-parse series/20-add)" "arm64: mm: Say fifty $one"
rm -rf "$out/kdir"
works tree-third run sh -c "$lab/tree/base.sh && $lab/tree/tree.sh"
same hashes-reproducible "$(git -C "$tree" rev-parse HEAD)" "$one"
sed -i 's/^-50$/-49/' "$first"
fails patch-does-not-apply 'patches/10-say/0001-arm64-mm-Say-fifty.patch does not apply: arch/arm64/mm/mmu.c:47; mend' run "$lab/tree/tree.sh"
same failed-patch-leaves-tree "$(git -C "$tree" rev-parse HEAD) $(git -C "$tree" status --porcelain)" "$one "
echo nothing > "$first"
fails not-a-patch 'patches/10-say/0001-arm64-mm-Say-fifty.patch is not a patch; mend' run "$lab/tree/tree.sh"
cp -r "$TMP/saved/"* "$repo/patches/"
works patches-mended run "$lab/tree/tree.sh"
mkdir "$lab/tree/prerequisite"
(cd "$TMP/$linux" && sed 's/^90$/ninety/' arch/arm64/mm/mmu.c | diff -u --label a/arch/arm64/mm/mmu.c --label b/arch/arm64/mm/mmu.c \
	arch/arm64/mm/mmu.c -) > "$lab/tree/prerequisite/0001-ninety.patch"
sed 's/^-90$/-elsewhere/' "$lab/tree/prerequisite/0001-ninety.patch" > "$lab/tree/prerequisite/0002-has-it.patch"
rm -rf "$out/kdir"
works prerequisite run sh -c "$lab/tree/base.sh && $lab/tree/tree.sh"
same prerequisite-said "$(grep '^# KDIR lacks' "$TMP/stdout")" '# KDIR lacks tools/lab/tree/prerequisite/0001-ninety.patch, which is applied first'
same prerequisite-is-in-base "$(git -C "$tree" log --format=%s | wc -l) $(git -C "$tree" show base:arch/arm64/mm/mmu.c | sed -n 90p)" '3 ninety'
rm -r "$lab/tree/prerequisite" "$out/kdir"
works prerequisite-gone run sh -c "$lab/tree/base.sh && $lab/tree/tree.sh"
state > "$TMP/after"
same kdir-untouched "$(diff "$TMP/before" "$TMP/after")" ''
git -C "$kdir" checkout -q arch && seq 2 100 > "$kdir/arch/arm64/mm/mmu.c" && git -C "$kdir" commit -qam two
works kdir-moves-on run sh -c "$lab/tree/base.sh && $lab/tree/tree.sh"
same kdir-new-base "$(git -C "$tree" log --format=%s | wc -l) $(sed -n 49p "$tree/arch/arm64/mm/mmu.c")" '3 fifty'
rm -rf "$kdir/.git"
works kdir-without-git run sh -c "$lab/tree/base.sh && $lab/tree/tree.sh"
unset keep KDIR
rm -rf "$out"

# The build.
[ -d "$real_tree" ] || die "$real_tree: run make tree first"
keep=1
cat > "$lab/tree/configs/bogus.config" <<'C'
CONFIG_NO_SUCH_OPTION=y
CONFIG_PRINTK=y
# CONFIG_64BIT is not set
C
kbuild_lines() { run "$lab/tree/kbuild.sh" "$@" 2> "$TMP/err"; local rc=$?; tail -n 1 "$TMP/err" >&2; return $rc; }
fails option-does-not-stick 'bogus: these options did not stick; mend tools/lab/tree/configs/bogus.config' kbuild_lines "$real_tree" bogus "$out/obj"
same option-list "$(grep '^  ' "$TMP/err" | xargs)" 'CONFIG_64BIT=n (is y) CONFIG_NO_SUCH_OPTION=y (is n)'
same option-no-config "$(find "$out/obj" -maxdepth 1 -name .config)" ''
fails no-flavour 'no such flavour: tools/lab/tree/configs/none.config' run "$lab/tree/kbuild.sh" "$real_tree" none "$out/obj"
fails no-tree "is not a kernel tree; run make tree" run "$lab/tree/kbuild.sh" "$TMP/sums" min "$out/obj"
# An option more: next to nothing is compiled again, and what is copied is not what says how it was made.
mkdir -p "$out/objs/linux-one" && touch "$out/objs/linux-one/"{.lab-lock,.lab-key,.config,build.log,kept.o}
printf '# base: bogus\n# objects: one\n' > "$lab/tree/configs/two.config"
fails objects-of-another 'two: these options did not stick' kbuild_lines "$real_tree" two "$out/objs/linux-two"
same objects-copied "$(cd "$out/objs/linux-two" && for f in kept.o .lab-key .config; do [ ! -e $f ] || echo $f; done)" kept.o
if [ "$(uname -m)" != aarch64 ]; then
	without aarch64-linux-gnu-gcc
	fails build-without-cross 'no aarch64-linux-gnu-gcc; run make setup' run "$lab/tree/kbuild.sh" "$real_tree" min "$out/obj"
fi

# The driver of the tests.
rm "$lab/check/steps"/*
step() { { printf '. "$LAB/lib.sh"\n'; printf '%s\n' "$2"; } > "$lab/check/steps/$1.sh"; }
step 10-good 'ok a; ok b'
works driver-passes "$lab/check/check.sh"
same driver-counts "$(tail -n 1 "$TMP/stdout")" '2 passed, 0 failed'
# Two at a time, and each is shown as a whole.
step 11-waits 'for i in {1..100}; do [ ! -e "$BUILD/sign" ] || break; sleep 0.1; done; rm "$BUILD/sign" && ok h; sleep 1; ok i'
step 12-gives 'ok j; touch "$BUILD/sign"; sleep 0.5; ok k'
works driver-two-at-once "$lab/check/check.sh"
same driver-one-after-the-other "$(sed -n 's/^ok \([a-z]\) .*/\1/p' "$TMP/stdout" | xargs)" 'a b j k h i'
fails driver-bad-jobs 'CHECK_JOBS=0: a number from 1 up is expected' env CHECK_JOBS=0 "$lab/check/check.sh"
rm "$lab/check/steps"/1[12]-*
step 20-bad 'ok c; nok d "on purpose"'
step 30-none ':'
step 40-dies 'ok e; die "on purpose"'
step 50-hangs 'ok f; sleep 60'
step 60-last 'ok g'
(cd "$repo" && STEP_LIMIT=3 "$lab/check/check.sh") > "$TMP/stdout" 2>&1
same driver-fails $? 1
same driver-goes-on "$(tail -n 1 "$TMP/stdout")" '6 passed, 4 failed'
(cd "$repo" && STEPS='good last' "$lab/check/check.sh") > "$TMP/stdout" 2>&1
same driver-selects "$(tail -n 1 "$TMP/stdout")" '3 passed, 0 failed'
fails driver-no-such-step "no step 'other'; there are: good bad none" env STEPS=other "$lab/check/check.sh"
