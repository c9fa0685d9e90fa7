/**
 * Checks a history of `npm run verify -- consistency` and nothing else: `npm run verify -- consistency-checker FILE`.
 *
 * The writes of a row are in one order that needs no guessing: each counts the row's version up in the database itself.
 * A read is wrong
 * - when it shows a version smaller than its level allows: what the same session was told of by a write before the read
 *   was sent (`session`); also what an earlier read of the session showed (`monotonic`); what anybody was told of, in or
 *   outside the app, or shown by a strict read (`strict`); what anybody was told of `maxStaleness` before (`eventual`);
 * - when it shows no row, and no removal explains that which is new enough or whose version is not known;
 * - when it shows what was rolled back, or undone by a savepoint, or what nobody wrote, also when that is known later;
 * - when one statement shows a part of a commit, and something from before it;
 * - when a sum is smaller than its rows may be by the same rules, or greater than they can be.
 *
 * A write whose end is not known may have happened, and may yet: reads may show it or not. An acknowledged write is lost
 * when its version is also another's, or when a `strict` read shows less.
 */

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

import { Ceilings } from './consistency/ceiling.ts'
import { FloorCounts } from './consistency/counts.ts'
import { missedFloors } from './consistency/floors.ts'
import { WritesKnown } from './consistency/writes-known.ts'

import type { Item, Line, ReadLine, WriteLine } from './consistency/history.ts'
import type { Counts } from './consistency/counts.ts'

export interface CheckerOptions {
  /** What the app was configured with. */
  readonly maxStalenessMs: number
}

export interface Violation {
  readonly what: string
  readonly line: Line
}

export interface Findings {
  readonly violations: readonly Violation[]
  readonly counts: Counts
}

export const maxStalenessMs = 2_000

export class Checker {
  readonly #options: CheckerOptions
  readonly #writes = new WritesKnown()
  /** By session and key, of sessions at `monotonic`. */
  readonly #shown = new Ceilings()
  /** By key, what strict reads showed. */
  readonly #shownStrict = new Ceilings()
  readonly #violations: Violation[] = []
  readonly #counts = new FloorCounts()
  /** Reads that showed a write whose end was not known, by the write's stamp. */
  readonly #early = new Map<string, ReadLine[]>()

  constructor(options: CheckerOptions) {
    this.#options = options
  }

  /** Takes the next line, in the order in which it was written. Answers the first violation that it proves, or null. */
  add(line: Line): Violation | null {
    const before = this.#violations.length
    this.#counts.add(line)
    if (line.operation === 'begin') this.#writes.begin(line)
    if (line.operation === 'write') this.#end(line)
    if (line.operation === 'read') this.#read(line)
    return this.#violations[before] ?? null
  }

  findings(): Findings {
    return { violations: this.#violations, counts: this.#counts.result() }
  }

  #end(line: WriteLine): void {
    const wrong = this.#writes.end(line)
    if (wrong !== null) this.#report(line, wrong)
    for (const [stamp, reads] of this.#early) {
      if (this.#writes.isOpen(stamp)) continue
      this.#early.delete(stamp)
      const refusal = this.#writes.refusal(stamp)
      for (const read of reads) {
        if (refusal !== null) this.#report(read, refusal)
        else if (read.snapshot) this.#checkTogether(read)
      }
    }
  }

  #read(line: ReadLine): void {
    if (line.sum !== undefined) this.#checkSum(line, line.sum)
    if (line.items === null) return
    for (const item of line.items) this.#checkItem(line, item)
    if (line.snapshot) this.#checkTogether(line)
  }

