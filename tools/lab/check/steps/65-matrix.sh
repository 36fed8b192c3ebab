#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The boot matrix: CPUs of all kinds, plain and as a Realm, each rodata=, one CPU and four.
#
#	MATRIX='*-realm-*'         rows by name (ours-mixed-realm-noalias-4), one or more patterns
#	TREES='base ours'          the unmodified base too (all rows that MATRIX names, if it is there)
#	MATRIX_REPEAT=10           so many times
#	MATRIX_JOBS=2              boots at a time
#	MATRIX_CORNERS='ours base' with 16K and 64K pages too, ours or the base or both, which are two more kernels to build for each
#
# build/matrix/table.txt says what each row's linear map is made of and what the kernel complained about.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

# shellcheck disable=SC2034 # die says it
me=matrix
repeat=${MATRIX_REPEAT:-1} jobs=${MATRIX_JOBS:-$(nproc)} trees=${TREES:-ours}
[ -z "${MATRIX-}" ] || trees=${TREES:-base ours}
[[ $repeat =~ ^[1-9][0-9]*$ ]] || die "MATRIX_REPEAT=$repeat: a number from 1 up is expected"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "MATRIX_JOBS=$jobs: a number from 1 up is expected"
for tree in $trees; do
	[[ "$tree" =~ ^(base|ours)$ ]] || die "TREES: $tree is none; base and ours are"
done
read -ra patterns <<< "${MATRIX:-*}"

# Rows that are known to fail, why, and how that shows: texts of the console, and the results that are not ok.
known() { # sets why, texts and lost; false if the row is to pass
	why='' texts=() lost=''
	case $tree-$world-$rodata in
	base-realm-noalias | base-realm-off)
		why='made in blocks before it is known to be a Realm, and then not split'
		texts=('pageattr_pud_entry' 'Failed to decrypt memory, [0-9]+ pages will be leaked' 'ITS@.*: failed probing \(-12\)')
		lost='its blk secretmem its'
		;;
	*) return 1 ;;
	esac
}

# What a row must show follows from three facts, which are those of arch/arm64/mm:
#
# - Whether the kernel finds BBML3 on all CPUs that boot. A CPU that comes late and has none is then refused, whatever rodata= is.
# - Whether the map may change page by page, can_set_direct_map(): with rodata=on, and in a Realm always, which shares pages.
#   If not, it stays in blocks on any CPUs (mode 1), nothing splits it, and there is no memfd_secret().
# - If it may, the boot CPU decides, force_pte_mapping(): pages if it has no BBML3 (mode 2), blocks if it has (1). A CPU without
#   BBML3 that boots later has all repainted in pages but the kernel image's alias, linear_map_maybe_split_to_ptes() (mode 3). With
#   rodata=noalias or off it is made in blocks on any CPU, and a Realm repaints them once it knows that it is one.
#
# linear_map=pages, which ours has, makes it of pages first, and of blocks when all CPUs are known to have BBML3.
facts() { # sets bbml3, mode, secretmem, expect, online and late of a row
	case $machine in bbml3 | late) bbml3=1 ;; *) bbml3=0 ;; esac
	online=$cpus late=refused
	[ "$machine" != late ] || online=$((cpus - 1))
	[ "$corner" != late ] || online=$((cpus - 1)) late=online
	mode=1 secretmem=absent expect=heal
	if [ "$rodata" = on ] || [ "$world" = realm ]; then
		secretmem=works
		case $machine in
		nobbml3 | reverse) [ "$rodata" = on ] && mode=2 || mode=3 ;;
		mixed) [ "$corner" = first ] && mode=2 || mode=3 ;;
		*) [ "$tree" = ours ] || expect="split" ;; # what was split stays so in the base
		esac
	fi
}

# row_of NAME: sets tree, machine, world, rodata, cpus, and corner: 16k or 64k pages; first (linear_map=pages); late (the last CPU,
# which is like the others or has what they do without, comes late).
row_of() { IFS=- read -r tree machine world rodata cpus corner <<< "$1"; }

