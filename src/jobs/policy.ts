/** What a contract says, with its defaults, in milliseconds and checked. */

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'

import type { Level } from '../freshness/level.ts'
import type { JobContract, ScheduleOptions, UniqueOptions } from './define-job.ts'

export interface Rate {
  readonly limit: number
  readonly perMs: number
}

export interface JobPolicy {
  readonly name: string
  /** The first attempt and those that may follow. */
  readonly attempts: number
  readonly firstRetryMs: number
  readonly factor: number
  readonly longestRetryMs: number
  readonly timeoutMs: number
  /** At once in the whole cluster; null: no limit. */
  readonly limit: number | null
  readonly perKey: number | null
  readonly rate: Rate | null
  readonly priority: number
  readonly unique: UniqueOptions<unknown> | null
  readonly schedule: ScheduleOptions<unknown> | null
  readonly level: Level
  readonly thread: boolean
}

export const maxPriority = 100
const defaultRetries = 10
const maxRetries = 1_000
const defaultTimeoutMs = 15 * 60_000
const longestMs = 2 ** 31 - 1

/** @throws FF_JOB_DEFINITION */
export function policyOf(contract: JobContract): JobPolicy {
  const { name, input, retry = defaultRetries, timeout = defaultTimeoutMs, concurrency, rateLimit } = contract
  const check = checksOf(name)
  check(typeof name === 'string' && /^[\w.-]{1,100}$/.test(name), 'a name of letters, digits, "-", "_" and "."')
  check(typeof input?.['~standard']?.validate === 'function', 'input: a schema of a Standard Schema library')
  const retries = typeof retry === 'number' ? { limit: retry } : retry
  const { limit = defaultRetries, first = 1_000, factor = 2, longest = 3_600_000 } = retries
  check(isWhole(limit, 0, maxRetries), `retry: a whole number from 0 to ${maxRetries}`)
  check(factor >= 1 && Number.isFinite(factor), 'retry.factor: a number from 1')
  const timeoutMs = parseDuration(timeout, `job ${name}: timeout`)
  check(timeoutMs > 0 && timeoutMs <= longestMs, 'timeout: more than nothing, and at most 24 days')
  const limits = typeof concurrency === 'number' ? { limit: concurrency } : (concurrency ?? {})
  for (const [field, value] of Object.entries(limits)) {
    check(isWhole(value, 1, 1_000_000), `concurrency.${field}: a whole number from 1`)
  }
  const { priority = 0, level = 'strict', thread = false } = contract
  check(isPriority(priority), `priority: a whole number from -${maxPriority} to ${maxPriority}`)
  return {
    name,
    attempts: limit + 1,
    firstRetryMs: parseDuration(first, `job ${name}: retry.first`),
    factor,
    longestRetryMs: parseDuration(longest, `job ${name}: retry.longest`),
    timeoutMs,
    limit: limits.limit ?? null,
    perKey: limits.perKey ?? null,
    rate: rateLimit === undefined ? null : rateOf(rateLimit, name, check),
    priority,
    unique: uniqueOf(contract),
    schedule: scheduleOf(contract),
    level,
    thread,
  }
}

export function isPriority(value: number): boolean {
  return isWhole(value, -maxPriority, maxPriority)
}

/** How long a job waits after its failed attempt of this number, from 1: longer each time, a tenth more or less. */
export function retryAfterMs(policy: JobPolicy, attempt: number, random: () => number = Math.random): number {
  const waitMs = Math.min(policy.firstRetryMs * policy.factor ** (attempt - 1), policy.longestRetryMs)
  return Math.round(waitMs * (0.9 + 0.2 * random()))
}

type Check = (right: boolean, expected: string) => void

function checksOf(name: unknown): Check {
  return (right, expected) => {
    if (right) return
    const message = `The job ${JSON.stringify(name)}: expected ${expected}`
    throw new FourfoldError('FF_JOB_DEFINITION', message, { fields: { name } })
  }
}

function rateOf({ limit, per }: NonNullable<JobContract['rateLimit']>, name: string, check: Check): Rate {
  const perMs = parseDuration(per, `job ${name}: rateLimit.per`)
  check(isWhole(limit, 1, 1_000_000) && perMs > 0, 'rateLimit: a limit from 1, and a time in which it counts')
  return { limit, perMs }
}

function uniqueOf({ unique }: JobContract): JobPolicy['unique'] {
  if (unique === undefined || unique === false) return null
  if (unique === true) return {}
  return typeof unique === 'function' ? { by: unique } : unique
}

function scheduleOf({ schedule }: JobContract): JobPolicy['schedule'] {
  if (schedule === undefined) return null
  return typeof schedule === 'string' ? { cron: schedule } : schedule
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}
