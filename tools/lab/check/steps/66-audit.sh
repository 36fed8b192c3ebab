#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots under el2.audit (model/README.md): each store to the kernel's live tables, each TLBI and each write of TTBR1_EL1 is judged.
# Ours, on the machines that differ in what they may do to a live map.
#
#	TREES='base ours'          the unmodified base too (all rows that AUDIT names, if it is there)
#	AUDIT='ours-*'             rows by name, one or more patterns
#	AUDIT_LAB=mixed            what the guest does (default: secretmem)
#	AUDIT_WORDS='lab.bouts=9'  more words for the command line
#	AUDIT_LIMIT=1500           seconds for each
#
# A campaign of more than ten million stores is
#
#	make check STEPS=audit AUDIT='ours-*' AUDIT_LAB=secretmem,mixed AUDIT_LIMIT=1800 \
#		AUDIT_WORDS='lab.files=16 lab.mib=32 lab.stride=1 lab.rounds=8 lab.churn_s=60'
#
# build/audit-run/NAME/audit has what the auditor said, with the kernel's symbols.
set -u
# shellcheck source=tools/lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=tools/lab/run/boot.sh
. "$LAB/run/boot.sh"

# shellcheck disable=SC2034 # die says it
me=audit
steps=${AUDIT_LAB:-secretmem}
read -ra patterns <<< "${AUDIT:-*}"
chosen() { # NAME
	local p
	for p in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $p ]] || return 0
	done
	return 1
}

# What was audited, by the last line: audited DIR WHAT
audited() { sed -nE "s/^el2: audit: .*[^0-9]([0-9]+) $2.*/\1/p; s/^el2: audit: ([0-9]+) $2.*/\1/p" "$1/lines" | head -n 1; }

least() { # DIR WHAT LEAST
	local n
	n=$(audited "$1" "$2")
	[ "${n:-0}" -ge "$3" ] || { echo "${n:-no} $2 were audited, $3 or more are expected"; return 1; }
}

declare -A total

row() { # NAME KERNEL MACHINE STORES RESIZES [run.sh's arguments]
	local name=$1 kernel=$2 machine=$3 stores=$4 resizes=$5 dir=$BUILD/audit-run/$1 verdict why mib=${AUDIT_MIB:-1024} words
	shift 5
	chosen "$name" || return
	words="lab=$steps lab.files=2 lab.mib=8 ${AUDIT_WORDS-}"
	case $kernel in
	linux-kunit-*) # which has the suites and the churn, and no program that would do much
		suites_of "${kernel#linux-}"
		mib=2048 words="kunit.enable=1 kunit.filter_glob=kernel_* lab=none leaf_fuzz.ops=200" ;;
	*) guest "$kernel" ;;
	esac
	verdict=$("$LAB/run/run.sh" -q -A -m "$machine" -c 4 -M "$mib" -t "${AUDIT_LIMIT:-120}" -o "$dir" "$@" -a "$words" \
		"$image" "$initrd" 2>&1 | tail -n 1)
	case $verdict in
	"verdict: pass "*) ;;
	*) nok "audit-$name" "$verdict"; return ;;
	esac
	if ! why=$(least "$dir" stores "$stores"); then nok "audit-$name" "$why"
	elif ! why=$(least "$dir" "TLBIs of the kernel's half" 1000); then nok "audit-$name" "$why"
	elif ! why=$(least "$dir" "writes of TTBR1_EL1" 4); then nok "audit-$name" "$why"
	elif ! why=$(least "$dir" resizes "$resizes"); then nok "audit-$name" "$why"
	else
		ok "audit-$name"
		total[${name%%-*}]=$((${total[${name%%-*}]-0} + $(audited "$dir" stores)))
	fi
}

mkdir -p "$BUILD/audit-run" || die "$BUILD/audit-run can't be made; make room"
# What is audited at least: stores, and how often a live mapping changes its size; never, where a CPU of the boot lacks BBML3.
trees=${TREES:-ours}
[ -z "${AUDIT-}" ] || trees=${TREES:-base ours}
for tree in $trees; do
	[[ $tree =~ ^(base|ours)$ ]] || die "TREES: $tree is none; base and ours are"
	kernel=linux-lab
	[ "$tree" = ours ] || kernel=base-lab
	row "$tree-bbml3-plain" $kernel bbml3 10000 100
	row "$tree-bbml3-realm" $kernel bbml3 10000 100 -R
	row "$tree-mixed-plain" $kernel mixed 10000 100
	row "$tree-nobbml3-plain" $kernel nobbml3 100000 0
done

# What fewer and larger pages make of the same rules: other groups, levels and hints.
row ours-64k-plain linux-kunit-64k bbml3 10000 100
[ -z "${AUDIT-}" ] || row ours-16k-plain linux-kunit-16k bbml3 10000 100

for tree in "${!total[@]}"; do note "audited without a violation, $tree: ${total[$tree]} stores"; done

# It must be able to fail: the exception that map_kernel() needs is not allowed here.
if chosen early; then
	guest linux-lab
	verdict=$("$LAB/run/run.sh" -q -e -c 1 -M 512 -t 60 -x 'el2.audit el2.audit.allow=tagged' -o "$BUILD/audit-run/early" -a lab=none \
		"$image" "$initrd" 2>&1 | tail -n 1)
	case $verdict in
	"verdict: fail (el2: FAULT audit order: "*) ok audit-sees-early ;;
	*) nok audit-sees-early "$verdict" ;;
	esac
fi