all_rows() {
	local tree machine world rodata cpus corner
	for tree in $trees; do
		for world in plain realm; do
			for machine in bbml3 nobbml3 mixed reverse late; do
				for rodata in on noalias off; do
					for cpus in 1 4; do # it takes two CPUs to differ
						[[ $cpus = 1 && $machine =~ mixed|reverse|late ]] || echo "$tree-$machine-$world-$rodata-$cpus"
					done
				done
			done
		done
		for corner in 16k 64k first; do
			case $tree-$corner in
			base-first) continue ;; # there is no such word in the base
			*-*k) [[ " ${MATRIX_CORNERS-} " = *" $tree "* ]] || continue ;;
			esac
			for machine in bbml3 nobbml3 mixed; do
				for world in plain realm; do echo "$tree-$machine-$world-on-4-$corner"; done
			done
		done
		printf '%s\n' "$tree"-{bbml3-realm,nobbml3-plain,reverse-plain}-on-4-late
	done
}

chosen() { # NAME
	local p
	for p in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $p ]] || return 0
	done
	return 1
}

out=$BUILD/matrix
kernel_of() { # sets kernel: the tree and the flavour of a row, as boot.sh names them
	kernel=linux-lab
	[ "$tree" = ours ] || kernel=base-lab
	[[ ! $corner =~ k$ ]] || kernel+=-$corner
}

# judge_tables DIR: the dump after boot by the mode, the one at the end too where the map is to be as it was.
judge_tables() {
	local args=(-o "$rodata") said
	[ "$world" = plain ] || args+=(-R)
	said=$("$BUILD/tools/ptcheck" -d 1 "${args[@]}" -m "$mode" "$1/console.log") || { head -n 1 <<< "$said"; return 1; }
	[ "$mode" != 1 ] || args+=(-s 2)
	[ "$expect" = split ] || args+=(-m "$mode")
	said=$("$BUILD/tools/ptcheck" -d 2 "${args[@]}" "$1/console.log") || { head -n 1 <<< "$said"; return 1; }
}

# fails_as_known DIR: prints what is different.
fails_as_known() {
	local t got
	for t in "${texts[@]}"; do
		grep -qE "$t" "$1/lines" || { echo "fails, but not as known: \"$t\" was not seen"; return 1; }
	done
	got=$(sed -n 's/^not ok [0-9]* //p' "$1/lines" | xargs)
	[ "$got" = "$lost" ] || { echo "fails, but not as known: not ok are ${got:-none}, and not $lost"; return 1; }
	grep -q '^# lab: done' "$1/lines" || { echo "fails, but not as known: the guest's init did not end"; return 1; }
}

row() { # NAME NUMBER: one boot, one result
	local name=$1 dir=$out/run/$1 words verdict steps args=() passed='' said
	local tree machine world rodata cpus corner kernel bbml3 mode secretmem expect online late why texts lost
	took > /dev/null # ok and nok count from here
	[ "$2" = 1 ] || name+=.$2 dir+=.$2
	row_of "$1"
	facts
	kernel_of
	known && expect=heal # nothing splits there
	steps=machine,map,its,blk,secretmem,bpf
	[ "$machine" != late ] && [ "$corner" != late ] || steps+=,late
	[ "$online" = 1 ] || steps+=,hotplug
	words="rodata=$rodata lab=$steps,its,settle,map lab.cpus=$online lab.bbml3=$bbml3 lab.realm=0 lab.secretmem=$secretmem lab.late=$late"
	words+=" lab.files=4 lab.mib=8 lab.bouts=1 lab.expect=$expect"
	# Some machines share the host's CPUs: how fast a map heals, 55-heal.sh says.
	[ "$expect" = heal ] && words+=' lab.heal_ms=15000' || words+=' lab.heal_ms=500'
	[ "$world" = plain ] || { words=${words/realm=0/realm=1}; args+=(-R); }
	[ "$corner" != first ] || words+=' linear_map=pages'
	[ "$corner" != late ] || words+=" maxcpus=$online"

	verdict=$("$LAB/run/run.sh" -q -m "$machine" -c "$cpus" -M 2048 -t 180 -b "$disk" -o "$dir" "${args[@]}" -a "$words" \
		"${image_of[$kernel]}" "${initrd_of[$kernel]}" 2>&1) && passed=1
	verdict=$(tail -n 1 <<< "$verdict")
	table_row "$1" "$dir" > "$dir/row" 2>/dev/null
	if known; then
		if [ "$passed" ]; then
			nok "matrix-$name" "passes, though it is listed as known to fail: take it off the list"
		elif said=$(fails_as_known "$dir"); then
			echo "# known: $why"
			ok "matrix-$name-fails-as-known"
		else
			nok "matrix-$name" "$said ($verdict)"
		fi
	elif [ -z "$passed" ]; then
		nok "matrix-$name" "$verdict"
	elif said=$(judge_tables "$dir"); then
		ok "matrix-$name"
	else
		nok "matrix-$name" "$said"
	fi
}

