#!/bin/sh
# Puts Debian 13's strongSwan 6 `pki` into a debootstrap folder: Debian 12's 5.9.8 reads only single-line base64 in EST
# answers, other clients only wrapped lines, so 6.x is the strongSwan that we are judged by.
#
#   prepare_debian13.sh [FOLDER]      default: .interop/debian13 of the source tree; needs root and debootstrap
#
# The mirror is the one this machine's apt already uses (or $DEBIAN_MIRROR).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$here/../../.interop/debian13}
suite=trixie

if [ -x "$folder/usr/bin/pki" ] && [ -e "$folder/.complete" ]; then
    echo "$folder is ready: $(chroot "$folder" pki --version 2>/dev/null | head -n 1 || true)"
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "prepare_debian13.sh: chroot needs root" >&2; exit 77; }
command -v debootstrap >/dev/null || { echo "prepare_debian13.sh: debootstrap is not installed" >&2; exit 77; }

mirror=${DEBIAN_MIRROR:-$(
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
            -e 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' |
        grep -E '/debian/?$' | head -n 1
)}

rm -rf "$folder"
mkdir -p "$folder"
folder=$(CDPATH='' cd -- "$folder" && pwd)
# shellcheck disable=SC2086  # an empty mirror means debootstrap's own default
debootstrap --variant=minbase --include=strongswan-pki,libstrongswan-standard-plugins,libstrongswan-extra-plugins,openssl \
    "$suite" "$folder" ${mirror:+"$mirror"}

chroot "$folder" pki --help >/dev/null 2>&1 || true
chroot "$folder" pki --est --help 2>&1 | grep -q -- --capath || chroot "$folder" pki --est --help 2>&1 | grep -q -- --url ||
    { echo "prepare_debian13.sh: this pki has no --est" >&2; exit 1; }
touch "$folder/.complete"
echo "$folder is ready"
