# shellcheck shell=bash
# Sourced after lib.sh: the part of a series' 0000-cover-letter.txt that follows from its patches.

COVER_BEGIN='--- shortlog and diffstat, by make series ---'
COVER_END='--- end ---'

cover_stat() { # TREE SERIES
	local from to
	from=$(series_before "$1" "$2") to=$(series_tip "$2")
	git -C "$1" shortlog --no-merges "$from..$to"
	git -C "$1" diff --stat=76 --summary --no-renames "$from" "$to"
}

cover_check_count() { # FILE N
	local got
	got=$(sed -nE 's/^Subject:.*\[PATCH[^]]* 0*0\/0*([0-9]+)\].*/\1/p' "$1" | head -n 1)
	[ "$got" = "$2" ] || { echo "${1#"$TOP/"} says [PATCH 0/${got:-?}], there are $2 patches"; return 1; }
}

# The number of patches in the Subject: cover_count N < letter
cover_count() { sed -E "1,/^\$/s,^(Subject: .*\[PATCH[^]]* 0*0/)[0-9]+\],\1$1],"; }

cover_fill() { # TREE SERIES FILE
	local begin end
	begin=$(grep -nxF -m 1 -e "$COVER_BEGIN" "$3" | cut -d : -f 1)
	end=$(grep -nxF -m 1 -e "$COVER_END" "$3" | cut -d : -f 1)
	[ -n "$begin" ] && [ -n "$end" ] && [ "$begin" -lt "$end" ] ||
		die "patches/$2/0000-cover-letter.txt has no two lines '$COVER_BEGIN' and '$COVER_END'; add them where the diffstat is to stand"
	{ head -n "$begin" "$3" | cover_count "$(git -C "$1" rev-list --count "$(series_before "$1" "$2")..$(series_tip "$2")")" && cover_stat "$1" "$2" && tail -n "+$end" "$3"; } > "$3.new" && mv "$3.new" "$3" ||
		die "patches/$2/0000-cover-letter.txt can't be written; make room"
}
