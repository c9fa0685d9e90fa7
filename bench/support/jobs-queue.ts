/** What the jobs' benchmark asks of every contender: one who orders, and one who works, each in a process of its own. */

import type { Connections } from '../../src/app/connections.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import type pg from 'pg'

/** Where everything is: plain data that travels to other processes. */
export interface JobPlaces {
  readonly dataDir: string
  /** The database of this contender alone; of those on Redis: of nobody. */
  readonly address: PostgresAddress
  readonly connections: Connections
  readonly redisUrl: string
}

export interface QueueClient {
  /** One order, durable when it resolves. `n` is handed to the handler. */
  one(n: number): Promise<unknown>
  /** So many at once, by whatever the contender has for it. */
  many(count: number): Promise<unknown>
  /** As part of a transaction that the client is in. Absent: the contender cannot. */
  readonly within?: (client: pg.Client, n: number) => Promise<unknown>
  /** Whether every job that was ordered has been recorded as finished. */
  isDone(): Promise<boolean>
  /** Forgets all jobs, finished ones too. Nobody works meanwhile. */
  clear(): Promise<void>
  /** What the contender's data takes, indexes included. */
  bytes(): Promise<number>
  /** Makes so many finished jobs as it keeps them by default. Absent: it keeps none. */
  readonly grow?: (count: number, drain: () => Promise<void>) => Promise<void>
  close(): Promise<void>
}

export interface WorkOptions {
  readonly concurrency: number
  /** Set to take over from a worker that died as soon as the contender can, or within about 2 s. Default: as it comes. */
  readonly soon?: boolean
  readonly handle: (n: number) => Promise<void>
}

export interface Worker {
  stop(): Promise<void>
}

export interface Queue {
  client(places: JobPlaces): Promise<QueueClient>
  /** Resolves when it works. */
  work(places: JobPlaces, options: WorkOptions): Promise<Worker>
}

/** The same clock in every process of this machine, in ms. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** The bytes of all tables of a schema, with indexes and long values. */
export async function bytesOfSchema(pool: pg.Pool, schema: string): Promise<number> {
  const { rows } = await pool.query(
    `select coalesce(sum(pg_total_relation_size(c.oid)), 0)::float8 as bytes from pg_class c
     join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind in ('r', 'm')`,
    [schema],
  )
  return rows[0].bytes as number
}

/**
 * Copies one row of a table so often, with some columns made anew: what a million jobs leave behind, without doing them.
 * `g` counts from 1 in the expressions.
 */
export async function copyRow(
  pool: pg.Pool,
  row: { readonly table: string; readonly where: string; readonly anew: Readonly<Record<string, string>> },
  count: number,
): Promise<void> {
  const { rows } = await pool.query(
    `select attname as name from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = ''`,
    [row.table],
  )
  const names = rows.map(({ name }) => name as string)
  const values = names.map((name) => row.anew[name] ?? `t."${name}"`)
  await pool.query(
    `insert into ${row.table} (${names.map((name) => `"${name}"`).join(', ')}) select ${values.join(', ')}
     from (select * from ${row.table} where ${row.where} limit 1) t, generate_series(1, $1::int) g`,
    [count],
  )
}
