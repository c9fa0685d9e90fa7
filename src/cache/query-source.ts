/** Cached queries: the recipe's first kind of cache. An entry's key is the query with all that its answer hangs on. */

import { hash } from 'node:crypto'

import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'
import { hashVersion } from '../freshness/changes/hash.ts'

import type { LoadOptions, Source } from './source.ts'
import type { Database } from '../database/database.ts'

/** Anything of Kysely's that can be compiled: a select query, or `sql` with a database. */
export interface CompilableQuery<Row> {
  compile(): { readonly sql: string; readonly parameters: readonly unknown[] }
  execute(): Promise<Row[]>
}

export interface QueryOptions {
  /** The database that a text is meant for. Default: the app's only, or `main`. */
  readonly database?: string
  readonly ttl?: number | string
  /** Default `frozen`: the same rows for everybody, which nobody can change. */
  readonly values?: 'frozen' | 'cloned'
}

export interface Query {
  readonly database: string
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** Whose connection it is, and where names are looked up: part of every key. */
export type SettingsOf = (database: string) => string

export type DatabaseOf = (database: string, options: LoadOptions) => Database<unknown>

export function createQuerySource(
  build: string,
  settingsOf: SettingsOf,
  databaseOf: DatabaseOf,
): (query: Query, options: QueryOptions) => { readonly source: Source<Query>; readonly id: string } {
  const prefix = `${build}:${hashVersion}:q:`
  const load = async ({ database, sql, parameters }: Query, options: LoadOptions): Promise<unknown> =>
    (await databaseOf(database, options).pool.query(sql, parameters as unknown[])).rows
  return (query, { ttl, values = 'frozen' }) => {
    const { database, sql, parameters } = query
    const ttlMs = ttl === undefined ? null : parseDuration(ttl)
    // Who asks for another time to live, or for copies, must not get what was kept for somebody who did not.
    const how = `${values} ${ttlMs}`
    const text = [database, settingsOf(database), how, sql, ...parameters.map(parameterText)].map(
      (one) => `${one.length}:${one}`,
    )
    const id = prefix + hash('sha256', text.join(''), 'base64url')
    return { id, source: { name: 'query', prefix, ttlMs, values, clusterWide: true, load } }
  }
}

/** @throws FF_CACHE_QUERY for what cannot be told apart for certain */
function parameterText(value: unknown): string {
  if (value === null || value === undefined) return '0'
  switch (typeof value) {
    case 'string':
      return `s${value}`
    case 'number':
    case 'boolean':
    case 'bigint':
      return `${typeof value}${value}`
    default:
  }
  if (value instanceof Date) return `d${value.getTime()}`
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('base64')}`
  if (Array.isArray(value)) return `a${JSON.stringify(value.map(parameterText))}`
  const message =
    'A parameter of a cached query: expected a string, number, bigint, boolean, Date, Buffer, null or an array of these; ' +
    `got ${(value as object).constructor?.name ?? typeof value}. Turn it into text first`
  throw new FourfoldError('FF_CACHE_QUERY', message)
}
