/** What goes wrong with jobs: their declarations, orders, attempts and workers. */

export const jobErrors = {
  FF_JOB_DEFINITION: {
    summary: 'A job is declared wrongly, or two have the same name.',
    retryable: false,
    httpStatus: 500,
  },
  FF_JOB_INPUT: {
    summary: 'An order does not fit: its input is not as the schema says, no JSON or too large, or an option is wrong.',
    retryable: false,
    httpStatus: 422,
  },
  FF_JOB_OUTPUT: {
    summary: 'What a handler answered is not as the schema says, no JSON, or too large. The job has failed.',
    retryable: false,
    httpStatus: 500,
  },
  FF_JOB_DATABASE: {
    summary: 'The transaction that an order was to be part of is of another database than the jobs, or none.',
    retryable: false,
    httpStatus: 500,
  },
  FF_JOB_ID: {
    summary: 'What was given as the id of a job is none.',
    retryable: false,
    httpStatus: 400,
  },
  FF_JOB_BUSY: {
    summary: 'An order met one like it at the very moment in which that was finished: order it again.',
    retryable: true,
    httpStatus: 503,
  },
  FF_JOB_TIMEOUT: {
    summary: 'An attempt of a job took longer than its time; its signal is aborted with this.',
    retryable: true,
    httpStatus: 500,
  },
  FF_JOB_CANCELLED: {
    summary: 'Somebody has cancelled the job; its signal is aborted with this.',
    retryable: false,
    httpStatus: 500,
  },
  FF_JOB_STOPPED: {
    summary: 'The worker stops, and the job is handed to another; its signal is aborted with this.',
    retryable: true,
    httpStatus: 503,
  },
  FF_JOB_LOST: {
    summary: 'The lease of the worker was over: the job is another worker’s by now; its signal is aborted with this.',
    retryable: true,
    httpStatus: 503,
  },
  FF_JOB_THREAD: {
    summary: 'The thread of a job ended before the job did: out of memory, killed after its time, or by the handler.',
    retryable: true,
    httpStatus: 500,
  },
  FF_JOB_WORKER_LOST: {
    summary:
      'The worker that ran an attempt died, or was paused for longer than its lease. Stands among a job’s errors.',
    retryable: true,
    httpStatus: 500,
  },
} as const
