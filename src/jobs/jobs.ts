/** Jobs as an app uses them: ordered for one reader, found, waited for, cancelled. What does them is in `worker/`. */

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { acceptJob, type AcceptOptions } from './http/accept.ts'
import { answerJob, problem, targetOf, type ResourceRequest } from './http/resource.ts'
import { orderOf, type OrderOptions } from './order.ts'
import { policyOf } from './policy.ts'
import { isOver, statusOf, type JobStatus } from './status.ts'

import type { HeaderFields } from './http/prefer.ts'
import type { InputOf, JobContext, JobContract, OutputOf } from './define-job.ts'
import type { BegunRequest, JobCounts, JobEngine, JobRecord, JobsDatabase, Ordered, RunStatement } from './engine.ts'
import type { OrderTransaction, OrderTransactions } from './order-transactions.ts'
import type { PendingOrders } from './pending-orders.ts'
import type { Call, Teller } from './told.ts'
import type { JobWatch } from './watch.ts'

export interface EnqueueOptions extends OrderOptions {
  /** The transaction that the order belongs to: it is given if that commits. Default: none, the order is durable when the promise resolves. */
  readonly in?: OrderTransaction
}

export interface WaitOptions {
  readonly signal?: AbortSignal
  /** At most 24 days. Default: no limit. */
  readonly timeout?: number | string
}

/** What all scopes of one opened app share. */
export interface JobsCore {
  readonly engine: JobEngine
  /** For orders that are in no transaction of anybody's. */
  readonly database: JobsDatabase
  /** Resolves when the tables are there. */
  readonly ready: () => Promise<void>
  readonly teller: Teller
  readonly pending: PendingOrders
  readonly watch: JobWatch
  readonly transactions: OrderTransactions
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

const maxOrders = 10_000
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

  /** The same for a request that names itself: sent twice it is one job. */
  async enqueueOnce<Contract extends JobContract>(
    job: Contract,
    input: InputOf<Contract>,
    options: EnqueueOptions,
    named: { readonly key: string; readonly fingerprint: string },
  ): Promise<Exclude<BegunRequest, { kind: 'new' }>> {
    const { engine, ready, teller, pending, transactions } = this.#core
    const owner = await this.#scope.owner()
    const order = await orderOf(job, policyOf(job), input, owner, options)
    const request = { owner: owner ?? '', ...named }
    await ready()
    const work = async (run: RunStatement): Promise<Exclude<BegunRequest, { kind: 'new' }>> => {
      const begun = await engine.beginRequest(run, request)
      if (begun.kind !== 'new') return begun
      const { id } = (await engine.order(run, [order]))[0]!
      await engine.endRequest(run, request, id)
      return { kind: 'known', id }
    }
    if (options.in === undefined) {
      const ordered = await this.#core.database.transaction(work)
      teller.call({ work: true, due: true })
      return ordered
    }
    const ordered = await work(await transactions.enter(options.in))
    if (ordered.kind === 'known') pending.add(ordered.id)
    return ordered
  }

  /** How a job stands that this reader has ordered; null for anybody else's, and for what is no id: for ids out of addresses. */
  async own<Contract extends JobContract>(id: string): Promise<JobStatus<OutputOf<Contract>> | null> {
    const reader = isId(id) ? await this.#scope.current() : null
    const status = reader === null ? null : await this.find<Contract>(id)
    return status?.owner === reader ? status : null
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

  /** The same for many: all or none, in one statement, answered in their order. */
  async enqueueMany<Contract extends JobContract>(
    job: Contract,
    inputs: readonly InputOf<Contract>[],
    options: EnqueueOptions = {},
  ): Promise<readonly Ordered[]> {
    const { engine, ready, teller, pending, transactions } = this.#core
    if (inputs.length === 0) return []
    if (inputs.length > maxOrders) {
      throw new FourfoldError('FF_JOB_INPUT', `${inputs.length} orders at once: expected at most ${maxOrders}`)
    }
    const policy = policyOf(job)
    const owner = await this.#scope.owner()
    const orders = await Promise.all(inputs.map((input) => orderOf(job, policy, input, owner, options)))
    await ready()
    if (options.in === undefined) {
      const call: Call = orders.some(({ delayMs }) => delayMs > 0)
        ? { due: true }
        : { work: true, names: [policy.name] }
      return await teller.calling(call, (message) => engine.order(this.#core.database.run, orders, message))
    }
    const ordered = await engine.order(await transactions.enter(options.in), orders)
    const fresh = ordered.find(({ isNew }) => isNew)
    if (fresh !== undefined) pending.add(fresh.id)
    return ordered
  }

  /** How a job stands; null: there is none, or none any more. */
  async find<Contract extends JobContract>(id: string): Promise<JobStatus<OutputOf<Contract>> | null> {
    checkId(id)
    await this.#core.ready()
    const [record] = await this.#core.engine.find([id])
    if (record === undefined) return null
    if (isOver(record)) await this.#scope.told()
    return statusOf(record) as JobStatus<OutputOf<Contract>>
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
  async *follow(
    id: string,
    { signal, after = -1 }: { readonly signal: AbortSignal; readonly after?: number },
  ): AsyncGenerator<JobStatus | null> {
    checkId(id)
    await this.#core.ready()
    const { watch } = this.#core
    const over = AbortSignal.any([signal, watch.ended])
    let newest: { readonly record: JobRecord | null } | null = null
    let wake = Promise.withResolvers<void>()
    const stop = watch.follow(id, (record) => {
      newest = { record }
      wake.resolve()
    })
    const end = (): void => wake.resolve()
    over.addEventListener('abort', end, { once: true })
    let version = after
    try {
      while (!over.aborted) {
        await wake.promise
        wake = Promise.withResolvers()
        if (over.aborted) return
        const record = (newest as { readonly record: JobRecord | null } | null)?.record ?? null
        if (record === null) {
          yield null
          return
        }
        if (record.version > version) {
          version = record.version
          if (isOver(record)) await this.#scope.told()
          yield statusOf(record)
        }
        if (isOver(record)) return
      }
    } finally {
      over.removeEventListener('abort', end)
      stop()
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
