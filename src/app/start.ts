/**
 * Runs an app as a system on this host: embedded servers, store, clones and balancer, under one supervisor.
 *
 * Order: databases (and their migrations), store, the first seed, clones, balancer; stopping goes the other way. The
 * supervisor keeps no user data either: whatever it dies of, the next start finds everything in the data directory.
 */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { prepareDatabases, type Connections, type PreparedDatabases } from './connections.ts'
import { open } from './open.ts'
import { seedOnce, type SeedProgress } from './seeding.ts'
import { socketPathFor } from './socket-path.ts'
import { removeSystemNote, writeSystemNote } from './system-file.ts'
import { routeClones, routesKnown } from '../clones/routing.ts'
import { createSupervisor, type Supervisor } from '../clones/supervisor.ts'
import { formatAddress } from '../clones/protocol.ts'
import { developmentSecrets } from '../sessions/development-secrets.ts'

import type { AppOptions, ResolvedConfig } from './config.ts'
import type { App } from './define-app.ts'
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
  /** Draws the first seed's progress; absent: no first seed. */
  readonly seedProgress?: SeedProgress
}

export interface RunningSystem {
  /** Where the first request can be sent. */
  readonly url: string
  readonly supervisor: Supervisor
  readonly databases: PreparedDatabases
  readonly connections: Connections
  /** Stops everything. May be called twice. */
  stop(): Promise<void>
}

/** Processes with pools beside the clones: the supervisor while it seeds, and one for commands run beside the system. */
const otherProcesses = 2

/** Starts everything; resolves when the first request can be served. Stops what it started if any part fails. */
export async function startSystem(options: StartOptions): Promise<RunningSystem> {
  const { config, log, onStep = () => undefined } = options
  const closers: (() => Promise<unknown>)[] = []
  let stopping: Promise<void> | null = null
  const stop = (): Promise<void> => (stopping ??= stopAll(closers, log))
  try {
    onStep('database')
    const databases = await prepareDatabases({
      config,
      directory: options.app.directory,
      processes: config.clones.max + otherProcesses,
      log,
    })
    closers.push(() => databases.stop())
    const supervisor = createSupervisor({ log })
    closers.push(() => supervisor.stop())
    onStep('store')
    const storeUrl = config.store.url ?? (await runStore(supervisor, config, closers))
    const connections = { databases: databases.databases, storeUrl }
    const secrets = config.sessions.secrets?.length
      ? config.sessions.secrets
      : await developmentSecrets(config.dataDir, options.env)
    if (options.seedProgress !== undefined) await seedFirst(options, connections, secrets, onStep)
    onStep('clones')
    closers.push(async () => routing())
    const routing = routeClones({ supervisor, drainMs: config.clones.graceMs })
    const url = await runFront(supervisor, options, connections, secrets)
    await writeNote(config, url, supervisor, connections)
    closers.push(() => removeSystemNote(config.dataDir))
    return { url, supervisor, databases, connections, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function writeNote(
  config: ResolvedConfig,
  url: string,
  supervisor: Supervisor,
  connections: Connections,
): Promise<void> {
  const processes = supervisor.members().map((member) => ({ name: member.id, pid: member.process.pid }))
  await mkdir(config.dataDir, { recursive: true })
  await writeSystemNote(config.dataDir, {
    pid: process.pid,
    since: new Date().toISOString(),
    url,
    processes,
    connections,
  })
}

/** The embedded store, as a process of its own: a clone or a supervisor that dies takes nothing along. */
async function runStore(
  supervisor: Supervisor,
  config: ResolvedConfig,
  closers: (() => Promise<unknown>)[],
): Promise<string> {
  const directory = join(config.dataDir, 'store')
  await mkdir(directory, { recursive: true })
  const socket = await socketPathFor(config.dataDir, 'store')
  const made = socket.directory
  if (made !== null) closers.splice(1, 0, () => rm(made, { recursive: true, force: true }))
  await supervisor.run({
    kind: 'store',
    count: 1,
    together: false,
    spec: () => ({
      entry: processEntry('store'),
      settings: { socketPath: socket.path, logPath: join(directory, 'store.log'), logLevel: config.logLevel },
    }),
  })
  return `unix:${socket.path}`
}

async function seedFirst(
  { app, config, overrides, env, log, seedProgress }: StartOptions,
  connections: Connections,
  secrets: readonly string[],
  onStep: (what: string) => void,
): Promise<void> {
  if (app.definition.seed === undefined || Object.keys(config.databases).length === 0) return
  const ff = await open(app, { connections, config: withSecrets(overrides, secrets), env, log })
  try {
    await seedOnce(app, ff, () => {
      onStep('first data')
      return seedProgress
    })
  } finally {
    await ff.close()
  }
}

/** The clones and the balancer start side by side: the balancer takes requests in once it knows the clones. */
async function runFront(
  supervisor: Supervisor,
  { appFile, config, overrides }: StartOptions,
  connections: Connections,
  secrets: readonly string[],
): Promise<string> {
  const { clones, balancer, logLevel } = config
  const cloneSettings = {
    appFile,
    connections,
    config: withSecrets(overrides, secrets),
    writes: clones.writes,
    logLevel,
  }
  const started = await Promise.allSettled([
    supervisor.run({
      kind: 'clone',
      count: clones.min,
      spec: (index) => ({
        entry: processEntry('clone'),
        settings: { ...cloneSettings, name: `clone-${index}` },
        writes: clones.writes,
        graceMs: clones.graceMs,
      }),
    }),
    supervisor.run({
      kind: 'balancer',
      count: 1,
      together: false,
      spec: () => ({ entry: processEntry('balancer'), settings: { ...balancer, logLevel }, graceMs: clones.graceMs }),
    }),
  ])
  for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason
  await routesKnown(supervisor)
  const [front] = supervisor.members('balancer')
  if (front?.address === undefined) throw new Error('expected the balancer to say where it listens')
  return `http://${formatAddress(front.address)}`
}

/** Secrets travel to clones in their settings, not on a command line, where others could read them. */
function withSecrets(overrides: AppOptions, secrets: readonly string[]): AppOptions {
  return { ...overrides, sessions: { ...overrides.sessions, secrets: [...secrets] } }
}

/** The file of a process, beside this one: `.ts` from source, `.js` when built. */
function processEntry(name: 'store' | 'clone' | 'balancer'): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./processes/${name}.${extension}`, import.meta.url)
}

async function stopAll(closers: readonly (() => Promise<unknown>)[], log: Logger): Promise<void> {
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      log.error({ error }, 'one part did not stop cleanly')
    }
  }
}
