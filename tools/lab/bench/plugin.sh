# shellcheck shell=bash disable=SC2034,SC2154
# Sourced behind lib.sh by what boots with one of QEMU's plugins in plugins/ (count.sh, share.sh, tlb.sh).

die_status=2
image=${*: -2:1} # of run.sh's arguments

# system_map: sets map, of the Image
system_map() {
	[ -r "$image" ] || die "$image: no such Image; build the kernel first"
	map=$(dirname "$image")/System.map
	[ -r "$map" ] || map=$(dirname "$image")/../../../System.map
	[ -r "$map" ] || die "$image: no System.map beside it; copy the one of its build there"
}

# with_plugin NAME ARGUMENTS ['MORE OPTIONS OF QEMU']: builds it; $TMP/qemu is a QEMU that has it.
with_plugin() {
	local real=${QEMU:-qemu-system-aarch64}
	"${HOSTCC:-gcc}" -O2 -Wall -Wextra -shared -fPIC -o "$TMP/$1.so" "$LAB/bench/plugins/$1.c" 2> "$TMP/log" ||
		die "the plugin does not build: $(head -n 1 "$TMP/log")"
	cat > "$TMP/qemu" <<-WRAP
		#!/bin/sh
		[ "\${1-}" = --version ] && exec "$real" --version
		exec "$real" ${3-} -plugin "$TMP/$1.so,$2" "\$@"
	WRAP
	chmod +x "$TMP/qemu"
}
