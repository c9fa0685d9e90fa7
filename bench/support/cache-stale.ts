/**
 * Stale reads: reads that were asked for after a write and all that its writer does for the cache were done, and show
 * what was there before.
 *
 * A writer raises the version of one of a few rows at a time: the statement, then, where the contender needs it, the
 * removal of the key, as a careful team writes it; then the version counts as told. Readers on another clone read all the
 * time, their loads take up to 20 ms, so loads and removals cross. A reader remembers what was told before it asks.
 */

import { setImmediate as breathe, setTimeout as pause } from 'node:timers/promises'

import { objectOf, untilKept, type CacheClone, type FourfoldClone, type Thing } from './cache-clones.ts'
import { starters } from './cache-speed.ts'

import type { CacheGround } from './cache-ground.ts'
import type { Report } from './report.ts'

const keys = 20
const readers = 8
const readsBetween = 50
const writePauseMs = 10
const reader = 'user:writer'

interface Version {
  readonly id: number
  readonly version: number
}

const versions: Thing<Version | null> = {
  name: 'version',
  load: async (pool, key) => {
    const { rows } = await pool.query('select id, version from versions where id = $1', [key])
    await pause(Math.random() * 20)
    return rows[0] ?? null
  },
}

interface Race {
  readonly contender: string
  /** Resolves when the writer has done all there is to do. */
  readonly write: (key: number) => Promise<number>
  readonly read: (key: number) => Promise<Version | null | undefined>
  stop(): Promise<unknown>
}

export interface Staleness {
  readonly stale: number
  readonly reads: number
  readonly writes: number
  /** How long after the write was told an answer from before it was still asked for and got. */
  readonly longestMs: number
}

export async function measureStale(ground: CacheGround, report: Report, forMs: number): Promise<void> {
  const races = [
    ...Object.keys(starters).map((name) => () => raceOf(ground, name)),
    () => strictRace(ground),
    () => raceOf(ground, 'cache-manager', 'redis'),
  ]
  for (const start of races) {
    const race = await start()
    const { contender } = race
    try {
      const { stale, reads, writes, longestMs } = await run(race, forMs)
      const goal = contender.startsWith('fourfold') ? { goal: { atMost: 0 } } : {}
      report.add({ contender, metric: 'stale_reads', unit: 'reads', values: [stale], ...goal })
      report.add({ contender, metric: 'stale_reads: longest', unit: 'ms', values: [longestMs] })
      report.add({ contender, metric: 'stale_reads: of how many', unit: 'reads', values: [reads] })
      report.add({ contender, metric: 'stale_reads: under how many writes', unit: 'writes', values: [writes] })
    } finally {
      await race.stop()
    }
  }
}

const updateSql = 'update versions set version = version + 1 where id = $1 returning version'

/** The writer on one clone, readers on another. With Fourfold they are the same reader at `session`. */
async function raceOf(ground: CacheGround, name: string, tiers: 'both' | 'redis' = 'both'): Promise<Race> {
  const start = starters[name]!
  const clones: CacheClone[] = [await start(ground, tiers), await start(ground, tiers)]
  const stop = async (): Promise<void> => {
    for (const clone of clones) await clone.stop()
  }
  if (name === 'fourfold') {
    const [one, two] = clones as FourfoldClone[]
    await untilKept(two!.ff, versions, 1)
    // The token is read before each read: each counts for itself, as if it were a request.
    const { cache } = two!.ff.as({ reader, level: 'session' })
    const { pool } = one!.ff.as({ reader, level: 'session' }).databases.main
    const object = objectOf(versions)
    const write = async (key: number): Promise<number> => versionOf(await pool.query(updateSql, [key]))
    return { contender: 'fourfold, session', write, read: (key) => cache.get(object, key), stop }
  }
  const [one, two] = clones.map((clone) => clone.of(versions))
  const write = async (key: number): Promise<number> => {
    const version = versionOf(await ground.pool.query(updateSql, [key]))
    await one!.forget(key)
    return version
  }
  return { contender: tiers === 'both' ? name : `${name}, Redis alone`, write, read: (key) => two!.get(key), stop }
}

/** The writer is outside of the app; the reader is anybody, at `strict`. */
async function strictRace(ground: CacheGround): Promise<Race> {
  const clone = (await starters['fourfold']!(ground, 'both')) as FourfoldClone
  await untilKept(clone.ff, versions, 1)
  const { cache } = clone.ff.as({ reader: null, level: 'strict' })
  return {
    contender: 'fourfold, strict',
    write: async (key) => versionOf(await ground.pool.query(updateSql, [key])),
    read: (key) => cache.get(objectOf(versions), key),
    stop: () => clone.stop(),
  }
}

function versionOf({ rows }: { rows: { version: number }[] }): number {
  return rows[0]?.version ?? Number.NaN
}

async function run({ read, write }: Race, forMs: number): Promise<Staleness> {
  const told = new Map<number, { readonly version: number; readonly atMs: number }>()
  const counts = { stale: 0, reads: 0, writes: 0, longestMs: 0 }
  const endMs = performance.now() + forMs
  const writeOn = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const key = 1 + Math.floor(Math.random() * keys)
      told.set(key, { version: await write(key), atMs: performance.now() })
      counts.writes += 1
      await pause(Math.random() * writePauseMs)
    }
  }
  const readOn = async (_: unknown, at: number): Promise<void> => {
    for (let n = at; performance.now() < endMs; n += 1) {
      const key = 1 + (n % keys)
      const least = told.get(key)
      const askedMs = performance.now()
      const shown = await read(key)
      counts.reads += 1
      if (least !== undefined && (shown?.version ?? -1) < least.version) {
        counts.stale += 1
        counts.longestMs = Math.max(counts.longestMs, askedMs - least.atMs)
      }
      if (n % readsBetween === 0) await breathe()
    }
  }
  await Promise.all([writeOn(), ...Array.from({ length: readers }, readOn)])
  return counts
}
