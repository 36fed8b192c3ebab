#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Installs what the lab needs and the machine has not. Where all is there it only looks, and takes no time. The other architectures
# of the step x86 are for make check alone: NEEDS=check. So is the firmware, for DIMM=efi and the step servers. Mail is for
# make send, NEEDS=send, and for the step of that name; packages and Debian systems for make deb, NEEDS=deb, and the step deb.
set -u
. "$(dirname "$0")/../lib.sh"

missing=()
need() { # PACKAGE COMMAND...
	local pkg=$1 c
	shift
	for c; do
		command -v "$c" > /dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$c" > /dev/null || { missing+=("$pkg"); return; }
	done
}
header() { # PACKAGE HEADER
	echo "#include <$2>" | "${HOSTCC:-gcc}" -E - > /dev/null 2>&1 || missing+=("$1")
}
qemu_major() { "${1-${QEMU:-qemu-system-aarch64}}" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p'; }
qemu_ok() { local v; v=$(qemu_major "$@"); [ -n "$v" ] && [ "$v" -ge "$QEMU_MIN" ]; }
is_qemu() { [[ $1 = qemu-system-* ]]; }

# The step x86 is to be run.
with_x86() { [ "${NEEDS-}" = check ] && [[ -z "${STEPS-}" || " $STEPS " = *" x86 "* ]]; }

# Firmware, for DIMMs and servers.
with_efi() { [ "${NEEDS-}" = check ] && [[ "${DIMM-}" = efi || " ${STEPS-} " = *" servers "* ]]; }

# Mail: written by git, and read by b4.
with_send() { [ "${NEEDS-}" = send ] || with_b4; }
# Debian's packages: made of kernels, and unpacked to a system.
with_deb() { [ "${NEEDS-}" = deb ] || { [ "${NEEDS-}" = check ] && [[ " ${STEPS-} " = *" deb "* ]]; }; }
with_b4() { [ "${NEEDS-}" = check ] && [[ " ${STEPS-} " = *" send "* ]]; }

look() {
	missing=()
	need bc bc; need bison bison; need flex flex; need cpio cpio; need kmod modprobe depmod; need xz-utils xz
	need git git; need make make; need gcc gcc; need python3 python3; need perl perl; need curl curl; need sparse sparse; need spin spin
	need libc6-dev ldd; need binutils ar; need util-linux flock; need e2fsprogs mke2fs debugfs; need gzip gzip
	header libc6-dev stdio.h; header libssl-dev openssl/ssl.h; header libelf-dev gelf.h
	if [ -n "${CROSS_COMPILE-}" ]; then
		command -v "${CROSS_COMPILE}gcc" > /dev/null || die "no ${CROSS_COMPILE}gcc in PATH; install it, or leave CROSS_COMPILE unset"
	elif [ "$(uname -m)" != aarch64 ]; then
		need gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc
		need libc6-dev-arm64-cross aarch64-linux-gnu-gcc
		[ -f /usr/aarch64-linux-gnu/include/stdio.h ] || missing+=(libc6-dev-arm64-cross)
	fi
	# checkpatch runs spdxcheck.py. Another python3 earlier in PATH does not see the packages.
	PATH=/usr/bin:$PATH python3 -c 'import ply' 2> /dev/null || missing+=(python3-ply)
	PATH=/usr/bin:$PATH python3 -c 'import git' 2> /dev/null || missing+=(python3-git)
	qemu_ok || missing+=(qemu-system-arm)
	if with_x86; then
		[ "$(uname -m)" = riscv64 ] || need gcc-riscv64-linux-gnu riscv64-linux-gnu-gcc
		[[ ${X86-} != *boots* ]] || {
			qemu_ok "${QEMU_X86:-qemu-system-x86_64}" || missing+=(qemu-system-x86)
			[ "$(uname -m)" = x86_64 ] || need gcc-x86-64-linux-gnu x86_64-linux-gnu-gcc
			[ "$(uname -m)" = x86_64 ] || [ -f /usr/x86_64-linux-gnu/include/stdio.h ] || missing+=(libc6-dev-amd64-cross)
		}
	fi
	! with_efi || [ -r "${EFI:-/usr/share/qemu-efi-aarch64/QEMU_EFI.fd}" ] || missing+=(qemu-efi-aarch64)
	if with_send; then
		[ -x "$(git --exec-path 2>/dev/null)/git-send-email" ] || missing+=(git-email)
		perl -MMail::Address -e 1 2> /dev/null || missing+=(libmailtools-perl)
		# What most servers ask of who sends.
		[ "$NEEDS" != send ] || perl -MIO::Socket::SSL -e 1 2> /dev/null || missing+=(libio-socket-ssl-perl)
		[ "$NEEDS" != send ] || perl -MAuthen::SASL -e 1 2> /dev/null || missing+=(libauthen-sasl-perl)
	fi
	! with_b4 || need b4 b4
	if with_deb; then
		need dpkg-dev dpkg-buildpackage; need debhelper dh_builddeb; need rsync rsync; need debootstrap debootstrap
		[ "$(id -u)" = 0 ] || need fakeroot fakeroot
	fi
	mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u | grep .)
}

