/**
 * Bakes by the clock (croner). Every worker hears every tick and bakes what is its own; the order that it makes of a tick is
 * the same in all of them, so that a bucket which changes hands in between is baked by one of them.
 */

import { Cron } from 'croner'

import { FourfoldError } from '../../core/errors.ts'

import type { PageSource } from '../page-source.ts'

/** Ticks older than this are not made up for. */
const longestLateMs = 3_600_000

/** @throws FF_PAGE_DEFINITION */
export function checkSchedule(path: string, schedule: string): void {
  try {
    new Cron(schedule, { paused: true }).stop()
  } catch (error) {
    const message = `The page ${path}: schedule: expected a cron expression, got ${JSON.stringify(schedule)}: ${(error as Error).message}`
    throw new FourfoldError('FF_PAGE_DEFINITION', message, { cause: error, fields: { path } })
  }
}

export interface ScheduleOptions {
  readonly sources: readonly PageSource[]
  /** @param atMs of the tick; the same in every worker */
  readonly tick: (source: PageSource, atMs: number) => void
}

/** Answers what ends it. */
export function startSchedules({ sources, tick }: ScheduleOptions): () => void {
  const jobs = sources.flatMap((source) => {
    const { schedule } = source.definition
    if (schedule === undefined) return []
    return new Cron(schedule, { unref: true }, (job) => {
      const at = job.currentRun()
      if (at !== null) tick(source, Math.floor(at.getTime() / 1000) * 1000)
    })
  })
  return () => {
    for (const job of jobs) job.stop()
  }
}

/** The tick before now of each page: who comes late looks whether it was carried out to its end. */
export function lastTicks(sources: readonly PageSource[], nowMs: number): { source: PageSource; atMs: number }[] {
  return sources.flatMap((source) => {
    const { schedule } = source.definition
    if (schedule === undefined) return []
    const [last] = new Cron(schedule, { paused: true }).previousRuns(1, new Date(nowMs))
    const atMs = last?.getTime() ?? -Infinity
    return nowMs - atMs > longestLateMs ? [] : [{ source, atMs }]
  })
}
