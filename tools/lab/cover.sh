# shellcheck shell=bash
# Sourced after lib.sh: the part of patches/cover-letter.txt that follows from the patches.

COVER_BEGIN='--- shortlog and diffstat, by make series ---'
COVER_END='--- end ---'

cover_stat() { # TREE
	git -C "$1" shortlog --no-merges base..HEAD
	git -C "$1" diff --stat=76 --summary --no-renames base HEAD
}

cover_check_count() { # FILE N
	local got
	got=$(sed -nE 's/^Subject:.*\[PATCH[^]]* 0*0\/0*([0-9]+)\].*/\1/p' "$1" | head -n 1)
	[ "$got" = "$2" ] || { echo "patches/cover-letter.txt says [PATCH 0/${got:-?}], there are $2 patches"; return 1; }
}

cover_fill() { # TREE FILE
	local begin end
	begin=$(grep -nxF -m 1 -e "$COVER_BEGIN" "$2" | cut -d : -f 1)
	end=$(grep -nxF -m 1 -e "$COVER_END" "$2" | cut -d : -f 1)
	[ -n "$begin" ] && [ -n "$end" ] && [ "$begin" -lt "$end" ] ||
		die "patches/cover-letter.txt has no two lines '$COVER_BEGIN' and '$COVER_END'; add them where the diffstat is to stand"
	{ head -n "$begin" "$2" && cover_stat "$1" && tail -n "+$end" "$2"; } > "$2.new" && mv "$2.new" "$2" ||
		die "patches/cover-letter.txt can't be written; make room"
}
