/**
 * Deletes what has expired, a little at a time: one process of all, every ten seconds, looks at the next rows of a
 * table in the order of their keys. What decides is asked again by the DELETE, of the row's newest version: a record
 * that was made anew while it waited stays.
 */

export interface Sweeping {
  /** Its row in `store_sweeps`. */
  readonly name: string
  readonly sql: string
}

const everyMs = 10_000
const rowsPerTurn = 1000
const streamsPerTurn = 50

/** How long a row outlives its end, for its fence: a later one is greater by the clock. */
const memory = { none: '0 s', hour: '1 hour', week: '7 days' } as const

const ended = (age: string): string => `expires_at < clock_timestamp() - interval '${age}'`

/** Whose turn it is: one process every ten seconds, and nobody waits for it. */
const turn = `
turn as (
  select name, next from fourfold.store_sweeps
  where name = $1 and swept_at <= clock_timestamp() - interval '1 millisecond' * $2::float8
  for no key update skip locked)`

const done = (next: string): string => `
done as (
  update fourfold.store_sweeps sweep set swept_at = clock_timestamp(), next = ${next}
  from turn where sweep.name = turn.name)`

/** The next rows by key. A table is begun anew when it has come to its end. */
function slice(table: string, rows: number): string {
  return `
slice as materialized (
  select held.key, held.expires_at from turn, lateral (
    select key, expires_at from fourfold.${table} where key >= turn.next order by key limit ${rows}) held)`
}

function sweepKeys(name: string, age: string): Sweeping {
  const table = `store_${name}`
  const sql = `
with ${turn}, ${slice(table, rowsPerTurn)}, ${done(lastKeyOf(rowsPerTurn))}
delete from fourfold.${table} held using slice where held.key = slice.key and slice.${ended(age)} and held.${ended(age)}`
  return { name, sql }
}

function lastKeyOf(rows: number): string {
  return `coalesce((select key from slice order by key offset ${rows - 1} limit 1), '')`
}

/** Entries first: they are of no use without their head, and the head outlives them. */
const streams: Sweeping = {
  name: 'streams',
  sql: `
with ${turn}, ${slice('store_streams', streamsPerTurn)}, ${done(lastKeyOf(streamsPerTurn))},
gone as (
  delete from fourfold.store_entries using slice where stream = slice.key and slice.${ended(memory.none)})
delete from fourfold.store_streams held using slice
where held.key = slice.key and slice.${ended(memory.hour)} and held.${ended(memory.hour)}`,
}

/** A group is small, and all of them together are. */
const registry: Sweeping = {
  name: 'registry',
  sql: `with ${turn}, ${done("''")} delete from fourfold.store_registry using turn where ${ended(memory.hour)}`,
}

export const sweepings: readonly Sweeping[] = [
  sweepKeys('records', memory.none),
  sweepKeys('tokens', memory.none),
  sweepKeys('leases', memory.week),
  sweepKeys('budgets', memory.none),
  streams,
  registry,
]

/** Sweeps until it is ended. What fails is tried again at the next turn. */
export function startSweeper(send: (sql: string, values: unknown[]) => Promise<unknown>): () => void {
  const sweep = async (): Promise<void> => {
    for (const { name, sql } of sweepings) await send(sql, [name, everyMs]).catch(() => undefined)
  }
  // Chance, so that the clones do not all ask at once.
  const timer = setInterval(() => void sweep(), everyMs * (0.75 + Math.random() / 2))
  timer.unref()
  return () => clearInterval(timer)
}
