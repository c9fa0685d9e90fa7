/**
 * Runs an app as a system on this host: embedded servers, store, clones and balancer, under one supervisor.
 *
 * Order: databases (and their migrations), store, the first seed, clones, balancer; stopping goes the other way. The
 * supervisor keeps no user data either: whatever it dies of, the next start finds everything in the data directory.
 */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { prepareDatabases, type Connections, type PreparedDatabases } from './connections.ts'
import { requireFreePort } from './free-port.ts'
import { beginBuild } from './begin-build.ts'
import { startControlServer } from './control-server.ts'
import { balancerGroup, cloneGroup, storeGroup, trackerGroup, withSecrets, type CloneGroupOptions } from './groups.ts'
import { endLeftovers } from './leftovers.ts'
import { open } from './open.ts'
import { pageFrontSettings, type PageFrontSettings } from './page-front.ts'
import { controlHandlers, Rollouts } from './rollouts.ts'
import { seedOnce, type SeedProgress } from './seeding.ts'
import { socketPathFor } from './socket-path.ts'
import { givenStoreUrl } from './store-address.ts'
import { createSystemFile, type SystemFile } from './system-file.ts'
import { workerCount, workerGroup } from './workers.ts'
import { routeClones, routesKnown } from '../clones/routing.ts'
import { createSupervisor, type Supervisor } from '../clones/supervisor.ts'
import { formatAddress } from '../clones/protocol.ts'
import { takeOwnership } from '../engines/postgres/embedded/owner.ts'
import { developmentSecrets } from '../sessions/development-secrets.ts'

import type { AppOptions, ResolvedConfig } from './config.ts'
import type { App } from './define-app.ts'
import type { Build } from '../clones/build/snapshot.ts'
import type { Logger } from '../core/log.ts'

export interface StartOptions {
  readonly app: App
  readonly appFile: string
  readonly config: ResolvedConfig
  /** What the command line said, handed on to the clones. */
  readonly overrides: AppOptions
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Logger
  /** Hears what is happening, in words for people. */
  readonly onStep?: (what: string) => void
  /** Clones run the app's own files, whatever they are at each start, and there are no rollouts. Default: false. */
  readonly inPlace?: boolean
  /** Draws the first seed's progress; absent: no first seed. */
  readonly seedProgress?: SeedProgress
  /** Calls the start off: the step under way ends, nothing more is begun, and what runs is stopped. */
  readonly signal?: AbortSignal
}

export interface RunningSystem {
  /** Where the first request can be sent. */
  readonly url: string
  readonly supervisor: Supervisor
  readonly databases: PreparedDatabases
  readonly connections: Connections
  /** The build that serves first; null where clones run the app's own files. */
  readonly build: Build | null
  /** Stops everything. May be called twice. */
  stop(): Promise<void>
}

/** Processes with pools beside the clones: the supervisor while it seeds, one for commands run beside the system, and the balancer where it answers pages. */
const otherProcesses = 3
/** During a rollout two builds run side by side. */
const buildsAtOnce = 2

/**
 * Starts everything; resolves when the first request can be served. Stops what it started if any part fails, or when
 * `signal` says so: then it rejects with the signal's reason.
 *
 * @throws FF_ENGINE_OWNED when a system runs on this data directory, FF_APP_RUNNING when one left a process that cannot
 * be ended, FF_BALANCER_LISTEN when the port is taken
 */
export async function startSystem(options: StartOptions): Promise<RunningSystem> {
  const { log, signal, onStep = () => undefined } = options
  const closers: Closer[] = []
  let stopping: Promise<void> | null = null
  const stop = (): Promise<void> => (stopping ??= stopAll(closers, log))
  const step = (what: string): void => {
    signal?.throwIfAborted()
    onStep(what)
  }
  try {
    const running = await startParts(options, closers, step)
    signal?.throwIfAborted()
    return { ...running, stop }
  } catch (error) {
    await stop()
    throw signal?.aborted === true ? signal.reason : error
  }
}

type Closer = () => Promise<unknown> | void

