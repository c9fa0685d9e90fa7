/** What goes wrong in what everything stands on: configuration, durations, sizes, deadlines, lifecycle. */

export const coreErrors = {
  FF_CONFIG_INVALID: {
    summary: 'The configuration has mistakes; all of them are listed with their paths.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CORE_DURATION: {
    summary: 'A duration is neither a number of milliseconds nor a text such as "30s".',
    retryable: false,
    httpStatus: 500,
  },
  FF_CORE_DEADLINE: {
    summary: 'Something outside the process did not answer within its deadline.',
    retryable: true,
    httpStatus: 503,
  },
  FF_CORE_BYTES: {
    summary: 'A size is neither a number of bytes nor a text such as "8MiB".',
    retryable: false,
    httpStatus: 500,
  },
  FF_CORE_LIFECYCLE: {
    summary: 'The parts of a process were put together wrongly: a name used twice, an unknown part, or a circle.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CORE_CLOSED: {
    summary: 'A call was made on something that is closed or closing.',
    retryable: false,
    httpStatus: 503,
  },
  FF_CORE_PACKAGE_MISSING: {
    summary: 'An optional package that this driver needs is not installed.',
    retryable: false,
    httpStatus: 500,
  },
} as const
