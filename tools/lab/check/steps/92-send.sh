#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# make send: each series as mails, which a program stores that stands in for sendmail. What was stored is read as a recipient would,
# by git am and by b4 (Debian 12's 0.12.0, offline; it has no b4 prep --check, which came with 0.14). Then what goes wrong, with a
# kernel of four files. No mail leaves the machine.
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/am.sh"
real_top=$TOP real_tree=$TREE real_lab=$LAB
names=$(tree_series "$TREE")
declare -A sends
for s in $names; do sends[$s]=$(head_field "$(letter "$s")" Send); done
# shellcheck source=tools/lab/check/trial.sh
. "$LAB/check/trial.sh"
trap 'git -C "$real_tree" for-each-ref --format="delete %(refname)" refs/lab/trial | git -C "$real_tree" update-ref --stdin; rm -rf "$TMP"' EXIT

from='Zoë Person <zoe@example.org>'
cat > "$TMP/sendmail" <<'C'
#!/bin/sh
{ echo 'From mboxrd@z Thu Jan  1 00:00:00 1970'; cat; } > "$SINK/$(printf %04d "$(ls "$SINK" | wc -l)")"
C
chmod +x "$TMP/sendmail"
# What a recipient of the mails can rely on: mails FOLDER COUNT VERSION FROM
cat > "$TMP/mails.py" <<'C'
import email, email.policy, os, re, sys
folder, count, version, sender = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
def read(name):
    with open(os.path.join(folder, name), 'rb') as f:
        f.readline()
        return email.message_from_binary_file(f, policy=email.policy.default)
def who(mail, *fields):
    return {a.addr_spec.lower() for h in fields for v in mail.get_all(h, []) for a in v.addresses}
mails = [read(n) for n in sorted(os.listdir(folder))]
bad = []
if len(mails) != count + 1:
    bad.append(f'{len(mails)} mails of {count + 1}')
everyone = who(mails[0], 'To', 'Cc')
for i, mail in enumerate(mails):
    body = mail.get_content()
    tag = re.match(r'\[(?=[^]]*PATCH)(?:[A-Z-]+ )+(?:v(\d+) )?0*(\d+)/(\d+)\] \S', mail['Subject'] or '')
    if not tag or (int(tag[1] or 1), int(tag[2]), int(tag[3])) != (version, i, count):
        bad.append(f"mail {i} has the subject {mail['Subject']}")
    if str(mail['From']) != sender:
        bad.append(f"mail {i} is from {mail['From']}")
    if not who(mail, 'To') or not any('list' in a or 'vger' in a or 'kvack' in a for a in who(mail, 'To', 'Cc')):
        bad.append(f'mail {i} goes to no maintainer, or to no list')
    if sum(line == 'Signed-off-by: ' + sender for line in body.splitlines()) != (i > 0):
        bad.append(f'mail {i}: one Signed-off-by in each patch is expected, and none in the letter')
    if i and re.search(r'^From: ', body, re.M):
        bad.append(f'mail {i} is of another author')
    if (mail['In-Reply-To'] or '') != (mails[0]['Message-Id'] if i else ''):
        bad.append(f'mail {i} is no answer to the letter')
    if i and not who(mail, 'To', 'Cc') - everyone == set() and not re.search(r'^[Cc]c: ', body, re.M):
        bad.append(f'mail {i} goes to one who does not get the letter')
    if not i and ('***' in body or 'Needs:' in body or re.search(r'^--- ', body.split('This applies to ')[0], re.M)):
        bad.append('the letter holds what is not for it')
print('; '.join(bad))
C

