/** Jobs as an app uses them: ordered for one reader, found, waited for, cancelled. What does them is in `worker/`. */

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { acceptJob, type AcceptOptions } from './http/accept.ts'
import { answerJob, problem, targetOf, type ResourceRequest } from './http/resource.ts'
import { followJob, type FollowOptions } from './following.ts'
import { orderMany, orderOnce, type EnqueueOptions, type OrderedOnce, type OrderingOptions } from './ordering.ts'
import { isOver, statusOf, type JobStatus } from './status.ts'

import type { HeaderFields } from './http/prefer.ts'
import type { InputOf, JobContext, JobContract, OutputOf } from './define-job.ts'
import type { JobCounts, JobRecord, Ordered } from './engine.ts'
import type { JobWatch } from './watch.ts'

export type { EnqueueOptions } from './ordering.ts'

export interface WaitOptions {
  readonly signal?: AbortSignal
  /** At most 24 days. Default: no limit. */
  readonly timeout?: number | string
}

/** What all scopes of one opened app share. */
export interface JobsCore extends OrderingOptions {
  readonly watch: JobWatch
  /** Does one job, with what handlers are given. */
  readonly perform: (name: string, context: JobContext<unknown>) => Promise<unknown>
  /** Does jobs in this process from now on. */
  readonly start: () => void
  /** Aborted when this process takes leave of those who follow a job by HTTP. */
  readonly ending: AbortController
  /** Where jobs are by HTTP. */
  readonly path: string
  /** Whether there are any: else the address is the app's own. */
  readonly served: boolean
}

/** What one scope adds. */
export interface JobsScope {
  /** The reader's key, made where there is none; null: nobody. */
  readonly owner: () => Promise<string | null>
  /** The reader's key; null: nobody, or nobody yet. */
  readonly current: () => Promise<string | null>
  /** The reader is about to hear that this is finished: from now on they see what it wrote (FRESHNESS rule 34). */
  readonly told: () => Promise<void>
}

const longestTimerMs = 2 ** 31 - 1

export class Jobs {
  readonly #core: JobsCore
  readonly #scope: JobsScope

  constructor(core: JobsCore, scope: JobsScope) {
    this.#core = core
    this.#scope = scope
  }

  /** Does jobs in this process, until the app is closed: what workers do. May be called twice. */
  start(): void {
    this.#core.start()
  }

  /** Does one attempt of a job here and now, whoever has it: what threads are told to do. */
  async perform(name: string, context: JobContext<unknown>): Promise<unknown> {
    return await this.#core.perform(name, context)
  }

  /**
   * Orders a job. It is durable when this resolves; with `in`, when that transaction has committed.
   *
   * @throws FF_JOB_INPUT with the schema's message, FF_JOB_DATABASE, FF_JOB_DEFINITION, and what the database throws
   */
  async enqueue<Contract extends JobContract>(
    job: Contract,
    input: InputOf<Contract>,
    options: EnqueueOptions = {},
  ): Promise<Ordered> {
    return (await this.enqueueMany(job, [input], options))[0]!
  }

