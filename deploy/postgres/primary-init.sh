#!/bin/sh
# Runs once, when the primary's directory is new: the app's role and database, and what its replica needs. Passwords come
# from files or the environment and never stand on a command line, where other processes could read them.
set -eu
secrets="${SECRETS_DIR:-/run/secrets}"
slot="${REPLICA_SLOT:-replica_1}"

[ ! -f "$secrets/app_password" ] || APP_PASSWORD="$(cat "$secrets/app_password")"
[ ! -f "$secrets/replication_password" ] || REPLICATION_PASSWORD="$(cat "$secrets/replication_password")"
export APP_PASSWORD="${APP_PASSWORD:?give app_password as a file, or APP_PASSWORD}"
export REPLICATION_PASSWORD="${REPLICATION_PASSWORD:?give replication_password as a file, or REPLICATION_PASSWORD}"

psql --no-psqlrc --set ON_ERROR_STOP=1 --set "slot=$slot" \
  --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-postgres}" <<'SQL'
\set app_password `printf %s "$APP_PASSWORD"`
\set replication_password `printf %s "$REPLICATION_PASSWORD"`
create role app login password :'app_password';
-- The owner may make the schema "fourfold", in which Fourfold keeps its notes, and run migrations.
create database app owner app;
revoke connect on database app from public;
create role replicator login replication password :'replication_password';
-- Keeps what the replica has not got yet, up to max_slot_wal_keep_size.
select pg_create_physical_replication_slot(:'slot', true);
SQL

# Replication is not part of "all" in pg_hba.conf. The server reads this when it starts after the initialisation.
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
