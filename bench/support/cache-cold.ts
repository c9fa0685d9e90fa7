/** A thousand readers of a key that nobody has, over three clones; and how much an entry takes. */

import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { createClient } from 'redis'

import { untilKept, type CacheClone, type FourfoldClone, type Thing } from './cache-clones.ts'
import { noCache, starters } from './cache-speed.ts'
import { note } from './cache-things.ts'

import type { CacheGround } from './cache-ground.ts'
import type { Report } from './report.ts'

const cloneCount = 3
const readers = 1_000
const coldMs = 50

/** How often the database was asked for one key, for which a thousand came at the same time. */
export async function measureCold(ground: CacheGround, report: Report, runs: number): Promise<void> {
  for (const [contender, start] of Object.entries(starters)) {
    let loads = 0
    const cold: Thing = {
      name: 'cold',
      load: async (pool, key) => {
        loads += 1
        const { rows } = await pool.query('select id, author, title, text from notes where id = $1', [key])
        await pause(coldMs)
        return rows[0] ?? null
      },
    }
    const clones: CacheClone[] = []
    try {
      for (let n = 0; n < cloneCount; n += 1) clones.push(await start(ground, 'both'))
      if (contender === 'fourfold') for (const { ff } of clones as FourfoldClone[]) await untilKept(ff, cold, 1)
      const caches = clones.map((clone) => clone.of(cold))
      const counted: number[] = []
      const slowest: number[] = []
      for (let run = 0; run < runs; run += 1) {
        loads = 0
        const began = performance.now()
        await Promise.all(Array.from({ length: readers }, (_, at) => caches[at % cloneCount]!.get(100 + run)))
        slowest.push(performance.now() - began)
        counted.push(loads)
      }
      const goal = contender === 'fourfold' ? { goal: { atMost: 1 } } : {}
      report.add({
        contender,
        metric: 'loads for 1,000 readers of a cold key',
        unit: 'loads',
        values: counted,
        ...goal,
      })
      report.add({ contender, metric: 'until the last of them was answered', unit: 'ms', values: slowest })
    } finally {
      for (const clone of clones) await clone.stop()
    }
  }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** By the growth of the heap, and of what Redis says it uses, over many entries of one row each. */
export async function measureBytes(ground: CacheGround, report: Report, entries: number): Promise<void> {
  const redis = createClient({ url: ground.servers.redisUrl })
  redis.on('error', () => undefined)
  await redis.connect()
  try {
    for (const [contender, start] of Object.entries(starters)) {
      if (contender === noCache) continue
      await redis.flushDb()
      const clone = await start(ground, 'both')
      try {
        if (contender === 'fourfold') await untilKept((clone as FourfoldClone).ff, note, 1)
        const { process, shared } = await growth(clone, redis, entries)
        report.add({ contender, metric: 'bytes_per_entry in process', unit: 'bytes', values: [process / entries] })
        report.add({ contender, metric: 'bytes_per_entry in Redis', unit: 'bytes', values: [shared / entries] })
      } finally {
        await clone.stop()
      }
    }
    const value = await bareValues(ground, entries)
    report.add({ contender: 'the rows alone', metric: 'bytes_per_entry in process', unit: 'bytes', values: [value] })
  } finally {
    redis.destroy()
  }
}

async function growth(
  clone: CacheClone,
  redis: { info(section: string): Promise<string> },
  entries: number,
): Promise<{ process: number; shared: number }> {
  const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  const cached = clone.of(note)
  // What is made once: statements, connections, code.
  await fillFrom(cached.get.bind(cached), 150_000, 1_000)
  await pause(200)
  const [heap, shared] = [heapUsed(), await used()]
  await fillFrom(cached.get.bind(cached), 10_000, entries)
  // Entries go to the second tier behind the answers.
  await pause(500)
  return { process: heapUsed() - heap, shared: (await used()) - shared }
}

async function fillFrom(get: (key: number) => Promise<unknown>, first: number, count: number): Promise<void> {
  const sideBySide = 20
  for (let n = 0; n < count; n += sideBySide) {
    await Promise.all(Array.from({ length: sideBySide }, (_, at) => get(first + n + at)))
  }
}

/** As a Map of the rows has them, which is what no cache can be below without serialising. */
async function bareValues({ pool }: CacheGround, entries: number): Promise<number> {
  const rows = new Map<number, unknown>()
  await fillFrom((key) => note.load(pool, key), 150_000, 1_000)
  const before = heapUsed()
  await fillFrom(async (key) => rows.set(key, await note.load(pool, key)), 10_000, entries)
  const bytes = (heapUsed() - before) / entries
  if (rows.size !== entries) throw new Error(`expected ${entries} rows, got ${rows.size}`)
  return bytes
}

function heapUsed(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
