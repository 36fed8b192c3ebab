#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Writes a series as mails into build/send/SERIES/vN, tries them with git send-email --dry-run, and prints the command that would
# send them. Nothing is sent by this.
#
#	SERIES=NN-name FROM='A Person <a@example.org>'    whose mails, and whose Signed-off-by, they are
#	VERSION=2    a range-diff to v1, which the commits below refs/lab/sent/SERIES/v1 remember
#	FORCE=1      writes a version anew that is there already
#
# The commit that build/linux begins with is an import that nobody else has. So no base-commit: names it: the letter names the release,
# and prerequisite-patch-id: lines what lies between, which do not depend on commits. With KDIR= there is a base-commit: if a tag or a
# remote branch of that tree has it.
set -u
. "$(dirname "$0")/../lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/am.sh"
. "$LAB/tree/cover.sh"

version=${VERSION:-1} from=${FROM-} sent=$BUILD/send
kept=refs/lab/sent
[ -z "${SEND_TRIAL-}" ] || sent=$SEND_TRIAL kept=refs/lab/trial # the tests' own
g() { git -C "$TREE" "$@"; }

[[ -n $SERIES && $SERIES != *' '* ]] || die "which series? name one of them, SERIES=NN-name: $(series_names | xargs)"
names=$(series_closure "$SERIES") || exit
[ "$(head_field "$(letter "$SERIES")" Send)" != no ] || die "$SERIES is not for sending (Send: no, in the head of its cover letter)"
[[ $from =~ ^[^'<>@'$'\n']*[^'<>@ '$'\n']' <'[^'<>@ '$'\n']+@[^'<>@ '$'\n']+'>'$ ]] ||
	die "who sends it, and signs it off? name a person: FROM='A Person <a@example.org>'"
[[ $version =~ ^[1-9][0-9]?$ ]] || die "VERSION=$version: a number from 1 up is expected"
[ -x "$(git --exec-path)/git-send-email" ] && perl -MMail::Address -e 1 2> /dev/null ||
	die "git send-email is missing; run: sudo make setup NEEDS=send (Debian: git-email, libmailtools-perl)"

lock_build
scratch
[[ $sent = /* ]] || die "SEND_TRIAL=$sent: a folder's full name is expected"
g rev-parse -q --verify base > /dev/null 2>&1 || die "$TREE has no branch 'base'; run make tree"
[ -z "$(g status --porcelain | head -n 1)" ] || die "$TREE has uncommitted changes; commit them and run make series, or drop them, first"
[ -f "$TREE/scripts/get_maintainer.pl" ] || die "$TREE has no scripts/get_maintainer.pl that says who gets the mails"
why=$(series_order "$TREE") || die "$why"
mapfile -t names <<< "$names"
for s in "${names[@]}"; do
	g rev-parse -q --verify "$(series_tip "$s")" > /dev/null || die "$TREE does not hold the series $s; run: make tree SERIES=$SERIES"
done
mkdir "$TMP/series" && format_series "$TREE" "$TMP/series" || die "git format-patch failed; make room"
for s in "${names[@]}"; do
	same_series "$TMP/series" "$TOP/patches" "$s" || die "patches/$s is not what $TREE holds; run make series, or make tree"
done
letter=$(letter "$SERIES") subject=$(sed -n 's/^Subject: *//p;/^$/q' "$(letter "$SERIES")" | head -n 1)
[[ $subject =~ ^\[([^]]*PATCH[^]]*)\ 0+/[0-9]+\]\ +(.+)$ ]] || die "${letter#"$TOP/"} has no 'Subject: [PATCH 0/N] ...'"
prefix=${BASH_REMATCH[1]} subject=${BASH_REMATCH[2]}

dest=$sent/$SERIES/v$version ref=$kept/$SERIES/v$version
format=(-q --zero-commit --no-signature --numbered --abbrev=12 --cover-letter --base=base --from="$from")
if [ "$version" -gt 1 ]; then
	last=$kept/$SERIES/v$((version - 1))
	g rev-parse -q --verify "$last" > /dev/null && g rev-parse -q --verify "$last.needs" > /dev/null ||
		die "v$((version - 1)) of $SERIES was not made here, so there is nothing to compare with; make it first: VERSION=$((version - 1))"
	format+=(-v "$version" --range-diff="$last.needs..$last")
