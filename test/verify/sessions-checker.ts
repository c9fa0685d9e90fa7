/**
 * Checks a history of `npm run verify -- sessions` and nothing else: `npm run verify -- sessions-checker FILE`.
 *
 * Values are versions that the database itself counts up, one for each write of a key, so the writes of a key are in
 * one order that needs no guessing. A read is wrong when its version is smaller than its level allows:
 * - session: the greatest version that the same session was told of by a write before the read was sent;
 * - monotonic: also the greatest that a read of the same session had shown before;
 * - strict: the greatest that anybody had been told of, by a write or by a strict read, before the read was sent;
 * - eventual: the greatest that a write had told of `maxStaleness` before the read was sent.
 *
 * An acknowledged write is lost when another write was told the same version, or a strict read shows less.
 */

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

import { missedFloors } from './sessions/floors.ts'

import type { HistoryLine } from './sessions/history.ts'
import type { Level } from '../../src/freshness/level.ts'

export interface CheckerOptions {
  /** What the app was configured with. */
  readonly maxStalenessMs: number
}

export interface Violation {
  readonly what: string
  readonly line: HistoryLine
}

export interface Findings {
  readonly violations: readonly Violation[]
  readonly lostWrites: readonly Violation[]
  readonly operations: number
  /** By HTTP status; `timeout` where no answer came in time, `connection` where there was nobody to answer. */
  readonly failed: Readonly<Record<string, number>>
  readonly reads: Readonly<Record<Level, number>>
  readonly writes: number
  /** How long each fault lasted until the system worked again, in milliseconds. */
  readonly faults: Readonly<Record<string, readonly number[]>>
  readonly readsByServer: Readonly<Record<string, number>>
  /** By the clone's place: `clone-2`, whichever process held it. */
  readonly readsByClone: Readonly<Record<string, number>>
  /** Reads at `session` while no fault was on, and how many of them a replica answered. */
  readonly calmSessionReads: number
  readonly calmSessionReplicaReads: number
}

export const maxStalenessMs = 2_000
/** After a fault is over, parts that were left out need a moment to come back. */
const settleMs = 2_500

/** The greatest version known at a time: entries rise in time and version, so that a search finds it. */
class Ceiling {
  readonly #times: number[] = []
  readonly #versions: number[] = []

  raise(time: number, version: number): void {
    if (version <= (this.#versions.at(-1) ?? -1)) return
    this.#times.push(time)
    this.#versions.push(version)
  }

  /** The greatest version told of strictly before this time, or -1. */
  before(time: number): number {
    let low = 0
    let high = this.#times.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#times[middle] ?? 0) < time) low = middle + 1
      else high = middle
    }
    return this.#versions[low - 1] ?? -1
  }
}

export class Checker {
  readonly #options: CheckerOptions
  readonly #own = new Map<string, Ceiling>()
  readonly #shown = new Map<string, Ceiling>()
  readonly #written = new Map<string, Ceiling>()
  readonly #told = new Map<string, Ceiling>()
  readonly #versions = new Map<string, Set<number>>()
  readonly #violations: Violation[] = []
  readonly #lost: Violation[] = []
  readonly #reads: Record<Level, number> = { eventual: 0, session: 0, monotonic: 0, strict: 0 }
  readonly #faults: Record<string, number[]> = {}
  readonly #servers: Record<string, number> = {}
  readonly #clones: Record<string, number> = {}
  readonly #windows: { readonly from: number; readonly to: number }[] = []
  readonly #sessionReads: { readonly time: number; readonly replica: boolean }[] = []
  readonly #failed: Record<string, number> = {}
  #operations = 0
  #writes = 0

  constructor(options: CheckerOptions) {
    this.#options = options
  }

