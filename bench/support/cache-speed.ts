/** What a look-up costs the process that makes it, in CPU time: hits in each tier, several keys at once, and misses. */

import { setImmediate as breathe } from 'node:timers/promises'

import {
  bentocacheClone,
  cacheManagerClone,
  fourfoldClone,
  noCacheClone,
  untilKept,
  type CacheClone,
  type CachedThing,
  type FourfoldClone,
  type StartClone,
  type Thing,
  type Tiers,
} from './cache-clones.ts'
import { untilCalm, type CacheGround } from './cache-ground.ts'
import { measureInterleaved, type Work } from './cpu.ts'
import { note, page } from './cache-things.ts'

import type { Goal, Report } from './report.ts'

export const noCache = 'no cache'
export const starters: Readonly<Record<string, StartClone>> = {
  fourfold: fourfoldClone,
  bentocache: bentocacheClone('serialized'),
  'cache-manager': cacheManagerClone,
  [noCache]: noCacheClone,
}

const byReference = 'bentocache, by reference'

export type Clones = ReadonlyMap<string, CacheClone>

/** One clone of each contender. The entries of both things that are read below are kept when it resolves. */
export async function startClones(ground: CacheGround, tiers: Tiers): Promise<Clones> {
  const clones = new Map<string, CacheClone>()
  try {
    for (const [name, start] of Object.entries(starters)) {
      clones.set(name, await start(ground, tiers))
    }
    if (tiers === 'both') clones.set(byReference, await bentocacheClone('by reference')(ground, tiers))
    const { ff } = clones.get('fourfold') as FourfoldClone
    await untilKept(ff, note, 1)
    await untilKept(ff, page, 1)
    await untilCalm()
    return clones
  } catch (error) {
    await stopClones(clones)
    throw error
  }
}

export async function stopClones(clones: Clones): Promise<void> {
  for (const clone of clones.values()) await clone.stop()
}

export interface Speed {
  readonly metric: string
  readonly thing: Thing<any>
  /** Look-ups side by side. */
  readonly clients: number
  /** Pieces of work in a round. */
  readonly count: number
  readonly rounds: number
  /** Look-ups of a piece, which come one after the other. */
  readonly each: number
  /** The same where the database answers all of them. */
  readonly eachWithout: number
  /** Keys that are read again and again; 0: none is read twice. */
  readonly keys: number
  /** Asked for at once. Default 1. */
  readonly atOnce?: number
}

const firstMissed = 10_000
let nextMissed = firstMissed

/** Answers the microseconds of CPU of each look-up, by contender and round. */
export async function measureSpeed(clones: Clones, speed: Speed): Promise<Map<string, readonly number[]>> {
  const { thing, clients, count, rounds, keys } = speed
  const works: Record<string, Work> = {}
  for (const [name, clone] of clones) {
    const cached = clone.of(thing)
    if (keys > 0 && name !== noCache) await fill(cached, keys)
    works[name] = workOf(cached, speed, name === noCache ? speed.eachWithout : speed.each)
  }
  const pieces = await measureInterleaved(works, { clients, count, rounds })
  const perLookUp = new Map<string, readonly number[]>()
  for (const [name, values] of pieces) {
    const each = name === noCache ? speed.eachWithout : speed.each
    perLookUp.set(
      name,
      values.map((value) => value / each),
    )
  }
  return perLookUp
}

/** Twice: what one tier was asked for may have been loaded, and not kept yet. */
async function fill(cached: CachedThing, keys: number): Promise<void> {
  for (let key = 1; key <= 2 * keys; key += 1) await cached.get(1 + (key % keys))
}

function workOf(cached: CachedThing, { keys, atOnce = 1 }: Speed, each: number): Work {
  if (keys === 0) {
    return async () => {
      for (let n = 0; n < each; n += 1) await cached.get((nextMissed += 1))
    }
  }
  if (atOnce > 1) {
    return async (index) => {
      for (let n = 0; n < each; n += 1) {
        const first = (index * each + n) * atOnce
        await cached.getMany(Array.from({ length: atOnce }, (_, at) => 1 + ((first + at) % keys)))
      }
      await breathe()
    }
  }
  return async (index) => {
    const first = index * each
    for (let n = 0; n < each; n += 1) await cached.get(1 + ((first + n) % keys))
    // As requests do: what comes in between is heard.
    await breathe()
  }
}

