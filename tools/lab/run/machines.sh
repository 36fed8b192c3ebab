# shellcheck shell=bash
# Sourced: the list of machines, which the runner, its help, the matrix, the soak and make try share. What each must show in the
# matrix follows from facts() in check/matrix.sh.
#
#	name      the CPUs that lack FEAT_BBM level 3
#	soak      where the soak takes it: on a plain machine, in a Realm, or in both
machine_list() {
	cat <<-'LIST'
		bbml3    none   plain,realm  all
		nobbml3  all    plain        none
		mixed    last   plain,realm  all but the last
		reverse  first  -            all but the first
		late     last   -            all but the last, which is left offline for the guest to bring up
	LIST
}
machines() { machine_list | sed 's/ .*//'; }
is_machine() { machines | grep -qxFe "$1"; }
machine_lacks() { machine_list | sed -n "s/^$1 *\([a-z]*\) .*/\1/p"; } # MACHINE: none, all, first or last
# The CPUs differ: this needs two, and the model.
machine_is_mixed() { [[ $(machine_lacks "$1") = first || $(machine_lacks "$1") = last ]]; }
machines_of_soak() { # plain or realm
	machine_list | while read -r name _ worlds _; do [[ ,$worlds, != *",$1,"* ]] || echo "$name"; done
}
machine_words() { machines | sed '$!s/$/,/' | xargs | sed 's/, \([^,]*\)$/ or \1/'; } # for a message
machine_help() { # INDENT
	machine_list | while read -r name _ _ what; do printf "%${1}s%-9s %s\n" '' "$name" "$what"; done
}
