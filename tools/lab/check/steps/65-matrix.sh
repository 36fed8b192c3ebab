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

me=matrix
repeat=${MATRIX_REPEAT:-1} jobs=${MATRIX_JOBS:-$(nproc)}
trees_wanted "${MATRIX:+base ours}"
number MATRIX_REPEAT= "$repeat" 1
number MATRIX_JOBS= "$jobs" 1
read -ra patterns <<< "${MATRIX:-*}"

. "$LAB/check/matrix.sh"

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

mapfile -t names < <(all_rows | while read -r name; do chosen "$name" && echo "$name"; done)
[ "${#names[@]}" -gt 0 ] || die "MATRIX=${MATRIX-}: no such row; they look like ours-mixed-realm-noalias-4, and * stands for anything"
if why=$("$LAB/run/tests/mkdisk.sh" 2>&1); then ok matrix-disk; else nok matrix-disk "$(head -n 1 <<< "$why")"; fi
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
printf '%s\n' "${names[@]}" | table | columns > "$out/table.txt"
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
