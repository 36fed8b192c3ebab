# shellcheck shell=bash disable=SC2015,SC2016,SC2115,SC2153
# For the steps that try the lab's tools: sourced behind lib.sh. Everything happens in a copy of the repository, without its patches,
# and with a kernel of four files; fakes stand in for the network, apt and QEMU. TOP, TREE, BUILD and LAB are unset.
# The fakes' text is for their shell, not for this one.

scratch_tmp
repo=$TMP/repo lab=$TMP/repo/tools/lab out=$TMP/out
mkdir -p "$repo/tools"
cp -r "$LAB" "$repo/tools/"
rm -rf "$lab/tree/prerequisite" # the tests have their own
cp "$TOP/Makefile" "$repo/"
unset BUILD TREE TOP LAB KDIR BASE_TARBALL FORCE SERIES STEPS NEEDS DIMM EFI QEMU QEMU_X86 X86 CROSS_COMPILE FROM VERSION SEND_TRIAL
export O=$out

# A PATH with everything but some commands, and with fakes: path NAME...
all=$TMP/all fake=$TMP/fake
mkdir "$all" "$fake"
IFS=: read -ra dirs <<< "$PATH"
for d in "${dirs[@]}"; do [ ! -d "$d" ] || find -L "$d" -maxdepth 1 -type f -perm -1 -exec ln -s -t "$all" {} + 2>/dev/null; done
without() { rm -rf "$TMP/path" "$fake"/* && mkdir "$TMP/path" && cp -P "$all"/* "$TMP/path/" && (cd "$TMP/path" && rm -f -- "$@"); }
fake() { printf '#!/bin/sh\n%s\n' "$2" > "$fake/$1" && chmod +x "$fake/$1"; }
p=$fake:$TMP/path

# fails NAME PATTERN COMMAND...: one line on stderr (progress lines begin with #), that says PATTERN; and nothing is left.
fails() {
	local name=$1 pattern=$2 rc lines left
	shift 2
	(cd "$repo" && "$@") > "$TMP/stdout" 2> "$TMP/stderr"
	rc=$?
	lines=$(grep -v '^#' "$TMP/stderr")
	left=$(find "$out" "$repo" -name '.tmp.*' -o -name '.patches.*' 2>/dev/null | head -n 1)
	if [ $rc = 0 ]; then nok "$name" "exit status 0"
	elif [ "$(grep -c . <<< "$lines")" != 1 ]; then nok "$name" "$(grep -c . <<< "$lines") lines on stderr: $(head -n 2 <<< "$lines" | tr '\n' '|')"
	elif ! grep -qE -e "$pattern" <<< "$lines"; then nok "$name" "it says: $lines"
	elif [ -n "$left" ]; then nok "$name" "left behind: $left"
	elif [ -z "${keep-}" ] && [ -e "$out/linux" ]; then nok "$name" "there is a tree now"
	else ok "$name"; fi
}
# works NAME COMMAND...
works() {
	local name=$1
	shift
	if (cd "$repo" && "$@") > "$TMP/stdout" 2> "$TMP/stderr"; then ok "$name"; else nok "$name" "$(tail -n 1 "$TMP/stderr")"; fi
}
same() { if [ "$2" = "$3" ]; then ok "$1"; else nok "$1" "got '$2', not '$3'"; fi; }
run() { env PATH="$p" "$@"; }

# A kernel of four files. The arguments: DIR VERSION.PATCHLEVEL.SUBLEVEL
kernel() {
	mkdir -p "$1/arch/arm64/mm" && touch "$1/Kbuild"
	printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\nEXTRAVERSION =\n' "${2%%.*}" "$(cut -d . -f 2 <<< "$2")" "${2##*.}" > "$1/Makefile"
	seq 100 > "$1/arch/arm64/mm/mmu.c"
}
