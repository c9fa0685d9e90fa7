/** What goes wrong with cached objects, queries, joins and loads. */

export const cacheErrors = {
  FF_CACHE_KEY: {
    summary: 'A key of a cached object is neither a scalar nor a flat record of scalars.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_OBJECT: {
    summary: 'An object is not declared in the app, is declared twice, or is declared wrongly.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_UNDEFINED: {
    summary: 'The load of a cached object answered undefined; null is the answer for what does not exist.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_VALUE: {
    summary: 'Something in a value cannot be cached; the message names its path.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_UNCACHEABLE: {
    summary: 'A statement read something whose changes cannot be followed, and no time to live is given.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_NO_DEPENDENCY: {
    summary: 'A load read nothing that can change and has no time to live: its answer would be kept for ever.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_LOAD_WRITES: {
    summary: 'A load ran a statement that does more than read, or opened a transaction.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_LOAD_KEYS: {
    summary: 'The map of a `loadMany` has a key that was asked for under another type.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_IN_TRANSACTION: {
    summary: 'A query made inside a transaction was handed to the cache, which does not see what is not committed.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_QUERY: {
    summary:
      'What was handed to the cache is no query of one of the app’s databases, or has parameters of a kind that cannot be a key.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_JOIN: {
    summary:
      'A join names a field or database that is not there, or a name that is taken, or does not fit what was found.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_LOADER: {
    summary: 'The function of a loader answered something that does not fit the keys that it was given.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_CYCLE: {
    summary: 'The load of an object uses, directly or through others, the very entry that it loads.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CACHE_BUSY: {
    summary: 'Too many loads wait for the database, or it has just failed several: this one was not begun.',
    retryable: true,
    httpStatus: 503,
  },
} as const
