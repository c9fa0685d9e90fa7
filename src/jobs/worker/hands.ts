/**
 * The jobs that a worker has: those that it runs, those that it took ahead, and those whose end is not recorded yet.
 *
 * Invariant: what is taken is held from before the claim's answer is acted on until its end is recorded.
 */

import { FourfoldError } from '../../core/errors.ts'
import { Ahead } from './ahead.ts'
import { runJob, type Outcome } from './run-job.ts'

import type { JobContext, JobDefinition } from '../define-job.ts'
import type { Claim, ClaimName } from '../engine.ts'
import type { JobPolicy } from '../policy.ts'
import type { Logger } from '../../core/log.ts'
import type { Held } from './held.ts'
import type { ProgressReports } from './progress.ts'
import type { Report } from './reports.ts'

/** A job that this worker knows. */
export interface KnownJob {
  readonly definition: JobDefinition
  readonly policy: JobPolicy
}

/** Runs a handler with the app's own tools, or in a thread. */
export interface JobRunner {
  /** What the job needs before its time begins to count. */
  prepare(job: KnownJob, context: Pick<JobContext<unknown>, 'id' | 'token' | 'signal'>): Promise<void>
  run(job: KnownJob, context: JobContext<unknown>): Promise<unknown>
  /** Ends what this job does in a thread; null: it has none. */
  kill(job: KnownJob, context: Pick<JobContext<unknown>, 'id' | 'token'>): (() => void) | null
}

export interface HandsOptions {
  readonly jobs: ReadonlyMap<string, KnownJob>
  readonly runner: JobRunner
  readonly concurrency: number
  /** How many of these run in threads at most. */
  readonly threads: number
  readonly progress: ProgressReports
  readonly report: (report: Report) => void
  /** A place is free. */
  readonly freed: () => void
  readonly log: Logger
}

/** What was taken ahead and not begun for so long is given to others. */
const longestReadyMs = 1_000
/** The same where nothing was begun for so long. */
const longestQuietMs = 250

export class Hands {
  readonly #options: HandsOptions
  readonly #held = new Map<string, Held>()
  readonly #ready: Held[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #ahead = new Ahead()
  /** Nothing is begun any more. */
  #draining = false
  /** When it last began one. */
  #begunAtMs = -Infinity
  /** How many attempts were begun. */
  begun = 0

  constructor(options: HandsOptions) {
    this.#options = options
  }

  /** How many are in its hands. */
  get size(): number {
    return this.#held.size
  }

