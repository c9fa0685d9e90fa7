/**
 * When anything that was read last changed: for one process and one database, in constant memory.
 *
 * Row keys and names share a sketch of positions; tables, which are few, have exact ones. Everything only rises, so a
 * message that comes twice, or late, does no harm.
 *
 * Invariants, with W the watermark of whoever feeds it:
 * - A change in (floor, W] of a watched table has raised that table's `any`, or its `wide` and `any`.
 * - A change in (since of a template, W] has raised the hashes of its old and of its new row, or the table's `wide`.
 * - So what depends on nothing that stands above `asOf` is the same at `asOf` as at W; a collision only adds to what
 *   counts as changed.
 */

import type { Dependencies } from './dependencies.ts'
import type { TemplateId } from './hash.ts'
import type { CommitChanges, Coverage } from './message.ts'
import { joinedSince, type KnownChanges, type SlotPieces } from './snapshot.ts'
import { defaultSlots, PositionSketch } from './position-sketch.ts'
import type { Lsn } from '../../engines/position.ts'

/** Why an entry is not what the database holds now, or may not be. */
export type Staleness = 'forgotten' | 'unwatched' | 'table' | 'wide' | 'row' | 'name'

interface WatchedTable {
  since: Lsn
  tracking: 'full' | 'key'
  any: Lsn
  wide: Lsn
  /** This one alone: the same list for all that depend on no other. */
  readonly alone: readonly WatchedTable[]
}

/** A comparison that found no change: it need not be made again but for what has changed since. */
export interface Quiet {
  readonly filter: Filter
  /** The filter's, then. */
  version: number
  readonly holes: number
  /** Of what was compared, in its order: first the whole tables, then the rows. */
  readonly tables: readonly WatchedTable[]
  /** All changes up to here were known. */
  at: Lsn
}

export class Filter {
  /** Rises with everything that can make a valid entry invalid: who remembers it need not check again. */
  version = 0
  /** Rises with every hole in what is known: what was found before it must be compared anew. */
  #holes = 0
  readonly #sketch: PositionSketch
  readonly #tables = new Map<number, WatchedTable>()
  readonly #templates = new Map<TemplateId, { since: Lsn }>()
  #floor: Lsn
  /** The last coverage that had all that is known: a message with the same one again has nothing new to say. */
  #settled: { readonly coverage: Coverage; readonly since: Lsn } | null = null

  /**
   * @param floor what is older than this counts as changed
   * @param slots a power of two. Default 2^20: 8 MiB
   */
  constructor(floor: Lsn, slots: number = defaultSlots) {
    this.#sketch = new PositionSketch(slots)
    this.#floor = floor
  }

  get floor(): Lsn {
    return this.#floor
  }

  /** From where on a table is watched, or null where it is not. */
  tableSince(table: number): Lsn | null {
    return this.#tables.get(table)?.since ?? null
  }

  tableTracking(table: number): 'full' | 'key' | null {
    return this.#tables.get(table)?.tracking ?? null
  }

  /** From where on a template's columns are hashed, or null where they are not. */
  templateSince(template: TemplateId): Lsn | null {
    return this.#templates.get(template)?.since ?? null
  }

