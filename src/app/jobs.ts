/** Jobs of an opened app, put together: an engine on its database, what is told through the store, a worker where one is wanted. */

import { hostname } from 'node:os'

import { JobThreads } from './job-threads.ts'
import { poolOfWorker } from './jobs-connections.ts'
import { Naming } from '../engines/postgres/naming.ts'
import { createClient, createOwnPool } from '../engines/postgres/pools.ts'
import { withDeadline } from '../core/deadline.ts'
import { FourfoldError } from '../core/errors.ts'
import { Scope } from '../freshness/scope.ts'
import { Jobs, type JobsCore, type JobsScope } from '../jobs/jobs.ts'
import { OrderTransactions } from '../jobs/order-transactions.ts'
import { PendingOrders } from '../jobs/pending-orders.ts'
import { policyOf } from '../jobs/policy.ts'
import { inTransaction, overPool, runBy } from '../jobs/postgres/database.ts'
import { listenForCalls } from '../jobs/postgres/calls.ts'
import { createPostgresJobs } from '../jobs/postgres/engine.ts'
import { startRetention } from '../jobs/retention.ts'
import { Teller } from '../jobs/told.ts'
import { JobWatch } from '../jobs/watch.ts'
import { checkJobSchedule, startJobSchedules } from '../jobs/worker/schedules.ts'
import { JobWorker } from '../jobs/worker/worker.ts'

import type { AppOptions, ResolvedConfig } from './config.ts'
import type { Connections } from './connections.ts'
import type { App } from './define-app.ts'
import type { Fourfold } from './fourfold.ts'
import type { Build } from '../clones/build/snapshot.ts'
import type { Logger } from '../core/log.ts'
import type { Position } from '../engines/position.ts'
import type { Cluster } from '../database/cluster.ts'
import type { JobContext } from '../jobs/define-job.ts'
import type { JobEngine, JobsDatabase } from '../jobs/engine.ts'
import type { JobRunner, KnownJob } from '../jobs/worker/hands.ts'
import type { Store } from '../store/store.ts'

export interface AppJobsOptions {
  readonly app: App<any>
  readonly clusters: Readonly<Record<string, Cluster>>
  readonly connections: Connections
  readonly config: ResolvedConfig
  readonly store: Store
  readonly log: Logger
  /** What threads are told; null: there are none. */
  readonly threads: ThreadSource | null
  /** Filled with what ends it. */
  readonly closers: (() => Promise<unknown> | void)[]
}

/** Where threads find the app. */
export interface ThreadSource {
  readonly appFile: string
  readonly snapshot?: Build
  readonly build?: string
  readonly config?: AppOptions
}

export interface AppJobs {
  readonly of: (scope: Scope) => Jobs
  /** What handlers work with is derived from this. */
  readonly toolsFrom: (instance: Fourfold<any>) => void
}

const ownStatementMs = 10_000
/** Of what is nobody's loss, when the database says nothing. */
const endsWithinMs = 2_000

/** @throws FF_JOB_DEFINITION */
export function createAppJobs(options: AppJobsOptions): AppJobs {
  const { app, clusters, config, store, log, closers } = options
  const known = knownJobs(app)
  const database = config.queue.database ?? Object.keys(clusters)[0] ?? ''
  const cluster = clusters[database]
  if (cluster === undefined) return withoutDatabase(config)
  const naming = new Naming()
  const jobsDatabase = clusterDatabase(cluster, naming)
  const engine = createPostgresJobs({ database: jobsDatabase })
  const teller = new Teller({ engine, store, log })
  const pending = new PendingOrders(engine, () => teller.call({ work: true, due: true }))
  const watch = new JobWatch({ engine, store, log })
  let instance: Fourfold<any> | null = null
  let worker: JobWorker | null = null
  const core: JobsCore = {
    ...{ engine, database: jobsDatabase, teller, pending, watch },
    transactions: new OrderTransactions(engine, database),
    ready: onceReady(engine),
    ending: new AbortController(),
    path: config.queue.path,
    served: known.size > 0,
    perform: (name, context) => performJob(known.get(name)!, context, instance!, cluster),
    start: () => {
      // Nobody would end it.
      if (core.ending.signal.aborted) return
      worker ??= startWorker({ ...options, known, core, database, instance: instance! })
    },
  }
  closers.push(async () => {
    core.ending.abort()
    pending.close()
    await within(endsWithinMs, [watch.close(), teller.settle()])
  })
  return {
    of: (scope) => new Jobs(core, scopeOf(scope, Object.values(clusters))),
    toolsFrom: (opened) => (instance = opened),
  }
}

