/**
 * What does jobs, in one process: its parts and what they tell each other, and how it begins and ends. Why no job is lost and
 * none is completed twice: docs/decisions/037-jobs.md.
 *
 * Invariants:
 * - Claims and heartbeats never overlap: a heartbeat hands back what it does not know.
 * - Nothing here is right because a lease lasts.
 */

import { FourfoldError } from '../../core/errors.ts'
import { Hands, type JobRunner, type KnownJob } from './hands.ts'
import { Reports, type Report } from './reports.ts'
import { ProgressReports } from './progress.ts'
import { jobErrorOf } from './run-job.ts'
import { Turns } from './turns.ts'
import { Hearing } from './hearing.ts'
import { Lease } from './lease.ts'

import type { CallListener, JobEngine, Recorded } from '../engine.ts'
import type { Logger } from '../../core/log.ts'
import type { Call, Teller } from '../told.ts'

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
  readonly begun: number
  readonly done: number
  readonly failed: number
  /** What was said of jobs that are not this worker's any more, and was refused. */
  readonly refused: number
}

const pollMs = 1_000
/** Where calls are not heard. */
const deafPollMs = 200
const lookMs = 200
const recordWithinMs = 5_000
/** Ends that are not recorded yet: with more of them the database is what is slow. */
const mostReports = 1_000

export class JobWorker {
  readonly #options: JobWorkerOptions
  readonly #hands: Hands
  readonly #reports: Reports
  readonly #progress: ProgressReports
  readonly #turns: Turns
  readonly #lease: Lease
  readonly #hearing: Hearing
  readonly #counts = { done: 0, failed: 0, refused: 0 }
  #stopping: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined

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
    this.#hands = new Hands({
      ...{ jobs: options.jobs, runner: options.runner, log },
      ...{ concurrency: options.concurrency, threads: options.threads },
      progress: this.#progress,
      report: (report) => this.#reports.add(report),
      freed: () => this.#turns.wake(false),
    })
    this.#turns = new Turns({
      engine,
      jobs: options.jobs,
      room: () => this.#room(),
      roomForRated: () => this.#hands.roomForRated(),
      roomForThreads: () => this.#hands.roomForThreads(),
      locked: (work) => this.#lease.locked(work),
      worker: () => this.#lease.worker(),
      took: (claims, worker) => this.#hands.take(claims, worker),
      log,
    })
    this.#lease = new Lease({
      ...{ engine, name: options.name, recoverWithinMs: options.recoverWithinMs, log },
      held: (worker) => this.#hands.of(worker),
      cancel: (claims) => claims.forEach((claim) => this.#hands.cancel(claim)),
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
    this.#timer = setInterval(() => this.#hands.look(), lookMs)
    this.#turns.start(pollMs)
  }

  /** Nothing more is begun; what runs has its time to end, is told to, and is handed back. May be called twice. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  get counts(): JobWorkerCounts {
    return { begun: this.#hands.begun, ...this.#counts }
  }

  /** How many are in its hands. */
  get size(): number {
    return this.#hands.size
  }

  async #stop(): Promise<void> {
    const deadline = AbortSignal.timeout(this.#options.graceMs)
    // A claim may be under way: what comes of it is handed back.
    const claimed = this.#turns.stop()
    this.#hands.drain()
    await Promise.race([Promise.all([claimed, this.#hands.idle()]), aborted(deadline)])
    this.#hands.abort(new FourfoldError('FF_JOB_STOPPED', 'The worker stops: the job is handed to another one'))
    await this.#hands.idle()
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

  #room(): number {
    return this.#reports.size > mostReports ? 0 : this.#hands.room()
  }

  #recorded({ kind, what }: Report, answer: Recorded): void {
    const { teller, log } = this.#options
    const claim = this.#hands.forget(what)
    if ('lost' in answer) {
      this.#counts.refused += 1
      log.warn({ id: what.id, token: what.token }, 'the end of a job was refused: it is another worker’s by now')
      return
    }
    if (kind === 'done') this.#counts.done += 1
    if (kind === 'failed') this.#counts.failed += 1
    teller.tell([what.id])
    if (kind === 'back') teller.call({ work: true })
    // A retry is due some time; and what was held back by this one may begin.
    this.#turns.ended(claim?.name ?? '', kind === 'failed')
  }

  #unstorable(report: Report, error: unknown): void {
    const { kind, what, worker } = report
    const claim = this.#hands.claimOf(what.id)
    this.#options.log.error({ error, id: what.id }, 'the database does not take what is to be said of a job')
    if (kind !== 'done' || claim === null) return
    const cause = new FourfoldError('FF_JOB_OUTPUT', `The database does not take the output: ${String(error)}`)
    const failed = { ...what, error: jobErrorOf(cause, claim.attempt), retryMs: null }
    this.#reports.add({ kind: 'failed', worker, what: failed })
  }

  #hear({ work, names, due, paused, cancel = [] }: Call): void {
    if (paused === true) this.#turns.forgetPaused()
    for (const id of cancel) this.#hands.cancel({ id })
    if (due === true || paused === true || (work === true && names === undefined)) {
      this.#turns.wake(true, due === true)
    } else if (work === true) this.#turns.call(names!)
  }

  /** It goes on under another name. */
  #lost(worker: string): void {
    const jobs = this.#hands.lose(worker)
    this.#options.log.warn({ jobs }, 'the lease of this worker was over: its jobs are done again by others')
    this.#turns.wake(true)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
