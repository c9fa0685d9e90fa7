/** How far jobs are, written in one statement for all of a worker's, four times a second at most; the newest counts. */

import type { JobEngine } from '../engine.ts'
import type { Logger } from '../../core/log.ts'
import type { Held } from './held.ts'

interface Told {
  readonly progress: number
  readonly message: string | null
}

const everyMs = 250
const longestMessage = 500

export class ProgressReports {
  readonly #engine: JobEngine
  readonly #written: (ids: readonly string[]) => void
  readonly #log: Logger
  #told = new Map<Held, Told>()
  #timer: NodeJS.Timeout | null = null
  #atMs = -Infinity
  #writing: Promise<void> | null = null

  /** @param written told of the jobs whose progress can be seen now */
  constructor(engine: JobEngine, written: (ids: readonly string[]) => void, log: Logger) {
    this.#engine = engine
    this.#written = written
    this.#log = log
  }

  tell(held: Held, fraction: number, message?: string): void {
    // What is no number says nothing about how far it is.
    const progress = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0
    this.#told.set(held, { progress, message: message === undefined ? null : String(message).slice(0, longestMessage) })
    if (this.#writing === null) this.#schedule()
  }

  /** It has ended. Answers what it said last, where that is not written yet. */
  forget(held: Held): string | undefined {
    const message = this.#told.get(held)?.message ?? undefined
    this.#told.delete(held)
    return message
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#told.clear()
    await this.#writing
  }

  /** The first is written at once. */
  #schedule(): void {
    const waitMs = Math.max(0, this.#atMs + everyMs - performance.now())
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.#writing = this.#write().finally(() => {
        this.#writing = null
        if (this.#told.size > 0) this.#schedule()
      })
    }, waitMs)
  }

  async #write(): Promise<void> {
    this.#atMs = performance.now()
    const told = this.#told
    this.#told = new Map()
    const byWorker = Map.groupBy(told, ([{ worker }]) => worker)
    for (const [worker, some] of byWorker) {
      const rows = some.map(([{ claim }, progress]) => ({ id: claim.id, token: claim.token, ...progress }))
      try {
        const answers = await this.#engine.progress(worker, rows)
        this.#written(answers.flatMap((answer) => ('lost' in answer ? [] : answer.id)))
      } catch (error) {
        this.#log.debug({ error }, 'the progress of jobs was not written')
      }
    }
  }
}
