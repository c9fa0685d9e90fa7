#!/bin/sh
# Starts the store with its password, which comes from a file or the environment and stands on no command line.
set -eu
secrets="${SECRETS_DIR:-/run/secrets}"
conf="${VALKEY_CONF:-/etc/valkey/valkey.conf}"
[ ! -f "$secrets/store_password" ] || STORE_PASSWORD="$(cat "$secrets/store_password")"
password="${STORE_PASSWORD:?give store_password as a file, or STORE_PASSWORD}"

# Its log is kept where it is started.
cd "${VALKEY_DIR:-/data}"
exec "${VALKEY_SERVER:-valkey-server}" - <<CONF
$(cat "$conf")
${VALKEY_MORE:-}
requirepass "$password"
CONF
