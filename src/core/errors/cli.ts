/** What goes wrong in `fourfold check`. */

export const cliErrors = {
  FF_CHECK_SCRIPT: {
    summary:
      'The script of requests for `fourfold check` cannot be read or replayed; file and line are in the message.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CHECK_EXTERNAL: {
    summary: 'The check would write to servers that the configuration names, and nobody has said that it may.',
    retryable: false,
    httpStatus: 500,
  },
} as const