look
[ "${#missing[@]}" -gt 0 ] || exit 0

[ -z "${EFI-}" ] || [ -r "$EFI" ] || ! with_efi || die "EFI=$EFI: no such file; leave EFI unset to have Debian's firmware installed"
have=$(qemu_major)
[ -z "${QEMU-}" ] || qemu_ok || die "QEMU=$QEMU is ${have:+version $have, }not QEMU $QEMU_MIN or newer; leave QEMU unset to have one installed"
[ "${missing[*]}" != qemu-system-arm ] || [ -z "$have" ] || what="QEMU is version $have, $QEMU_MIN or newer is needed"
what=${what:-missing: ${missing[*]}}
command -v apt-get > /dev/null || die "$what; install what these Debian packages hold (there is no apt-get here)"
how='sudo make setup' # with what these were asked for by
for v in NEEDS STEPS X86 DIMM; do [ -z "${!v-}" ] || how+=" $v='${!v}'"; done
[ "$(id -u)" = 0 ] || die "$what; run: $how"

note "installing ${missing[*]}"
scratch_tmp
export DEBIAN_FRONTEND=noninteractive
install=(apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root install)
run() { "$@" > "$TMP/log" 2>&1; }
fail() { die "$1: $(grep -m 1 '^[EW]: ' "$TMP/log" || tail -n 1 "$TMP/log"); install by hand, then run make again: ${missing[*]}"; }

run apt-get -qq update || fail "apt-get update failed"
plain=() qemus=()
for p in "${missing[@]}"; do
	if is_qemu "$p"; then qemus+=("$p"); else plain+=("$p"); fi
done
if [ "${#plain[@]}" -gt 0 ]; then
	run "${install[@]}" "${plain[@]}" || fail "apt-get install failed"
fi
if [ "${#qemus[@]}" -gt 0 ]; then
	# All from one source: what they share has one version.
	candidate=$(apt-cache policy "${qemus[0]}" | sed -n 's/^ *Candidate: \([0-9]*:\)\?\([0-9]*\).*/\2/p')
	if [ "${candidate:-0}" -ge "$QEMU_MIN" ]; then
		run "${install[@]}" "${qemus[@]}" || fail "apt-get install failed"
	else
		suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")-backports
		private_apt "$TMP" "$suite" beside || die "$what; no Debian mirror in apt's sources: install by hand, $QEMU_MIN or newer: ${qemus[*]}"
		run apt-get "${APT[@]}" update || fail "no network? apt-get update of $suite failed"
		run "${install[@]}" "${APT[@]}" -t "$suite" "${qemus[@]}" || fail "apt-get install from $suite failed"
	fi
fi
hash -r
look
[ "${#missing[@]}" = 0 ] || die "still missing after the installation: ${missing[*]}; install by hand, then run make again"
