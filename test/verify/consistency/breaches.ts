/**
 * Breaches of the protocol's rules, planted into the sources of the system when it is loaded (`test/support/plant.ts`), each
 * with what goes on meanwhile, so that it can show. No production code knows of them.
 */

import { readFileSync } from 'node:fs'

import { killAllClones, replaceTracker, stallStandby, stopTracker, type Scene } from './faults.ts'

import type { Plant } from '../../support/plant.ts'
import type { Wanted } from './app.ts'
import type { Kind } from './write-kinds.ts'
import type { Level } from '../../../src/freshness/level.ts'

export interface Breach {
  /** Of FRESHNESS. */
  readonly rule: number
  readonly name: string
  readonly plants: readonly Plant[]
  /** Whether it belongs to a quick run. */
  readonly quick?: boolean
  /** Of the operations of the app. Default 0.1. */
  readonly writeShare?: number
  /** What is written from outside. Default: everything. */
  readonly outside?: readonly Kind[]
  readonly outsideMs?: number
  readonly writers?: number
  /** What is read through the cache. Default: everything. */
  readonly reads?: readonly Wanted['kind'][]
  /** Of the reads, how many go through the cache. Default 0.9. */
  readonly cachedShare?: number
  /** Of each session. Default: all levels. */
  readonly levels?: readonly Level[]
  /** In how many ways sums are asked for, so that some are asked for the first time at any moment. */
  readonly variants?: number
  /** Done again and again until the breach is caught. Default: nothing. */
  readonly meanwhile?: (scene: Scene) => Promise<void>
}

const follower = 'src/freshness/changes/follower.ts'
const reading = 'src/freshness/changes/read-changes.ts'
const filter = 'src/freshness/changes/filter.ts'
const run = 'src/freshness/tracker/run.ts'
const publisher = 'src/freshness/tracker/publisher.ts'
const reads = 'src/database/recorded-reads.ts'
const cacheFreshness = 'src/database/cache-freshness.ts'
const readIndex = 'src/database/read-index.ts'
const lookups = 'src/cache/lookups.ts'

