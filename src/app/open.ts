/**
 * The composition root: where the parts of an app are made and wired, in one process. With no addresses given it
 * starts what is embedded; with them (a clone, a test against servers that run) it only connects.
 */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { resolveConfig, type AppOptions, type ResolvedConfig } from './config.ts'
import { createAppCache } from './cache.ts'
import { createBaking } from './baking.ts'
import { openDatabases } from './databases.ts'
import { createAppFiles } from './files.ts'
import { createAppJobs } from './jobs.ts'
import { createDatabasesOf, createInstance, type Fourfold } from './fourfold.ts'
import { withEdgeFields } from './publishing.ts'
import { socketPathFor } from './socket-path.ts'
import { connectAppStore, givenStoreUrl } from './store-address.ts'
import { createLogger, type Logger } from '../core/log.ts'
import { Scope } from '../freshness/scope.ts'
import { developmentSecrets } from '../sessions/development-secrets.ts'
import { Pages } from '../pages/pages.ts'
import { createSessions } from '../sessions/sessions.ts'

import type { Build } from '../clones/build/snapshot.ts'
import type { Connections } from './connections.ts'
import type { App, DatabaseDefinitions, SchemasOf } from './define-app.ts'
import type { TrackersOptions } from './trackers.ts'

export interface OpenOptions {
  /** Settings that win over the app's and the environment's. */
  readonly config?: AppOptions
  /** Servers that run already; nothing is started then, and no migration runs. */
  readonly connections?: Connections
  /** Names the app's code: entries of the cache that other code made are not used. Default: a hash of each load's code. */
  readonly build?: string
  /** The file that defines the app: what jobs with `thread: true` need, whose threads open it for themselves. */
  readonly appFile?: string
  /** The build whose files are run, where that is not what lies there now. */
  readonly snapshot?: Build
  readonly env?: Readonly<Record<string, string | undefined>>
  /** How often what is known of changes is written down for processes that start, in ms. Default: 30,000. */
  readonly snapshotEveryMs?: number
  readonly log?: Logger
}

type Closers = (() => Promise<unknown> | void)[]

/**
 * Opens an app in this process. Work outside a request is nobody's, at level `strict`; see {@link Fourfold.as}.
 *
 * ```ts
 * await using ff = await open(app)
 * ```
 *
 * @throws FF_CONFIG_INVALID, FF_DATABASE_UNAVAILABLE, FF_DATABASE_POOL_SIZE and what embedded servers and migrations throw
 */
export async function open<Databases extends DatabaseDefinitions>(
  app: App<Databases>,
  options: OpenOptions = {},
): Promise<Fourfold<SchemasOf<Databases>>> {
  const env = options.env ?? process.env
  const config = resolveConfig(app.definition, env, options.config)
  const log = options.log ?? createLogger({ level: config.logLevel, name: 'fourfold' })
  const closers: Closers = []
  const close = closeOnce(closers)
  try {
    const connections = options.connections ?? (await startEverything(app, config, log, closers))
    const store = await connectAppStore(connections, { deadlineMs: config.store.deadlineMs, log })
    closers.push(() => store.close())
    const databases = await openDatabases({ config, connections, store, log, closers })
    const { clusters } = databases
    if (options.connections === undefined) closers.push(await trackChanges({ config, connections, store, log }))
    const secrets = config.sessions.secrets?.length
      ? config.sessions.secrets
      : await developmentSecrets(config.dataDir, env)
    const sessions = createSessions({
      store,
      secrets,
      idleMs: config.sessions.idleMs,
      absoluteMs: config.sessions.absoluteMs,
      cookieName: config.sessions.cookie,
      secure: config.sessions.secure,
    })
    const databasesOf = createDatabasesOf(clusters)
    const files = createAppFiles({ settings: config.files, clusters, log })
    closers.push(() => files.close())
    const filesOf = files.of
    const cache = await createAppCache({
      app,
      databases,
      connections,
      config,
      store,
      log,
      closers,
      build: options.build,
      snapshotEveryMs: options.snapshotEveryMs,
    })
    const pages = new Pages({
      ...withEdgeFields(app.definition, config),
      core: cache,
      store,
      build: options.build ?? '',
      sessionCookie: config.sessions.cookie,
      log,
    })
    closers.push(() => pages.close())
    const build = options.build ?? ''
    const baking = createBaking({ app, cache, clusters, pages, config, store, build, log, closers })
    const jobs = createAppJobs({
      ...{ app, clusters, connections, config, store, log, closers },
      threads: options.appFile === undefined ? null : { ...options, appFile: options.appFile },
    })
    const root = {
      baking,
      jobsOf: jobs.of,
      clusters,
      databasesOf,
      filesOf,
      cache,
      pages,
      store,
      sessions,
      log,
      config,
      identify: app.definition.identify,
      close,
    }
    const instance = createInstance<SchemasOf<Databases>>(root, new Scope({ level: 'strict', reader: null }))
    jobs.toolsFrom(instance)
    return instance
  } catch (error) {
    await close()
    throw error
  }
}

async function startEverything(
  app: App<any>,
  config: ResolvedConfig,
  log: Logger,
  closers: Closers,
): Promise<Connections> {
  // Loaded here only: a clone prepares nothing, and starts sooner without it.
  const { prepareDatabases } = await import('./connections.ts')
  const prepared = await prepareDatabases({ config, directory: app.directory, processes: 1, log })
  closers.push(() => prepared.stop())
  const storeUrl = givenStoreUrl(config)
  if (storeUrl !== undefined) return { databases: prepared.databases, storeUrl }
  const { startStoreServer } = await import('../store/memory/server.ts')
  const directory = join(config.dataDir, 'store')
  await mkdir(directory, { recursive: true })
  const { path, directory: made } = await socketPathFor(config.dataDir, 'store')
  const server = await startStoreServer({ socketPath: path, logPath: join(directory, 'store.log'), log })
  closers.push(async () => {
    await server.stop()
    if (made !== null) await rm(made, { recursive: true, force: true })
  })
  return { databases: prepared.databases, storeUrl: `unix:${path}` }
}

/** Loaded here only, as what prepares databases is: in a system, a process of its own does this. */
async function trackChanges(options: TrackersOptions): Promise<() => Promise<void>> {
  const { startTrackers } = await import('./trackers.ts')
  return startTrackers(options)
}

/** Closes in the reverse order of opening; each part gets its turn even if another fails. */
function closeOnce(closers: Closers): () => Promise<void> {
  let closing: Promise<void> | null = null
  const run = async (): Promise<void> => {
    const errors: unknown[] = []
    // What is started meanwhile adds to them.
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) {
      try {
        await closer()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'Not everything closed cleanly')
  }
  return () => (closing ??= run())
}