  /** The same for many: all or none, answered in their order. */
  async enqueueMany<Contract extends JobContract>(
    job: Contract,
    inputs: readonly InputOf<Contract>[],
    options: EnqueueOptions = {},
  ): Promise<readonly Ordered[]> {
    return await orderMany(this.#core, { job, owner: this.#scope.owner }, inputs, options)
  }

  /** The same for a request that names itself: sent twice it is one job. */
  async enqueueOnce<Contract extends JobContract>(
    job: Contract,
    input: InputOf<Contract>,
    options: EnqueueOptions,
    named: { readonly key: string; readonly fingerprint: string },
  ): Promise<OrderedOnce> {
    const wanted = { job, owner: this.#scope.owner }
    return await orderOnce(this.#core, wanted, input, options, named)
  }

  /** How a job stands that this reader has ordered; null for anybody else's, and for what is no id: for ids out of addresses. */
  async own<Contract extends JobContract>(id: string): Promise<JobStatus<OutputOf<Contract>> | null> {
    const reader = isId(id) ? await this.#scope.current() : null
    const record = reader === null ? null : await this.#read(id)
    return record === null || record.owner !== reader ? null : await this.#show<Contract>(record)
  }

  /** Whether an address is of a job. Adapters ask. */
  covers(url: string | undefined): boolean {
    return this.#core.served && targetOf(url, this.#core.path) !== null
  }

  /** The answer to a request for a job. Adapters ask for it. @param ending their server ends */
  async answer(request: ResourceRequest, ending?: AbortSignal): Promise<Response> {
    const { path, ending: all } = this.#core
    const target = targetOf(request.url, path)
    if (target === null) return problem(404, 'There is no such job')
    return await answerJob(this, target, request, ending ? AbortSignal.any([all.signal, ending]) : all.signal)
  }

  /** How many follow a job in this process. */
  get watching(): number {
    return this.#core.watch.size
  }

  /** Takes leave of those who follow a job here by HTTP: they come back to another process. */
  endStreams(): void {
    this.#core.ending.abort()
  }

  /**
   * Orders a job for a request and answers it: 202 with the job's address, or its end where the client waits for that
   * (`Prefer: wait=N`). The same `Idempotency-Key` is the same job.
   *
   * @throws what {@link Jobs.enqueue} throws
   */
  async accept<Contract extends JobContract>(
    job: Contract,
    input: InputOf<Contract>,
    request: { readonly headers: HeaderFields | Headers },
    options: AcceptOptions = {},
  ): Promise<Response> {
    const { path, ending } = this.#core
    const headers = request.headers instanceof Headers ? Object.fromEntries(request.headers) : request.headers
    return await acceptJob(this, { job, input, options }, { headers }, { path, ending: ending.signal })
  }

  /** How a job stands; null: there is none, or none any more. */
  async find<Contract extends JobContract>(id: string): Promise<JobStatus<OutputOf<Contract>> | null> {
    const record = await this.#read(id)
    return record === null ? null : await this.#show<Contract>(record)
  }

  /**
   * Until it is finished: done, cancelled or failed. Null: there is none.
   *
   * @throws the signal's reason; FF_CORE_DEADLINE after `timeout`; FF_CORE_CLOSED when the app is closed
   */
  async wait<Contract extends JobContract>(
    id: string,
    { signal, timeout }: WaitOptions = {},
  ): Promise<JobStatus<OutputOf<Contract>> | null> {
    const over = timeout === undefined ? undefined : AbortSignal.timeout(timerMs(parseDuration(timeout, 'timeout')))
    const signals = [signal, over].filter((one) => one !== undefined)
    for await (const status of this.follow(id, { signal: AbortSignal.any(signals) })) {
      if (status === null || isOver(status.record)) return status as JobStatus<OutputOf<Contract>> | null
    }
    if (over?.aborted === true && signal?.aborted !== true) {
      throw new FourfoldError('FF_CORE_DEADLINE', `waited ${String(timeout)} for job ${id}; gave up`, {
        fields: { id },
      })
    }
    throw signal?.reason ?? new FourfoldError('FF_CORE_CLOSED', 'The app was closed while somebody waited for a job')
  }

  /**
   * How it stands, now and after each change, the newest only; ends after what is final, when the signal is aborted, and
   * when the app is closed.
   *
   * @param options.after not what is no newer than this version
   */
  async *follow(id: string, options: FollowOptions): AsyncGenerator<JobStatus | null> {
    checkId(id)
    await this.#core.ready()
    for await (const record of followJob(this.#core.watch, id, options)) {
      yield record === null ? null : await this.#show(record)
    }
  }

  /** Cancels it. One that runs hears its signal. False: it is finished already, or there is none. */
  async cancel(id: string): Promise<boolean> {
    checkId(id)
    await this.#core.ready()
    const cancelled = await this.#core.engine.cancel(id)
    if (cancelled === null) return false
    if (cancelled.asked) this.#core.teller.call({ cancel: [id] })
    this.#core.teller.tell([id])
    return true
  }

  /** Lets one that has failed, or all of a job that have, be tried again from the first attempt. Answers how many. */
  async retry(of: string | Pick<JobContract, 'name'>): Promise<number> {
    if (typeof of === 'string') checkId(of)
    await this.#core.ready()
    const ids = await this.#core.engine.retry(typeof of === 'string' ? { id: of } : { name: of.name })
    this.#core.teller.call({ work: true })
    this.#core.teller.tell(ids)
    return ids.length
  }

  /** No more of these are begun, in the whole cluster, within about a second. What runs goes on. */
  async pause(job: JobContract | string): Promise<void> {
    await this.#setPaused(job, true)
  }

  async resume(job: JobContract | string): Promise<void> {
    await this.#setPaused(job, false)
  }

  /** Those that have failed and were not retried, the newest first. @param options.limit default 100 */
  async failed(options: { readonly name?: string; readonly limit?: number } = {}): Promise<readonly JobStatus[]> {
    await this.#core.ready()
    return (await this.#core.engine.failed(options.name ?? null, options.limit ?? 100)).map(statusOf)
  }

  /** How many there are of each name, besides finished ones. */
  async counts(): Promise<readonly JobCounts[]> {
    await this.#core.ready()
    return await this.#core.engine.counts()
  }

  async #read(id: string): Promise<JobRecord | null> {
    checkId(id)
    await this.#core.ready()
    const [record] = await this.#core.engine.find([id])
    return record ?? null
  }

  /** From its end on whoever hears of it sees what it wrote. */
  async #show<Contract extends JobContract>(record: JobRecord): Promise<JobStatus<OutputOf<Contract>>> {
    if (isOver(record)) await this.#scope.told()
    return statusOf(record) as JobStatus<OutputOf<Contract>>
  }

  async #setPaused(job: JobContract | string, paused: boolean): Promise<void> {
    await this.#core.ready()
    await this.#core.engine.setPaused(typeof job === 'string' ? job : job.name, paused)
    this.#core.teller.call({ paused: true, ...(!paused && { work: true }) })
  }
}

/** As timers take it: whole, and no longer than they can be. */
function timerMs(ms: number): number {
  return Math.min(Math.ceil(ms), longestTimerMs)
}

/** @throws FF_JOB_ID */
function checkId(id: string): void {
  if (isId(id)) return
  throw new FourfoldError(
    'FF_JOB_ID',
    `The id of a job: expected digits as enqueue answers them, got ${JSON.stringify(id)}`,
  )
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && /^[1-9]\d{0,17}$/.test(id)
}
