/** What goes wrong with sessions and the secrets that sign their cookies. */

export const sessionErrors = {
  FF_SESSION_SECRETS_MISSING: {
    summary: 'No secret for signing cookies is configured, and production makes none of its own.',
    retryable: false,
    httpStatus: 500,
  },
  FF_SESSION_SECRETS_WEAK: {
    summary: 'A secret for signing cookies is too short.',
    retryable: false,
    httpStatus: 500,
  },
  FF_SESSION_GONE: {
    summary: 'The session ended, or moved to another id, while this request worked with it; nothing was written.',
    retryable: false,
    httpStatus: 409,
  },
  FF_SESSION_CONTENTION: {
    summary: 'Others changed a session so often that this change found no quiet moment; nothing was written.',
    retryable: true,
    httpStatus: 503,
  },
  FF_SESSION_VALUE: {
    summary: 'A session was given a key or a value that it cannot hold.',
    retryable: false,
    httpStatus: 500,
  },
  FF_SESSION_LATE: {
    summary: 'A session was changed, or a cookie was needed, after the response had gone out.',
    retryable: false,
    httpStatus: 500,
  },
} as const
