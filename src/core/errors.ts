/**
 * The one registry of errors. Every error that Fourfold throws on purpose is a `FourfoldError` with a code from
 * this registry, so that callers branch on codes and never on messages. The codes stand by area in `errors/`.
 *
 * A message says what happened, what was expected, what came, and what to do. Secrets never stand in it: `redactUrl`
 * takes the password out of an address.
 */

import { appErrors } from './errors/app.ts'
import { balancerErrors } from './errors/balancer.ts'
import { cacheErrors } from './errors/cache.ts'
import { cliErrors } from './errors/cli.ts'
import { cloneErrors } from './errors/clones.ts'
import { coreErrors } from './errors/core.ts'
import { databaseErrors } from './errors/database.ts'
import { engineErrors } from './errors/engines.ts'
import { fileErrors } from './errors/files.ts'
import { httpErrors } from './errors/http.ts'
import { jobErrors } from './errors/jobs.ts'
import { pageErrors } from './errors/pages.ts'
import { sessionErrors } from './errors/sessions.ts'
import { storeErrors } from './errors/store.ts'

interface ErrorEntry {
  /** One sentence for `docs/reference/errors.md`. */
  readonly summary: string
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable: boolean
  /** The status that HTTP adapters answer when the error reaches them. */
  readonly httpStatus: number
}

type Registry = typeof appErrors &
  typeof balancerErrors &
  typeof cacheErrors &
  typeof cliErrors &
  typeof cloneErrors &
  typeof coreErrors &
  typeof databaseErrors &
  typeof engineErrors &
  typeof fileErrors &
  typeof httpErrors &
  typeof jobErrors &
  typeof pageErrors &
  typeof sessionErrors &
  typeof storeErrors

export const errorRegistry: Registry = {
  ...appErrors,
  ...balancerErrors,
  ...cacheErrors,
  ...cliErrors,
  ...cloneErrors,
  ...coreErrors,
  ...databaseErrors,
  ...engineErrors,
  ...fileErrors,
  ...httpErrors,
  ...jobErrors,
  ...pageErrors,
  ...sessionErrors,
  ...storeErrors,
}

export type ErrorCode = keyof Registry

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
