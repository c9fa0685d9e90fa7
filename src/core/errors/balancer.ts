/** What the balancer answers by itself, and why it cannot listen. */

export const balancerErrors = {
  FF_BALANCER_LISTEN: {
    summary: 'The balancer cannot listen on its address: the port is taken or not allowed.',
    retryable: false,
    httpStatus: 500,
  },
  FF_BALANCER_CERTIFICATE: {
    summary: 'The files of the certificate cannot be read, or do not belong together.',
    retryable: false,
    httpStatus: 500,
  },
  FF_BALANCER_BAD_REQUEST: {
    summary: 'The request is not valid HTTP, or its length or target is ambiguous.',
    retryable: false,
    httpStatus: 400,
  },
  FF_BALANCER_REQUEST_TIMEOUT: {
    summary: 'The client did not send its whole request in time.',
    retryable: true,
    httpStatus: 408,
  },
  FF_BALANCER_BODY_TOO_LARGE: {
    summary: 'The body of the request is larger than the balancer lets through.',
    retryable: false,
    httpStatus: 413,
  },
  FF_BALANCER_HEADERS_TOO_LARGE: {
    summary: 'The headers of the request are larger than the balancer lets through.',
    retryable: false,
    httpStatus: 431,
  },
  FF_BALANCER_UPSTREAM_FAILED: {
    summary: 'The clone broke its connection before it answered, and the request may not be sent twice.',
    retryable: true,
    httpStatus: 502,
  },
  FF_BALANCER_NO_UPSTREAM: {
    summary: 'No clone can take requests now.',
    retryable: true,
    httpStatus: 503,
  },
  FF_BALANCER_BUSY: {
    summary: 'Every clone has as many requests in flight as it may have, and the time in the queue is over.',
    retryable: true,
    httpStatus: 503,
  },
  FF_BALANCER_UPSTREAM_TIMEOUT: {
    summary: 'The clone did not answer in time.',
    retryable: true,
    httpStatus: 504,
  },
} as const
