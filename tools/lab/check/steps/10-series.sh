#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The patches as such: they apply, each series on what it needs alone, they agree with the copies and the tree, MAINTAINERS names what
# they add.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/am.sh"
scratch_tmp

if why=$("$LAB/tree/check-series.sh" 2>&1); then ok check-series; else nok check-series "$(grep -v '^#' <<< "$why" | head -n 1)"; fi

# The README: the version of the base, and the table that make prints, if it was run here.
bad=$(grep -ohE '\b[0-9]+\.[0-9]+\.[0-9]+\b' "$TOP/README.md" | grep -vxF "$BASE_VERSION" | sort -u | xargs)
if [ -z "$bad" ]; then ok readme-version; else nok readme-version "README.md names $bad; the base is $BASE_VERSION (tools/lab/tree/base.conf)"; fi
if [ -f "$BUILD/demo/readme.md" ]; then
	why=$(python3 "$LAB/run/demo.py" "$BUILD/demo" 8192 compare < "$TOP/README.md" 2>&1)
	if [ -z "$why" ]; then ok readme-table; else nok readme-table "$(head -n 1 <<< "$why")"; fi
else
	note "no build/demo: README.md's table is not compared; make makes it"
fi

mapfile -t list < <(patches)
if [ "${#list[@]}" -gt 0 ]; then ok has-patches; else nok has-patches "patches/ holds none"; exit; fi

# The same commits come out of a second run: hashes do not depend on who applies them, nor when.
mapfile -t mine < <(tree_series "$TREE" | patches_of) # with SERIES= not all
if ! one=$(am_series "$TREE" base "$TMP/one" "${mine[@]}" 2>&1); then nok git-am "$one"
elif [ "$one" != "$(am_series "$TREE" base "$TMP/two" "${mine[@]}" 2>&1)" ]; then nok git-am "two runs give two hashes"
elif [ "$(git -C "$TREE" rev-parse "$one^{tree}")" != "$(git -C "$TREE" rev-parse 'HEAD^{tree}')" ]; then
	nok git-am "the result is not what build/linux holds"
else ok git-am; fi

# Each series on the base and what it says that it needs; what one before has in common with it is applied once.
declare -A tips=()
while read -r s; do
	if ! needs=$(series_closure "$s" 2>&1); then nok "git-am-alone-$s" "$needs"; continue; fi
	key='' at=base rest=()
	for one in $needs; do
		key+=" $one" rest+=("$one")
		[ -z "${tips[$key]-}" ] || at=${tips[$key]} rest=()
	done
	mapfile -t few < <(printf '%s\n' "${rest[@]}" | patches_of)
	if one=$(am_series "$TREE" "$at" "$TMP/alone-$s" "${few[@]}" 2>&1); then tips[$key]=$one && ok "git-am-alone-$s"; else nok "git-am-alone-$s" "$one"; fi
	rm -rf "$TMP/alone-$s"
done < <(series_names)

# On a tree that lacks what tools/lab/tree/prerequisite/ brings, both together give the same; the base itself has all of it.
older() { # prints a commit
	export GIT_DIR=$TREE/.git GIT_INDEX_FILE=$TMP/index
	git read-tree base && git apply -R --cached "$@" && git commit-tree -m older "$(git write-tree)"
}
mapfile -t needs < <(find "$LAB/tree/prerequisite" -name '*.patch' | sort)
all=("${needs[@]}" "${mine[@]}")
if ! one=$(older "${needs[@]}" 2>&1); then nok git-am-with-prerequisites "the base does not have them: $(tail -n 1 <<< "$one")"
elif two=$(am_series "$TREE" "$one" "$TMP/three" "${mine[@]}" 2>&1); then nok git-am-with-prerequisites "the series does not need them"
elif ! two=$(am_series "$TREE" "$one" "$TMP/four" "${all[@]}" 2>&1); then
	nok git-am-with-prerequisites "$two"
elif [ "$(git -C "$TREE" rev-parse "$two^{tree}")" != "$(git -C "$TREE" rev-parse 'HEAD^{tree}')" ]; then
	nok git-am-with-prerequisites "the result is not what build/linux holds"
else ok git-am-with-prerequisites; fi

bad=$(grep -lE '^(Signed-off-by|Co-developed-by):' "${list[@]}" | xargs -r -n 1 basename)
if [ -z "$bad" ]; then ok no-signed-off-by; else nok no-signed-off-by "${bad//$'\n'/ }"; fi

bad=$(grep -nE '^\+.*[[:blank:]]$' "${list[@]}" | sed "s,$TOP/,," | cut -d : -f 1,2 | head -n 5)
if [ -z "$bad" ]; then ok no-trailing-blanks; else nok no-trailing-blanks "${bad//$'\n'/ }"; fi

# MAINTAINERS: every F: line matches an added file, every added file is matched, and the series adds the same entry.
git apply --summary "${list[@]}" | sed -n 's/^ create mode [0-9]* //p' | sort -u > "$TMP/added"
grep -h '^F:' "$TOP/MAINTAINERS" | sed 's/^F:[[:blank:]]*//' > "$TMP/globs"
# Some added files belong to entries that were there before; the patch that adds them names them.
sed -n 's/^+F:[[:blank:]]*//p' "${list[@]}" > "$TMP/others"
why=$(python3 - "$TMP/added" "$TMP/globs" "$TMP/others" <<'PY'
import fnmatch, sys
added, globs, others = ([l.strip() for l in open(f)] for f in sys.argv[1:])
def match(f, g):    # get_maintainer.pl: a trailing / is everything below, * does not cross a /
    if g.endswith('/'):
        return f.startswith(g)
    return f.count('/') == g.count('/') and fnmatch.fnmatchcase(f, g)
print(*[f'F: {g} matches no added file' for g in globs if not any(match(f, g) for f in added)],
      *[f'{f} has no F: line' for f in added if not any(match(f, g) for g in globs + others)], sep='; ')
PY
)
if [ -z "$why" ]; then ok maintainers-files; else nok maintainers-files "$why"; fi

sed -n 's/^+//p' "${list[@]}" > "$TMP/plus"
missing=$(grep -vxFf "$TMP/plus" "$TOP/MAINTAINERS" | grep . | head -n 1)
if [ -z "$missing" ]; then ok maintainers-entry; else nok maintainers-entry "the series does not add the line: $missing"; fi
