/**
 * One clone of Conduit for `bench/conduit.ts`, as one of the contenders. All have the same server, routes and writes;
 * what differs is `domain/`, and what `request.ff` is: Fourfold's, or a plain pool and Redis.
 */
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { createClient } from 'redis'
import { open } from 'fourfold'

import { silentLogger } from '../../src/core/log.ts'
import { readDomainFrom } from './read-domain-from.ts'

import type { FastifyInstance } from 'fastify'
import type { AppOptions, Connections, Level } from 'fourfold'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'

export type ContenderKind = 'fourfold' | 'joins' | 'manual'

export interface CloneSettings {
  readonly kind: ContenderKind
  readonly level: Level
  readonly connections: Connections
  readonly config: AppOptions
  readonly secrets: readonly string[]
}

/** What a clone has done since it began. */
export interface CloneCounts {
  readonly statements: number
  readonly hits: number
  readonly misses: number
  /** Of Fourfold's objects, by name: look-ups that were answered, that were not, and those not because of a change. */
  readonly objects: Readonly<Record<string, { hits: number; misses: number; changed: number }>>
}

const counted = countStatements()
const settings = JSON.parse(process.argv[2] ?? '') as CloneSettings
const { server, counts } = await (settings.kind === 'fourfold' ? serveFourfold() : servePlain(settings.kind))
await server.listen({ port: 0, host: '127.0.0.1' })
process.on('message', () => process.send?.({ counts: { statements: counted.count, ...counts() } }))
process.once('disconnect', () => process.exit())
process.send?.({ port: (server.server.address() as { port: number }).port })

interface Served {
  readonly server: FastifyInstance
  readonly counts: () => Omit<CloneCounts, 'statements'>
}

async function serveFourfold(): Promise<Served> {
  const { defineConduit } = await import('../../examples/conduit/src/app.ts')
  const app = defineConduit({ api: settings.level, pages: settings.level })
  const ff = await open(app, { connections: settings.connections, config: settings.config, env: {}, log: silentLogger })
  const server = (await app.definition.server!(ff as never)) as FastifyInstance
  return { server, counts: () => countsOf(ff.cache.metrics()) }
}

function countsOf(
  metrics: ReturnType<Awaited<ReturnType<typeof open>>['cache']['metrics']>,
): ReturnType<Served['counts']> {
  const sum = (values: object): number => Object.values(values).reduce((total, value) => total + Number(value), 0)
  const objects = Object.fromEntries(
    Object.entries(metrics).map(([name, { hits, misses }]) => {
      const changed = sum(misses) - (misses.absent ?? 0)
      return [name, { hits: sum(hits), misses: sum(misses), changed }]
    }),
  )
  const total = (what: 'hits' | 'misses'): number => Object.values(objects).reduce((all, one) => all + one[what], 0)
  return { hits: total('hits'), misses: total('misses'), objects }
}

async function servePlain(kind: 'joins' | 'manual'): Promise<Served> {
  readDomainFrom(kind)
  const { createServer } = await import('../../examples/conduit/src/server.ts')
  const { poolSize, primary } = settings.connections.databases['main']!
  const pool = new pg.Pool({ ...(primary as PostgresAddress & pg.PoolConfig), max: poolSize })
  const db = new Kysely<any>({ dialect: new PostgresDialect({ pool }) })
  const store = kind === 'manual' ? await openStore(db) : null
  const ff = { databases: { main: db }, cache: store ?? db, log: silentLogger, as: () => ff }
  const server = await createServer({
    secrets: settings.secrets,
    attach: async (fastify) => void fastify.decorateRequest('ff', { getter: () => ff as never }),
  })
  return { server, counts: () => ({ hits: store?.hits ?? 0, misses: store?.misses ?? 0, objects: {} }) }
}

async function openStore(db: Kysely<any>): Promise<{ hits: number; misses: number }> {
  const { Store } = await import('./manual/store.ts')
  const redis = createClient({ url: settings.connections.storeUrl })
  await redis.connect()
  return new Store(db, redis as never)
}

/** All statements of this process, whoever sends them. */
function countStatements(): { count: number } {
  const counter = { count: 0 }
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    counter.count += 1
    return (query as (...args: unknown[]) => unknown).apply(this, args)
  } as typeof query
  return counter
}