/** Whether an app has anything that workers would do. */
export function hasJobs({ definition }: App<any>): boolean {
  return (definition.jobs ?? []).length > 0
}

function knownJobs({ definition }: App<any>): ReadonlyMap<string, KnownJob> {
  const known = new Map<string, KnownJob>()
  for (const one of definition.jobs ?? []) {
    const policy = policyOf(one.contract)
    if (known.has(policy.name)) {
      const message = `Two jobs are called ${policy.name}: expected a name of its own for each`
      throw new FourfoldError('FF_JOB_DEFINITION', message, { fields: { name: policy.name } })
    }
    const job = { definition: one, policy }
    checkJobSchedule(job)
    known.set(policy.name, job)
  }
  return known
}

function scopeOf(scope: Scope, all: readonly Cluster[]): JobsScope {
  const { reader } = scope
  return {
    owner: async () => (reader === null ? null : await reader.ensure()),
    current: async () => (reader === null ? null : await reader.current()),
    told: async () => {
      if (reader === null) return
      // A position that does not come is an unknown write: the reader is then answered by the primary of that database.
      const positionOf = (one: Cluster): Promise<Position | null> => one.readIndex().catch(() => null)
      await Promise.all(all.map(async (one) => await scope.wrote(one.tokens, await positionOf(one))))
    },
  }
}

interface WorkerParts extends AppJobsOptions {
  readonly known: ReadonlyMap<string, KnownJob>
  readonly core: JobsCore
  readonly database: string
  readonly instance: Fourfold<any>
}

function startWorker(parts: WorkerParts): JobWorker {
  const { known, core, database, config, connections, log, closers } = parts
  // Past a pooler, which listens to nothing.
  const address = connections.databases[database]!.direct
  const limits = {
    max: poolOfWorker,
    connectTimeoutMs: config.databases[database]!.connectTimeoutMs,
    statementTimeoutMs: ownStatementMs,
    applicationName: `fourfold jobs`,
  }
  const threads = createThreads(parts)
  const pool = createOwnPool(address, limits)
  pool.on('error', (error) => log.debug({ error }, 'an idle connection of the worker of jobs was lost'))
  const engine = createPostgresJobs({ database: overPool(pool, new Naming()) })
  // What a worker asks first, and again until it is answered.
  const paused = async (): Promise<readonly string[]> => (await core.ready(), await engine.paused())
  const worker = new JobWorker({
    engine: { ...engine, paused },
    jobs: known,
    runner: createRunner(core, threads),
    teller: core.teller,
    listen: (listener) => listenForCalls({ client: () => createClient(address, limits), log }, listener),
    name: `${hostname()} ${process.pid}`,
    concurrency: config.workers.concurrency,
    threads: config.workers.threads,
    recoverWithinMs: config.queue.recoverWithinMs,
    graceMs: config.workers.graceMs,
    log,
  })
  const ended = [
    startRetention({ engine, ready: core.ready, ...config.queue, log }),
    startJobSchedules({ engine, ready: core.ready, jobs: known, teller: core.teller, log }),
  ]
  closers.push(async () => {
    const others = ended.map((stop) => stop())
    await Promise.all([worker.stop(), within(endsWithinMs, others)])
    await threads?.close()
    await pool.end()
  })
  worker.start()
  return worker
}

