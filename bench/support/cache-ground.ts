/**
 * What all contenders of the cache's benchmark stand on: an embedded primary, a Redis, and the tracker, each in a process
 * of its own, so that only what a clone itself spends shows in this process's CPU time. Clones are opened in this
 * process; they share servers and nothing else.
 */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { database, defineApp, open, type Fourfold } from 'fourfold'
import pg from 'pg'

import { ensureRedis } from '../../scripts/services.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { prepareDatabases, type Connections } from '../../src/app/connections.ts'
import { startProcess } from '../../src/clones/process.ts'
import { silentLogger } from '../../src/core/log.ts'

export type CacheApp = Fourfold<{ main: any }>

export interface CacheServers {
  readonly redisUrl: string
  readonly primary: pg.ClientConfig
  readonly dataDir: string
  readonly connections: Connections
}

export interface CacheGround {
  readonly servers: CacheServers
  /** For contenders without Fourfold, and for writers outside of it. */
  readonly pool: pg.Pool
  stop(): Promise<void>
}

const noteCount = 200_000
const setupSql = `
create table notes (id int primary key, author text not null, title text not null, text text not null);
create table versions (id int primary key, version int not null, told text not null default '');
create table busy (id int primary key, at int not null);
insert into notes
  select n, 'author ' || n % 100, 'title of ' || n, repeat('some words ', 10) from generate_series(1, ${noteCount}) n;
insert into versions select n, 0 from generate_series(1, 100) n;
insert into busy select n, 0 from generate_series(1, 1000) n;
analyze`

/** How many processes may open pools on the server: all clones of this benchmark, the tracker, and the plain pools. */
const processes = 16

/** Starts everything. Stops what it started if any part fails. */
export async function startCacheGround(): Promise<CacheGround> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ff-bench-'))
  // As root, the servers run as another user, who must get here.
  await chmod(dataDir, 0o755)
  const closers: (() => Promise<unknown>)[] = [() => rm(dataDir, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close()
  }
  try {
    const redis = await ensureRedis()
    closers.push(() => redis.stop())
    const config = resolveConfig(benchApp.definition, {}, { dataDir, logLevel: 'warn' })
    const prepared = await prepareDatabases({ config, directory: dataDir, processes, log: silentLogger })
    closers.push(() => prepared.stop())
    const connections = { databases: prepared.databases, storeUrl: redis.url }
    const primary = prepared.databases['main']!.primary as pg.ClientConfig
    const pool = new pg.Pool({ ...primary, max: 8 })
    // A connection that is lost while idle; a statement that fails shows by itself.
    pool.on('error', () => undefined)
    closers.push(() => pool.end())
    await pool.query(setupSql)
    const tracker = startProcess({
      name: 'tracker',
      entry: new URL('../../src/app/processes/tracker.ts', import.meta.url),
      settings: { config, connections },
    })
    closers.push(() => tracker.stop())
    await tracker.ready
    return { servers: { redisUrl: redis.url, primary, dataDir, connections }, pool, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const benchApp = defineApp({ databases: { main: database<any>({ replicas: 0 }) } })

export interface CloneOptions {
  /** Bytes of the tier in this process; with 0 every hit is of Redis. Default: as an app has it. */
  readonly memory?: number
  /** Whether the change stream is followed. Default true. */
  readonly followed?: boolean
}

/** Opens one clone in this process. */
export async function openClone(servers: CacheServers, options: CloneOptions = {}): Promise<CacheApp> {
  const { dataDir, connections } = servers
  const main = { ...connections.databases['main']!, changes: options.followed !== false }
  const cache = options.memory === undefined ? {} : { cache: { memory: options.memory } }
  return (await open(benchApp, {
    env: {},
    config: { dataDir, ...cache },
    connections: { ...connections, databases: { main } },
    log: silentLogger,
  })) as CacheApp
}

const calm = { sampleMs: 500, microsecondsPerMs: 15, withinMs: 15_000 }

/**
 * Waits until this process spends next to nothing. The first cached load brings the parser of SQL in, and what makes it
 * fast goes on for some seconds behind: that is paid once, and is no part of any look-up.
 */
export async function untilCalm(): Promise<void> {
  const deadlineMs = performance.now() + calm.withinMs
  for (let spent = Infinity; spent > calm.microsecondsPerMs && performance.now() < deadlineMs;) {
    const before = process.cpuUsage()
    const began = performance.now()
    await pause(calm.sampleMs)
    const { user, system } = process.cpuUsage(before)
    spent = (user + system) / (performance.now() - began)
  }
}
