/**
 * The app that the harness runs with `fourfold start`: rows of a few tables, read for the reader and at the level that
 * the request names, without the cache and as cached queries and objects; and written, by the same kinds of writes that
 * are also done outside of it. Nothing in here says what a write makes stale.
 *
 * Answers of the database tell which server answered, in that server's own words; those of the cache have
 * `Cache-Status`.
 */

import assert from 'node:assert/strict'

import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { database, define, defineApp, type Fourfold, type Level } from 'fourfold'
import { fourfold } from 'fourfold/fastify'

import { isDecided, performWrite, split, type Done, type Plan } from './write-kinds.ts'

import type { Item } from './history.ts'

interface Row {
  readonly key: string
  readonly version: string
  readonly stamp: string
}

interface Schema {
  counters: Row & { readonly grp: number }
  posts: Row & { readonly grp: number }
  shaped: Row
}

type App = Fourfold<{ main: Schema }>

const { defineObject } = define<{ main: Schema }>()

const counter = defineObject<string, Row>({
  name: 'counter',
  load: async ({ main }, key) =>
    (await main.selectFrom('counters').select(['key', 'version', 'stamp']).where('key', '=', key).executeTakeFirst()) ??
    null,
  loadMany: async ({ main }, keys) => {
    const rows = await main
      .selectFrom('counters')
      .select(['key', 'version', 'stamp'])
      .where('key', 'in', [...keys])
      .execute()
    return new Map(rows.map((row) => [row.key, row]))
  },
  loadManyBy: 'key',
})

const post = defineObject<string, Row>({
  name: 'post',
  load: async ({ main }, key) =>
    (await main.selectFrom('posts').selectAll().where('key', '=', key).executeTakeFirst()) ?? null,
})

const shape = defineObject<string, Row>({
  name: 'shape',
  load: async ({ main }, key) =>
    (await main.selectFrom('shaped').selectAll().where('key', '=', key).executeTakeFirst()) ?? null,
})

/** Two rows that other objects hold, in one: the key is `counters/c1+posts/p1`. */
const board = defineObject<string, { readonly counter: Row | null; readonly post: Row | null }>({
  name: 'board',
  load: async ({ use }, key) => {
    const [first = '', second = ''] = key.split('+')
    return { counter: await use(counter, split(first)[1]), post: await use(post, split(second)[1]) }
  },
})

const objects = { counters: counter, posts: post, shaped: shape } as const
const groupSql = (table: string): string => `select key, version, stamp from ${table} where grp = $1 order by key`
const rowSql = (table: string): string => `select key, version, stamp from ${table} where key = $1`
const sumSql = 'select sum(version) as total from counters where grp = $1'
/** A row for the server, whether or not there is one for the key. */
const answered = (sql: string): string => `select answering.*, found.* from answering left join (${sql}) found on true`

/** What a request asks for: see `traffic.ts`. */
export interface Wanted {
  readonly kind: 'row' | 'rows' | 'sum' | 'object' | 'objects' | 'board'
  readonly cached: boolean
  readonly table: string
  readonly keys: readonly string[]
  readonly group: number
  /** Of a sum: the same question in other words, which the cache keeps apart. */
  readonly variant: number
  /** At `strict`, whatever the level of the request. */
  readonly once: boolean
}

export interface Shown {
  readonly items: readonly Item[]
  readonly sum?: number
  readonly server: string
}

export default defineApp({
  databases: {
    main: database<Schema>({
      migrations: './migrations',
      maxStaleness: '2s',
      poolSize: 8,
      changeStream: 'required',
      onPrimaryDown: 'refuse',
    }),
  },
  objects: [counter, post, shape, board],
  identify: (request) => String(request.headers['x-reader'] ?? '') || null,
  server: async (ff): Promise<FastifyInstance> => {
    const app = Fastify()
    const level = (request: FastifyRequest): Level | undefined => request.headers['x-level'] as Level | undefined
    await app.register(fourfold, { ff, level, cacheStatus: true })
    app.post<{ Body: Wanted }>('/read', async (request) => {
      const wanted = request.body
      const scoped = request.ff as unknown as App
      return wanted.cached ? await readCached(scoped, wanted) : await readDatabase(scoped, wanted)
    })
    app.post<{ Body: Plan & { readonly id: string } }>('/write', async (request) => {
      const { id, ...plan } = request.body
      return await write(request.ff as unknown as App, plan, id)
    })
    return app
  },
})

async function readDatabase({ databases }: App, { kind, table, keys, group }: Wanted): Promise<Shown> {
  const { pool } = databases.main
  const key = split(keys[0] ?? '')[1]
  const sql = kind === 'sum' ? sumSql : kind === 'rows' ? groupSql(table) : rowSql(table)
  const { rows } = await pool.query(answered(sql), [kind === 'row' ? key : group])
  const [{ standby, port }] = rows
  const server = standby === 'on' ? `replica-${Number(port) - 5432}` : 'primary'
  if (kind === 'sum') return { items: [], sum: Number(rows[0].total), server }
  return { items: itemsOf(rows as Row[], keys), server }
}

async function readCached({ cache }: App, wanted: Wanted): Promise<Shown> {
  const { kind, table, keys, group, variant, once } = wanted
  const level = once ? ({ level: 'strict' } as const) : {}
  const key = split(keys[0] ?? '')[1]
  const server = ''
  switch (kind) {
    case 'sum': {
      const [row] = await cache.query<{ total: string }>(`${sumSql} /* ${variant} */`, [group], level)
      return { items: [], sum: Number(row?.total), server }
    }
    case 'rows':
      return { items: itemsOf(await cache.query<Row>(groupSql(table), [group], level), keys), server }
    case 'row':
      return { items: itemsOf(await cache.query<Row>(rowSql(table), [key], level), keys), server }
    case 'objects': {
      const found = await cache.getMany(
        counter,
        keys.map((one) => split(one)[1]),
        level,
      )
      return { items: itemsOf(found, keys), server }
    }
    case 'object': {
      const object = objects[table as keyof typeof objects] ?? assert.fail(`there is no object of ${table}`)
      return { items: itemsOf([await cache.get(object, key, once ? level : undefined)], keys), server }
    }
    default: {
      const shown = await cache.get(board, keys.join('+'), once ? level : undefined)
      const [first = '', second = ''] = keys
      return { items: [...itemsOf([shown!.counter], [first]), ...itemsOf([shown!.post], [second])], server }
    }
  }
}

/** Rows that are not there are items too. */
function itemsOf(rows: readonly (Row | null)[], keys: readonly string[]): Item[] {
  return keys.map((path) => {
    const row = rows.find((one) => one?.key === split(path)[1])
    return row ? { key: path, version: Number(row.version), stamp: row.stamp } : { key: path, version: null, stamp: '' }
  })
}

async function write({ databases }: App, plan: Plan, id: string): Promise<Done> {
  const { pool } = databases.main
  if (plan.kind === 'update') return await performWrite(pool, plan, id)
  const client = await pool.connect()
  try {
    const done = await performWrite(client, plan, id)
    client.release()
    return done
  } catch (error) {
    client.release(!isDecided(error))
    if (isDecided(error)) return { outcome: 'rolled back', items: [], undone: [] }
    throw error
  }
}
