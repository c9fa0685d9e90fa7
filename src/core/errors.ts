/**
 * The one registry of errors. Every error that Fourfold throws on purpose is a `FourfoldError` with a code from
 * this registry, so that callers branch on codes and never on messages.
 *
 * A message says what happened, what was expected, what came, and what to do. Secrets never stand in it:
 * {@link redactUrl} takes the password out of an address.
 */

interface ErrorEntry {
  /** One sentence for `docs/reference/errors.md`. */
  readonly summary: string
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable: boolean
  /** The status that HTTP adapters answer when the error reaches them. */
  readonly httpStatus: number
}

export const errorRegistry = {
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
  FF_ENGINE_NOT_PRIMARY: {
    summary: 'A server in recovery (a standby) was reached where the primary was expected.',
    retryable: true,
    httpStatus: 503,
  },
  FF_ENGINE_EPOCH: {
    summary: 'The database server lost its epoch again at once: it crashes over and over.',
    retryable: true,
    httpStatus: 503,
  },
  FF_ENGINE_PERMISSION: {
    summary: 'The database user lacks a right that Fourfold needs; the message names it.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_ADDRESS: {
    summary: 'A database address is not a PostgreSQL URL, or asks for something that cannot be honoured.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_OWNED: {
    summary: 'Another process runs the embedded servers in this directory.',
    retryable: false,
    httpStatus: 503,
  },
  FF_ENGINE_START: {
    summary: 'An embedded server did not start; its last log lines are in the message.',
    retryable: false,
    httpStatus: 503,
  },
  FF_ENGINE_PLATFORM: {
    summary: 'The embedded servers cannot run here: no binaries for this platform, or no user to run them as.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_MIGRATION: {
    summary: 'A migration failed, or the migrations on disc do not fit those already applied.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ENGINE_MIGRATION_BREAKING: {
    summary: 'A migration would break the build that still serves, and does not declare that it may.',
    retryable: false,
    httpStatus: 500,
  },
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
  FF_CLONES_START: {
    summary: 'A process of the system ended, or did not say it is ready in time, while it was started.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CLONES_LISTEN: {
    summary: 'A clone cannot listen where balancers of other hosts are to reach it.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CLONES_QUARANTINED: {
    summary: 'A clone runs another build than it was started for; it gets no requests and is replaced.',
    retryable: false,
    httpStatus: 503,
  },
  FF_BUILD_FILES: {
    summary: 'The files of a build are missing, or so many that they cannot be one app.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ROLLOUT_REFUSED: {
    summary: 'A rollout, or a change of the number of clones, cannot begin now or not with these settings.',
    retryable: false,
    httpStatus: 409,
  },
  FF_ROLLOUT_FAILED: {
    summary: 'A rollout ended without its build in service; the build before it serves all requests.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_REFUSED: {
    summary: 'The app cannot become a release as it is; the message names the file or package that is in the way.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_INSTALL: {
    summary: 'npm could not install the packages of a release; its own words follow.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_SIZE: {
    summary: 'The packages of a release are larger than allowed.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_CHANGED: {
    summary:
      'A release is not what was built: a file was changed, added or removed, or Node or Fourfold is another one.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CLONE_WRITE_REFUSED: {
    summary: 'App code tried to write to the disc of a clone, where nothing may be kept.',
    retryable: false,
    httpStatus: 500,
  },
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
  FF_APP_INVALID: {
    summary: 'A file does not export an app, or the app lacks what the command needs.',
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
  FF_DATABASE_CHANGES: {
    summary: 'The changes of a database must be followed, and its server does not allow it.',
    retryable: false,
    httpStatus: 500,
  },
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
  FF_PAGE_DEFINITION: {
    summary: 'A page is declared wrongly: its path is no pattern or another page has it, or there is no render.',
    retryable: false,
    httpStatus: 500,
  },
  FF_PAGE_BAKE: {
    summary: 'A page could not be baked, or `fourfold bake` was asked for something that it cannot understand.',
    retryable: false,
    httpStatus: 500,
  },
  FF_PAGE_WORKERS: {
    summary: 'No worker lives that could bake.',
    retryable: true,
    httpStatus: 503,
  },
  FF_PAGE_PERSONAL: {
    summary: 'The render of a page asked for the session or the request: a page is the same for everybody.',
    retryable: false,
    httpStatus: 500,
  },
  FF_PAGE_ROUTE: {
    summary: 'A route of the app that is to be baked failed, or this process does not serve the app.',
    retryable: true,
    httpStatus: 502,
  },
  FF_PAGE_ANSWER: {
    summary:
      'What a render answered is not for everybody, or no whole document: it sets cookies, is private, or failed.',
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
  FF_APP_ROLE: {
    summary: 'A host was given a role that this version does not have.',
    retryable: false,
    httpStatus: 500,
  },
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
  FF_APP_RUNNING: {
    summary:
      'A command cannot run beside the system that runs (or what is left of it), or without a terminal to ask on.',
    retryable: false,
    httpStatus: 500,
  },
} as const

export type ErrorCode = keyof typeof errorRegistry

export interface FourfoldErrorOptions extends ErrorOptions {
  /** Facts for programs: never secrets. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** The base of all of Fourfold's errors. `code` is stable; the message is for people. */
export class FourfoldError extends Error {
  override readonly name = 'FourfoldError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly httpStatus: number
  readonly fields: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: FourfoldErrorOptions = {}) {
    super(message, options)
    const entry: ErrorEntry = errorRegistry[code]
    this.code = code
    this.retryable = entry.retryable
    this.httpStatus = entry.httpStatus
    this.fields = options.fields ?? {}
  }

  /** The same as `httpStatus`, under the name that Fastify and Express look for. */
  get statusCode(): number {
    return this.httpStatus
  }

  /** The answer that Hono gives for it, under the name that it looks for. */
  getResponse(): Response {
    const { httpStatus: statusCode, code, message } = this
    const { retryAfterSeconds = 1 } = this.fields as { retryAfterSeconds?: number }
    const headers = {
      'cache-control': 'no-store',
      ...(this.retryable ? { 'retry-after': String(retryAfterSeconds) } : {}),
    }
    return Response.json({ statusCode, code, message }, { status: statusCode, headers })
  }
}

/** Whether a value is a Fourfold error, optionally of one code. */
export function isFourfoldError(value: unknown, code?: ErrorCode): value is FourfoldError {
  return value instanceof FourfoldError && (code === undefined || value.code === code)
}

/** An address as it may be shown: without its password. Text that is no URL is answered as `<address>`. */
export function redactUrl(address: string): string {
  try {
    const url = new URL(address)
    if (url.password !== '') url.password = '***'
    return url.toString()
  } catch {
    return '<address>'
  }
}
