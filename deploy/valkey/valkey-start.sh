#!/bin/sh
# Starts the store with its password, which comes from a file and stands on no command line.
set -eu
secrets="${SECRETS_DIR:-/run/secrets}"
conf="${VALKEY_CONF:-/etc/valkey/valkey.conf}"
password="$(cat "$secrets/store_password")"
[ -n "$password" ] || { echo "valkey-start: $secrets/store_password is empty" >&2; exit 1; }

# Its log is kept where it is started.
cd "${VALKEY_DIR:-/data}"
exec "${VALKEY_SERVER:-valkey-server}" - <<CONF
$(cat "$conf")
${VALKEY_MORE:-}
requirepass "$password"
CONF
