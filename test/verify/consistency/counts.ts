/** What a history holds, by kinds: for the report, and for the floors without which no violations prove nothing. */

import type { FaultLine, Line, PhaseLine, ReadLine, WriteLine } from './history.ts'
import type { Level } from '../../../src/freshness/level.ts'

type Numbers = Readonly<Record<string, number>>

export interface Counts {
  readonly reads: Readonly<Record<Level, number>>
  /** `cached row`, `uncached rows`, … */
  readonly readsByKind: Numbers
  readonly readsByTier: Numbers
  readonly readsByServer: Numbers
  /** By the clone's place: `clone-2`, whichever process held it. */
  readonly readsByClone: Numbers
  /** Reads that failed, by HTTP status; `timeout` where no answer came in time, `connection` where nobody answered. */
  readonly failed: Numbers
  /** Why the cache had to load. */
  readonly misses: Numbers
  /** Acknowledged writes by kind, those from outside the app apart. */
  readonly writes: Numbers
  readonly rolledBack: number
  readonly unknown: number
  /** How long each fault lasted until the system worked again, in milliseconds. */
  readonly faults: Readonly<Record<string, readonly number[]>>
  /** In steady use: reads at `session` without the cache, and how many of them a replica answered. */
  readonly calmSession: { readonly reads: number; readonly onReplicas: number }
  /** In steady use, by phase and tier: look-ups, and those that the tier served. */
  readonly calmTiers: Readonly<Record<string, { readonly lookUps: number; readonly hits: number }>>
  /** How long reads took, in milliseconds. */
  readonly slowestReadMs: number
}

/** After a fault is over, parts that were left out need a moment to come back, and a cache to fill. */
const settleMs = 2_500

interface CalmRead {
  readonly time: number
  readonly cached: boolean
  readonly session: boolean
  readonly replica: boolean
  readonly tier: ReadLine['tier']
  readonly phase: PhaseLine | null
}

export class FloorCounts {
  readonly #reads: Record<Level, number> = { eventual: 0, session: 0, monotonic: 0, strict: 0 }
  readonly #kinds: Record<string, number> = {}
  readonly #tiers: Record<string, number> = {}
  readonly #servers: Record<string, number> = {}
  readonly #clones: Record<string, number> = {}
  readonly #failed: Record<string, number> = {}
  readonly #misses: Record<string, number> = {}
  readonly #writes: Record<string, number> = {}
  readonly #faults: Record<string, number[]> = {}
  readonly #windows: { readonly from: number; readonly to: number }[] = []
  readonly #seen: CalmRead[] = []
  #rolledBack = 0
  #unknown = 0
  #slowestReadMs = 0
  #phase: PhaseLine | null = null

  add(line: Line): void {
    if (line.operation === 'phase') this.#phase = line
    if (line.operation === 'fault') this.#fault(line)
    if (line.operation === 'write') this.#write(line)
    if (line.operation === 'read') this.#read(line)
  }

  result(): Counts {
    const isCalm = ({ phase, time }: CalmRead): boolean =>
      phase !== null &&
      phase.tiers.length > 0 &&
      phase.invoked <= time &&
      !this.#windows.some(({ from, to }) => from <= time && time <= to)
    const calm = this.#seen.filter(isCalm)
    const session = calm.filter((read) => read.session && !read.cached)
    return {
      reads: this.#reads,
      readsByKind: this.#kinds,
      readsByTier: this.#tiers,
      readsByServer: this.#servers,
      readsByClone: this.#clones,
      failed: this.#failed,
      misses: this.#misses,
      writes: this.#writes,
      rolledBack: this.#rolledBack,
      unknown: this.#unknown,
      faults: this.#faults,
      calmSession: { reads: session.length, onReplicas: session.filter(({ replica }) => replica).length },
      calmTiers: tiersOf(calm),
      slowestReadMs: this.#slowestReadMs,
    }
  }

  #fault({ name, invoked, returned }: FaultLine): void {
    const lasted = (this.#faults[name] ??= [])
    lasted.push(returned - invoked)
    this.#windows.push({ from: invoked, to: returned + settleMs })
  }

  #write({ outcome, session, kind }: WriteLine): void {
    if (outcome === 'rolled back') this.#rolledBack += 1
    if (outcome === 'unknown') this.#unknown += 1
    if (outcome === 'acknowledged') count(this.#writes, session === 'outside' ? `outside: ${kind}` : kind)
  }

  #read(line: ReadLine): void {
    this.#slowestReadMs = Math.max(this.#slowestReadMs, line.returned - line.invoked)
    if (line.items === null) return count(this.#failed, kindOfFailure(line.note ?? ''))
    const cached = line.tier !== 'database'
    this.#reads[line.level] += 1
    count(this.#kinds, `${cached ? 'cached' : 'uncached'} ${line.kind}`)
    count(this.#tiers, line.tier)
    if (line.server !== '') count(this.#servers, line.server)
    count(this.#clones, line.clone.replace(/\.\d+$/, ''))
    if (line.tier === 'load') count(this.#misses, line.note ?? '?')
    const replica = line.server.startsWith('replica')
    const session = line.level === 'session'
    this.#seen.push({ time: line.invoked, cached, session, replica, tier: line.tier, phase: this.#phase })
  }
}

function tiersOf(reads: readonly CalmRead[]): Record<string, { lookUps: number; hits: number }> {
  const tiers: Record<string, { lookUps: number; hits: number }> = {}
  for (const { phase, tier, cached } of reads) {
    // Where both are in play, the second one sees what the first has not.
    const first = phase?.tiers[0]
    if (!cached || phase === null || first === undefined) continue
    const counted = (tiers[`${phase.name}: ${first}`] ??= { lookUps: 0, hits: 0 })
    counted.lookUps += 1
    if (tier === first) counted.hits += 1
  }
  return tiers
}

function kindOfFailure(note: string): string {
  return /^(\d{3}) /.exec(note)?.[1] ?? (/timeout/i.test(note) ? 'timeout' : 'connection')
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