export const breaches: readonly Breach[] = [
  {
    rule: 1,
    name: 'positions are begins of commits',
    // A replica that has replayed all there is stands at the begin of the commit record that comes next: what it shows of
    // several rows, between two commits that follow each other.
    outside: ['long transaction'],
    outsideMs: 200,
    writers: 2,
    reads: ['sum'],
    variants: 5,
    writeShare: 0,
    plants: [
      {
        file: 'src/engines/postgres/changes/decoder.ts',
        find: 'const commitEndAt = 10',
        put: 'const commitEndAt = 2',
      },
    ],
  },
  {
    rule: 7,
    name: 'messages that do not follow are accepted, on a stream that loses some',
    plants: [
      {
        file: publisher,
        find: 'await store.appendToStream(',
        put: 'if (message.commits.length === 0 || Math.random() < 0.9) await store.appendToStream(',
      },
      { file: follower, find: 'if (from > this.#watermark) this.#skip(from)', put: '' },
    ],
  },
  {
    rule: 8,
    name: 'the watermark moves before the filter',
    quick: true,
    plants: [{ file: follower, find: 'filter.apply(commit)', put: 'setTimeout(() => filter.apply(commit), 200)' }],
  },
  {
    rule: 9,
    name: 'what is not visible yet is acknowledged',
    plants: [
      {
        file: run,
        find: 'const position = Math.min(this.#publisher.published, this.#visibility.visible)',
        put: 'this.#parts.connection.acknowledge(this.#publisher.published); const position = 0',
      },
    ],
    // Many commits that wait for the standby, and time to look at them before they are made good by others.
    writeShare: 0,
    // Who asks for more loads anew, while the machine is slow, and so makes it good too.
    levels: Array.from({ length: 10 }, () => 'eventual' as const),
    reads: ['object'],
    writers: 12,
    outsideMs: 4_000,
    outside: ['update', 'put'],
    meanwhile: async (scene) => {
      // A replica shows what the primary does not show yet: everything is loaded from the primary.
      scene.ground.proxies['replica-2'].cut('refused')
      await stallStandby(scene, () => replaceTracker(scene))
      scene.ground.proxies['replica-2'].restore()
      scene.ground.proxies['replica-1'].cut('refused')
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      scene.ground.proxies['replica-1'].restore()
    },
  },
  {
    rule: 16,
    name: 'who joins takes what is older for unchanged',
    plants: [
      {
        file: reading,
        find: 'const page = await store.readStream(',
        put: `if (after === 0) after = (await store.readStream(changeStream(database), 0, { limit: 1 })).last
          const page = await store.readStream(`,
      },
      { file: follower, find: 'new Filter(from, ', put: 'new Filter(0, ' },
      {
        file: filter,
        find: 'const begin = (since: Lsn): Lsn => (to >= watermark ? Math.max(since, from) : watermark)',
        put: 'const begin = (since: Lsn): Lsn => since',
      },
    ],
    outside: ['update', 'put', 'bulk', 'remove'],
    meanwhile: killAllClones,
  },
  {
    rule: 19,
    name: 'fills on the primary count from the watermark',
    plants: [
      {
        file: reads,
        find: 'part.bound(asOf(replay ?? visible), replay !== null)',
        put: 'part.bound(asOf(replay ?? (known as typeof visible)), replay !== null)',
      },
    ],
    outsideMs: 50,
    outside: ['update', 'put'],
    meanwhile: (scene) => stallStandby(scene),
  },
  {
    rule: 20,
    name: 'hits and joined loads are not held to the token',
    quick: true,
    plants: [
      {
        file: lookups,
        find: 'const verdict = await checks.ask(held, scope)',
        put: "const verdict = checks.staleness(held) ?? 'fresh'",
      },
      {
        file: lookups,
        find: 'const verdict = await checks.ask(entry, scope)',
        put: "const verdict = checks.staleness(entry) ?? 'fresh'",
      },
    ],
  },
  {
    rule: 22,
    name: 'monotonic readers are held to their own writes alone',
    plants: [
      {
        file: cacheFreshness,
        find: "if (level === 'session') {",
        put: "if (level === 'session' || level === 'monotonic') {",
      },
    ],
    // What a reader sees from a server no clone has heard of yet.
    levels: Array.from({ length: 10 }, () => 'monotonic' as const),
    reads: ['row', 'object'],
    cachedShare: 0.6,
    writeShare: 0,
    outsideMs: 50,
    outside: ['update', 'put', 'bulk'],
    meanwhile: stopTracker,
  },
  {
    rule: 23,
    name: 'the position that strict readers need is used again',
    plants: [
      {
        file: readIndex,
        find: 'readIndex(): Promise<WritePosition> {',
        put: `readIndex(): Promise<WritePosition> {
          const kept = (this as any).kept
          if (kept !== undefined && performance.now() - kept.atMs < 100) return kept.index`,
      },
      {
        file: readIndex,
        find: 'this.#index = index\n',
        put: 'this.#index = index; (this as any).kept = { index, atMs: performance.now() }\n',
      },
    ],
    outsideMs: 50,
    outside: ['update', 'put', 'bulk'],
  },
  {
    rule: 31,
    name: 'the token moves after the answer',
    writeShare: 0.2,
    plants: [
      {
        file: 'src/freshness/scope.ts',
        find: 'const taken = reader !== null && (await tokens.raise(reader, position))',
        put: 'const taken = true; if (reader !== null) setTimeout(() => void tokens.raise(reader, position), 50)',
      },
    ],
  },
]

/** Those of a run. @param rule only this one's */
export function breachesOf({ quick, plant: rule }: { quick: boolean; plant?: string | undefined }): readonly Breach[] {
  if (rule !== undefined) return breaches.filter((breach) => String(breach.rule) === rule)
  return quick ? breaches.filter((breach) => breach.quick === true) : breaches
}

const root = new URL('../../../', import.meta.url)

/** The environment that plants a breach into every process of the system. @throws where its place is not there */
export function plantedEnv({ plants }: Pick<Breach, 'plants'>): Record<string, string> {
  for (const { file, find } of plants) {
    if (readFileSync(new URL(file, root), 'utf8').split(find).length === 2) continue
    throw new Error(`expected ${file} to have this once: ${find}`)
  }
  const hook = new URL('test/support/plant.ts', root).href
  return { FOURFOLD_PLANTS: JSON.stringify(plants), NODE_OPTIONS: `--import=${hook}` }
}
