# shellcheck shell=bash disable=SC2015
# Sourced after lib.sh. Applies the patches with git am in a scratch repository that borrows TREE's objects and checks out the
# touched files only: TREE itself is untouched, and a failure leaves nothing behind but the message.

am_series() { # TREE BASE DIR [PATCH...]: all patches, or those; prints the resulting commit
	local tree=$1 base dir=$3 list objects n what
	base=$(git -C "$1" rev-parse "$2") || die "$1 has no $2; run make tree"
	shift 3
	list=("$@")
	[ $# -gt 0 ] || mapfile -t list < <(patches)
	[ "${#list[@]}" -gt 0 ] || { echo "$base"; return; }
	for what in "${list[@]}"; do
		grep -q '^diff --git ' "$what" && grep -q '^From ' "$what" || die "${what#"$TOP/"} is not a patch; mend it, or make series"
	done
	objects=$(cd "$tree" && cd "$(git rev-parse --git-common-dir)" && pwd)/objects
	git init -q "$dir" || die "$dir: git can't make a repository; make room"
	(
		cd "$dir" || exit
		export GIT_OBJECT_DIRECTORY=$objects
		git update-ref HEAD "$base"
		git config core.sparseCheckout true
		git apply --numstat "${list[@]}" 2>/dev/null | cut -f 3 | sed 's,^,/,' | sort -u > .git/info/sparse-checkout
		git reset -q --hard
		git am -q --committer-date-is-author-date --no-gpg-sign --no-3way "${list[@]}"
	) > "$dir.log" 2>&1 || {
		if [ -f "$dir/.git/rebase-apply/next" ]; then
			n=$(cat "$dir/.git/rebase-apply/next")
			what=$(sed -nE 's/^error: (patch failed: )?(.*)/\2/p' "$dir.log" | head -n 1)
			die "${list[n - 1]#"$TOP/"} does not apply: ${what:-it is not a patch}; mend that patch, or use another base"
		fi
		die "git am: $(tail -n 1 "$dir.log"); make room, or look at patches/"
	}
	GIT_OBJECT_DIRECTORY=$objects git -C "$dir" rev-parse HEAD
}
