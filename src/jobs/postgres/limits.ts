/**
 * Claims of a name that is limited in the whole cluster: by how many run, by how many of one key run, by how many begin
 * in a time. One worker at a time claims such a name; whoever has the lock sees all claims that came before. What ends
 * meanwhile only makes room.
 */

import { CLAIM_IDS_SQL } from './claims.ts'

import type { LimitedName, RunStatement } from '../engine.ts'

type Row = Readonly<Record<string, any>>

const ENSURE_NAME_SQL = `insert into fourfold.job_names (name) values ($1) on conflict do nothing`

// Statements that follow see what was committed before the lock was given.
const LOCK_NAME_SQL = `
select paused, (extract(epoch from arrival - clock_timestamp()) * 1000)::float8 as arrival_ms
from fourfold.job_names where name = $1 for update`

const RUNNING_SQL = `
select key, count(*)::int as running from fourfold.jobs where state = 'running' and name = $1 group by key`

/** $1 name, $2 how many. Only this worker takes them, so nothing is skipped but what is being cancelled. */
const FIRST_SQL = `
select id, key from fourfold.jobs where name = $1 and state = 'waiting' order by rank, id limit $2 for update skip locked`

/** The keys that wait, found by jumping from key to key: a backlog of one key is not walked through. $1 name, $2 behind which, $3 how many. */
const KEYS_SQL = `
with recursive keys as (
  (select key from fourfold.jobs where name = $1 and state = 'waiting' and key > $2 order by key limit 1)
  union all
  select (select j.key from fourfold.jobs j where j.name = $1 and j.state = 'waiting' and j.key > k.key order by j.key limit 1)
  from keys k where k.key is not null)
select key from keys where key is not null limit $3`

/** $1 name, $2 keys, $3 how many of each are wanted, $4 how many in all. */
const OF_KEYS_SQL = `
select o.id, o.key, extract(epoch from o.rank)::float8 as rank from unnest($2::text[], $3::int[]) as k (key, room) cross join lateral (
  select id, key, rank from fourfold.jobs where name = $1 and state = 'waiting' and key = k.key
  order by rank, id limit k.room for update skip locked) o
order by o.rank, o.id limit $4`

/** What has no key, behind those of the head; no index has it by itself, so it is not looked for without end. $1 name, $2 how many. */
const WITHOUT_KEY_SQL = `
with looked_at as materialized (
  select id, key, rank from fourfold.jobs where name = $1 and state = 'waiting' order by rank, id limit 10000)
select id, key, extract(epoch from rank)::float8 as rank from fourfold.jobs where state = 'waiting'
  and id = any(array(select id from looked_at where key is null order by rank, id limit $2))
order by jobs.rank, id for update skip locked`

/** $1 name, $2 ms from now. */
const ARRIVAL_SQL = `
update fourfold.job_names set arrival = clock_timestamp() + $2::float8 * interval '1 ms' where name = $1`

/** How far the head of the queue is looked at before keys are looked for one by one. */
const headSize = 200
/** So many keys are looked at together. */
const keysAtOnce = 1_000

/** Behind which key of a name the next are looked at: so that each has its turn, however many there are. */
export type KeyRounds = Map<string, string>

/** The rows of claims, and after what time a rate allows the next where it held some back. */
export interface LimitedClaims {
  readonly rows: readonly Row[]
  readonly againMs: number | null
}

const none: LimitedClaims = { rows: [], againMs: null }

/** Within a transaction. */
export async function claimWithin(
  run: RunStatement,
  worker: string,
  { name, limit, perKey, rate }: LimitedName,
  most: number,
  rounds: KeyRounds,
): Promise<LimitedClaims> {
  await run(ENSURE_NAME_SQL, [name])
  const { rows: locked } = await run(LOCK_NAME_SQL, [name])
  if (locked[0] === undefined || locked[0]['paused'] === true) return none
  const running = await runningByKey(run, name)
  const inAll = [...running.values()].reduce((sum, count) => sum + count, 0)
  const allowed = rate === null ? Infinity : allowedNow(locked[0]['arrival_ms'] as number | null, rate)
  const room = Math.min(most, limit === null ? Infinity : limit - inAll, allowed)
  const againMs =
    rate === null || allowed >= most ? null : nextMs(locked[0]['arrival_ms'] as number | null, allowed, rate)
  if (room <= 0) return { rows: [], againMs }
  const ids =
    perKey === null ? await firstIds(run, name, room) : await idsByKey(run, name, { room, perKey, running, rounds })
  if (ids.length === 0) return none
  const { rows } = await run(CLAIM_IDS_SQL, [worker, ids])
  if (rate !== null) {
    const arrivalMs = Math.max(0, (locked[0]['arrival_ms'] as number | null) ?? 0) + rows.length * spacingMs(rate)
    await run(ARRIVAL_SQL, [name, arrivalMs])
  }
  return { rows, againMs }
}