  /** Everything older than this counts as changed. */
  forget(before: Lsn): void {
    if (before <= this.#floor) return
    this.#floor = before
    this.#openHole()
  }

  /**
   * Takes over what a message's tracker watched in (from, to]. Before its changes are applied, and only when
   * `from <= watermark`.
   *
   * What was watched without a hole up to `watermark` goes on without one. What comes anew is known from `from` on; and
   * where the message ends below the watermark, changes in between came in messages that knew nothing of it.
   */
  cover(coverage: Coverage | null, from: Lsn, to: Lsn, watermark: Lsn): void {
    if (this.#settled !== null && this.#settled.coverage === coverage && this.#settled.since <= from) return
    this.#settled = null
    this.#cut(this.#tables, (oid) => coverage?.tables.get(oid)?.since, from, to, watermark)
    this.#cut(this.#templates, (id) => coverage?.templates.get(id), from, to, watermark)
    if (coverage === null) return
    const begin = (since: Lsn): Lsn => (to >= watermark ? Math.max(since, from) : watermark)
    for (const [oid, { since, tracking }] of coverage.tables) {
      const known = this.#tables.get(oid)
      if (known !== undefined) known.tracking = tracking
      else this.#tables.set(oid, watchedTable(begin(since), tracking))
    }
    for (const [id, since] of coverage.templates) {
      if (!this.#templates.has(id)) this.#templates.set(id, { since: begin(since) })
    }
    if (this.#tables.size === coverage.tables.size && this.#templates.size === coverage.templates.size) {
      const tables = [...coverage.tables.values()].map(({ since }) => since)
      this.#settled = { coverage, since: [...tables, ...coverage.templates.values()].reduce(greater, 0) }
    }
  }

  apply({ to, tables, wide, everything, hashes }: CommitChanges): void {
    this.version += 1
    if (everything) this.forget(to)
    for (const oid of tables) this.#raiseTable(oid, to, false)
    for (const oid of wide) this.#raiseTable(oid, to, true)
    this.#sketch.raise(hashes, to)
  }

  /** Null where nothing of this has changed in (asOf, watermark]. */
  staleness({ tables, rows, names }: Dependencies, asOf: Lsn): Staleness | null {
    if (asOf < this.#floor) return 'forgotten'
    for (const oid of tables) {
      const table = this.#tables.get(oid)
      if (table === undefined || table.since > asOf) return 'unwatched'
      if (table.any > asOf) return 'table'
    }
    for (const { template, table: oid, hashes } of rows) {
      const table = this.#tables.get(oid)
      const watched = this.#templates.get(template)
      if (table === undefined || watched === undefined) return 'unwatched'
      if (table.since > asOf || watched.since > asOf) return 'unwatched'
      if (table.wide > asOf) return 'wide'
      if (this.#sketch.anyAbove(hashes, asOf)) return 'row'
    }
    return this.#sketch.anyAbove(names, asOf) ? 'name' : null
  }

  /**
   * What to remember of a comparison that found no change.
   *
   * @param at the watermark, or where the value was read if that is later
   */
  quiet({ tables, rows }: Dependencies, at: Lsn): Quiet {
    const [first, ...more] = [...tables, ...rows.map(({ table }) => table)].map((oid) => this.#tables.get(oid)!)
    const alone = first !== undefined && more.length === 0
    return {
      filter: this,
      version: this.version,
      holes: this.#holes,
      tables: alone ? first.alone : first === undefined ? [] : [first, ...more],
      at,
    }
  }

  /**
   * The comparison of the same dependencies again, for changes since: most of the time no table has any, and rows of
   * those that have none need not be looked at.
   *
   * @param watermark up to where all changes are known now
   * @returns 'unknown' where only {@link staleness} can tell
   */
  compareAgain(quiet: Quiet, dependencies: Dependencies, watermark: Lsn): Staleness | 'unknown' | null {
    if (quiet.filter !== this || quiet.holes !== this.#holes) return 'unknown'
    if (quiet.version === this.version) return null
    const stale = this.#changedSince(quiet, dependencies)
    if (stale !== null) return stale
    quiet.version = this.version
    if (quiet.at < watermark) quiet.at = watermark
    return null
  }

  /** What is known, for others. The slots are read later, and may have risen further by then: see {@link pieces}. */
  known(watermark: Lsn): KnownChanges {
    const floor = this.#floor
    const tables = [...this.#tables].map(([oid, { since, any, wide }]) => {
      return [oid, { since: Math.max(since, floor), any, wide }] as const
    })
    const templates = [...this.#templates].map(([id, { since }]) => [id, Math.max(since, floor)] as const)
    return { floor, watermark, slots: this.#sketch.size, tables: new Map(tables), templates: new Map(templates) }
  }

  /** The slots themselves, in pieces, to be read and not written. */
  pieces(): SlotPieces {
    return this.#sketch.pieces()
  }

  /** Whether something is known from further back to whoever knows this, and up to what is known here. */
  wouldGainFrom({ floor, watermark, slots, tables, templates }: KnownChanges): boolean {
    if (slots !== this.#sketch.size || watermark < this.#floor) return false
    const gains = (since: Lsn, theirs: Lsn | undefined): boolean => {
      const mine = Math.max(since, this.#floor)
      return joinedSince(mine, theirs, watermark) < mine
    }
    if (floor < this.#floor) return true
    for (const [oid, { since }] of this.#tables) if (gains(since, tables.get(oid)?.since)) return true
    for (const [id, { since }] of this.#templates) if (gains(since, templates.get(id))) return true
    return false
  }

  /** Whether all that is known to whoever knows this is known here, from as far back. */
  goesBackAsFarAs({ floor, tables, templates }: KnownChanges): boolean {
    const goesBack = (here: { since: Lsn } | undefined, since: Lsn): boolean => {
      return here !== undefined && Math.max(here.since, this.#floor) <= since
    }
    if (this.#floor > floor) return false
    for (const [oid, { since }] of tables) if (!goesBack(this.#tables.get(oid), since)) return false
    for (const [id, since] of templates) if (!goesBack(this.#templates.get(id), since)) return false
    return true
  }

  /** Takes over slots of another filter of the same epoch and size: a piece of them, by its place. */
  raise(place: number, positions: Float64Array): void {
    this.#sketch.raisePiece(place, positions)
  }

  /**
   * Takes over how far back another filter knows the changes, if that reaches to where knowledge begins here: behind all
   * of its slots, see {@link raise}. In one synchronous step.
   *
   * @returns false where there is a gap between the two, or the sketches differ in size: nothing was taken
   */
  extend({ floor, watermark, slots, tables, templates }: KnownChanges): boolean {
    if (slots !== this.#sketch.size || watermark < this.#floor) return false
    for (const [oid, table] of this.#tables) {
      const theirs = tables.get(oid)
      // What stands below one's own floor was hidden by it, and must not come to light when the floor falls.
      table.since = joinedSince(Math.max(table.since, this.#floor), theirs?.since, watermark)
      if (theirs === undefined) continue
      table.any = Math.max(table.any, theirs.any)
      table.wide = Math.max(table.wide, theirs.wide)
    }
    for (const [id, template] of this.#templates) {
      template.since = joinedSince(Math.max(template.since, this.#floor), templates.get(id), watermark)
    }
    this.#floor = Math.min(this.#floor, floor)
    this.#openHole()
    return true
  }

  /** How many slots have ever been raised, 0 to 1: what false misses come from. */
  fill(): number {
    return this.#sketch.fill()
  }

  #changedSince({ tables, at }: Quiet, { tables: whole, rows, names }: Dependencies): Staleness | null {
    for (let place = 0; place < tables.length; place += 1) {
      const { any, wide } = tables[place]!
      if (any <= at) continue
      if (place < whole.length) return 'table'
      if (wide > at) return 'wide'
      if (this.#sketch.anyAbove(rows[place - whole.length]!.hashes, at)) return 'row'
    }
    return this.#sketch.anyAbove(names, at) ? 'name' : null
  }

  #raiseTable(oid: number, to: Lsn, wide: boolean): void {
    const table = this.#tables.get(oid)
    if (table === undefined) return
    if (table.any < to) table.any = to
    if (wide && table.wide < to) table.wide = to
  }

  /** What the message's tracker did not watch all along has a hole; a message that brings nothing new makes none. */
  #cut<Id>(
    known: ReadonlyMap<Id, { since: Lsn }>,
    sinceOf: (id: Id) => Lsn | undefined,
    from: Lsn,
    to: Lsn,
    watermark: Lsn,
  ): void {
    if (to <= watermark) return
    for (const [id, held] of known) {
      const since = sinceOf(id) ?? to
      if (since <= from || since <= held.since) continue
      held.since = since
      this.#openHole()
    }
  }

  #openHole(): void {
    this.version += 1
    this.#holes += 1
  }
}

function watchedTable(since: Lsn, tracking: 'full' | 'key'): WatchedTable {
  const alone: WatchedTable[] = []
  const table = { since, tracking, any: 0, wide: 0, alone }
  alone.push(table)
  return table
}

function greater(one: Lsn, other: Lsn): Lsn {
  return one > other ? one : other
}
