/** From what an app orders to the row that is written: checked before anything is. */

import { createHash } from 'node:crypto'

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { jsonOf, parse } from './payload.ts'
import { isPriority, maxPriority, type JobPolicy } from './policy.ts'

import type { JobContract } from './define-job.ts'
import type { NewJob } from './engine.ts'

export interface OrderOptions {
  /** Not before so long from now: `'10m'`, or ms. */
  readonly delay?: number | string
  /** Not before this moment, by the database's clock as far as this process's agrees with it. */
  readonly runAt?: Date
  /** −100 to 100; each step counts like a minute of waiting. Default: the job's. */
  readonly priority?: number
  /** What it is about, such as `user:7`: see `concurrency.perKey`. */
  readonly key?: string
}

const longestDelayMs = 10 * 365 * 24 * 3_600_000

/** The row of an order. */
export async function orderOf(
  job: JobContract,
  policy: JobPolicy,
  input: unknown,
  owner: string | null,
  options: OrderOptions,
): Promise<NewJob> {
  const what = `The input of ${policy.name}`
  const text = jsonOf(input, what, 'FF_JOB_INPUT')
  // As the worker will see it: a Date has become a text by then.
  const seen: unknown = JSON.parse(text)
  await parse(job.input, seen, what, 'FF_JOB_INPUT')
  const { priority = policy.priority, key = null } = options
  if (!isPriority(priority)) {
    const message = `The priority of an order: expected a whole number from -${maxPriority} to ${maxPriority}, got ${priority}`
    throw new FourfoldError('FF_JOB_INPUT', message)
  }
  if (key !== null && (typeof key !== 'string' || key === '' || key.length > 200 || key.includes('\0'))) {
    throw new FourfoldError('FF_JOB_INPUT', 'The key of an order: expected a text of 1 to 200 characters')
  }
  return {
    ...{ name: policy.name, input: text, owner, key, priority },
    uniqueKey: uniqueKeyOf(policy, seen),
    delayMs: delayOf(options),
    attempts: policy.attempts,
  }
}

function delayOf({ delay, runAt }: OrderOptions): number {
  if (runAt !== undefined && typeof runAt?.getTime !== 'function') {
    throw new FourfoldError('FF_JOB_INPUT', `runAt: expected a Date, got ${typeof runAt}`)
  }
  const ms =
    runAt === undefined ? (delay === undefined ? 0 : parseDuration(delay, 'delay')) : runAt.getTime() - Date.now()
  if (ms <= longestDelayMs) return Math.max(0, ms)
  throw new FourfoldError('FF_JOB_INPUT', 'delay, runAt: expected a moment within the next ten years')
}

function uniqueKeyOf({ unique }: JobPolicy, input: unknown): string | null {
  if (unique === null) return null
  const by = unique.by?.(input) ?? sortedText(input)
  const hash = createHash('sha256').update(String(by)).digest('base64url')
  return `${unique.until ?? 'end'}:${hash}`
}

/** The same for what is the same, in whatever order its fields stand. */
function sortedText(input: unknown): string {
  return JSON.stringify(input, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  )
}
