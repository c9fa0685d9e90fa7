/** What goes wrong with files that users put. */

export const fileErrors = {
  FF_FILES_TOO_LARGE: {
    summary: 'A file has more bytes than are taken.',
    retryable: false,
    httpStatus: 413,
  },
  FF_FILES_TYPE: {
    summary: 'A file is, by its own bytes, of a type that is not taken.',
    retryable: false,
    httpStatus: 415,
  },
  FF_FILES_INCOMPLETE: {
    summary: 'A file did not come to its end: its sender went away, failed or sent nothing for too long.',
    retryable: true,
    httpStatus: 400,
  },
  FF_FILES_SWEPT: {
    summary: 'An upload took so long that its pieces were taken for leftovers; nothing of it is there.',
    retryable: true,
    httpStatus: 503,
  },
  FF_FILES_DAMAGED: {
    summary: 'Bytes of a stored file are missing.',
    retryable: false,
    httpStatus: 500,
  },
  FF_FILES_UNAVAILABLE: {
    summary: 'The place where files are kept does not answer, or refuses.',
    retryable: true,
    httpStatus: 503,
  },
  FF_FILES_ARGUMENT: {
    summary: 'What should be the bytes of a file, a range of it or its place is something else.',
    retryable: false,
    httpStatus: 500,
  },
} as const