  #checkItem(line: ReadLine, item: Item): void {
    const least = this.#leastAllowed(line, item.key)
    const version = item.version ?? this.#writes.removalSince(item.key, least)
    if (version === null) return this.#report(line, `${item.key} is not there: expected at least version ${least}`)
    if (version < least) {
      return this.#report(line, `version ${version} of ${item.key}: expected at least version ${least}`)
    }
    if (version !== Infinity) this.#show(line, item.key, version)
    if (item.version === null) return
    if (item.version > this.#writes.greatest(item.key)) {
      return this.#report(line, `version ${item.version} of ${item.key} is more than anybody can have written`)
    }
    const refusal = this.#writes.refusal(item.stamp)
    if (refusal !== null) return this.#report(line, `${item.key}: ${refusal}`)
    const other = this.#writes.contradiction(item)
    if (other !== null) return this.#report(line, `version ${version} of ${item.key} was ${other} before`)
    if (this.#writes.isOpen(item.stamp)) this.#early.set(item.stamp, [...(this.#early.get(item.stamp) ?? []), line])
  }

  /** Who sees one row of a commit sees the others of that commit, or later ones. */
  #checkTogether(line: ReadLine): void {
    const shown = new Map((line.items ?? []).map((item) => [item.key, item]))
    for (const item of shown.values()) {
      const others = item.stamp === '' ? null : this.#writes.togetherWith(item)
      for (const [key, version] of others ?? []) {
        const other = shown.get(key)
        if (other === undefined || other.version === null || other.version >= version) continue
        return this.#report(line, `${item.key} is of ${item.stamp} and ${key} is from before it`)
      }
    }
  }

  #checkSum(line: ReadLine, { keys, value }: NonNullable<ReadLine['sum']>): void {
    const least = keys.reduce((sum, key) => sum + Math.max(0, this.#leastAllowed(line, key)), 0)
    const name = `sum of ${keys.join(' ')}`
    const shown = this.#leastShown(line, name)
    const most = keys.reduce((sum, key) => sum + this.#writes.greatest(key), 0)
    const bound = Math.max(least, shown)
    if (value < bound) return this.#report(line, `a sum of ${value}: expected at least ${bound}`)
    if (value > most) return this.#report(line, `a sum of ${value}: nobody can have written more than ${most}`)
    this.#show(line, name, value)
  }

  #leastAllowed(line: ReadLine, key: string): number {
    const { level, session, invoked } = line
    const { own, acknowledged } = this.#writes
    if (level === 'eventual') return acknowledged.of(key).before(invoked - this.#options.maxStalenessMs)
    if (level === 'strict') return Math.max(acknowledged.of(key).before(invoked), this.#leastShown(line, key))
    return Math.max(own.of(`${session} ${key}`).before(invoked), this.#leastShown(line, key))
  }

  #leastShown({ level, session, invoked }: ReadLine, name: string): number {
    if (level === 'strict') return this.#shownStrict.of(name).before(invoked)
    return level === 'monotonic' ? this.#shown.of(`${session} ${name}`).before(invoked) : -1
  }

  #show({ level, session, returned }: ReadLine, name: string, version: number): void {
    if (level === 'strict') this.#shownStrict.of(name).raise(returned, version)
    if (level === 'monotonic') this.#shown.of(`${session} ${name}`).raise(returned, version)
  }

  #report(line: Line, what: string): void {
    this.#violations.push({ what, line })
  }
}

/** Reads a history file and checks it. */
export async function checkFile(path: string, options: CheckerOptions = { maxStalenessMs }): Promise<Findings> {
  const checker = new Checker(options)
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line !== '') checker.add(JSON.parse(line) as Line)
  }
  return checker.findings()
}

if (import.meta.main) {
  const path = process.argv[2]
  if (path === undefined) throw new Error('name the history: npm run verify -- consistency-checker FILE')
  const { violations, counts } = await checkFile(path)
  console.log(JSON.stringify(counts, null, 2))
  for (const { what, line } of violations.slice(0, 20)) console.log(what, JSON.stringify(line))
  const missed = missedFloors(counts)
  for (const floor of missed) console.log(`floor: ${floor}`)
  console.log(`${violations.length} violations`)
  process.exitCode = violations.length + missed.length === 0 ? 0 : 1
}
