#!/bin/bash
# try.sh: the compose suite, tried: build the image, start two replicas of pki-ca and every other service on PostgreSQL,
# enrol a certificate by EST with curl from this machine, stop one replica, enrol again, stop gracefully.
#
# Needs a running docker and curl, openssl, jq; DOCKER and COMPOSE say how they are called ("docker", "docker compose"),
# PUBLISH the address of this machine that ports are published on (127.0.0.1; another, as 127.0.0.5, where ports are taken).
# Images: PYCRYPTOUTIL_IMAGE is built if it is not there (BUILDER and BASE as in deploy/Containerfile); POSTGRESQL_IMAGE is
# postgres:17 by default. Where no registry answers, as root:
#
#   deploy/build-base.sh run && deploy/build-base.sh build && deploy/build-base.sh postgresql
#   BUILDER=pycryptoutil-builder BASE=pycryptoutil-base POSTGRESQL_IMAGE=pycryptoutil-postgresql deploy/try.sh
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
docker=${DOCKER:-docker}
compose=${COMPOSE:-$("$docker" compose version >/dev/null 2>&1 && echo "$docker compose" || echo docker-compose)}
file=$here/compose/${1:-suite}.yaml
export PYCRYPTOUTIL_IMAGE=${PYCRYPTOUTIL_IMAGE:-pycryptoutil} COMPOSE_PROJECT_NAME=pycryptoutil-try
work=$(mktemp -d)
export SECRETS=$work/secrets PUBLISH=${PUBLISH:-127.0.0.1}
export PKI_CA_URL=https://$PUBLISH:8443 PKI_CA_PLAIN_URL=http://$PUBLISH:8450

step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }
fail() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }
run() { $compose -f "$file" "$@"; }
end() {
    code=$?
    ((code == 0)) || run logs --tail 40 || true
    run down -v --remove-orphans >/dev/null 2>&1 || true
    rm -rf "$work"
    exit "$code"
}

if ! "$docker" image inspect "$PYCRYPTOUTIL_IMAGE" >/dev/null 2>&1; then
    step "build $PYCRYPTOUTIL_IMAGE"
    arguments=()
    for name in BUILDER BASE; do
        [ -z "${!name:-}" ] || arguments+=(--build-arg "$name=${!name}")
    done
    "$docker" build --network "${BUILD_NETWORK:-default}" "${arguments[@]}" -t "$PYCRYPTOUTIL_IMAGE" -f "$here/Containerfile" "$here/.."
fi

step "secrets"
"$here/secrets/make.sh" "$SECRETS" "$PUBLISH" >/dev/null
trap end EXIT

step "start"
run up -d
healthy() {
    local ids
    ids=$(run ps -q) && [ -n "$ids" ] || return 1
    for id in $ids; do
        [ "$("$docker" inspect -f '{{.State.Health.Status}}' "$id")" = healthy ] || return 1
    done
}
for _ in $(seq 150); do healthy && break || sleep 2; done
healthy || fail "not every container became healthy"
"$docker" ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Names}}  {{.Status}}  {{.Ports}}'

step "the program in it"
mapfile -t services < <(run config --services | grep '^pki' | sort)
mapfile -t replicas < <(for name in "${services[@]}"; do run ps -q "$name"; done)
((${#replicas[@]} > 0)) || fail "pki-ca does not run"
first=${replicas[0]}
inside() { "$docker" exec -i "$first" "$@"; }
[ "$(inside id -u)" = 10001 ] || fail "not the program's user"
! inside sh -c 'echo x > /opt/pycryptoutil/x' 2>/dev/null || fail "the root file system can be written"
inside pycryptoutil readyz pki-ca
port_of() { "$docker" port "$1" "$2/tcp" | sed -n '1s/.*://p'; }
for id in "${replicas[@]}"; do
    [ -z "$("$docker" port "$id" | grep -E '^90[0-9]{2}/' || true)" ] || fail "an admin listener is published"
done

step "a credential, and a certificate by EST from each replica"
credential=$(inside pycryptoutil ca credential add --profile tls-server --dns '*.example.test' --max-uses 10 --json)
user=$(jq -r .username <<<"$credential"):$(jq -r .password <<<"$credential")
enrol() { # PORT NAME
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/leaf.key" -subj "/CN=$2" \
        -addext "subjectAltName=DNS:$2" -outform DER 2>/dev/null | base64 >"$work/request"
    curl -sS --fail-with-body --noproxy '*' --cacert "$SECRETS/trust.pem" -u "$user" -H 'Content-Type: application/pkcs10' \
        --data-binary @"$work/request" "https://$PUBLISH:$1/.well-known/est/simpleenroll" |
        base64 -d | openssl pkcs7 -inform DER -print_certs -out "$work/leaf.pem"
    openssl x509 -in "$work/leaf.pem" -noout -subject -serial -ext crlDistributionPoints
}
for id in "${replicas[@]}"; do enrol "$(port_of "$id" 8443)" www.example.test; done

step "its revocation list over plain http, from the URL in it"
url=$(openssl x509 -in "$work/leaf.pem" -noout -ext crlDistributionPoints | sed -n 's/^ *URI://p')
curl -sS --fail --noproxy '*' -o "$work/crl" "$url"
openssl crl -inform DER -in "$work/crl" -noout -issuer -crlnumber

if ((${#replicas[@]} > 1)); then
    step "stop one replica, enrol at the other"
    "$docker" stop -t 60 "$first" >/dev/null
    [ "$("$docker" inspect -f '{{.State.ExitCode}}' "$first")" = 0 ] || fail "it did not drain"
    for id in "${replicas[@]}"; do
        [ "$id" = "$first" ] || enrol "$(port_of "$id" 8443)" after.example.test
    done
    step "start it again"
    "$docker" start "$first" >/dev/null
    for _ in $(seq 90); do
        [ "$("$docker" inspect -f '{{.State.Health.Status}}' "$first")" = healthy ] && break || sleep 1
    done
    enrol "$(port_of "$first" 8443)" again.example.test
fi

step "stop all, gracefully"
ids=$(run ps -q)
run stop
for id in $ids; do
    code=$("$docker" inspect -f '{{.State.ExitCode}}' "$id")
    [ "$code" = 0 ] || fail "$("$docker" inspect -f '{{.Name}}' "$id") ended with $code"
done
! run logs --no-color 2>&1 | grep -F -e "$(cat "$SECRETS/unseal")" -e "$(cat "$SECRETS/database_password")" ||
    fail "a secret is in a log"
step "all is well"
