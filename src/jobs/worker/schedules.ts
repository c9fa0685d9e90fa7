/**
 * Jobs by the clock of the database (croner says when). Every worker looks at every tick and tries to order its job; the tick is
 * recorded in the transaction that orders it, so one of them does, and there is none whose death could lose a tick. What was
 * missed, by whatever cause, is made up for once, by the first that looks.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { Cron } from 'croner'

import { FourfoldError } from '../../core/errors.ts'
import { orderOf } from '../order.ts'

import type { Logger } from '../../core/log.ts'
import type { ScheduleOptions } from '../define-job.ts'
import type { JobEngine } from '../engine.ts'
import type { Teller } from '../told.ts'
import type { KnownJob } from './hands.ts'

export interface JobSchedulesOptions {
  readonly engine: JobEngine
  readonly ready: () => Promise<void>
  readonly jobs: ReadonlyMap<string, KnownJob>
  readonly teller: Teller
  readonly log: Logger
}

const longestLateMs = 24 * 3_600_000
/** Timers are not that of the database's clock, and stand still while a host sleeps. */
const longestRestMs = 30_000
const firstRetryMs = 200
const lastRetryMs = 10_000

/** @throws FF_JOB_DEFINITION for what is no schedule */
export function checkJobSchedule({ definition, policy }: KnownJob): void {
  if (policy.schedule === null) return
  try {
    // Only then it looks at the time zone.
    cronOf(policy.schedule).nextRun()
  } catch (error) {
    const { name } = definition.contract
    const message = `The job ${name}: schedule: expected a cron expression and a time zone, got ${JSON.stringify(policy.schedule)}: ${(error as Error).message}`
    throw new FourfoldError('FF_JOB_DEFINITION', message, { cause: error, fields: { name } })
  }
}

/** Answers what stops it. */
export function startJobSchedules(options: JobSchedulesOptions): () => Promise<void> {
  const end = new AbortController()
  const following = [...options.jobs.values()].map(async (job) => {
    const { schedule } = job.policy
    if (schedule !== null) await new JobSchedule(options, job, schedule).follow(end.signal)
  })
  return async () => {
    end.abort()
    await Promise.all(following)
  }
}

/** The next times of a schedule. */
export function nextTicks(schedule: ScheduleOptions<unknown>, after: Date, count: number): readonly Date[] {
  return cronOf(schedule).nextRuns(count, after)
}

/** It only tells times. Lists and ranges are as fixed as single values where clocks are put forward and back. */
function cronOf({ cron, timeZone }: ScheduleOptions<unknown>): Cron {
  const zone = timeZone === undefined ? {} : { timezone: timeZone }
  return new Cron(cron, { ...zone, paused: true, fixedTimeRule: 'no-wildcard' })
}

class JobSchedule {
  readonly #options: JobSchedulesOptions
  readonly #job: KnownJob
  readonly #schedule: ScheduleOptions<unknown>
  readonly #cron: Cron
  readonly #beganMs = performance.now()
  /** Since when somebody looks, by the database's clock. */
  #sinceMs: number | null = null
  /** The last tick that nothing can be ordered for. */
  #refusedMs = -Infinity

  constructor(options: JobSchedulesOptions, job: KnownJob, schedule: ScheduleOptions<unknown>) {
    this.#options = options
    this.#job = job
    this.#schedule = schedule
    this.#cron = cronOf(schedule)
  }

  /** Until it is stopped, or no tick follows. */
  async follow(signal: AbortSignal): Promise<void> {
    let retryMs = firstRetryMs
    while (!signal.aborted) {
      let restMs: number
      try {
        restMs = await this.#look()
        retryMs = firstRetryMs
      } catch (error) {
        this.#options.log.warn(
          { error, job: this.#job.policy.name },
          'a job was not ordered by the clock: trying again',
        )
        restMs = retryMs
        retryMs = Math.min(lastRetryMs, 2 * retryMs)
      }
      if (restMs === Infinity) return
      await pause(restMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Orders for the last tick, unless somebody has. Answers when to look again; Infinity: never. */
  async #look(): Promise<number> {
    const { engine, ready } = this.#options
    await ready()
    const { atMs, nowMs } = await engine.lastTick(this.#job.policy.name)
    const askedMs = performance.now()
    this.#sinceMs ??= nowMs - (askedMs - this.#beganMs)
    // The tick of this very second is one.
    const [last] = this.#cron.previousRuns(1, new Date(Math.floor(nowMs / 1_000) * 1_000 + 1_000))
    const tickMs = last?.getTime() ?? -Infinity
    if (tickMs > Math.max(atMs, this.#refusedMs) && this.#isDue(tickMs, nowMs)) await this.#order(tickMs)
    const next = this.#cron.nextRun(new Date(nowMs))
    if (next === null) return Infinity
    return Math.max(1, Math.min(longestRestMs, next.getTime() - nowMs - (performance.now() - askedMs)))
  }

  /** What nobody lived to see is made up for, if it is not too old. */
  #isDue(tickMs: number, nowMs: number): boolean {
    if (tickMs >= this.#sinceMs!) return true
    return this.#schedule.catchUp !== false && nowMs - tickMs <= longestLateMs
  }

  async #order(tickMs: number): Promise<void> {
    const { engine, teller, log } = this.#options
    const { definition, policy } = this.#job
    const order = await orderOf(definition.contract, policy, this.#schedule.input ?? {}, null, {}).catch(
      (error: unknown) => {
        if (!(error instanceof FourfoldError) || error.code !== 'FF_JOB_INPUT') throw error
        log.error({ error }, 'a job is not ordered by the clock: its schedule’s input does not fit')
        return null
      },
    )
    if (order === null) return void (this.#refusedMs = tickMs)
    const ordered = await engine.tick(policy.name, tickMs, order)
    if (ordered === null) return
    log.debug({ job: policy.name, id: ordered.id, at: new Date(tickMs) }, 'a job was ordered by the clock')
    teller.call({ work: true })
  }
}
