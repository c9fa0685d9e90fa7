/**
 * Servers and an opened app for benchmarks of the routing: an embedded primary, one replica, and the store in a process
 * of its own, so that only what a clone itself spends shows in this process's CPU time.
 */

import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { database, defineApp, open, type Fourfold } from 'fourfold'

import { resolveConfig } from '../../src/app/config.ts'
import { prepareDatabases } from '../../src/app/connections.ts'
import { startProcess } from '../../src/clones/process.ts'
import { silentLogger } from '../../src/core/log.ts'

import type { DatabaseConnections } from '../../src/app/connections.ts'

export interface BenchSchema {
  readonly notes: { readonly id: number; readonly author: string; readonly text: string }
}

export interface LiveApp {
  readonly ff: Fourfold<{ main: BenchSchema }>
  /** Where the same servers are, for contenders without Fourfold, and how many connections a pool may have. */
  readonly servers: DatabaseConnections
  stop(): Promise<void>
}

const app = defineApp({ databases: { main: database<BenchSchema>({ replicas: 1 }) } })

/** Starts everything, with a table `notes` of `rows` rows. Stops what it started if any part fails. */
export async function startLiveApp(rows: number): Promise<LiveApp> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-bench-'))
  // As root, the servers run as another user, who must get here.
  await chmod(directory, 0o755)
  const closers: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close()
  }
  try {
    const config = resolveConfig(app.definition, {}, { dataDir: directory })
    // Room for two processes: one is the app, the other stands for the plain pools beside it.
    const prepared = await prepareDatabases({ config, directory, processes: 2, log: silentLogger })
    closers.push(() => prepared.stop())
    const storeUrl = await startStore(directory, closers)
    const connections = { databases: prepared.databases, storeUrl }
    const ff = await open(app, { connections, config: { dataDir: directory }, log: silentLogger })
    closers.push(() => ff.close())
    const { pool } = ff.databases.main
    await pool.query('create table notes (id serial primary key, author text not null, text text not null)')
    await pool.query(`insert into notes (author, text) select 'ada', 'note ' || n from generate_series(1, $1::int) n`, [
      rows,
    ])
    const servers = prepared.databases['main']
    if (servers === undefined) throw new Error('expected the database main to be prepared')
    return { ff, servers, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startStore(directory: string, closers: (() => Promise<unknown>)[]): Promise<string> {
  const socketPath = join(directory, 'store.sock')
  const store = startProcess({
    name: 'store',
    entry: new URL('../../src/app/processes/store.ts', import.meta.url),
    settings: { socketPath, logPath: join(directory, 'store.log'), logLevel: 'warn' },
  })
  closers.push(() => store.stop())
  await store.ready
  return `unix:${socketPath}`
}
