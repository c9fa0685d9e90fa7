/**
 * What does jobs, in one process: takes them, runs them, tells how they ended. Why none is lost and none is completed
 * twice: docs/decisions/037-jobs.md.
 *
 * Invariants:
 * - What is taken is in `#held` from before the claim's answer is acted on until its end is recorded.
 * - Claims and heartbeats never overlap: a heartbeat hands back what it does not know.
 * - Nothing here is right because a lease lasts.
 */

import { FourfoldError } from '../../core/errors.ts'
import { Ahead } from './ahead.ts'
import { Reports, type Report } from './reports.ts'
import { ProgressReports } from './progress.ts'
import { jobErrorOf, runJob, type Outcome } from './run-job.ts'
import { Turns } from './turns.ts'
import { Hearing } from './hearing.ts'
import { Lease } from './lease.ts'

import type { JobContext, JobDefinition } from '../define-job.ts'
import type { CallListener, Claim, JobEngine, Recorded } from '../engine.ts'
import type { JobPolicy } from '../policy.ts'
import type { Logger } from '../../core/log.ts'
import type { Call, Teller } from '../told.ts'
import type { Held } from './held.ts'

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

export interface JobWorkerOptions {
  readonly engine: JobEngine
  readonly jobs: ReadonlyMap<string, KnownJob>
  readonly runner: JobRunner
  readonly teller: Teller
  /** Listens to calls until it is stopped by what it answers. */
  readonly listen: (listener: CallListener) => () => Promise<void>
  /** For people who look at the table. */
  readonly name: string
  readonly concurrency: number
  /** How many of these run in threads at most. */
  readonly threads: number
  /** Another worker takes over within so long what this one had. */
  readonly recoverWithinMs: number
  /** What runs when the worker stops has so long to end. */
  readonly graceMs: number
  readonly log: Logger
}

/** Since the worker began. */
export interface JobWorkerCounts {
  begun: number
  done: number
  failed: number
  /** What was said of jobs that are not this worker's any more, and was refused. */
  refused: number
}

const pollMs = 1_000
/** Where calls are not heard. */
const deafPollMs = 200
const lookMs = 200
/** What was taken ahead and not begun for so long is given to others. */
const longestReadyMs = 1_000
/** The same where nothing was begun for so long. */
const longestQuietMs = 250
const recordWithinMs = 5_000
/** Ends that are not recorded yet: with more of them the database is what is slow. */
const mostReports = 1_000

export class JobWorker {
  readonly counts: JobWorkerCounts = { begun: 0, done: 0, failed: 0, refused: 0 }
  readonly #options: JobWorkerOptions
  readonly #held = new Map<string, Held>()
  readonly #ready: Held[] = []
  readonly #reports: Reports
  readonly #progress: ProgressReports
  readonly #ahead = new Ahead()
  readonly #turns: Turns
  readonly #lease: Lease
  readonly #hearing: Hearing
  readonly #running = new Set<Promise<void>>()
  /** Raised when it stops: nothing is taken any more. */
  #draining = false
  #stopping: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined
  /** When it last began one. */
  #begunAtMs = -Infinity

