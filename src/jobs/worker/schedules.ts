/**
 * Jobs by the clock (croner). Every worker hears every tick and tries to order its job; the tick is recorded in the transaction that
 * orders it, so one of them does, and there is none whose death could lose a tick. What no worker lived to see is made up
 * for once, by the first that comes.
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
const firstRetryMs = 200
const lastRetryMs = 10_000

/** @throws FF_JOB_DEFINITION for what is no schedule */
export function checkJobSchedule({ definition, policy }: KnownJob): void {
  if (policy.schedule === null) return
  try {
    cronOf(policy.schedule).stop()
  } catch (error) {
    const { name } = definition.contract
    const message = `The job ${name}: schedule: expected a cron expression and a time zone, got ${JSON.stringify(policy.schedule)}: ${(error as Error).message}`
    throw new FourfoldError('FF_JOB_DEFINITION', message, { cause: error, fields: { name } })
  }
}

/** Answers what stops it. */
export function startJobSchedules(options: JobSchedulesOptions): () => Promise<void> {
  const end = new AbortController()
  const running = new Set<Promise<void>>()
  const run = (work: Promise<void>): void => {
    const one = work.finally(() => running.delete(one))
    running.add(one)
  }
  const crons = [...options.jobs.values()].flatMap((job) => {
    const { schedule } = job.policy
    if (schedule === null) return []
    run(makeUp(options, job, schedule, end.signal))
    return cronOf(schedule, (atMs) => run(tick(options, job, schedule, atMs, end.signal)))
  })
  return async () => {
    for (const cron of crons) cron.stop()
    end.abort()
    while (running.size > 0) await Promise.all(running)
  }
}

/** The next times of a schedule. */
export function nextTicks(schedule: ScheduleOptions<unknown>, after: Date, count: number): readonly Date[] {
  return cronOf(schedule).nextRuns(count, after)
}

/** Paused, where nobody is to hear it. */
function cronOf({ cron, timeZone }: ScheduleOptions<unknown>, heard?: (atMs: number) => void): Cron {
  const settings = { unref: true, ...(timeZone !== undefined && { timezone: timeZone }) }
  if (heard === undefined) return new Cron(cron, { ...settings, paused: true })
  return new Cron(cron, settings, (job: Cron) => {
    // The tick, and not when it is heard: a process that was busy or paused at it hears it later than others.
    const heardAt = job.currentRun() ?? new Date()
    const [at] = job.previousRuns(1, new Date(Math.floor(heardAt.getTime() / 1000) * 1000 + 1000))
    if (at !== undefined) heard(at.getTime())
  })
}

/** The last tick before now, where it was recorded by nobody; a schedule that is new has missed none. */
async function makeUp(
  options: JobSchedulesOptions,
  job: KnownJob,
  schedule: ScheduleOptions<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const begunMs = await untilDone(options, signal, () => options.engine.lastTick(job.policy.name))
  if (begunMs === undefined || begunMs === null || schedule.catchUp === false) return
  const [last] = cronOf(schedule).previousRuns(1, new Date())
  const atMs = last?.getTime() ?? -Infinity
  if (atMs <= begunMs || Date.now() - atMs > longestLateMs) return
  await tick(options, job, schedule, atMs, signal)
}

async function tick(
  options: JobSchedulesOptions,
  { definition, policy }: KnownJob,
  schedule: ScheduleOptions<unknown>,
  atMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { engine, teller, log } = options
  await untilDone(options, signal, async () => {
    const order = await orderOf(definition.contract, policy, schedule.input ?? {}, null, {})
    const ordered = await engine.tick(policy.name, atMs, order)
    if (ordered === null) return
    log.debug({ job: policy.name, id: ordered.id, at: new Date(atMs) }, 'a job was ordered by the clock')
    teller.call({ work: true })
  })
}

/** Undefined: it was stopped before, or it is no use to try. */
async function untilDone<T>(
  { ready, log }: JobSchedulesOptions,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | undefined> {
  for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(lastRetryMs, 2 * waitMs)) {
    try {
      await ready()
      return await work()
    } catch (error) {
      if (error instanceof FourfoldError && error.code === 'FF_JOB_INPUT') {
        log.error({ error }, 'a job is not ordered by the clock: its schedule’s input does not fit')
        return undefined
      }
      log.warn({ error }, 'a job was not ordered by the clock: trying again')
      await pause(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return undefined
}
