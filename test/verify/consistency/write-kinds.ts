/**
 * The kinds of writes, the same in the app and outside of it: each is one transaction on one client, and says which rows
 * it may change before it begins.
 *
 * Rows of `posts` come and go, so their versions stand in `tallies`, which nobody reads through the cache and whose
 * locks also bring the writers of a row into one order. `counters` only change, `shaped` is rewritten by DDL.
 */

import type { Item } from './history.ts'

export interface Client {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly any[] }>
}

export interface Plan {
  readonly kind: Kind
  readonly keys: readonly string[]
  readonly removes: boolean
}

export interface Done {
  readonly outcome: 'acknowledged' | 'rolled back'
  readonly items: readonly Item[]
  readonly undone: readonly string[]
}

export const counters: readonly string[] = numbered('counters/c', 18)
export const posts: readonly string[] = numbered('posts/p', 18)
export const shaped: readonly string[] = numbered('shaped/s', 4)
export const groups = 3
/** Rows of one group, as the tables say: by turns. */
export const groupOf = (keys: readonly string[], group: number): readonly string[] =>
  keys.filter((_, at) => at % groups === group)

const inApp = ['update', 'transaction', 'savepoint', 'put', 'remove', 'bulk'] as const
const onlyOutside = ['long transaction', 'rows of several tables', 'bulk removal', 'truncate', 'ddl'] as const
const rolledBack = ['rollback', 'long rollback'] as const

export type AppKind = (typeof inApp)[number] | 'rollback'
export type Kind = (typeof inApp)[number] | (typeof onlyOutside)[number] | (typeof rolledBack)[number]

export const appKinds: readonly AppKind[] = [...inApp, 'rollback']
export const outsideKinds: readonly Kind[] = [...inApp, ...onlyOutside, ...rolledBack]
/** As they are counted, see `counts.ts`. Those that are always rolled back are never acknowledged. */
export const kindsOfWrites: readonly string[] = [
  ...inApp,
  ...[...inApp, ...onlyOutside].map((kind) => `outside: ${kind}`),
  'outside: late table',
]

export function planWrite(kind: Kind): Plan {
  const removes = ['remove', 'bulk removal', 'truncate'].includes(kind)
  return { kind, keys: keysOf(kind), removes }
}

function keysOf(kind: Kind): readonly string[] {
  const group = Math.floor(Math.random() * groups)
  if (kind === 'bulk') return groupOf(counters, group)
  if (kind === 'bulk removal') return groupOf(posts, group)
  if (kind === 'truncate') return posts
  if (kind === 'ddl') return shaped
  if (kind === 'put' || kind === 'remove') return [pickOne(posts)]
  if (kind === 'rows of several tables') return [pickOne(counters), pickOne(posts)]
  if (kind === 'transaction' && Math.random() < 0.5) return [pickOne(shaped)]
  // In one order, whoever locks them.
  return kind === 'savepoint' ? pickTwo(counters) : [pickOne(counters)]
}

/** Runs a planned write. What it throws tells, through {@link isDecided}, whether it may have happened. */
export async function performWrite(client: Client, plan: Plan, id: string): Promise<Done> {
  const { kind, keys } = plan
  if (kind === 'update') {
    return { outcome: 'acknowledged', items: [await change(client, keys[0]!, id)], undone: [] }
  }
  await client.query('begin')
  try {
    const { items, undone } = await inside(client, plan, id)
    if (kind.startsWith('long')) await pause(200 + Math.random() * 1_500)
    const over = kind.endsWith('rollback')
    await client.query(over ? 'rollback' : 'commit')
    return over ? { outcome: 'rolled back', items: [], undone: [] } : { outcome: 'acknowledged', items, undone }
  } catch (error) {
    if (isDecided(error)) await client.query('rollback')
    throw error
  }
}

/** Whether an error says for certain that nothing happened: the server refused a statement before the commit. */
export function isDecided(error: unknown): boolean {
  const code = (error as { readonly code?: unknown }).code
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return false
  // The server that goes down says so too, also to who is just committing; and so does who waits for a standby.
  return !code.startsWith('57P') && !code.startsWith('08') && !code.startsWith('XX') && code !== '57014'
}

