# shellcheck shell=bash disable=SC2015,SC2086,SC2094,SC2206
# Sourced after lib.sh: what a series needs. That stands in the head of its cover letter, and there alone: `Needs: 10-fixes 30-split`,
# or `Needs: -`. patches/README.md shows it in a column, which make series writes. A head with `Send: no` is of a series that is
# not for sending.

letter() { echo "$TOP/patches/$1/0000-cover-letter.txt"; } # SERIES

# A field of a letter's head; fails where it has none: head_field FILE FIELD
head_field() { awk -v field="$2:" '/^$/ { exit } $1 == field { sub(/^[^:]*:[ \t]*/, ""); print; found = 1; exit } END { exit !found }' "$1" 2>/dev/null; }

series_needs() { # SERIES: the names of those it needs, one a line, without what these need in turn
	local value
	value=$(head_field "$(letter "$1")" Needs) && [ -n "$value" ] ||
		die "patches/$1/0000-cover-letter.txt has no line 'Needs: NN-name ...' in its head; add it ('Needs: -' if it needs none)"
	[ "$value" = - ] || printf '%s\n' $value
}

# These series and all that they need, in the order in which they can go: series_closure SERIES...
series_closure() {
	local -A have=()
	local todo=("$@") s more
	while [ "${#todo[@]}" -gt 0 ]; do
		s=${todo[0]} todo=("${todo[@]:1}")
		[ -z "${have[$s]-}" ] || continue
		series_names | grep -qxFe "$s" || die "$s: no such series; there are: $(series_names | xargs)"
		have[$s]=1
		more=$(series_needs "$s") || exit
		todo+=($more)
	done
	series_names | while read -r s; do [ -z "${have[$s]-}" ] || echo "$s"; done
}

# What SERIES= asks for; without it, all.
series_chosen() {
	case ${SERIES:-all} in
	all) series_names || : ;; # none yet
	*) series_closure $SERIES ;;
	esac
}
# The series that a tree was made of: all, unless it was made with SERIES=.
tree_series() { # TREE
	local names
	names=$(git -C "$1" config lab.series) || { series_names; return; }
	printf '%s\n' $names
}
# The patches of some series, in order: patches_of < names
patches_of() { local s; while read -r s; do patches "$s"; done; }

# A checksum of what a tree is made of: tree_key BASE < list of patches
tree_key() { { while read -r p; do echo "${p#"$TOP/"}"; cat "$p"; done; echo "$1"; } | sha256sum; }

# How many patches a series has, and how many lines they add less those that they remove, without tests and documentation:
# series_size FOLDER
series_size() {
	local files=("$1"/[0-9]*.patch)
	[ -f "${files[0]}" ] || return
	git apply --numstat "${files[@]}" | awk -v n="${#files[@]}" '
		$3 !~ /^Documentation\/|^tools\/testing\/|\/tests\/|^MAINTAINERS$/ { lines += $1 - $2 }
		END { printf "%d\t%d\n", n, lines }'
}

# patches/README.md with the columns as the letters and the patches in a folder have them: needs_column [FOLDER] < README
needs_column() {
	awk -F '|' -v OFS='|' '
		function put(i, text) { $i = " " text (text == "" ? "" : " ") }
		NR == FNR { split($0, a, "\t"); needs[a[1]] = a[2]; patches[a[1]] = a[3]; lines[a[1]] = a[4]; next }
		/^\| *series *\|/ { sizes = $5 ~ /patches/ && $6 ~ /lines/ }
		match($2, /\[[0-9][0-9]-[^]]*\]/) && (s = substr($2, RSTART + 1, RLENGTH - 2)) in needs { put(4, needs[s]); if (sizes) { put(5, patches[s]); put(6, lines[s]) } }
		{ print }' <(
		series_names | while read -r s; do
			! needs=$(series_needs "$s" 2>/dev/null) || printf '%s\t%s\t%s\n' "$s" "${needs//$'\n'/, }" "$(series_size "${1:-$TOP/patches}/$s")"
		done) -
}
rows() { sed -nE 's/^\| *\[([0-9][0-9]-[^]]*)\].*/\1/p' "$TOP/patches/README.md" 2>/dev/null | sort; }

# Says what is wrong with what the letters and patches/README.md say of needs, a line each.
needs_wrong() {
	local s n names needs
	names=$(series_names)
	while read -r s; do
		[ -f "$(letter "$s")" ] || continue
		needs=$(series_needs "$s" 2>&1) || { echo "${needs#*: }"; continue; }
		for n in $needs; do
			if ! grep -qxFe "$n" <<< "$names"; then echo "patches/$s/0000-cover-letter.txt: Needs: $n, which is no series"
			elif [[ ! $n < $s ]]; then echo "patches/$s/0000-cover-letter.txt: Needs: $n, which does not come before it"; fi
		done
	done <<< "$names"
	if [ "$(rows)" != "$names" ]; then
		n=$(comm -3 <(rows) - <<< "$names" | xargs)
		echo "patches/README.md: a row for each series, and no other, is expected: ${n:-one is there twice}"
	elif ! needs_column < "$TOP/patches/README.md" | cmp -s - "$TOP/patches/README.md"; then
		echo "patches/README.md: the columns are not what the cover letters and the patches say; run make series"
	fi
}
