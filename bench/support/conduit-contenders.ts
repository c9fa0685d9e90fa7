/**
 * The contenders of `bench/conduit.ts`: two clones each, on a PostgreSQL of their own with the same settings and the same
 * contents, and, where they use one, a Redis of their own.
 */

import { execFile, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'

import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'

import { seed } from '../../examples/conduit/src/seed/seed.ts'
import { ensureRedis } from '../../scripts/services.ts'
import { resolveConfig, type AppOptions, type ResolvedConfig } from '../../src/app/config.ts'
import { prepareDatabases, type Connections, type PreparedDatabases } from '../../src/app/connections.ts'
import { loadApp } from '../../src/app/load-app.ts'
import { startProcess } from '../../src/clones/process.ts'
import { silentLogger } from '../../src/core/log.ts'
import { readUse } from './process-use.ts'

import type { Executor } from '../../examples/conduit/src/schema.ts'
import type { CloneCounts, CloneSettings, ContenderKind } from '../conduit-apps/clone.ts'

export interface Contender {
  readonly name: string
  readonly ports: readonly number[]
  /** For looking at what is there. */
  readonly db: Executor
  /** Of the clones together. */
  counts(): Promise<CloneCounts>
  /** CPU so far of all server processes, by what they are. */
  cpuMs(): Readonly<Record<ServerPart, number>>
}

export type ServerPart = 'clones' | 'postgres' | 'redis' | 'tracker'

export interface Contenders {
  readonly list: readonly Contender[]
  readonly secrets: readonly string[]
  stop(): Promise<void>
}

export interface ContenderOptions {
  readonly name: string
  readonly kind: ContenderKind
  readonly level?: CloneSettings['level']
}

type Closers = (() => Promise<unknown>)[]

const clones = 2
const startMs = 60_000
const secrets = ['only for the benchmark, and long enough to be one']
const appFile = fileURLToPath(new URL('../../examples/conduit/src/app.ts', import.meta.url))

/** Makes the data once, copies it for each contender, and starts them. */
export async function startContenders(
  options: readonly ContenderOptions[],
  amounts: { readonly users: number; readonly articles: number },
): Promise<Contenders> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-bench-'))
  // As root, the servers run as another user, who must get here.
  await chmod(directory, 0o755)
  const closers: Closers = [() => rm(directory, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close().catch((error: unknown) => console.error(error))
  }
  try {
    const seeded = join(directory, 'seeded')
    await makeData(seeded, amounts)
    const list: Contender[] = []
    for (const [index, option] of options.entries()) {
      const own = join(directory, String(index))
      await promisify(execFile)('cp', ['-a', seeded, own])
      list.push(await startContender(option, own, closers))
    }
    return { list, secrets, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function prepare(
  dataDir: string,
  storeUrl?: string,
): Promise<{ config: ResolvedConfig; prepared: PreparedDatabases; overrides: AppOptions }> {
  await mkdir(dataDir, { recursive: true })
  const app = await loadApp(appFile)
  const overrides = {
    dataDir,
    sessions: { secrets },
    logLevel: 'error' as const,
    ...(storeUrl && { store: { url: storeUrl } }),
  }
  const definition = { ...app.definition, databases: { main: { ...app.definition.databases['main'], replicas: 0 } } }
  const config = resolveConfig(definition as never, {}, overrides)
  const prepared = await prepareDatabases({
    config,
    directory: app.directory,
    processes: clones + 2,
    log: silentLogger,
  })
  return { config, prepared, overrides }
}

async function makeData(
  dataDir: string,
  amounts: { readonly users: number; readonly articles: number },
): Promise<void> {
  const { prepared } = await prepare(dataDir)
  try {
    const db = connect(prepared)
    await seed(db, { ...amounts, seed: 1 })
    await db.destroy()
  } finally {
    await prepared.stop()
  }
}

function connect({ databases }: PreparedDatabases): Executor {
  const pool = new pg.Pool({ ...(databases['main']!.primary as pg.PoolConfig), max: 2 })
  // When the server is stopped before the pool.
  pool.on('error', () => undefined)
  return new Kysely({ dialect: new PostgresDialect({ pool }) })
}

async function startContender(
  { name, kind, level = 'session' }: ContenderOptions,
  dataDir: string,
  closers: Closers,
): Promise<Contender> {
  const redis = kind === 'joins' ? null : await ensureRedis()
  if (redis !== null) closers.push(() => redis.stop())
  const { config, prepared, overrides } = await prepare(dataDir, redis?.url)
  closers.push(() => prepared.stop())
  const db = connect(prepared)
  closers.push(() => db.destroy())
  const connections: Connections = { databases: prepared.databases, storeUrl: redis?.url ?? '' }
  const postgres = prepared.embedded
    .get('main')
    ?.processes()
    .find(({ role }) => role === 'primary')?.pid
  const tracker = kind === 'fourfold' ? await startTracker(config, connections, closers) : undefined
  const children = startClones({ kind, level, connections, config: overrides, secrets }, closers)
  const ports = await Promise.all(children.map(async (child) => (await answer<{ port: number }>(child)).port))
  const cpuOf = (...pids: readonly (number | undefined)[]): number =>
    pids.reduce<number>((sum, pid) => sum + (pid === undefined ? 0 : readUse(pid).cpuMs), 0)
  return {
    name,
    ports,
    db,
    counts: async () => sumCounts(await Promise.all(children.map(askCounts))),
    cpuMs: () => ({
      clones: cpuOf(...children.map(({ pid }) => pid)),
      postgres: cpuOf(postgres),
      redis: cpuOf(redis?.child.pid),
      tracker: cpuOf(tracker),
    }),
  }
}

async function startTracker(config: ResolvedConfig, connections: Connections, closers: Closers): Promise<number> {
  const tracker = startProcess({
    name: 'tracker',
    entry: new URL('../../src/app/processes/tracker.ts', import.meta.url),
    settings: { config, connections },
  })
  closers.push(() => tracker.stop())
  await tracker.ready
  return tracker.pid
}

function startClones(settings: CloneSettings, closers: Closers): readonly ChildProcess[] {
  // `FF_BENCH_NODE='--cpu-prof'`: more arguments for the clones.
  const execArgv = [...process.execArgv, ...(process.env['FF_BENCH_NODE']?.split(' ') ?? [])]
  return Array.from({ length: clones }, () => {
    const child = fork(new URL('../conduit-apps/clone.ts', import.meta.url), [JSON.stringify(settings)], { execArgv })
    closers.push(() => end(child))
    return child
  })
}

async function answer<T>(child: ChildProcess): Promise<T> {
  const [message] = await once(child, 'message', { signal: AbortSignal.timeout(startMs) })
  return message as T
}

async function askCounts(child: ChildProcess): Promise<CloneCounts> {
  child.send('counts')
  return (await answer<{ counts: CloneCounts }>(child)).counts
}

function sumCounts(all: readonly CloneCounts[]): CloneCounts {
  const sum = (of: (counts: CloneCounts) => number): number => all.reduce((total, counts) => total + of(counts), 0)
  const names = new Set(all.flatMap(({ objects }) => Object.keys(objects)))
  const field = (name: string, what: 'hits' | 'misses' | 'changed'): number =>
    sum(({ objects }) => objects[name]?.[what] ?? 0)
  const objects = [...names].map((name) => [
    name,
    { hits: field(name, 'hits'), misses: field(name, 'misses'), changed: field(name, 'changed') },
  ])
  return {
    statements: sum(({ statements }) => statements),
    hits: sum(({ hits }) => hits),
    misses: sum(({ misses }) => misses),
    objects: Object.fromEntries(objects),
  }
}

/** Gently, so that a profile is written; and surely. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.disconnect()
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(timer)
}