  /** Takes the next line, in the order of return. Answers the violation that it is, or null. */
  add(line: HistoryLine): Violation | null {
    if (line.operation === 'fault') {
      const lasted = (this.#faults[line.note ?? '?'] ??= [])
      lasted.push(line.returned - line.invoked)
      this.#windows.push({ from: line.invoked, to: line.returned + settleMs })
      return null
    }
    this.#operations += 1
    if (line.value === null) {
      count(this.#failed, kindOfFailure(line.note ?? ''))
      return null
    }
    return line.operation === 'write' ? this.#write(line, line.value) : this.#read(line, line.value)
  }

  findings(): Findings {
    const calm = this.#sessionReads.filter(
      ({ time }) => !this.#windows.some(({ from, to }) => from <= time && time <= to),
    )
    return {
      violations: this.#violations,
      lostWrites: this.#lost,
      operations: this.#operations,
      failed: this.#failed,
      reads: this.#reads,
      writes: this.#writes,
      faults: this.#faults,
      readsByServer: this.#servers,
      readsByClone: this.#clones,
      calmSessionReads: calm.length,
      calmSessionReplicaReads: calm.filter(({ replica }) => replica).length,
    }
  }

  #write(line: HistoryLine, version: number): Violation | null {
    this.#writes += 1
    const versions = entry(this.#versions, line.key, () => new Set<number>())
    if (versions.has(version))
      return report(this.#lost, line, `version ${version} was acknowledged twice: one of the writes is lost`)
    versions.add(version)
    ceiling(this.#own, `${line.session} ${line.key}`).raise(line.returned, version)
    ceiling(this.#written, line.key).raise(line.returned, version)
    ceiling(this.#told, line.key).raise(line.returned, version)
    return null
  }

  #read(line: HistoryLine, version: number): Violation | null {
    this.#reads[line.level] += 1
    count(this.#servers, line.server)
    count(this.#clones, line.clone.replace(/\.\d+$/, ''))
    if (line.level === 'session') {
      this.#sessionReads.push({ time: line.invoked, replica: line.server.includes('replica') })
    }
    const least = this.#leastAllowed(line)
    const shown = ceiling(this.#shown, `${line.session} ${line.key}`)
    shown.raise(line.returned, version)
    if (line.level === 'strict') {
      const written = ceiling(this.#written, line.key).before(line.invoked)
      ceiling(this.#told, line.key).raise(line.returned, version)
      if (version < written) report(this.#lost, line, `the acknowledged version ${written} is gone`)
    }
    return version >= least ? null : report(this.#violations, line, `expected at least version ${least}`)
  }

  #leastAllowed({ level, session, key, invoked }: HistoryLine): number {
    const own = ceiling(this.#own, `${session} ${key}`).before(invoked)
    if (level === 'eventual') return ceiling(this.#written, key).before(invoked - this.#options.maxStalenessMs)
    if (level === 'session') return own
    if (level === 'monotonic') return Math.max(own, ceiling(this.#shown, `${session} ${key}`).before(invoked))
    return ceiling(this.#told, key).before(invoked)
  }
}

/** Reads a history file and checks it. */
export async function checkFile(path: string, options: CheckerOptions = { maxStalenessMs }): Promise<Findings> {
  const checker = new Checker(options)
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line !== '') checker.add(JSON.parse(line) as HistoryLine)
  }
  return checker.findings()
}

function kindOfFailure(note: string): string {
  return /^(\d{3}) /.exec(note)?.[1] ?? (/timeout/i.test(note) ? 'timeout' : 'connection')
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function ceiling(map: Map<string, Ceiling>, key: string): Ceiling {
  return entry(map, key, () => new Ceiling())
}

function entry<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

function report(list: Violation[], line: HistoryLine, what: string): Violation {
  const violation = { what, line }
  list.push(violation)
  return violation
}

if (import.meta.main) {
  const path = process.argv[2]
  if (path === undefined) throw new Error('name the history: npm run verify -- sessions-checker FILE')
  const findings = await checkFile(path)
  const { violations, lostWrites, ...counts } = findings
  console.log(JSON.stringify(counts, null, 2))
  for (const { what, line } of [...violations, ...lostWrites].slice(0, 20)) console.log(what, JSON.stringify(line))
  const missed = missedFloors(findings)
  for (const floor of missed) console.log(`floor: ${floor}`)
  console.log(`${violations.length} violations, ${lostWrites.length} lost writes`)
  process.exitCode = violations.length + lostWrites.length + missed.length === 0 ? 0 : 1
}