  /** How many more are to be taken. */
  room(): number {
    if (this.#draining) return 0
    const { concurrency } = this.#options
    const busy = this.#running.size + this.#ready.length
    const ahead = this.#ahead.of(concurrency, performance.now() - this.#begunAtMs)
    // Asked for in larger lots: not whenever one of many has ended.
    const room = concurrency + ahead - busy
    return busy > concurrency && room < ahead / 2 ? 0 : room
  }

  /** Those that are free, or else the next one that will be. */
  roomForRated(): number {
    const taken = this.#ready.filter((held) => this.#isRated(held)).length
    return Math.max(1, this.#options.concurrency - this.#running.size) - taken
  }

  /** How many more of those that run in threads. */
  roomForThreads(): number {
    const { jobs, threads } = this.#options
    const busy = [...this.#held.values()].filter(({ claim, state }) => {
      return state !== 'ending' && jobs.get(claim.name)!.policy.thread
    })
    return threads - busy.length
  }

  /** The ids of those that are held under a worker's name. */
  of(worker: string): readonly string[] {
    return [...this.#held.values()].filter((one) => one.worker === worker).map(({ claim }) => claim.id)
  }

  take(claims: readonly Claim[], worker: string): void {
    const nowMs = performance.now()
    const taken = claims.map((claim): Held => {
      return { claim, worker, takenAtMs: nowMs, controller: new AbortController(), state: 'ready' }
    })
    for (const held of taken) this.#held.set(held.claim.id, held)
    // By their rate they have begun.
    const first = taken.filter((held) => this.#isRated(held))
    this.#ready.unshift(...first)
    this.#ready.push(...taken.filter((held) => !first.includes(held)))
    if (this.#draining) this.#handBackReady()
    this.#begin()
  }

  /** @param claim a job, whoever has it; of this claim alone where it names one */
  cancel({ id, token }: { readonly id: string; readonly token?: number }): void {
    const held = this.#held.get(id)
    if (held === undefined || (token !== undefined && held.claim.token !== token)) return
    held.controller.abort(new FourfoldError('FF_JOB_CANCELLED', 'Somebody has cancelled the job', { fields: { id } }))
    const at = this.#ready.indexOf(held)
    if (at < 0) return
    this.#ready.splice(at, 1)
    held.state = 'ending'
    this.#report(held, { kind: 'cancelled' })
  }

  /** Its end is recorded, or refused. Answers the claim, where it is still held. */
  forget({ id, token }: ClaimName): Claim | null {
    const held = this.#held.get(id)
    if (held?.claim.token !== token) return null
    this.#held.delete(id)
    return held.claim
  }

  /** The claim that is held of a job. */
  claimOf(id: string): Claim | null {
    return this.#held.get(id)?.claim ?? null
  }

  /** What was taken ahead and has waited for too long is given to others. */
  look(): void {
    const nowMs = performance.now()
    const isStuck = nowMs - this.#begunAtMs > longestQuietMs
    const longestMs = isStuck ? longestQuietMs : longestReadyMs
    if (this.#ready.some(({ takenAtMs }) => nowMs - takenAtMs > longestMs)) this.#handBackReady()
  }

  /** All that is held under this name is, or will be, another's. Answers how many. */
  lose(worker: string): number {
    const lost = new FourfoldError('FF_JOB_LOST', 'The lease of this worker was over: the job is another one’s by now')
    const held = [...this.#held].filter(([, one]) => one.worker === worker)
    this.#ready.splice(0)
    for (const [id, { controller, state }] of held) {
      controller.abort(lost)
      // What it says once more of those that have ended is refused, and counted.
      if (state !== 'ending') this.#held.delete(id)
    }
    return held.length
  }

  /** Nothing is begun any more, and what was not begun is handed back. */
  drain(): void {
    this.#draining = true
    this.#handBackReady()
  }

  abort(reason: FourfoldError): void {
    for (const { controller } of this.#held.values()) controller.abort(reason)
  }

  /** Until no handler runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running)
  }

  #isRated({ claim }: Held): boolean {
    return this.#options.jobs.get(claim.name)!.policy.rate !== null
  }

  #begin(): void {
    while (this.#running.size < this.#options.concurrency && !this.#draining) {
      const held = this.#ready.shift()
      if (held === undefined) return
      const running = this.#run(held).finally(() => {
        this.#running.delete(running)
        this.#begin()
        this.#options.freed()
      })
      this.#running.add(running)
    }
  }

  async #run(held: Held): Promise<void> {
    const { claim } = held
    const job = this.#options.jobs.get(claim.name)!
    held.state = 'running'
    this.begun += 1
    const beganMs = performance.now()
    this.#begunAtMs = beganMs
    const outcome = claim.cancelled ? ({ kind: 'cancelled' } as const) : await this.#attempt(held, job)
    this.#ahead.took(performance.now() - beganMs)
    held.state = 'ending'
    const message = this.#options.progress.forget(held)
    this.#report(held, outcome, message)
  }

  async #attempt(held: Held, job: KnownJob): Promise<Outcome> {
    const { runner, progress, log } = this.#options
    const { id, token, attempt, owner, name } = held.claim
    const { definition, policy } = job
    const call = async (input: unknown): Promise<unknown> =>
      await runner.run(job, {
        ...{ input, id, token, attempt, owner },
        signal: held.controller.signal,
        progress: (fraction, message) => {
          if (held.state === 'running') progress.tell(held, fraction, message)
        },
        log: log.child({ job: name, id }),
      })
    const prepare = (): Promise<void> => runner.prepare(job, { id, token, signal: held.controller.signal })
    return await runJob({ definition, policy, held, prepare, call, kill: runner.kill(job, { id, token }) })
  }

  /** @param message what it said last, where that is not written yet */
  #report(held: Held, outcome: Outcome, message?: string): void {
    const { report, log } = this.#options
    const { worker, claim } = held
    const { id, token } = claim
    // It is another's by now, or was dropped with the lease: there is nothing to say.
    if (this.#held.get(id) !== held) return
    if (outcome.kind === 'left') return this.#handBack(held)
    if (outcome.kind === 'cancelled') return report({ kind: 'cancelled', worker, what: { id, token } })
    if (outcome.kind === 'done') {
      const { output } = outcome
      return report({ kind: 'done', worker, what: { id, token, output, ...(message !== undefined && { message }) } })
    }
    const { error, retryMs } = outcome
    log[retryMs === null ? 'error' : 'warn'](
      { job: claim.name, id, attempt: error.attempt, error, retryMs },
      retryMs === null ? 'a job has failed' : 'an attempt of a job failed',
    )
    report({ kind: 'failed', worker, what: { id, token, error, retryMs } })
  }

  #handBackReady(): void {
    for (const held of this.#ready.splice(0)) this.#handBack(held)
  }

  #handBack(held: Held): void {
    const { id, token } = held.claim
    held.state = 'ending'
    this.#options.report({ kind: 'back', worker: held.worker, what: { id, token } })
  }
}
