#!/bin/sh
# build-base.sh run|build|postgresql [IMAGE]: make one of the images that the others start from, out of Debian packages,
# where no image registry is at hand. Needs root, debootstrap and a docker (or DOCKER=podman).
#
#   run         pycryptoutil-base        Python, for the last stage of deploy/Containerfile (its argument BASE)
#   build       pycryptoutil-builder     gcc and this machine's Rust, for the first stage (BUILDER)
#   postgresql  pycryptoutil-postgresql  a PostgreSQL that understands what the compose files tell the usual image
#
# Packages come from DEBIAN_MIRROR, or from where this machine's own apt has them; DEBIAN_SUITE is trixie by default.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
docker=${DOCKER:-docker}
suite=${DEBIAN_SUITE:-trixie}
usage() { sed -n 's/^# \{0,1\}//p' "$0" | sed -n 2,9p >&2; exit 2; }

case ${1:-} in
    run) image=${2:-pycryptoutil-base} packages=ca-certificates,python3 ;;
    build) image=${2:-pycryptoutil-builder} packages=ca-certificates,gcc,libc6-dev,python3,python3-venv ;;
    postgresql) image=${2:-pycryptoutil-postgresql} packages=postgresql ;;
    *) usage ;;
esac
[ "$(id -u)" = 0 ] || { echo "build-base.sh: debootstrap needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "build-base.sh: debootstrap is not installed" >&2; exit 1; }

mirror=${DEBIAN_MIRROR:-$(
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
            -e 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' |
        grep -E '/debian/?$' | head -n 1
)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
# shellcheck disable=SC2086  # an empty mirror means debootstrap's own default
debootstrap --variant=minbase --include="$packages" "$suite" "$root" ${mirror:+"$mirror"} >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; exit 1; }
# The machine's mirror is no business of whoever gets the image, and packages that were unpacked are of no use.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/etc/apt/sources.list
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*

set -- --change 'ENV LANG=C.UTF-8'
case $packages in
    *gcc*)
        command -v rustc >/dev/null || { echo "build-base.sh: this machine has no Rust to copy" >&2; exit 1; }
        mkdir -p "$root/opt/rust"
        (cd "$(rustc --print sysroot)" && tar -c --exclude=share bin lib) | tar -x -C "$root/opt/rust"
        # who builds behind an inspecting proxy trusts what this machine trusts; the image that runs does not get it
        cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
        set -- "$@" --change 'ENV PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
        for name in SSL_CERT_FILE PIP_CERT CARGO_HTTP_CAINFO; do
            set -- "$@" --change "ENV $name=/etc/ssl/certs/ca-certificates.crt"
        done
        ;;
    postgresql)
        install -m 0755 "$here/postgresql/entrypoint.sh" "$root/usr/local/bin/entrypoint.sh"
        set -- "$@" --change 'ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]' \
            --change 'VOLUME ["/var/lib/postgresql/data"]' --change 'EXPOSE 5432'
        ;;
esac
tar -C "$root" -c --numeric-owner --one-file-system . | "$docker" import "$@" - "$image:latest" >/dev/null
echo "$image:latest"
