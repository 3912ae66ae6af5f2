#!/bin/sh
# Run once by the database's image: the services' role is an ordinary one, so that row-level security binds it.
set -eu
psql --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat /run/secrets/database_password`
CREATE ROLE pycryptoutil LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE pycryptoutil OWNER pycryptoutil ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE pycryptoutil FROM PUBLIC;
SQL