async function runningByKey(run: RunStatement, name: string): Promise<Map<string | null, number>> {
  const { rows } = await run(RUNNING_SQL, [name])
  return new Map(rows.map(({ key, running }) => [key as string | null, running as number]))
}

async function firstIds(run: RunStatement, name: string, room: number): Promise<string[]> {
  const { rows } = await run(FIRST_SQL, [name, room])
  return rows.map(({ id }) => id as string)
}

interface KeyRoom {
  readonly room: number
  readonly perKey: number
  readonly running: ReadonlyMap<string | null, number>
  readonly rounds: KeyRounds
}

/** In the order of the queue, past those whose key is full. What has no key is held by none. */
async function idsByKey(run: RunStatement, name: string, given: KeyRoom): Promise<string[]> {
  const { room, perKey, running, rounds } = given
  const left = new Map<string, number>()
  const roomOf = (key: string): number => left.get(key) ?? perKey - (running.get(key) ?? 0)
  const take = (rows: readonly Row[], ids: string[]): string[] => {
    for (const { id, key } of rows) {
      if (ids.length === room) break
      if (ids.includes(id as string)) continue
      if (key !== null) {
        if (roomOf(key as string) <= 0) continue
        left.set(key as string, roomOf(key as string) - 1)
      }
      ids.push(id as string)
    }
    return ids
  }
  const head = await run(FIRST_SQL, [name, Math.max(headSize, room)])
  const ids = take(head.rows, [])
  if (ids.length === room || head.rows.length < Math.max(headSize, room)) return ids
  const keys = (await nextKeys(run, name, rounds)).filter((key) => roomOf(key) > 0)
  // Those of the head are among them again.
  const wanted = keys.map((key) => roomOf(key) + ids.length)
  const ofKeys = await run(OF_KEYS_SQL, [name, keys, wanted, room + ids.length])
  const withoutKey = await run(WITHOUT_KEY_SQL, [name, room + ids.length])
  const more = [...ofKeys.rows, ...withoutKey.rows]
  return take(
    more.toSorted((one, other) => (one['rank'] as number) - (other['rank'] as number)),
    ids,
  )
}

/** From where the last ones ended, and on from the first when there are no more. */
async function nextKeys(run: RunStatement, name: string, rounds: KeyRounds): Promise<string[]> {
  const behind = rounds.get(name) ?? ''
  const keysBehind = async (key: string): Promise<string[]> =>
    (await run(KEYS_SQL, [name, key, keysAtOnce])).rows.map((row) => row['key'] as string)
  const keys = await keysBehind(behind)
  if (keys.length < keysAtOnce && behind !== '') keys.push(...(await keysBehind('')))
  const next = [...new Set(keys)].slice(0, keysAtOnce)
  rounds.set(name, next.length < keysAtOnce ? '' : next.at(-1)!)
  return next
}

/**
 * Between two that begin. At most a tenth of the limit may begin together; the rest is spread so that no stretch of the given
 * time sees more than the limit.
 */
function spacingMs(rate: { readonly limit: number; readonly perMs: number }): number {
  return rate.perMs / (rate.limit - burst(rate) + 1)
}

function burst({ limit }: { readonly limit: number }): number {
  return Math.max(1, Math.floor(limit / 10))
}

/** By the theoretical arrival time of the next (GCRA, ITU-T I.371). */
function allowedNow(arrivalMs: number | null, rate: { readonly limit: number; readonly perMs: number }): number {
  const spacing = spacingMs(rate)
  const aheadMs = Math.max(0, arrivalMs ?? 0)
  return Math.max(0, Math.floor(burst(rate) - aheadMs / spacing))
}

/** When the next one after those that are allowed now may begin. */
function nextMs(
  arrivalMs: number | null,
  allowed: number,
  rate: { readonly limit: number; readonly perMs: number },
): number {
  const spacing = spacingMs(rate)
  return Math.max(1, Math.max(0, arrivalMs ?? 0) + (allowed + 1 - burst(rate)) * spacing)
}
