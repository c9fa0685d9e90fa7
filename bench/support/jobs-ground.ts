/**
 * What all contenders of the jobs' benchmark stand on: one embedded PostgreSQL with a database for each of them, one Redis, the
 * embedded store, and for each contender a process that works. This process orders, and measures.
 */

import { fork, type ChildProcess } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { database, defineApp } from 'fourfold'
import pg from 'pg'

import { ensureRedis } from '../../scripts/services.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { prepareDatabases } from '../../src/app/connections.ts'
import { startProcess } from '../../src/clones/process.ts'
import { silentLogger } from '../../src/core/log.ts'
import { queues } from './jobs-contenders.ts'

import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import type { HostNews, HostOrder, HostStart } from './jobs-host.ts'
import type { JobPlaces, QueueClient } from './jobs-queue.ts'

export interface Contender {
  readonly name: string
  readonly places: JobPlaces
  readonly client: QueueClient
  /** Its process; started again after it was killed. */
  readonly host: Host
}

export interface JobsGround {
  readonly contenders: readonly Contender[]
  /** A further process for a contender, or for a server. */
  host(): Host
  stop(): Promise<void>
}

/** Pools of all processes at once, the two of a recovery and its clients included. */
const processes = 24
const benchApp = defineApp({ databases: { main: database<any>({ replicas: 0, changeStream: 'off' }) } })
const answerWithinMs = 60_000

export class Host {
  readonly #child: ChildProcess
  readonly #listeners = new Set<(news: HostNews) => void>()

  constructor() {
    this.#child = fork(new URL('./jobs-host.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const tell = (news: HostNews): void => {
      for (const listener of this.#listeners) listener(news)
    }
    this.#child.on('message', (news) => tell(news as HostNews))
    this.#child.on('exit', () => tell({ news: 'failed', message: 'a worker’s process has ended' }))
  }

  /** The first news for which `pick` answers something. */
  hear<T>(pick: (news: HostNews) => T | undefined, withinMs: number = answerWithinMs): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer)
        this.#listeners.delete(listener)
        act()
      }
      const listener = (news: HostNews): void => {
        if (news.news === 'failed') return end(() => reject(new Error(news.message)))
        const picked = pick(news)
        if (picked !== undefined) end(() => resolve(picked))
      }
      const timer = setTimeout(() => end(() => reject(new Error(`a worker said nothing for ${withinMs} ms`))), withinMs)
      this.#listeners.add(listener)
    })
  }

  async start(start: HostStart): Promise<void> {
    await this.#ask({ order: 'start', start }, ({ news }) => news === 'started' || undefined)
  }

  async serve(places: JobPlaces): Promise<number> {
    return await this.#ask({ order: 'serve', places }, (news) => (news.news === 'serving' ? news.port : undefined))
  }

  async rest(): Promise<void> {
    await this.#ask({ order: 'stop' }, ({ news }) => news === 'stopped' || undefined)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask<T>(order: HostOrder, pick: (news: HostNews) => T | undefined): Promise<T> {
    const answer = this.hear(pick)
    this.#child.send(order)
    return await answer
  }
}

/**
 * Starts everything. Stops what it started if any part fails.
 *
 * @param wanted names of contenders; default: all
 */
export async function startJobsGround(wanted: readonly string[] = Object.keys(queues)): Promise<JobsGround> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ff-bench-'))
  // As root, the servers run as another user, who must get here.
  await chmod(dataDir, 0o755)
  const closers: (() => unknown)[] = [() => rm(dataDir, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close()
  }
  const host = (): Host => {
    const started = new Host()
    closers.push(() => started.kill())
    return started
  }
  try {
    const places = await startServers(dataDir, closers)
    const contenders: Contender[] = []
    for (const [at, [name, queue]] of Object.entries(queues).entries()) {
      if (!wanted.includes(name)) continue
      const own = name === 'fourfold' ? places : await withDatabase(places, `contender_${at}`)
      const client = await queue.client(own)
      closers.push(() => client.close())
      contenders.push({ name, places: own, client, host: host() })
    }
    return { contenders, host, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startServers(dataDir: string, closers: (() => unknown)[]): Promise<JobPlaces> {
  const redis = await ensureRedis()
  closers.push(() => redis.stop())
  const config = resolveConfig(benchApp.definition, {}, { dataDir, logLevel: 'warn' })
  const prepared = await prepareDatabases({ config, directory: dataDir, processes, log: silentLogger })
  closers.push(() => prepared.stop())
  await fillLog(prepared.databases['main']!.primary)
  const socketPath = join(dataDir, 'store.sock')
  const store = startProcess({
    name: 'store',
    entry: new URL('../../src/app/processes/store.ts', import.meta.url),
    settings: { socketPath, logPath: join(dataDir, 'store.log'), logLevel: 'warn' },
  })
  closers.push(() => store.stop())
  await store.ready
  const address = prepared.databases['main']!.primary
  const connections = { databases: prepared.databases, storeUrl: `unix:${socketPath}` }
  return { dataDir, address, connections, redisUrl: redis.url }
}

/**
 * A new server makes and clears each file of its log when it first gets there, which takes many times as long as writing to it: whoever
 * came first would pay for all. Afterwards it uses these files again.
 */
async function fillLog(address: PostgresAddress): Promise<void> {
  const client = new pg.Client(address as pg.ClientConfig)
  await client.connect()
  try {
    await client.query(`create table filling as select repeat('x', 200) from generate_series(1, 1500000)`)
    await client.query('drop table filling')
    await client.query('checkpoint')
  } finally {
    await client.end()
  }
}

async function withDatabase(places: JobPlaces, name: string): Promise<JobPlaces> {
  const client = new pg.Client(places.address as pg.ClientConfig)
  await client.connect()
  try {
    await client.query(`create database ${name}`)
  } finally {
    await client.end()
  }
  const address: PostgresAddress = { ...places.address, database: name }
  return { ...places, address }
}
