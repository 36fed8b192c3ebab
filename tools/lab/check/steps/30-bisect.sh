#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Every commit of the series builds and boots, with next to no options, and with BISECT="lab min" with the lab's config as well
# (which builds that kernel two and a half times: two commits touch headers that nearly everything includes).
#
#	BISECT_COMMITS=all   every commit; without it the last one of each series
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

wt=$BUILD/bisect
worktree "$wt" base
plain_initrd

# A commit that changes nothing that a flavour compiles gives the Image of the one before, which has booted. Where no file that
# it changes is one that any object depends on, nor decides what is compiled, make is not asked at all.
declare -A booted=() at=() built=()
n=0 tips=$(series_branches "$TREE" | while read -r s; do git -C "$TREE" rev-parse "$(series_tip "$s")"; done)
case ${BISECT_COMMITS-} in
'' | all) ;;
*) nok bisect "BISECT_COMMITS=$BISECT_COMMITS: all is expected, or nothing"; exit ;;
esac
[ "${BISECT_COMMITS-}" ] || note "the last commit of each series; BISECT_COMMITS=all takes all"

same_inputs() { # FLAVOUR OBJDIR COMMIT: as what was built last
	local f
	[ "${built[$1]-}" ] || return 1
	[ -f "$2/.lab-deps" ] || find "$2" -name '.*.cmd' -exec cat {} + > "$2/.lab-deps" || return 1
	while read -r f; do
		case $f in
		Documentation/* | MAINTAINERS | tools/*) ;;
		*.c | *.h | *.S) ! grep -qF "/$f" "$2/.lab-deps" || return 1 ;;
		*) return 1 ;;
		esac
	done < <(git -C "$TREE" diff --name-only --no-renames "${built[$1]}" "$3")
}
for commit in $(git -C "$TREE" rev-list --reverse base..HEAD); do
	n=$((n + 1))
	[ "${BISECT_COMMITS-}" ] || grep -qx "$commit" <<< "$tips" || continue
	git -C "$wt" reset -q --hard && git -C "$wt" checkout -q --detach "$commit" || { nok "bisect-$n" "git checkout $commit failed"; continue; }
	echo "# $n: $(git -C "$wt" log -1 --format=%s)"
	for flavour in ${BISECT:-min}; do
		obj=$BUILD/obj/bisect-$flavour
		if same_inputs "$flavour" "$obj" "$commit"; then
			ok "bisect-$n-$flavour-compiles-what-${at[$flavour]}-does"
			continue
		fi
		rm -f "$obj/.lab-deps"
		built[$flavour]=
		if ! out=$("$LAB/tree/kbuild.sh" "$wt" "$flavour" "$obj" 2>&1); then
			echo "$out"
			nok "bisect-$n-$flavour-builds" "$(tail -n 1 <<< "$out")"
			continue
		fi
		if warn=$(grep -m 1 -E '^[^ ]+:[0-9]+:[0-9]+: warning: ' "$obj/build.log"); then nok "bisect-$n-$flavour-builds" "$warn"; else ok "bisect-$n-$flavour-builds"; fi
		image=$obj/arch/arm64/boot/Image sum=$(sha256sum < "$image")
		if [ "$sum" = "${booted[$flavour]-}" ]; then
			built[$flavour]=$commit
			ok "bisect-$n-$flavour-is-the-Image-of-${at[$flavour]}"
			continue
		fi
		words='lab=none' # min has no ptdump
		[ "$flavour" = min ] || words='lab=secretmem,dump lab.files=4 lab.mib=8'
		if out=$("$LAB/run/run.sh" -q -t 120 -a "$words" -o "$BUILD/run/bisect-$n-$flavour" "$image" "$initrd" 2>&1); then
			booted[$flavour]=$sum at[$flavour]=$n built[$flavour]=$commit
			ok "bisect-$n-$flavour-boots"
		else
			nok "bisect-$n-$flavour-boots" "$(tail -n 1 <<< "$out")"
		fi
	done
done
[ "$n" -gt 0 ] || nok bisect "the series has no commit"