async function startParts(
  given: StartOptions,
  closers: Closer[],
  step: (what: string) => void,
): Promise<Omit<RunningSystem, 'stop'>> {
  const systemFile = await takeDataDirectory(given, closers)
  step('build')
  const begun = given.inPlace === true ? null : await beginBuild(given)
  const options = { ...given, ...begun?.from }
  const { app, config, env, log } = options
  step('database')
  // One clone that starts again at every change bakes nothing ahead.
  const workers = begun === null ? 0 : workerCount(app, config)
  const processes = (config.clones.max + workers) * (begun === null ? 1 : buildsAtOnce) + otherProcesses
  const databases = await prepareDatabases({ config, directory: app.directory, processes, log })
  closers.push(() => databases.stop())
  const supervisor = supervise(log, systemFile)
  step('store')
  const storeUrl = givenStoreUrl(config) ?? (await runStore(supervisor, config, closers))
  closers.push(() => supervisor.stop())
  const connections = { databases: databases.databases, storeUrl }
  const trackers = trackerGroup(config, connections)
  if (trackers !== null) await supervisor.run(trackers)
  const secrets = config.sessions.secrets?.length
    ? config.sessions.secrets
    : await developmentSecrets(config.dataDir, env)
  if (options.seedProgress !== undefined) await seedFirst(options, connections, secrets, step)
  step('clones')
  const routes = routeClones({ supervisor, drainMs: config.clones.graceMs, admission: begun?.admission })
  closers.push(() => routes.close())
  const build = begun?.build ?? null
  const clones = { appFile: options.appFile, config, overrides: options.overrides, connections, secrets, build }
  const pages = pageFrontSettings(app, config, connections, secrets)
  const url = await runFront(supervisor, options, clones, pages, workers)
  if (begun !== null) {
    const rollouts = new Rollouts({ ...clones, ...begun, workers, supervisor, routes, log })
    closers.push(() => rollouts.close())
    const control = await startControlServer(config.dataDir, controlHandlers(rollouts))
    closers.push(() => control.close())
  }
  systemFile.publish({ url, connections })
  closers.push(() => systemFile.publish(null))
  return { url, supervisor, databases, connections, build }
}

/** One system on a data directory at a time, and nothing left of the one before. A taken port is said before all else. */
async function takeDataDirectory({ config, log }: StartOptions, closers: Closer[]): Promise<SystemFile> {
  await endLeftovers(config.dataDir, log)
  await requireFreePort(config.balancer)
  const ownership = await takeOwnership(config.dataDir)
  closers.push(() => ownership.release())
  const systemFile = createSystemFile(config.dataDir, log)
  closers.push(() => systemFile.remove())
  return systemFile
}

/** A supervisor whose processes are in the file from the moment they are spawned until they are gone. */
function supervise(log: Logger, systemFile: SystemFile): Supervisor {
  const supervisor = createSupervisor({ log })
  supervisor.subscribe((event) => {
    if (event.type !== 'state') return
    const { id, state, process: child } = event.member
    if (state === 'starting') systemFile.add(id, child.pid)
    if (state === 'exited') systemFile.drop(id)
  })
  return supervisor
}

async function runStore(supervisor: Supervisor, config: ResolvedConfig, closers: Closer[]): Promise<string> {
  const directory = join(config.dataDir, 'store')
  await mkdir(directory, { recursive: true })
  const { path, directory: made } = await socketPathFor(config.dataDir, 'store')
  if (made !== null) closers.push(() => rm(made, { recursive: true, force: true }))
  await supervisor.run(storeGroup(path, join(directory, 'store.log'), config))
  return `unix:${path}`
}

async function seedFirst(
  { app, config, overrides, env, log, seedProgress }: StartOptions,
  connections: Connections,
  secrets: readonly string[],
  step: (what: string) => void,
): Promise<void> {
  if (app.definition.seed === undefined || Object.keys(config.databases).length === 0) return
  const ff = await open(app, { connections, config: withSecrets(overrides, secrets), env, log })
  try {
    await seedOnce(app, ff, () => {
      step('first data')
      return seedProgress
    })
  } finally {
    await ff.close()
  }
}

/** The clones and the balancer start side by side: the balancer takes requests in once it knows the clones. */
async function runFront(
  supervisor: Supervisor,
  { config, signal }: StartOptions,
  clones: CloneGroupOptions,
  pages: PageFrontSettings | null,
  workers: number,
): Promise<string> {
  let { port } = config.balancer
  // A start that is called off does not wait until clones are ready that nobody will ask.
  const callOff = (): void => void supervisor.stop()
  signal?.addEventListener('abort', callOff)
  const started = await Promise.allSettled([
    supervisor.run(cloneGroup(clones)),
    supervisor.run(balancerGroup(config, () => port, pages)),
    supervisor.run(workerGroup(clones, workers)),
  ])
  signal?.removeEventListener('abort', callOff)
  for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason
  await routesKnown(supervisor)
  const address = supervisor.members('balancer')[0]?.address
  if (address === undefined || !('port' in address)) throw new Error('expected the balancer to say where it listens')
  port = address.port
  return `${config.balancer.tls.cert === undefined ? 'http' : 'https'}://${formatAddress(address)}`
}

async function stopAll(closers: readonly Closer[], log: Logger): Promise<void> {
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      log.error({ error }, 'one part did not stop cleanly')
    }
  }
}
