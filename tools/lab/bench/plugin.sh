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

# plugin_api QEMU: which version of its plugin API it speaks, from its answer to a plugin that wants one that will never be
plugin_api() {
	echo 'int qemu_plugin_version = 0x7fffffff; int qemu_plugin_install(void) { return 1; }' |
		"${HOSTCC:-gcc}" -x c -shared -fPIC -o "$TMP/ask.so" - 2> "$TMP/log" || die "no plugin builds: $(head -n 1 "$TMP/log")"
	api=$("$1" -M none -display none -plugin "$TMP/ask.so" 2>&1 | sed -n 's/.*supports only up to version \([0-9]*\)$/\1/p')
	[ "$api" ] || die "$1 does not say which plugins it takes; use a QEMU that was built with plugins"
	[ "$api" -ge 4 ] || die "$1 has plugins of version $api; 4 or newer is needed, as QEMU 10 has it"
	# A newer one may still take those of today; if not, it says so.
	[ "$api" -le 7 ] || api=7
}

# with_plugin NAME ARGUMENTS ['MORE OPTIONS OF QEMU']: builds it; $TMP/qemu is a QEMU that has it.
with_plugin() {
	local real=${QEMU:-qemu-system-aarch64} api
	plugin_api "$real"
	"${HOSTCC:-gcc}" -DAPI="$api" -O2 -Wall -Wextra -shared -fPIC -o "$TMP/$1.so" "$LAB/bench/plugins/$1.c" 2> "$TMP/log" ||
		die "the plugin does not build: $(head -n 1 "$TMP/log")"
	cat > "$TMP/qemu" <<-WRAP
		#!/bin/sh
		[ "\${1-}" = --version ] && exec "$real" --version
		exec "$real" ${3-} -plugin "$TMP/$1.so,$2" "\$@"
	WRAP
	chmod +x "$TMP/qemu"
}
