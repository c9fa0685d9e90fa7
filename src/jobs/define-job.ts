/**
 * What a job is: its contract, which says what is ordered and what comes of it, and its handler, which does it. Both are
 * plain values, free of connections. The contract holds no code that does the work, so that what orders the job, a browser's
 * types included, need not have it.
 */

import type { Logger } from '../core/log.ts'
import type { Level } from '../freshness/level.ts'
import type { StandardSchema } from './standard-schema.ts'

/** What an attempt that failed is followed by. */
export interface RetryOptions {
  /** How many attempts may follow the first. Default: 10. */
  readonly limit?: number
  /** How long the first of them waits. Default: `'1s'`. */
  readonly first?: number | string
  /** How many times longer each waits than the one before. Default: 2. */
  readonly factor?: number
  /** How long any of them waits at most. Default: `'1h'`. */
  readonly longest?: number | string
}

export interface ConcurrencyOptions {
  /** At most so many of this job at once, in the whole cluster. Default: no limit. */
  readonly limit?: number
  /** At most so many at once of those that were ordered with the same `key`. Default: no limit. */
  readonly perKey?: number
}

export interface RateLimitOptions {
  /** At most so many begin within `per`, in the whole cluster. */
  readonly limit: number
  readonly per: number | string
}

export interface UniqueOptions<Input> {
  /** What makes two orders the same. Default: the whole input. */
  readonly by?: (input: Input) => string | number
  /**
   * Until when an order stands in for another. `start`: until a worker has taken the job; one that a worker gives back
   * stands in for none. `end`: until it is finished. Default: `end`.
   */
  readonly until?: 'start' | 'end'
}

export interface ScheduleOptions<Input> {
  /** Five fields, or six with seconds first. */
  readonly cron: string
  /** An IANA name: `Europe/Berlin`. Default: that of the worker's host. */
  readonly timeZone?: string
  /** Default: an empty object. */
  readonly input?: Input
  /** Whether the last tick that no worker lived to see is made up for, if it is no older than a day. Default: true. */
  readonly catchUp?: boolean
}

export interface JobOptions<Input, Parsed, Output> {
  /** Unique in the app: letters, digits, `-`, `_` and `.`, at most 100. */
  readonly name: string
  /** Of any Standard Schema library. Inputs travel as JSON and are checked when they are ordered and when they are begun. */
  readonly input: StandardSchema<Input, Parsed>
  /** Default: anything that is JSON. */
  readonly output?: StandardSchema<Output, unknown>
  /** How many more attempts follow one that failed, or how. Default: 10. */
  readonly retry?: number | RetryOptions
  /** Of one attempt. Default: `'15m'`. */
  readonly timeout?: number | string
  readonly concurrency?: number | ConcurrencyOptions
  readonly rateLimit?: RateLimitOptions
  /** −100 to 100, where an order says none. Each step counts like a minute of waiting. Default: 0. */
  readonly priority?: number
  /** While such an order is not finished, another one like it is answered with the first. */
  readonly unique?: boolean | ((input: Input) => string | number) | UniqueOptions<Input>
  /** A cron expression: it is ordered at each of its times, once in the cluster. */
  readonly schedule?: string | ScheduleOptions<Input>
  /** How fresh its reads are. Default: `strict`. At `session`: as fresh as whoever ordered it at least. */
  readonly level?: Level
  /** Runs in a thread of its own. Default: false. */
  readonly thread?: boolean
}

/** What a handler is given besides the app's own tools. */
export interface JobContext<Input> {
  readonly input: Input
  readonly id: string
  /** Counts from 1. */
  readonly attempt: number
  /** Rises with each attempt of this job: for systems outside that can refuse an older one. */
  readonly token: number
  /** The reader who ordered it, or null. */
  readonly owner: string | null
  /** Aborted when the time is over, somebody cancels it, the worker stops, or the job is another worker's by now. */
  readonly signal: AbortSignal
  /** Tells how far it is: 0 to 1. Cheap: what is newest is written, four times a second at most. */
  progress(fraction: number, message?: string): void
  readonly log: Logger
}

export type JobHandler<Input, Output, Tools> = (
  job: JobContext<Input> & Tools,
) => Output | Promise<Output> | (Output extends null | undefined ? void | Promise<void> : never)

export interface JobContract<Input = any, Parsed = any, Output = any, Tools = any> extends Readonly<
  JobOptions<Input, Parsed, Output>
> {
  readonly kind: 'job'
  /** Says how it is done. For `defineApp({ jobs: […] })`. */
  handle(run: JobHandler<Parsed, Output, Tools>): JobDefinition
}

export interface JobDefinition {
  readonly kind: 'job-handler'
  readonly contract: JobContract
  readonly run: JobHandler<any, any, any>
}

/** The input that a contract's orders take. */
export type InputOf<Contract> = Contract extends JobContract<infer Input, any, any, any> ? Input : never
/** What comes of a contract's job. */
export type OutputOf<Contract> = Contract extends JobContract<any, any, infer Output, any> ? Output : never

/** Declares a job; without schemas its tools are of type `any`. See `define` for a typed one. */
export function defineJob<Input, Parsed = Input, Output = null>(
  options: JobOptions<Input, Parsed, Output>,
): JobContract<Input, Parsed, Output> {
  const contract: JobContract<Input, Parsed, Output> = Object.freeze({
    ...options,
    kind: 'job' as const,
    handle: (run: JobHandler<Parsed, Output, any>): JobDefinition =>
      Object.freeze({ kind: 'job-handler' as const, contract, run }),
  })
  return contract
}

/** Among a job's errors: of what was thrown as {@link JobFailure}. */
export const failureCode: string = 'JOB_FAILURE'

/** Thrown by a handler: the job has failed, and no further attempt would help. Its owner is told the message. */
export class JobFailure extends Error {
  override readonly name = 'JobFailure'
}
