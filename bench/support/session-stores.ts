/** The stores of the sessions benchmark: a Redis, Fourfold's embedded store, and a PostgreSQL that keeps what it says. */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ensureRedis } from '../../scripts/services.ts'
import { startProcess } from '../../src/clones/process.ts'
import { silentLogger } from '../../src/core/log.ts'
import { startEmbeddedCluster } from '../../src/engines/postgres/embedded/cluster.ts'

export interface BenchStore {
  readonly url: string
  readonly pid: number
}

export interface BenchStores {
  readonly redis: BenchStore
  readonly memory: BenchStore
  readonly sql: BenchStore
  stop(): Promise<void>
}

export async function startStores(): Promise<BenchStores> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-bench-'))
  // As root, the database runs as another user, who must get here.
  await chmod(directory, 0o755)
  const closers: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close()
  }
  try {
    const service = await ensureRedis()
    closers.push(() => service.stop())
    const redis = { url: service.url, pid: service.child.pid ?? 0 }
    return { redis, memory: await startMemory(directory, closers), sql: await startSql(directory, closers), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startMemory(directory: string, closers: (() => Promise<unknown>)[]): Promise<BenchStore> {
  const socketPath = join(directory, 'store.sock')
  const store = startProcess({
    name: 'store',
    entry: new URL('../../src/app/processes/store.ts', import.meta.url),
    settings: { socketPath, logPath: join(directory, 'store.log'), logLevel: 'warn' },
  })
  closers.push(() => store.stop())
  await store.ready
  return { url: `unix:${socketPath}`, pid: store.pid }
}

/** As an app's own database is: a commit is on the disc when it is answered. */
async function startSql(directory: string, closers: (() => Promise<unknown>)[]): Promise<BenchStore> {
  const cluster = await startEmbeddedCluster({
    directory: join(directory, 'database'),
    database: 'app',
    replicas: 0,
    log: silentLogger,
  })
  closers.push(() => cluster.stop())
  const { host, port, user, database } = cluster.primary
  const primary = cluster.processes().find(({ role }) => role === 'primary')
  return { url: `postgres://${user}@/${database}?host=${host}&port=${port}`, pid: primary?.pid ?? 0 }
}