fi

# What it needs, it, and all of it signed. An author without an address is the lab.
mapfile -t list < <(printf '%s\n' "${names[@]}" | patches_of)
n=$(patches "$SERIES" | wc -l)
tip=$(am_series "$TREE" base "$TMP/am" "${list[@]}") || exit
needs=$(g rev-parse "$tip~$n")
export GIT_COMMITTER_NAME=${from% <*} GIT_COMMITTER_EMAIL=${from##*<}
GIT_COMMITTER_EMAIL=${GIT_COMMITTER_EMAIL%>}
signed() {
	local c parent=$needs author email
	for c in $(g rev-list --reverse "$needs..$tip"); do
		author=$(g log -1 --format=%an "$c") email=$(g log -1 --format=%ae "$c")
		[[ $email != *@localhost ]] || author=$GIT_COMMITTER_NAME email=$GIT_COMMITTER_EMAIL
		parent=$(g log -1 --format=%B "$c" | git interpret-trailers --no-divider --if-exists addIfDifferent --trailer "Signed-off-by: $from" |
			GIT_AUTHOR_NAME=$author GIT_AUTHOR_EMAIL=$email GIT_AUTHOR_DATE=$(g log -1 --format=%aI "$c") \
			GIT_COMMITTER_DATE=$(g log -1 --format=%cI "$c") git -C "$TREE" commit-tree -p "$parent" "$c^{tree}") || return
	done
	echo "$parent"
}
tip=$(signed) || die "git can't store the signed commits; make room"

# The base, by a name that others know.
release=v$(g show base:Makefile | tree_version) commit=''
stable='of the stable tree'
if [ "$KDIR" ]; then
	commit=$(g config lab.kdir) stable="in a tree that is not public"
	if [ "$(git -C "$KDIR" rev-parse -q --verify "$commit^{tree}" 2>/dev/null)" = "$(g rev-parse 'base^{tree}')" ] &&
		[ -n "$(git -C "$KDIR" for-each-ref --count=1 --contains "$commit" refs/tags refs/remotes)" ]; then
		release=$(git -C "$KDIR" describe --tags --exact-match "$commit" 2>/dev/null || echo "$release") stable='at the base-commit below'
	else
		commit=''
		note "no tag and no remote branch of KDIR has its HEAD, or it lacked a prerequisite: the letter has no base-commit:"
	fi
fi
{
	awk 'body { print } /^$/ { body = 1 }' "$letter" | awk -v end="$COVER_BEGIN" '$0 == end { exit } /^$/ { blank = blank "\n"; next } { printf "%s%s\n", blank, $0; blank = "" }'
	printf '\nThis applies to %s %s' "$release" "$stable"
	if [ "${#names[@]}" = 1 ]; then echo .; else
		printf ', with these series on it\n(the prerequisite-patch-id: lines below are of their patches):\n\n'
		for s in "${names[@]}"; do
			[ "$s" = "$SERIES" ] || sed -nE 's/^Subject: *(\[[^]]*\])? */  /p;/^$/q' "$(letter "$s")" | head -n 1
		done
	fi
} > "$TMP/letter"

# git format-patch 2.39 has other ids than git patch-id for some patches, and who looks for them uses that.
{
	[ -z "$commit" ] || echo "base-commit: $commit"
	g log -p --reverse base.."$needs" | git patch-id --stable | sed 's/ .*//; s/^/prerequisite-patch-id: /'
} > "$TMP/base"

mails=$TMP/mails
g format-patch "${format[@]}" --subject-prefix="$prefix" -o "$mails" "$needs..$tip" > "$TMP/log" 2>&1 ||
	die "git format-patch: $(tail -n 1 "$TMP/log")"
cover=$(find "$mails" -name '*0000-cover-letter.patch')
awk -v subject="$subject" -v text="$TMP/letter" -v base="$TMP/base" '
	!body && /^$/ { body = 1 }
	!body && (at = index($0, "*** SUBJECT HERE ***")) { $0 = substr($0, 1, at - 1) subject }
	/^\*\*\* BLURB HERE \*\*\*$/ { while ((getline line < text) > 0) print line; next }
	/^prerequisite-patch-id: / { next }
	/^base-commit: / { while ((getline line < base) > 0) print line; next }
	{ print }' "$cover" > "$TMP/cover" && mv "$TMP/cover" "$cover" || die "the cover letter can't be written; make room"

# Maintainers get it, reviewers and lists a copy; the letter goes to all of them. Without history nobody is named for a Fixes:.
maintainers() { # FILE: To or Cc, a tab, the address
	(cd "$TREE" && perl scripts/get_maintainer.pl --no-git --no-git-fallback --no-fixes --roles "$1" 2> "$TMP/log") |
		sed -nE '/ \((maintainer|supporter|odd fixer)[^()]*/{s/^/To\t/;b end};s/^/Cc\t/;:end;s/^(..\t.*>|..\t[^ ]+@[^ ]+) \(.*$/\1/p' |
		grep -viF "<$GIT_COMMITTER_EMAIL>"
}
address() { # FILE < what maintainers say
	awk -F '\t' -v file="$1" '
		NF == 2 && !seen[tolower($2)]++ { list[$1] = list[$1] (list[$1] == "" ? "" : ",\n\t") $2 }
		END {
			if (list["To"] == "") { list["To"] = list["Cc"]; list["Cc"] = "" }
			if (list["To"] == "") exit 1
			while ((getline line < file) > 0) {
				if (!body && line == "") {
					print "To: " list["To"]
					if (list["Cc"] != "") print "Cc: " list["Cc"]
					body = 1
				}
				print line
			}
		}' > "$TMP/mail" && mv "$TMP/mail" "$1"
}
: > "$TMP/all"
for f in "$mails"/*.patch; do
	[ "$f" != "$cover" ] || continue
	maintainers "$f" > "$TMP/to" && cat "$TMP/to" >> "$TMP/all" && address "$f" < "$TMP/to" ||
		die "scripts/get_maintainer.pl names nobody for ${f##*/}: $(tail -n 1 "$TMP/log")"
	# Whom git send-email adds to a patch gets the letter, too.
	sed -nE 's/^(Reported|Suggested|Tested|Reviewed|Acked)-by: (.*<[^>]*>).*/Cc\t\2/p' "$f" >> "$TMP/all"