# stored SEND.SH'S LAST LINE: runs it with that program for sendmail; each mail a file in $SINK
stored() {
	export SINK=$TMP/sink
	rm -rf "$SINK" && mkdir "$SINK" && (
		export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=sendemail.sendmailcmd GIT_CONFIG_VALUE_0=$TMP/sendmail
		export GIT_CONFIG_KEY_1=sendemail.confirm GIT_CONFIG_VALUE_1=never
		cd "$real_tree" && [ "$(git config sendemail.sendmailcmd)" = "$TMP/sendmail" ] && eval "$1"
	) > "$TMP/log" 2>&1 < /dev/null
}
n=0
for s in $names; do
	export TOP=$real_top
	if [ "${sends[$s]}" = no ]; then
		keep=1 fails "refused-$s" "$s is not for sending" env -u O SERIES="$s" FROM="$from" SEND_TRIAL="$TMP/send" BUILD="${real_tree%/linux}" "$real_lab/tree/send.sh"
		continue
	fi
	if ! line=$(env O="${real_tree%/linux}" KDIR='' SERIES="$s" FROM="$from" SEND_TRIAL="$TMP/send" "$real_lab/tree/send.sh" 2> "$TMP/err"); then
		nok "dry-run-$s" "$(tail -n 1 "$TMP/err")"
		continue
	fi
	ok "dry-run-$s" && n=$((n + 1))
	count=$(patches "$s" | wc -l)
	stored "$(tail -n 1 <<< "$line")" || { nok "mails-$s" "$(tail -n 1 "$TMP/log")"; continue; }
	same "mails-$s" "$(python3 "$TMP/mails.py" "$SINK" "$count" 1 "$from" 2>&1 | tail -n 1)" ''
	sed -n '/^prerequisite-patch-id: /s/.* //p' "$SINK/0000" > "$TMP/ids"
	below=$(series_closure "$s" | grep -vxF "$s" | patches_of | while read -r f; do git patch-id --stable < "$f" | cut -d ' ' -f 1; done)
	same "prerequisites-$s" "$(sort "$TMP/ids")$(grep '^base-commit' "$SINK/0000")" "$(sort <<< "$below" | grep .)"
	mapfile -t list < <(find "$SINK" -name '0*' ! -name 0000 | sort)
	ref=refs/lab/trial/$s/v1
	if ! got=$(am_series "$real_tree" "$ref.needs" "$TMP/am-$s" "${list[@]}" 2>&1); then nok "git-am-$s" "$got"
	else same "git-am-$s" "$(git -C "$real_tree" rev-parse "$got^{tree}")" "$(git -C "$real_tree" rev-parse "$ref^{tree}")"; fi
	cat "$SINK"/* > "$TMP/local.mbox"
	rm -rf "$TMP/b4" && mkdir "$TMP/b4"
	if ! (cd "$TMP" && HOME=$TMP b4 --offline-mode -n --no-stdin am --no-cache -m local.mbox -o b4 -n series "$(sed -n 's/^Message-I[dD]: *<\(.*\)>/\1/p' "$SINK/0000")") > "$TMP/log" 2>&1 < /dev/null; then
		nok "b4-am-$s" "$(tail -n 1 "$TMP/log")"
	elif ! got=$(am_series "$real_tree" "$ref.needs" "$TMP/b4-$s" "$TMP/b4/series.mbx" 2>&1); then nok "b4-am-$s" "$got"
	else same "b4-am-$s" "$(git -C "$real_tree" rev-parse "$got^{tree}")" "$(git -C "$real_tree" rev-parse "$ref^{tree}")"; fi
	rm -rf "$TMP/am-$s" "$TMP/b4-$s"
done
[ "$n" -gt 0 ] || nok dry-run "no series could be written"
unset TOP

# What goes wrong, with two series and one that is not for sending.
without -
fake df 'echo header; echo fs 9 9 99999 9% /'
kdir=$TMP/kdir
kernel "$kdir" 1.2.3
mkdir "$kdir/scripts"
cat > "$kdir/scripts/get_maintainer.pl" <<'C'
print "Main Tainer <m\@example.org> (maintainer:THING)\n\"Rev I. Ewer\" <r\@example.org> (reviewer:THING)\n";
print "list\@example.org (open list:THING (OTHER))\nZo\303\253 Person <zoe\@example.org> (maintainer:THING)\n";
C
git -C "$kdir" init -q && git -C "$kdir" add -A && git -C "$kdir" commit -qm one
export KDIR=$kdir
keep=1 tree=$out/kdir/linux patches=$repo/patches sent=$out/kdir/send
{ run "$lab/tree/base.sh" && run "$lab/tree/tree.sh"; } > /dev/null || die "make tree failed"
for s in 10-one 20-two 30-lab; do
	(cd "$tree" && sed -i "s/^${s%-*}\$/${s#*-}/" arch/arm64/mm/mmu.c && git commit -qam "arm64: mm: Say ${s#*-}" && git branch "series/$s") || die "git failed"
done
run "$lab/tree/series.sh" > /dev/null || die "make series failed"
letter() { # SERIES HEAD
	printf 'Subject: [PATCH RFC 0/1] arm64: mm: The letter of %s\n%b\n\nText.\n%s\n%s\n' "$1" "$2" '--- shortlog and diffstat, by make series ---' '--- end ---' > "$patches/$1/0000-cover-letter.txt"
}
letter 10-one 'Needs: -'; letter 20-two 'Needs: 10-one'; letter 30-lab 'Needs: 20-two\nSend: no'
run "$lab/tree/series.sh" > /dev/null || die "make series failed"
send() { run FROM="$from" "$@" "$lab/tree/send.sh"; }
stops() { fails "$@" && same "$1-wrote-nothing" "$(find "$sent" -type f 2>/dev/null; git -C "$tree" for-each-ref refs/lab/sent)" ''; }

stops no-series 'which series\? name one of them, SERIES=NN-name: 10-one 20-two 30-lab' send
stops two-series 'which series\? name one of them' send SERIES='10-one 20-two'
stops no-such-series '99-none: no such series' send SERIES=99-none
stops not-for-sending '30-lab is not for sending \(Send: no' send SERIES=30-lab
stops no-name "name a person: FROM='A Person <a@example.org>'" send SERIES=10-one FROM=
stops bad-name 'name a person' send SERIES=10-one FROM=zoe@example.org
stops bad-version 'VERSION=x: a number' send SERIES=10-one VERSION=x
mkdir "$TMP/core" && ln -s "$(git --exec-path)"/* "$TMP/core/" && rm "$TMP/core/git-send-email"
stops no-git-email 'git send-email is missing; run: sudo make setup NEEDS=send' send SERIES=10-one GIT_EXEC_PATH="$TMP/core"
fake id 'echo 1000'
fails setup-git-email "missing: git-email( libauthen-sasl-perl)?; run: sudo make setup NEEDS='send'\$" run NEEDS=send GIT_EXEC_PATH="$TMP/core" "$lab/tree/setup.sh"
works setup-without-mail run GIT_EXEC_PATH="$TMP/core" "$lab/tree/setup.sh"
without b4; fake df 'echo header; echo fs 9 9 99999 9% /'; fake id 'echo 1000'
fails setup-b4 "missing: b4; run: sudo make setup NEEDS='check' STEPS='send'\$" run NEEDS=check STEPS=send "$lab/tree/setup.sh"
printf '#!/bin/sh\necho "no such option" >&2\nexit 1\n' > "$TMP/core/git-send-email"; chmod +x "$TMP/core/git-send-email"
stops dry-run-fails 'git send-email --dry-run: no such option' send SERIES=10-one GIT_EXEC_PATH="$TMP/core"
printf '#!/bin/sh\necho Dry-OK\n' > "$TMP/core/git-send-email"
stops dry-run-takes-less 'took not all of the 2 mails' send SERIES=10-one GIT_EXEC_PATH="$TMP/core"
echo x >> "$tree/Kbuild"
stops dirty 'has uncommitted changes; commit them and run make series' send SERIES=10-one
git -C "$tree" checkout -q Kbuild
cp -r "$patches" "$TMP/saved"
sed -i 's/^+one/+ONE/' "$patches"/10-one/*.patch
stops out-of-date 'patches/10-one is not what .* holds; run make series, or make tree' send SERIES=20-two
rm -rf "$patches" && cp -r "$TMP/saved" "$patches"
sed -i '/^Subject/d' "$patches/10-one/0000-cover-letter.txt"
stops no-subject "10-one/0000-cover-letter.txt has no 'Subject: \[PATCH 0/N\]" send SERIES=10-one
cp "$TMP/saved/10-one/0000-cover-letter.txt" "$patches/10-one/"
run SERIES=10-one "$lab/tree/tree.sh" > /dev/null
stops not-in-the-tree 'does not hold the series 20-two; run: make tree SERIES=20-two' send SERIES=20-two
run "$lab/tree/tree.sh" > /dev/null
stops no-v1 'v1 of 20-two was not made here.* make it first: VERSION=1' send SERIES=20-two VERSION=2

# The first version, and the second.
works v1 send SERIES=20-two
same v1-letter "$(sed -n '/^Subject: /s/.*: \[/[/p;/^This applies/p;/^  arm64: mm: The/p' "$sent/20-two/v1/0000-cover-letter.patch" | tr '\n' ';')" \
	'[PATCH RFC 0/1] arm64: mm: The letter of 20-two;This applies to v1.2.3 in a tree that is not public, with these series on it;  arm64: mm: The letter of 10-one;'
same v1-no-base-commit "$(grep -c '^base-commit' "$sent/20-two/v1/0000-cover-letter.patch")" 0
same v1-to "$(sed -n '/^To:/,/^$/p' "$sent/20-two/v1/0001"* | tr -d '\n')" "$(printf 'To: Main Tainer <m@example.org>Cc: "Rev I. Ewer" <r@example.org>,\tlist@example.org')"
works v1-again send SERIES=20-two
(cd "$tree" && sed -i 's/^two$/TWO/' arch/arm64/mm/mmu.c && git commit -qa --fixup=series/20-two && GIT_SEQUENCE_EDITOR=: git rebase -qi --autosquash base) > "$TMP/log" 2>&1 ||
	die "git rebase: $(tail -n 1 "$TMP/log")"
run "$lab/tree/series.sh" > /dev/null || die "make series failed"
fails v1-is-kept 'send/20-two/v1 is there already, and holds something else: make the next one with VERSION=2' send SERIES=20-two
same v1-is-there "$(grep -c '^+two' "$sent/20-two/v1/0001"*)" 1
# Now others have the base.
git -C "$kdir" tag v1.2.3
works v2 send SERIES=20-two VERSION=2
same v2-base-commit "$(sed -n '/^base-commit: /s///p;/^This applies/p' "$sent/20-two/v2/v2-0000-cover-letter.patch" | xargs)" \
	"This applies to v1.2.3 at the base-commit below, with these series on it $(git -C "$kdir" rev-parse HEAD)"
same v2-range-diff "$(sed -n '/^Range-diff against v1:/,/^base/p' "$sent/20-two/v2/v2-0000-cover-letter.patch" | grep -E '^ +[-+][-+]' | tr -d ' ' | xargs)" '-+two ++TWO'
stored "$(tail -n 1 "$TMP/stdout")"
same v2-mails "$(python3 "$TMP/mails.py" "$SINK" 1 2 "$from" 2>&1 | tail -n 1)" ''
works v1-forced send SERIES=20-two FORCE=1
same v1-is-new "$(grep -c '^+TWO' "$sent/20-two/v1/0001"*)" 1
echo 'exit 0;' > "$TMP/none.pl"; (cd "$tree" && cp "$TMP/none.pl" scripts/get_maintainer.pl && git update-index --assume-unchanged scripts/get_maintainer.pl)
fails nobody 'get_maintainer.pl names nobody for 0001-arm64-mm-Say-one.patch' send SERIES=10-one