  constructor(options: JobWorkerOptions) {
    const { engine, teller, log } = options
    this.#options = options
    this.#reports = new Reports({
      engine,
      recorded: (report, answer) => this.#recorded(report, answer),
      refused: (report, error) => this.#unstorable(report, error),
      log,
    })
    this.#progress = new ProgressReports(engine, (ids) => teller.tell(ids), log)
    this.#turns = new Turns({
      engine,
      jobs: options.jobs,
      room: () => this.#room(),
      roomForRated: () => this.#roomForRated(),
      roomForThreads: () => this.#roomForThreads(),
      locked: (work) => this.#lease.locked(work),
      worker: () => this.#lease.worker(),
      took: (claims, worker) => this.#took(claims, worker),
      log,
    })
    this.#lease = new Lease({
      ...{ engine, name: options.name, recoverWithinMs: options.recoverWithinMs, log },
      held: (worker) => [...this.#held.values()].filter((one) => one.worker === worker).map(({ claim }) => claim.id),
      cancel: (claims) => {
        for (const { id, token } of claims) if (this.#held.get(id)?.claim.token === token) this.#cancel(id)
      },
      lost: (worker) => this.#lost(worker),
      recovered: () => {
        teller.call({ work: true })
        this.#turns.wake(true)
      },
    })
    this.#hearing = new Hearing({
      listen: options.listen,
      probe: () => teller.call({ probe: true }),
      hear: (call) => this.#hear(call),
      missed: () => this.#turns.wake(true, true),
      deaf: (isDeaf) => {
        this.#turns.pollMs = isDeaf ? deafPollMs : pollMs
        this.#turns.wake(true)
      },
      log,
    })
  }

  /** May be called twice. */
  start(): void {
    if (this.#timer !== undefined || this.#stopping !== null) return
    this.#hearing.start()
    this.#lease.start()
    this.#timer = setInterval(() => this.#look(), lookMs)
    this.#turns.start(pollMs)
  }

  /** Nothing more is begun; what runs has its time to end, is told to, and is handed back. May be called twice. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  /** How many are in its hands. */
  get size(): number {
    return this.#held.size
  }

  async #stop(): Promise<void> {
    const { graceMs } = this.#options
    this.#draining = true
    const deadline = AbortSignal.timeout(graceMs)
    // A claim may be under way: what comes of it is handed back.
    const claimed = this.#turns.stop()
    for (const held of this.#ready.splice(0)) this.#handBack(held)
    await Promise.race([Promise.all([claimed, this.#idle()]), aborted(deadline)])
    const stopped = new FourfoldError('FF_JOB_STOPPED', 'The worker stops: the job is handed to another one')
    for (const held of this.#held.values()) held.controller.abort(stopped)
    await this.#idle()
    clearInterval(this.#timer)
    await this.#hearing.stop()
    // What the database does not hear by then it finds out when the lease is over.
    const over = AbortSignal.timeout(recordWithinMs)
    await Promise.race([this.#leave(claimed, over), aborted(over)])
  }

  async #leave(claimed: Promise<void>, over: AbortSignal): Promise<void> {
    await this.#progress.stop()
    await claimed
    await this.#reports.settle(over)
    await this.#lease.stop()
    if (over.aborted) return
    // What it gave back may be waited for.
    if (await this.#lease.withdraw()) this.#options.teller.call({ work: true })
  }

  /** Until no handler runs. */
  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running)
  }

  #room(): number {
    if (this.#draining || this.#reports.size > mostReports) return 0
    const { concurrency } = this.#options
    const busy = this.#running.size + this.#ready.length
    const ahead = this.#ahead.of(concurrency, performance.now() - this.#begunAtMs)
    // Asked for in larger lots: not whenever one of many has ended.
    const room = concurrency + ahead - busy
    return busy > concurrency && room < ahead / 2 ? 0 : room
  }

  /** Those that are free, or else the next one that will be. */
  #roomForRated(): number {
    const taken = this.#ready.filter((held) => this.#isRated(held)).length
    return Math.max(1, this.#options.concurrency - this.#running.size) - taken
  }

  #roomForThreads(): number {
    const taken = [...this.#held.values()].filter(({ claim, state }) => {
      return state !== 'ending' && this.#options.jobs.get(claim.name)!.policy.thread
    })
    return this.#options.threads - taken.length
  }

  #took(claims: readonly Claim[], worker: string): void {
    const nowMs = performance.now()
    const taken = claims.map((claim): Held => {
      return { claim, worker, takenAtMs: nowMs, controller: new AbortController(), state: 'ready' }
    })
    for (const held of taken) this.#held.set(held.claim.id, held)
    // By their rate they have begun.
    const first = taken.filter((held) => this.#isRated(held))
    this.#ready.unshift(...first)
    this.#ready.push(...taken.filter((held) => !first.includes(held)))
    if (this.#draining) for (const held of this.#ready.splice(0)) this.#handBack(held)
    this.#begin()
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
        this.#turns.wake(false)
      })
      this.#running.add(running)
    }
  }

  async #run(held: Held): Promise<void> {
    const { claim } = held
    const job = this.#options.jobs.get(claim.name)!
    held.state = 'running'
    this.counts.begun += 1
    const beganMs = performance.now()
    this.#begunAtMs = beganMs
    const outcome = claim.cancelled ? ({ kind: 'cancelled' } as const) : await this.#attempt(held, job)
    this.#ahead.took(performance.now() - beganMs)
    held.state = 'ending'
    this.#progress.forget(held)
    this.#report(held, outcome)
  }

  async #attempt(held: Held, job: KnownJob): Promise<Outcome> {
    const { runner, log } = this.#options
    const { id, token, attempt, owner, name } = held.claim
    const { definition, policy } = job
    const call = async (input: unknown): Promise<unknown> =>
      await runner.run(job, {
        ...{ input, id, token, attempt, owner },
        signal: held.controller.signal,
        progress: (fraction, message) => {
          if (held.state === 'running') this.#progress.tell(held, fraction, message)
        },
        log: log.child({ job: name, id }),
      })
    const prepare = (): Promise<void> => runner.prepare(job, { id, token, signal: held.controller.signal })
    return await runJob({ definition, policy, held, prepare, call, kill: runner.kill(job, { id, token }) })
  }

  #report(held: Held, outcome: Outcome): void {
    const { worker, claim } = held
    const { id, token } = claim
    // It is another's by now, or was dropped with the lease: there is nothing to say.
    if (this.#held.get(id) !== held) return
    if (outcome.kind === 'left') return this.#handBack(held)
    if (outcome.kind === 'cancelled') return this.#reports.add({ kind: 'cancelled', worker, what: { id, token } })
    if (outcome.kind === 'done') {
      return this.#reports.add({ kind: 'done', worker, what: { id, token, output: outcome.output } })
    }
    const { error, retryMs } = outcome
    this.#options.log[retryMs === null ? 'error' : 'warn'](
      { job: claim.name, id, attempt: error.attempt, error, retryMs },
      retryMs === null ? 'a job has failed' : 'an attempt of a job failed',
    )
    this.#reports.add({ kind: 'failed', worker, what: { id, token, error, retryMs } })
  }

  #handBack(held: Held): void {
    const { id, token } = held.claim
    held.state = 'ending'
    this.#reports.add({ kind: 'back', worker: held.worker, what: { id, token } })
  }

  #recorded({ kind, what }: Report, answer: Recorded): void {
    const { teller, log } = this.#options
    const held = this.#held.get(what.id)
    if (held?.claim.token === what.token) this.#held.delete(what.id)
    if ('lost' in answer) {
      this.counts.refused += 1
      log.warn({ id: what.id, token: what.token }, 'the end of a job was refused: it is another worker’s by now')
      return
    }
    if (kind === 'done') this.counts.done += 1
    if (kind === 'failed') this.counts.failed += 1
    teller.tell([what.id])
    if (kind === 'back') teller.call({ work: true })
    // A retry is due some time; and what was held back by this one may begin.
    this.#turns.ended(held?.claim.name ?? '', kind === 'failed')
  }

  #unstorable(report: Report, error: unknown): void {
    const { kind, what, worker } = report
    const held = this.#held.get(what.id)
    this.#options.log.error({ error, id: what.id }, 'the database does not take what is to be said of a job')
    if (kind !== 'done' || held === undefined) return
    const cause = new FourfoldError('FF_JOB_OUTPUT', `The database does not take the output: ${String(error)}`)
    const failed = { ...what, error: jobErrorOf(cause, held.claim.attempt), retryMs: null }
    this.#reports.add({ kind: 'failed', worker, what: failed })
  }

  #hear({ work, names, due, paused, cancel = [] }: Call): void {
    if (paused === true) this.#turns.forgetPaused()
    for (const id of cancel) this.#cancel(id)
    if (due === true || paused === true || (work === true && names === undefined)) {
      this.#turns.wake(true, due === true)
    } else if (work === true) this.#turns.call(names!)
  }

  #cancel(id: string): void {
    const held = this.#held.get(id)
    held?.controller.abort(new FourfoldError('FF_JOB_CANCELLED', 'Somebody has cancelled the job', { fields: { id } }))
    const at = held === undefined ? -1 : this.#ready.indexOf(held)
    if (at < 0) return
    this.#ready.splice(at, 1)
    held!.state = 'ending'
    this.#report(held!, { kind: 'cancelled' })
  }

  /** What was taken ahead and has waited for too long is given to others. */
  #look(): void {
    const nowMs = performance.now()
    const isStuck = nowMs - this.#begunAtMs > longestQuietMs
    const waited = this.#ready.some(({ takenAtMs }) => nowMs - takenAtMs > (isStuck ? longestQuietMs : longestReadyMs))
    if (waited) for (const held of this.#ready.splice(0)) this.#handBack(held)
  }

  /** All that it held is, or will be, another's: it goes on under another name. */
  #lost(worker: string): void {
    const lost = new FourfoldError('FF_JOB_LOST', 'The lease of this worker was over: the job is another one’s by now')
    let count = 0
    this.#ready.splice(0)
    for (const [id, held] of this.#held) {
      if (held.worker !== worker) continue
      count += 1
      held.controller.abort(lost)
      // What it says once more of those that have ended is refused, and counted.
      if (held.state !== 'ending') this.#held.delete(id)
    }
    this.#options.log.warn({ jobs: count }, 'the lease of this worker was over: its jobs are done again by others')
    this.#turns.wake(true)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
