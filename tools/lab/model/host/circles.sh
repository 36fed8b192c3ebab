#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# circles.sh NM OBJECT...: fails, and says which, if objects need each other in a circle. With -f it prints the floors: what is on
# one needs nothing but what is on those below.
set -u

floors=
[ "${1-}" != -f ] || { floors=1; shift; }
[ $# -ge 2 ] && command -v "$1" > /dev/null || { echo "usage: circles.sh [-f] NM OBJECT...: expected an nm and objects" >&2; exit 2; }
nm=$1
shift
for object; do [ -r "$object" ] || { echo "circles.sh: $object: no such object; make the model first" >&2; exit 2; }; done

# Lines `OBJECT U|T SYMBOL` become pairs `user used`; an object that needs none is a pair with itself.
uses=$("$nm" -A "$@" | sed -E 's/^(.*):[0-9a-f ]* ([A-Za-z]) (.*)$/\1 \2 \3/' | awk '
	$2 == "U" { user[++n] = $1; of[n] = $3; next }
	$2 ~ /[A-Z]/ { owner[$3] = $1 }
	{ all[$1] = 1 }
	END {
		for (o in all) print o, o
		for (i = 1; i <= n; i++) if (of[i] in owner && owner[of[i]] != user[i]) print user[i], owner[of[i]]
	}' | sort -u)
if ! why=$(tsort <<< "$uses" 2>&1 > /dev/null); then
	echo "circles.sh: a circle: $(sed -n 's/^tsort: \([^:]*\.o\)$/\1/p' <<< "$why" | xargs -n 1 basename | xargs)" >&2
	exit 1
fi
[ -z "$floors" ] || awk '
	$1 == $2 { if (!($1 in floor)) floor[$1] = 0; next }
	{ user[++n] = $1; used[n] = $2 }
	END {
		do {
			again = 0
			for (i = 1; i <= n; i++) if (floor[user[i]] <= floor[used[i]]) { floor[user[i]] = floor[used[i]] + 1; again = 1 }
		} while (again)
		for (o in floor) { name = o; sub(/.*\//, "", name); line[floor[o]] = line[floor[o]] " " name; if (floor[o] > top) top = floor[o] }
		for (i = top; i >= 0; i--) print i ":" line[i]
	}' <<< "$uses"
exit 0
