#!/bin/sh
# Starts a replica; copies the primary first where its directory is new. The password comes from a file or the
# environment at every start and is not kept in the directory: only the path of a password file in memory is.
set -eu
secrets="${SECRETS_DIR:-/run/secrets}"
slot="${PRIMARY_SLOT:-replica_1}"
host="${PRIMARY_HOST:?set PRIMARY_HOST}"
port="${PRIMARY_PORT:-5432}"
passfile="${PASSFILE:-/tmp/replication.pgpass}"

umask 077
[ ! -f "$secrets/replication_password" ] || REPLICATION_PASSWORD="$(cat "$secrets/replication_password")"
printf '*:*:*:replicator:%s\n' "${REPLICATION_PASSWORD:?give replication_password as a file, or REPLICATION_PASSWORD}" > "$passfile"
unset REPLICATION_PASSWORD

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Beside its later place, so that a copy that was cut off is never taken for a whole one.
  copy="$PGDATA.copy"
  mkdir -p "$PGDATA"
  # Waited for in the background: a signal ends a long copy at once.
  trap 'kill "$child" 2>/dev/null; exit 143' TERM INT
  while true; do
    rm -rf "$copy"
    pg_basebackup --pgdata="$copy" --write-recovery-conf --slot="$slot" --wal-method=stream --checkpoint=fast \
      --dbname="host=$host port=$port user=replicator passfile=$passfile connect_timeout=5" &
    child=$!
    wait "$child" && break
    echo "replica-start: the primary cannot be copied yet" >&2
    sleep 2 &
    child=$!
    wait "$child"
  done
  trap - TERM INT
  rmdir "$PGDATA" || { echo "replica-start: $PGDATA holds something that is no database" >&2; exit 1; }
  mv "$copy" "$PGDATA"
fi
exec "$@"