async function inside(
  client: Client,
  { kind, keys }: Plan,
  id: string,
): Promise<{ readonly items: readonly Item[]; readonly undone: readonly string[] }> {
  switch (kind) {
    case 'savepoint':
      return await throughSavepoint(client, keys, id)
    case 'bulk':
      return { items: await changeGroup(client, keys, id), undone: [] }
    case 'remove':
    case 'bulk removal':
    case 'truncate':
      return { items: await remove(client, keys, kind === 'truncate'), undone: [] }
    case 'ddl':
      return { items: await reshape(client, id), undone: [] }
    default: {
      const items: Item[] = []
      for (const key of keys) items.push(await change(client, key, id))
      return { items, undone: [] }
    }
  }
}

async function change(client: Client, path: string, stamp: string): Promise<Item> {
  const [table, key] = split(path)
  if (table !== 'posts') {
    const text = `update ${table} set version = version + 1, stamp = $2 where key = $1 returning version`
    const { rows } = await client.query(text, [key, stamp])
    return { key: path, version: Number(rows[0].version), stamp }
  }
  const [version] = await countUp(client, [key])
  const put = `insert into posts (key, grp, version, stamp) values ($1, $2, $3, $4)
    on conflict (key) do update set version = excluded.version, stamp = excluded.stamp`
  await client.query(put, [key, posts.indexOf(path) % groups, version, stamp])
  return { key: path, version: version!, stamp }
}

async function throughSavepoint(
  client: Client,
  [kept = '', dropped = '']: readonly string[],
  id: string,
): Promise<{ items: Item[]; undone: string[] }> {
  const undone = `${id}.undone`
  const first = Math.random() < 0.5
  const items = first ? [await change(client, kept, id)] : []
  await client.query('savepoint here')
  await change(client, dropped, undone)
  await client.query('rollback to savepoint here')
  if (!first) items.push(await change(client, kept, id))
  return { items, undone: [undone] }
}

async function changeGroup(client: Client, paths: readonly string[], stamp: string): Promise<Item[]> {
  const keys = paths.map((path) => split(path)[1])
  // In the order of keys, as single updates of several rows could lock each other out.
  await client.query('select from counters where key = any($1) order by key for update', [keys])
  const text = 'update counters set version = version + 1, stamp = $2 where key = any($1) returning key, version'
  const { rows } = await client.query(text, [keys, stamp])
  return rows.map((row) => ({ key: `counters/${row.key}`, version: Number(row.version), stamp }))
}

async function remove(client: Client, paths: readonly string[], all: boolean): Promise<Item[]> {
  const keys = paths.map((path) => split(path)[1])
  const versions = await countUp(client, keys)
  if (all) await client.query('truncate posts')
  else await client.query('delete from posts where key = any($1)', [keys])
  return keys.map((key, at) => ({ key: `posts/${key}`, version: versions[at]!, stamp: '', gone: true }))
}

/** Rewrites every row, of which the change stream says nothing. */
async function reshape(client: Client, stamp: string): Promise<Item[]> {
  await client.query(`alter table shaped alter column version type bigint using version + 1,
    alter column stamp type text using '${stamp}'`)
  const { rows } = await client.query('select key, version from shaped')
  return rows.map((row) => ({ key: `shaped/${row.key}`, version: Number(row.version), stamp }))
}

/** Locks the tallies in the order of keys and counts them up. Answers in the order of the keys given. */
async function countUp(client: Client, keys: readonly string[]): Promise<number[]> {
  await client.query('select from tallies where key = any($1) order by key for update', [keys])
  const text = 'update tallies set version = version + 1 where key = any($1) returning key, version'
  const { rows } = await client.query(text, [keys])
  const versions = new Map(rows.map((row) => [row.key as string, Number(row.version)]))
  return keys.map((key) => versions.get(key) ?? Number.NaN)
}

export function split(path: string): [table: string, key: string] {
  const [table = '', key = ''] = path.split('/')
  return [table, key]
}

export function pickOne<Value>(values: readonly Value[]): Value {
  return values[Math.floor(Math.random() * values.length)]!
}

function pickTwo<Value>(values: readonly Value[]): readonly [Value, Value] {
  const first = Math.floor(Math.random() * values.length)
  const second = (first + 1 + Math.floor(Math.random() * (values.length - 1))) % values.length
  return [values[Math.min(first, second)]!, values[Math.max(first, second)]!]
}

function numbered(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${String(at).padStart(2, '0')}`)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
