/** What goes wrong with database servers: their addresses, rights, migrations, and those that are embedded. */

export const engineErrors = {
  FF_ENGINE_NOT_PRIMARY: {
    summary: 'A server in recovery (a standby) was reached where the primary was expected.',
    retryable: true,
    httpStatus: 503,
  },
  FF_ENGINE_EPOCH: {
    summary: 'The database server lost its epoch again at once: it crashes over and over.',
    retryable: true,
    httpStatus: 503,
  },
  FF_ENGINE_PERMISSION: {
    summary: 'The database user lacks a right that Fourfold needs; the message names it.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_ADDRESS: {
    summary: 'A database address is not a PostgreSQL URL, or asks for something that cannot be honoured.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_OWNED: {
    summary: 'Another process runs the embedded servers in this directory.',
    retryable: false,
    httpStatus: 503,
  },
  FF_ENGINE_START: {
    summary: 'An embedded server did not start; its last log lines are in the message.',
    retryable: false,
    httpStatus: 503,
  },
  FF_ENGINE_PLATFORM: {
    summary: 'The embedded servers cannot run here: no binaries for this platform, or no user to run them as.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_MIGRATION: {
    summary: 'A migration failed, or the migrations on disc do not fit those already applied.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_MIGRATION_BREAKING: {
    summary: 'A migration would break the build that still serves, and does not declare that it may.',
    retryable: false,
    httpStatus: 500,
  },
} as const
