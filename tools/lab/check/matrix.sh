# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by the step matrix: its rows, what each must show, and its table.
. "$LAB/run/machines.sh"

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
			for machine in $(machines); do
				for rodata in on noalias off; do
					for cpus in 1 4; do # it takes two CPUs to differ
						[ "$cpus" = 1 ] && machine_is_mixed "$machine" || echo "$tree-$machine-$world-$rodata-$cpus"
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