/** Adds the rows of one measurement; a goal is ours alone. */
export function addSpeed(report: Report, metric: string, measured: ReadonlyMap<string, readonly number[]>): void {
  for (const [contender, values] of measured) report.add({ contender, metric, unit: 'µs CPU', values })
}

/** How many times as dear a peer is, round by round. */
export function addRatio(
  report: Report,
  metric: string,
  measured: ReadonlyMap<string, readonly number[]>,
  peer: string,
  goal?: Goal,
): void {
  const ours = measured.get('fourfold') ?? []
  const theirs = measured.get(peer) ?? []
  const values = ours.map((value, round) => (theirs[round] ?? Number.NaN) / value)
  report.add({ contender: 'fourfold', metric, unit: 'times', values, ...(goal === undefined ? {} : { goal }) })
}

export async function measureSpeeds(ground: CacheGround, report: Report, quick: boolean): Promise<void> {
  const rounds = quick ? 3 : 9
  const both = await startClones(ground, 'both')
  try {
    await measureProcess(both, report, rounds, quick)
    const misses = { clients: 8, count: quick ? 30 : 100, each: 1, eachWithout: 1, keys: 0, rounds }
    for (const thing of [note, page]) {
      const metric = `misses, ${thing === note ? 'one row' : '50 dependencies'}`
      addSpeed(report, metric, await measureSpeed(both, { metric, thing, ...misses }))
    }
  } finally {
    await stopClones(both)
  }
  const redis = await startClones(ground, 'redis')
  try {
    await measureRedis(redis, report, rounds, quick)
  } finally {
    await stopClones(redis)
  }
}

async function measureProcess(clones: Clones, report: Report, rounds: number, quick: boolean): Promise<void> {
  const base = { clients: 1, count: quick ? 5 : 10, rounds, each: 10_000, eachWithout: 20, keys: 1_000 }
  const hits = await measureSpeed(clones, { metric: 'hits in process', thing: note, ...base })
  for (const [contender, values] of hits) {
    if (contender === noCache) continue
    const goal = contender === 'fourfold' ? { goal: { atLeast: 2_000_000 } } : {}
    const perSecond = values.map((value) => 1e6 / value)
    report.add({ contender, metric: 'hits_in_process_per_s', unit: '/s of CPU', values: perSecond, ...goal })
  }
  for (const peer of ['bentocache', byReference, 'cache-manager']) {
    addRatio(
      report,
      `hits in process: times ${peer}`,
      hits,
      peer,
      peer.startsWith('bento') ? { atLeast: 3 } : undefined,
    )
  }
  addSpeed(report, 'hits in process', hits)
  const many = { ...base, each: 20, eachWithout: 1, atOnce: 100 }
  const metric = 'getMany of 100, in process'
  addSpeed(report, metric, await measureSpeed(clones, { metric, thing: note, ...many }))
  const pages = 'hits in process, 50 dependencies'
  addSpeed(report, pages, await measureSpeed(clones, { metric: pages, thing: page, ...base, each: 1_000, keys: 100 }))
}

async function measureRedis(clones: Clones, report: Report, rounds: number, quick: boolean): Promise<void> {
  const base = { clients: 16, count: quick ? 32 : 100, rounds, each: 10, eachWithout: 10, keys: 1_000 }
  const metrics = {
    one: 'hits in Redis',
    many: 'getMany of 100, in Redis',
    page: 'hits in Redis, 50 dependencies',
  }
  addSpeed(report, metrics.one, await measureSpeed(clones, { metric: metrics.one, thing: note, ...base }))
  const many = { ...base, clients: 4, count: quick ? 8 : 20, each: 2, eachWithout: 2, atOnce: 100 }
  addSpeed(report, metrics.many, await measureSpeed(clones, { metric: metrics.many, thing: note, ...many }))
  const pages = { ...base, count: quick ? 16 : 40, keys: 100 }
  addSpeed(report, metrics.page, await measureSpeed(clones, { metric: metrics.page, thing: page, ...pages }))
}
