# shellcheck shell=bash
# Sourced: the list of machines, which the runner, its help, the matrix, the soak and make try share. What each must show in the
# matrix follows from facts() in check/matrix.sh.
MACHINES=(
	# name, the CPUs that lack BBML3, where the soak takes it, and in words which CPUs have it
	'bbml3    none   plain,realm  all'
	'nobbml3  all    plain        none'
	'mixed    last   plain,realm  all but the last'
	'reverse  first  -            all but the first'
	'late     last   -            all but the last, which is left offline for the guest to bring up'
)
machines() { local m; for m in "${MACHINES[@]}"; do echo "${m%% *}"; done; }
find_machine() { # NAME: sets name, lacks, soak and what
	local m
	for m in "${MACHINES[@]}"; do
		read -r name lacks soak what <<< "$m"
		[ "$name" != "$1" ] || return 0
	done
	return 1
}
is_machine() { local name lacks soak what; find_machine "$1"; }
# The CPUs differ: this needs two of them, and the model.
machine_is_mixed() { local name lacks='' soak what; find_machine "$1" && [[ $lacks = first || $lacks = last ]]; }
machines_of_soak() { # plain or realm
	local name lacks soak what
	for name in $(machines); do find_machine "$name" && [[ ,$soak, = *",$1,"* ]] && echo "$name"; done
}
machine_words() { machines | sed '$!s/$/,/' | xargs | sed 's/, \([^,]*\)$/ or \1/'; } # for a message
machine_help() { # INDENT
	local m name lacks soak what
	for m in "${MACHINES[@]}"; do
		read -r name lacks soak what <<< "$m"
		printf "%${1}s%-9s %s\n" '' "$name" "$what"
	done
}