# table_row NAME DIR: what became of the linear map, and of the rest.
table_row() {
	local lines=$2/lines leaves its=ok warn leak heal late
	leaves=$(grep -m 1 '^# lab: phase=boot' "$lines" | grep -oE ' [0-9]+[KMG]=[1-9][0-9]*' | sed -E 's/ (.*)=(.*)/\2 of \1/' | paste -s -d ,)
	warn=$(sed -nE 's/^WARNING: .* at ([a-z_0-9]+).*/\1/p' "$lines" | sort -u | paste -s -d ,)
	leak=$(sed -n 's/.*memory, \([0-9]*\) pages will be leaked.*/\1/p' "$lines" | sort -rn | paste -s -d +)
	grep -q '^ok [0-9]* its' "$lines" || its=$(grep -m 1 -oE 'failed probing \(-[0-9]+\)' "$lines")
	heal=$(sed -n 's/^# lab: phase=\(boot\|open\) .* leaves=\([0-9]*\) .*/\2/p' "$lines" | uniq | wc -l)
	if [ "$heal" = 1 ]; then heal=-; else heal=$(sed -n 's/^# lab: heal=\(yes\|no\) after=secretmem .*/\1/p' "$lines"); fi
	late=$(sed -n 's/^# lab: late cpu=[0-9]* \([a-z]*\): .*/\1/p' "$lines")
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${leaves//,/, }" "${heal:--}" "${its:-none}" "${late:--}" "${leak:--}" "${warn//,/, }"
}

table() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' row 'leaves of the linear map after boot' healed ITS 'late CPU' 'pages leaked' WARN
	while read -r name; do
		[ ! -f "$out/run/$name/row" ] || cat "$out/run/$name/row"
	done
	printf '\n%s, 2 GiB of memory. healed: what memfd_secret() files had split, after they were closed\n' \
		"$(cat "$out"/run/*/lines 2>/dev/null | sed -n 's/^\(Linux\) version \([^ ]*\) .*/\1 \2/p' | sort -u | paste -s -d ,)"
}
align() { awk -F '\t' '{ line[NR] = $0; for (i = 1; i < NF; i++) if (length($i) > w[i]) w[i] = length($i) }
	END { for (n = 1; n <= NR; n++) { k = split(line[n], f, "\t"); s = ""; for (i = 1; i < k; i++) s = s sprintf("%-*s  ", w[i], f[i]); s = s f[k]; sub(/ +$/, "", s); print s } }'; }

mapfile -t names < <(all_rows | while read -r name; do chosen "$name" && echo "$name"; done)
[ "${#names[@]}" -gt 0 ] || die "MATRIX=${MATRIX-}: no such row; they look like ours-mixed-realm-noalias-4, and * stands for anything"
if why=$("$LAB/tests/mkdisk.sh" 2>&1); then ok matrix-disk; else nok matrix-disk "$(head -n 1 <<< "$why")"; fi
rm -rf "$out" && mkdir -p "$out/run" "$out/result" || die "$out can't be written; make room"
disk=$out/disk.img
"$LAB/run/mkdisk.sh" "$disk" || exit
lab_make -C "$LAB/run" OUT="$BUILD/tools" || die "ptcheck does not build"

declare -A image_of initrd_of
for name in "${names[@]}"; do
	row_of "$name"
	kernel_of
	[ -z "${image_of[$kernel]-}" ] || continue
	guest "$kernel"
	image_of[$kernel]=$image initrd_of[$kernel]=$initrd
done

# Some boots at a time, results in order.
begin=$SECONDS queue=() started=0 shown=0 running=0
for ((n = 1; n <= repeat; n++)); do
	for name in "${names[@]}"; do queue+=("$name $n"); done
done
while [ $shown -lt ${#queue[@]} ]; do
	while [ $running -lt "$jobs" ] && [ $started -lt ${#queue[@]} ]; do
		read -r name n <<< "${queue[started]}"
		{ row "$name" "$n" > "$out/result/$started.new" 2>&1; mv "$out/result/$started.new" "$out/result/$started"; } &
		started=$((started + 1)) running=$((running + 1))
	done
	wait -n
	running=$((running - 1))
	while [ -f "$out/result/$shown" ]; do
		grep -v '^# known: ' "$out/result/$shown"
		shown=$((shown + 1))
	done
done
printf '%s\n' "${names[@]}" | table | align > "$out/table.txt"
cat "$out"/result/* > "$out/results"
note "${#queue[@]} boots in $((SECONDS - begin)) s: $(grep '^ok ' "$out/results" | grep -vc -e '-fails-as-known ') pass, $(grep -c '^ok .*-fails-as-known ' "$out/results") fail as known, $(grep -c '^not ok' "$out/results") fail; table in $out/table.txt"
sed -n 's/^# known: //p' "$out/results" | sort | uniq -c | while read -r n why; do note "$n fail as known: $why"; done

took > /dev/null
# CPU3, which lacks BBML3, comes though its start is said to have failed: it must not wait for a repaint that nobody makes.
if [ -n "${image_of[linux-lab]-}" ]; then
	if ! said=$("$LAB/run/run.sh" -q -m mixed -c 4 -M 1024 -t 180 -x el2.cpu_on_fails=3 -o "$out/run/cpu-on-fails" -a 'lab=none' \
		"${image_of[linux-lab]}" "${initrd_of[linux-lab]}" 2>&1); then
		nok matrix-cpu-on-fails "$(tail -n 1 <<< "$said")"
	elif grep -q '^CPU3: will not boot' "$out/run/cpu-on-fails/lines"; then ok matrix-cpu-on-fails
	else nok matrix-cpu-on-fails "CPU3 was started and given up, and has not died"; fi
fi

took > /dev/null
# What the rows look at must be able to fail: one boot that has all of it wrong.
[ -n "${image_of[linux-lab]-}" ] || exit 0
"$LAB/run/mkdisk.sh" -x "$out/wrong.img" || exit
"$LAB/run/run.sh" -q -m bbml3 -c 4 -M 2048 -t 180 -b "$out/wrong.img" -o "$out/run/wrong" \
	-a 'maxcpus=3 pci=nomsi lab=machine,its,blk,secretmem,late,map lab.cpus=3 lab.bbml3=0 lab.secretmem=absent lab.late=refused lab.expect=split lab.heal_ms=500' \
	"${image_of[linux-lab]}" "${initrd_of[linux-lab]}" > "$out/run/wrong.verdict" 2>&1
sees() { # RESULT WHY: that result is not ok, for that reason
	if ! grep -qE "^not ok [0-9]+ $1\$" "$out/run/wrong/lines"; then nok "matrix-sees-$1" "$1 does not fail; $(tail -n 1 "$out/run/wrong.verdict")"
	elif ! grep -q "^# lab: failed: .*$2" "$out/run/wrong/lines"; then nok "matrix-sees-$1" "not for this reason: $2"
	else ok "matrix-sees-$1"; fi
}
sees machine 'lab.bbml3=0 was asked for'
sees its 'does not come from the ITS'
sees blk 'file-4194304 has 4194304 bytes, checksum'
sees secretmem 'memfd_secret() is there'
sees secretmem-heal 'healed, which'
sees late 'CPU 3 is online'
for args in '-m 2' '-m 3' '-m 1 -R' '-m 1 -o off'; do
	# shellcheck disable=SC2086 # words
	if "$BUILD/tools/ptcheck" $args "$out/run/wrong/console.log" > "$out/ptcheck.log"; then
		nok "matrix-sees-tables" "ptcheck $args passes tables that are not so"
	else
		ok "matrix-sees-tables${args// /}"
	fi
done
