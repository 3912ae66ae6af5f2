#!/bin/sh
# PostgreSQL in a container, told by the variables of the usual image: POSTGRES_PASSWORD_FILE, POSTGRES_USER, POSTGRES_DB,
# PGDATA, and scripts in /docker-entrypoint-initdb.d that run once, on a new data directory.
set -eu
PGDATA=${PGDATA:-/var/lib/postgresql/data} POSTGRES_USER=${POSTGRES_USER:-postgres}
POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER} PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGDATA POSTGRES_USER POSTGRES_DB PATH

if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 0700 "$PGDATA"
    install -d -o postgres -g postgres -m 2775 /var/run/postgresql
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" --auth-local peer --auth-host scram-sha-256 \
        --encoding UTF8 --locale C.UTF-8 >/dev/null
    echo 'local all all trust' >"$PGDATA/pg_hba.conf" # the socket is this container's own, and only now
    pg_ctl -w start -o "-c listen_addresses=''" >/dev/null
    [ "$POSTGRES_DB" = postgres ] || createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [ -e "$script" ] && sh "$script"
    done
    pg_ctl -w -m fast stop >/dev/null
    printf 'local all all trust\nhost all all all scram-sha-256\n' >"$PGDATA/pg_hba.conf"
fi
exec postgres -c "listen_addresses=*" "$@"