function createRunner(core: JobsCore, threads: JobThreads | null): JobRunner {
  return {
    prepare: async ({ policy }, context) => {
      if (!policy.thread) return
      if (threads !== null) return await threads.reserve(context)
      const message = `The job ${policy.name} runs in a thread, which needs to know the app's file: open the app with appFile`
      throw new FourfoldError('FF_JOB_DEFINITION', message, { fields: { name: policy.name } })
    },
    run: async ({ policy }, context) =>
      await (policy.thread ? threads!.run(policy.name, context) : core.perform(policy.name, context)),
    kill: ({ policy }, context) => (policy.thread && threads !== null ? () => threads.kill(context) : null),
  }
}

function createThreads({ known, threads, connections, config }: WorkerParts): JobThreads | null {
  const wanted = [...known.values()].some(({ policy }) => policy.thread)
  if (!wanted || threads === null) return null
  const { appFile, snapshot, build, config: overrides = {} } = threads
  return new JobThreads({
    settings: {
      appFile,
      build: snapshot,
      buildId: build,
      connections,
      config: overrides,
      logLevel: config.logLevel,
      name: 'job-thread',
    },
    most: config.workers.threads,
    memoryBytes: config.workers.threadMemoryBytes,
  })
}

/** Handlers work in the name of whoever ordered their job. */
async function performJob(
  { definition, policy }: KnownJob,
  context: JobContext<unknown>,
  instance: Fourfold<any>,
  cluster: Cluster,
): Promise<unknown> {
  const isHeld = policy.level === 'session' || policy.level === 'monotonic'
  // Nobody's reads at `strict` need no token, and nobody's writes move none.
  const reader = context.owner ?? (isHeld ? `job:${context.id}` : null)
  const ff = instance.as({ reader, level: policy.level })
  // At least as new as the row of the order, which may have come from a connection that moved no token (rule 34).
  if (isHeld) await ff.scope.wrote(cluster.tokens, await cluster.readIndex())
  return await definition.run(withTools(context, ff))
}

const tools = ['databases', 'cache', 'join', 'files', 'jobs'] as const

/** Most handlers use little of it; what they use is made then. */
function withTools(context: object, ff: Fourfold<any>): any {
  const given = { ...context }
  for (const name of tools) Object.defineProperty(given, name, { enumerable: true, get: () => ff[name] })
  return given
}

/** Pooled connections of this process; on the primary. Nobody's token moves: jobs are read there, too. */
function clusterDatabase(cluster: Cluster, naming: Naming): JobsDatabase {
  return {
    run: runBy(naming, (statement, values) => cluster.runOwn(statement, values)),
    transaction: async (work) => await inTransaction(await cluster.checkoutOwn(), work),
  }
}

async function within(ms: number, work: readonly Promise<unknown>[]): Promise<void> {
  await withDeadline(Promise.all(work), ms, 'the end of what jobs have under way').catch(() => undefined)
}

function onceReady(engine: JobEngine): () => Promise<void> {
  let ready: Promise<void> | null = null
  return () =>
    (ready ??= engine.prepare().catch((error: unknown) => {
      ready = null
      throw error
    }))
}

/** An app that has no database orders no jobs; all else about it is as ever. */
function withoutDatabase({ queue }: ResolvedConfig): AppJobs {
  const refuse = (): never => {
    throw new FourfoldError('FF_JOB_DATABASE', 'Jobs are kept in a database of the app, and it has none: declare one')
  }
  const core = {
    ...{ ready: async () => refuse(), start: refuse, perform: async () => refuse(), served: false },
    ...{ path: queue.path, ending: new AbortController(), watch: { size: 0 } },
  } as unknown as JobsCore
  const nobody = { owner: async () => null, current: async () => null } as unknown as JobsScope
  return { of: () => new Jobs(core, nobody), toolsFrom: () => undefined }
}
