/** What goes wrong between an app and one of its databases. */

export const databaseErrors = {
  FF_DATABASE_UNAVAILABLE: {
    summary: 'The primary of a database cannot be reached.',
    retryable: true,
    httpStatus: 503,
  },
  FF_DATABASE_CONNECTION_LOST: {
    summary:
      'The connection to the database was lost while a statement ran. Whether a write took place is unknown: read before you send it again.',
    retryable: true,
    httpStatus: 503,
  },
  FF_DATABASE_POOL_SIZE: {
    summary: 'The connection pools of all processes do not fit into the max_connections of a database server.',
    retryable: false,
    httpStatus: 500,
  },
  FF_DATABASE_TRANSACTION: {
    summary: 'A transaction was opened where each statement may use another connection.',
    retryable: false,
    httpStatus: 500,
  },
  FF_DATABASE_CURSOR: {
    summary: 'Streaming rows outside a transaction is not routed.',
    retryable: false,
    httpStatus: 500,
  },
  FF_DATABASE_CHANGES: {
    summary: 'The changes of a database must be followed, and its server does not allow it.',
    retryable: false,
    httpStatus: 500,
  },
} as const
