#!/bin/sh
# make.sh [FOLDER] [NAME]…: make the secret files of an installation, those that are not there yet. FOLDER is files/
# beside this script; NAMEs are the DNS names and addresses of the public certificate, beside localhost.
#
# The certificate is of a CA made here, for trying things out: put your own chain and key in public.pem and public.key.
set -eu
umask 077
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$here/files}
[ $# -eq 0 ] || shift
program_uid=10001 # of deploy/Containerfile
mkdir -p "$folder"
chmod 0700 "$folder"
cd "$folder"

random() { openssl rand -base64 48 | tr -d '\n=' | tr '+/' '-_'; }
[ -s unseal ] || random >unseal
[ -s postgres_password ] || random >postgres_password
[ -s database_password ] || random >database_password
[ -s database_url ] ||
    printf 'postgresql://pycryptoutil:%s@%s/pycryptoutil\n' "$(cat database_password)" "${DATABASE_HOST:-postgresql}" >database_url

if [ ! -s public.pem ]; then
    names="DNS:localhost,IP:127.0.0.1"
    for name in "$@"; do
        case $name in
            *[!0-9.]*) names="$names,DNS:$name" ;;
            *) names="$names,IP:$name" ;;
        esac
    done
    curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    # shellcheck disable=SC2086  # $curve is several words
    openssl req -x509 $curve -keyout trust.key -out trust.pem -days 3650 -subj "/O=pycryptoutil/CN=TLS CA of this installation" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
    # shellcheck disable=SC2086
    openssl req -x509 $curve -CA trust.pem -CAkey trust.key -keyout public.key -out public.pem -days 397 -subj "/CN=localhost" \
        -addext "subjectAltName=$names" -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth \
        -addext keyUsage=critical,digitalSignature 2>/dev/null
fi

# Each container sees only the files that it is given, so the folder's mode is the lock on this machine. The program
# refuses nothing but tells of a secret that all may read; only root can hand its files to the program's user.
if [ "$(id -u)" = 0 ]; then
    chown "$program_uid:$program_uid" unseal database_url public.key public.pem
    chmod 0400 unseal database_url public.key
else
    chmod 0444 unseal database_url public.key
fi
chmod 0444 public.pem postgres_password database_password
[ ! -e trust.pem ] || chmod 0444 trust.pem
echo "$folder"
