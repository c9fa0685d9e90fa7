/** An app with cached objects in one process, and a writer outside of it. */

import { before, after } from 'node:test'

import pg from 'pg'

import { database, defineApp } from '../../src/app/define-app.ts'
import { open, type OpenOptions } from '../../src/app/open.ts'
import { define } from '../../src/app/define.ts'
import { type ObjectDefinition } from '../../src/cache/define-object.ts'
import { socketPathFor } from '../../src/app/socket-path.ts'
import { silentLogger } from '../../src/core/log.ts'
import { newDirectory } from './postgres.ts'
import { waitFor } from './wait-for.ts'
import { rm } from 'node:fs/promises'

import type { Fourfold } from '../../src/app/fourfold.ts'
import type { Key } from '../../src/cache/keys.ts'

export interface CacheSchema {
  users: { id: number; name: string }
  articles: { id: number; slug: string; author_id: number; title: string }
  follows: { follower: number; followed: number }
}

export class User {
  readonly id: number
  readonly name: string
  constructor(id: number, name: string) {
    this.id = id
    this.name = name
  }
  greet(): string {
    return `I am ${this.name}`
  }
}

export interface Loads {
  user: number
  article: number
  byAuthor: number
}

type Tools = { main: CacheSchema }
const { defineObject } = define<Tools>()

/** Objects that count how often they are loaded. */
export function countedObjects() {
  const loads: Loads = { user: 0, article: 0, byAuthor: 0 }
  const user = defineObject<number, User>({
    name: 'user',
    type: User,
    load: async ({ main }, id) => {
      loads.user += 1
      const row = await main.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : new User(row['id'], row['name'])
    },
    loadMany: async ({ main }, ids) => {
      loads.user += 1
      const rows = await main
        .selectFrom('users')
        .selectAll()
        .where('id', 'in', [...ids])
        .execute()
      return new Map(rows.map((row) => [row['id'] as number, new User(row['id'], row['name'])]))
    },
    loadManyBy: 'id',
  })
  const article = defineObject<string, { title: string; author: User | null }>({
    name: 'article',
    load: async ({ main, use }, slug) => {
      loads.article += 1
      const row = await main.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
      return row === undefined ? null : { title: row['title'], author: await use(user, row['author_id'] as number) }
    },
  })
  const byAuthor = defineObject<number, string[]>({
    name: 'by-author',
    load: async ({ main }, id) => {
      loads.byAuthor += 1
      const rows = await main
        .selectFrom('articles')
        .select('slug')
        .where('author_id', '=', id)
        .orderBy('slug')
        .execute()
      return rows.map((row) => row['slug'] as string)
    },
  })
  return { loads, user, article, byAuthor }
}

export interface CacheGround {
  readonly ff: Fourfold<Tools>
  /** For readers at `session`, each under a name of its own. */
  reader(name: string): Fourfold<Tools>
  /** A connection that Fourfold knows nothing of. */
  readonly outside: pg.Client
  /** Another process of the same app, as far as the cache can tell: it shares the servers and nothing else. */
  clone(objects: readonly ObjectDefinition[]): Promise<Fourfold<Tools>>
  readonly storeUrl: string
}

export const articlesSql = `
create table users (id int primary key, name text not null);
create table articles (id int primary key, slug text unique not null, author_id int not null, title text not null);
create table follows (follower int, followed int, primary key (follower, followed));
insert into users select n, 'user ' || n from generate_series(1, 50) n;
insert into articles select n, 'slug-' || n, 1 + n % 10, 'title ' || n from generate_series(1, 100) n`

/** Opens the app before a suite's tests and closes it after them. */
export function cacheGround(
  objects: readonly { name: string }[] = [],
  options: { sql?: string; replicas?: number; config?: object; open?: OpenOptions } = {},
): () => CacheGround {
  let ground: CacheGround | undefined
  let directory = ''
  const clones: { close(): Promise<void> }[] = []
  before(async () => {
    directory = await newDirectory('ff-cache-')
    const databases = { main: database<CacheSchema>({ replicas: options.replicas ?? 0 }) }
    const app = defineApp({ databases, objects: objects as never, dataDir: directory, ...options.config })
    const ff = (await open(app, { env: {}, log: silentLogger, ...options.open })) as unknown as Fourfold<Tools>
    await ff.databases.main.pool.query(options.sql ?? articlesSql)
    const address = ff.clusters['main']!.address
    const outside = new pg.Client(address as pg.ClientConfig)
    outside.on('error', () => undefined)
    await outside.connect()
    const { path } = await socketPathFor(directory, 'store')
    const main = { primary: address, direct: address, replicas: [], poolSize: 4, changes: true }
    const connections = { databases: { main }, storeUrl: `unix:${path}` }
    const clone = async (own: readonly ObjectDefinition[]): Promise<Fourfold<Tools>> => {
      const sibling = defineApp({ databases, objects: own, dataDir: directory, ...options.config })
      const opened = await open(sibling, { env: {}, log: silentLogger, connections, ...options.open })
      clones.push(opened)
      return opened as unknown as Fourfold<Tools>
    }
    ground = {
      ff,
      outside,
      reader: (name) => ff.as({ reader: name, level: 'session' }),
      clone,
      storeUrl: connections.storeUrl,
    }
  })
  after(async () => {
    await ground?.outside.end()
    for (const clone of clones) await clone.close()
    await ground?.ff.close()
    await rm(directory, { recursive: true, force: true })
  })
  return () => ground!
}

/**
 * Reads until an entry is kept that depends on rows alone: a table has to join the publication first, and its columns
 * have to be hashed.
 */
export async function untilKept(ff: Fourfold<any>, object: ObjectDefinition, ...keys: Key[]): Promise<void> {
  for (const key of keys) {
    await waitFor(`${object.name} ${JSON.stringify(key)} is kept`, async () => {
      await ff.cache.get(object, key)
      const { verdict, parts } = await ff.cache.explain(object, key)
      return verdict === 'fresh' && parts.every(({ wholeTables }) => wholeTables.length === 0)
    })
  }
}
