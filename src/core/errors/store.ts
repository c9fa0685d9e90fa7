/** What goes wrong with the central store. */

export const storeErrors = {
  FF_STORE_DEADLINE: {
    summary: 'The central store did not answer within its deadline.',
    retryable: true,
    httpStatus: 503,
  },
  FF_STORE_UNAVAILABLE: {
    summary: 'The central store refused the connection or closed it.',
    retryable: true,
    httpStatus: 503,
  },
  FF_STORE_ADDRESS: {
    summary: 'The address of the central store is of no known kind.',
    retryable: false,
    httpStatus: 500,
  },
  FF_STORE_ANSWER: {
    summary: 'The central store answered with an error of its own, such as a missing right or no memory left.',
    retryable: false,
    httpStatus: 503,
  },
  FF_STORE_ARGUMENT: {
    summary: 'A key, value, position or time to live is not what the central store takes.',
    retryable: false,
    httpStatus: 500,
  },
  FF_STORE_LOCKED: {
    summary: 'Another store server owns this log or socket.',
    retryable: true,
    httpStatus: 500,
  },
  FF_STORE_LOG: {
    summary: 'The log of the embedded store cannot be read or written.',
    retryable: false,
    httpStatus: 500,
  },
} as const
