/**
 * What a worker says of its jobs, in batches: while one statement is under way, what comes meanwhile gathers for the next.
 * Nothing waits for a batch to be full.
 *
 * What the database could not take is said again until it can, or until the worker ends. Said twice it counts once.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { sqlState } from '../../engines/postgres/client.ts'

import type { ClaimName, Completed, Failed, JobEngine, Recorded } from '../engine.ts'
import type { Logger } from '../../core/log.ts'

export type Report =
  | { readonly kind: 'done'; readonly worker: string; readonly what: Completed }
  | { readonly kind: 'failed'; readonly worker: string; readonly what: Failed }
  | { readonly kind: 'cancelled' | 'back'; readonly worker: string; readonly what: ClaimName }

export interface ReportsOptions {
  readonly engine: JobEngine
  /** Told of each that was recorded, or refused because the job is not the worker's any more. */
  readonly recorded: (report: Report, answer: Recorded) => void
  /** Told of one that the database does not take, whatever is done. */
  readonly refused: (report: Report, error: unknown) => void
  readonly log: Logger
}

const most = 500
/** Of outputs, in characters: more would take a statement's time, or be longer than a text can be. */
const mostCharacters = 4 * 1024 * 1024
const firstRetryMs = 50
const lastRetryMs = 2_000

export class Reports {
  readonly #options: ReportsOptions
  readonly #queues = new Map<string, Report[]>()
  readonly #running = new Set<Promise<void>>()
  readonly #end = new AbortController()

  constructor(options: ReportsOptions) {
    this.#options = options
  }

  /** How many are not recorded yet. */
  size = 0

  add(report: Report): void {
    this.size += 1
    const lane = `${report.kind} ${report.worker}`
    const queue = this.#queues.get(lane)
    if (queue !== undefined) return void queue.push(report)
    const reports = [report]
    this.#queues.set(lane, reports)
    const running = this.#drain(lane, reports).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Until all that was said is recorded, or until the signal is aborted: then it is given up. */
  async settle(signal: AbortSignal): Promise<void> {
    const end = (): void => this.#end.abort()
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    while (this.#running.size > 0) await Promise.all(this.#running)
    signal.removeEventListener('abort', end)
  }

  async #drain(lane: string, queue: Report[]): Promise<void> {
    // What ends in the same step goes together.
    await Promise.resolve()
    while (queue.length > 0) {
      const batch = queue.splice(0, lotOf(queue))
      await this.#tell(batch)
      this.size -= batch.length
    }
    this.#queues.delete(lane)
  }

  async #tell(batch: readonly Report[]): Promise<void> {
    const { recorded, refused } = this.#options
    try {
      const answers = await this.#send(batch)
      batch.forEach((report, at) => answers !== null && recorded(report, answers[at]!))
    } catch (error) {
      // One of them is to blame.
      if (batch.length > 1) for (const report of batch) await this.#tell([report])
      else refused(batch[0]!, error)
    }
  }

  /** @throws what no further try would change */
  async #send(batch: readonly Report[]): Promise<readonly Recorded[] | null> {
    const { log } = this.#options
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(lastRetryMs, 2 * waitMs)) {
      try {
        return await this.#record(batch)
      } catch (error) {
        // Data that the server cannot take, or a limit of its: SQLSTATE classes 22, 23 and 54.
        if (/^(?:22|23|54)/.test(sqlState(error) ?? '')) throw error
        if (this.#end.signal.aborted) {
          log.warn({ error, jobs: batch.length }, 'the end of jobs was not recorded: they are done again')
          return null
        }
        log.debug({ error }, 'the end of jobs was not recorded: trying again')
        await pause(waitMs, undefined, { signal: this.#end.signal }).catch(() => undefined)
      }
    }
  }

  async #record(batch: readonly Report[]): Promise<readonly Recorded[]> {
    const { engine } = this.#options
    const { kind, worker } = batch[0]!
    const what = batch.map((report) => report.what)
    if (kind === 'done') return await engine.complete(worker, what as Completed[])
    if (kind === 'failed') return await engine.fail(worker, what as Failed[])
    if (kind === 'cancelled') return await engine.endCancelled(worker, what)
    return await engine.handBack(worker, what)
  }
}

/** How many go together. */
function lotOf(queue: readonly Report[]): number {
  let characters = 0
  const end = queue.findIndex((report, at) => {
    characters += report.kind === 'done' ? (report.what.output?.length ?? 0) : 0
    return at >= most || (at > 0 && characters > mostCharacters)
  })
  return end < 0 ? queue.length : end
}