done
sort -s -r -k 1,1 "$TMP/all" | address "$cover" || die "the cover letter can't be written; make room"

send=(git send-email --from="$from" --suppress-cc=self --thread --no-chain-reply-to --8bit-encoding=UTF-8)
(cd "$TREE" && "${send[@]}" --dry-run --confirm=never "$mails"/*.patch) < /dev/null > "$TMP/dry-run.log" 2>&1 ||
	die "git send-email --dry-run: $(grep -v '^$' "$TMP/dry-run.log" | tail -n 1)"
[ "$(grep -c '^Dry-OK' "$TMP/dry-run.log")" = $((n + 1)) ] || die "git send-email --dry-run took not all of the $((n + 1)) mails"

if [ -d "$dest" ] && [ -z "$FORCE" ] && ! diff -rq -I '^Date: ' -x dry-run.log "$mails" "$dest" > /dev/null; then
	die "$dest is there already, and holds something else: make the next one with VERSION=$((version + 1)), or write it anew with FORCE=1"
fi
sed "s,$mails,$dest,g" "$TMP/dry-run.log" > "$mails/dry-run.log" && mkdir -p "$sent/$SERIES" && { [ ! -e "$dest" ] || mv "$dest" "$TMP/old"; } &&
	mv "$mails" "$dest" && g update-ref "$ref.needs" "$needs" && g update-ref "$ref" "$tip" || die "$dest can't be written; make room"
note "$dest: $n patches and a letter, which git send-email --dry-run took; in all $(cut -f 2 "$TMP/all" | sort -fu | wc -l) addresses get them"
fixes=$(grep -l '^Fixes: ' "$dest"/*.patch | wc -l)
[ "$fixes" = 0 ] || note "$fixes of them have a Fixes:, whose authors the history would name, which is not here: add them with --cc="
quoted() { echo "'${1//\'/\'\\\'\'}'"; }
echo "git send-email --from=$(quoted "$from") ${send[*]:3} $(quoted "$dest")/*.patch"
