#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Each series stands alone: on the base with what it needs, and nothing else, it builds without a warning, boots, and passes the KUnit
# suites that it adds or changes. The kernels are min and lab; that of what all of build/linux gives is build/linux's own.
#
#	ALONE='30-split 60-execmem'   these series; without it all that build/linux holds
#
# One tree and one folder of objects by kernel serve all series, in turn: from one to the next only what differs is compiled. It
# shares none with the step bisect, which runs beside it.
#
# By name only.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
. "$LAB/tree/needs.sh"
. "$LAB/tree/am.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"
scratch_tmp
me=alone

mapfile -t all < <(tree_series "$TREE")
read -ra wanted <<< "${ALONE:-${all[*]}}"
for s in "${wanted[@]}"; do
	series_names | grep -qxFe "$s" || die "ALONE: $s is no series; there are: $(series_names | xargs)"
done
plain_initrd

# The KUnit suites of the files that the series adds or changes: suites_in DIR FROM TO
suites_in() {
	git -C "$1" diff --name-only --diff-filter=d "$2" "$3" -- '*.c' | while read -r f; do
		awk '/^(static )?struct kunit_suite .*= *\{/ { inside = 1 } /^\}/ { inside = 0 }
			inside && match($0, /\.name *= *"[^"]+"/) { sub(/.*\.name *= *"/, ""); sub(/".*/, ""); print }' "$1/$f"
	done | sort -u
}
# The options for suites that the series adds: options_in DIR FROM TO
options_in() {
	git -C "$1" diff "$2" "$3" -- '*Kconfig*' '*.kunitconfig' | sed -nE 's/^\+(config |CONFIG_)([A-Z0-9_]*KUNIT[A-Z0-9_]+)(=y)?$/\2/p' | sort -u
}

# build SERIES FLAVOUR TREE OBJDIR: without a warning; sets image
build() {
	local out warn
	image=$4/arch/arm64/boot/Image
	# What is compiled already prints nothing.
	git -C "$3" diff --name-only base "$commit" -- '*.c' | sed "s,\.c\$,.o,; s,^,$4/," | xargs -rd '\n' rm -f
	if ! out=$("$LAB/tree/kbuild.sh" "$3" "$2" "$4" 2>&1); then
		echo "$out"
		nok "alone-$1-$2-builds" "$(tail -n 1 <<< "$out")"
		return 1
	fi
	if warn=$(grep -m 1 -E '^[^ ]+:[0-9]+:[0-9]+: warning: ' "$4/build.log"); then nok "alone-$1-$2-builds" "$warn"; else ok "alone-$1-$2-builds"; fi
}

suites() { # SERIES OBJDIR: those of the series, in the kernel lab
	local s=$1 run=$BUILD/run/alone-$1-kunit out own options total missing='' name passed=1
	own=$(suites_in "$wt" "$from" "$commit") options=$(options_in "$wt" "$from" "$commit")
	[ "$own$options" ] || { note "$s has no KUnit suite"; return; }
	for name in $options; do
		grep -qx "CONFIG_$name=y" "$2/.config" || missing+=" CONFIG_$name"
	done
	[ -z "$missing" ] || { nok "alone-$s-kunit" "the kernel lab is without$missing; add it to tools/lab/tree/configs/lab.config"; return; }
	[ "$own" ] || { nok "alone-$s-kunit" "no suite is found that belongs to $(xargs <<< "$options")"; return; }
	# What the churn is to do is for its own step.
	out=$("$LAB/run/run.sh" -q -t 600 -a 'kunit.enable=1 lab=none leaf_fuzz.ops=100' -o "$run" -m bbml3 -c 4 -M 4096 "$image" "$initrd" 2>&1) ||
		{ nok "alone-$s-kunit" "$(tail -n 1 <<< "$out")"; return; }
	kunit_passed "$run" || passed=''
	for name in $own; do
		grep -qE "=+ \[PASSED\] $name =+" "$run/kunit.txt" || missing+=" $name"
	done
	note "$s: its suites are $(xargs <<< "$own"); with those below it: $total"
	if [ "$missing" ]; then nok "alone-$s-kunit" "not passed:$missing, see $run/kunit.txt"
	elif [ -z "$passed" ]; then nok "alone-$s-kunit" "$total, see $run/kunit.txt"
	else ok "alone-$s-kunit"; fi
}

head=$(git -C "$TREE" rev-parse 'HEAD^{tree}')
for s in "${wanted[@]}"; do
	if ! needs=$(series_closure "$s" 2>&1); then nok "alone-$s" "$needs"; continue; fi
	mapfile -t list < <(patches_of <<< "$needs")
	if ! commit=$(am_series "$TREE" base "$TMP/$s" "${list[@]}" 2>&1); then nok "alone-$s" "$commit"; continue; fi
	rm -rf "${TMP:?}/$s"
	from=$(git -C "$TREE" rev-parse "$commit~$(patches "$s" | wc -l)")
	note "$s: with $(grep -vxFe "$s" <<< "$needs" | xargs | sed 's/^$/nothing/') below it, ${#list[@]} patches"
	if [ "$(git -C "$TREE" rev-parse "$commit^{tree}")" = "$head" ]; then
		wt=$TREE name=linux
		note "$s: this is what build/linux holds, and its objects serve"
	else
		wt=$BUILD/alone name=alone
		worktree "$wt" "$commit"
	fi
	for flavour in min lab; do
		obj=$BUILD/obj/$name-$flavour
		build "$s" "$flavour" "$wt" "$obj" || continue
		words='lab=none' # min has no ptdump
		[ $flavour = min ] || words='lab=secretmem,dump lab.files=4 lab.mib=8'
		boot "alone-$s-$flavour-boots" -q -t 120 -a "$words"
		[ $flavour = min ] || suites "$s" "$obj"
	done
done
