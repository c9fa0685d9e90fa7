/** What the HTTP adapters refuse. */

export const httpErrors = {
  FF_HTTP_CROSS_ORIGIN: {
    summary: 'Another site made a browser send a request that changes something.',
    retryable: false,
    httpStatus: 403,
  },
  FF_HTTP_CSRF_TOKEN: {
    summary: 'A request that must prove that it comes from a page of this session does not.',
    retryable: false,
    httpStatus: 403,
  },
  FF_HTTP_RATE_LIMITED: {
    summary: 'A client has asked more often than it may; the answer says when it may again.',
    retryable: true,
    httpStatus: 429,
  },
} as const
