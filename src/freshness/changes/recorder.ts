/**
 * What one fill reads of one database: its bounds and its dependencies (FRESHNESS rules 18, 19 and 26).
 *
 * Recorders are handed to the executors of a fill; nothing is found through ambient context, where two fills that share
 * a batching loader would be recorded as one.
 *
 * Invariants, for a part that {@link PartRecorder.finish} answers:
 * - All that the fill saw is at least as new as `asOf`: a bound was given before each statement was sent.
 * - All that the fill saw and that can change is in the dependencies.
 * - All dependencies were watched from `asOf` on at the latest.
 */

import { hashTexts, seedOf, type TemplateId } from './hash.ts'

import type { Dependencies, RowDependencies } from './dependencies.ts'
import type { ChangeFollower } from './follower.ts'
import type { AsOf, Epoch, Lsn, Position } from '../../engines/position.ts'

/** What a statement read of one table. */
export interface RecordedRead {
  /** The table's oid. */
  readonly table: number
  /** Null: any row. Else the names of the columns that tell rows apart, ascending; none: all rows have one key. */
  readonly columns: readonly string[] | null
  /** What is read of these rows, ascending; null: any column may matter. */
  readonly reads: readonly string[] | null
  /** Canonical texts, a tuple for each key, in the order of the columns. */
  readonly values: readonly (readonly string[])[]
}

/** What an entry keeps for each database it was read from. */
export interface EntryPart {
  readonly database: string
  readonly epoch: Epoch
  /** The value is what the database held at this position, at least. */
  readonly asOf: Lsn
  /** Whether a replica had a share in it: it may show what the primary's snapshots do not show yet. */
  readonly replica: boolean
  readonly dependencies: Dependencies
}

/** What of a batch belongs to one of its entries: rows that carry another entry's key in the batch's column do not. */
export interface BatchShare {
  readonly own: string
  /** Of all entries of the batch. */
  readonly keys: ReadonlySet<string>
}

/** Beyond this, an entry would be larger than what it saves: the table counts as read whole. */
const maxRowsPerTable = 2_000

export class PartRecorder {
  readonly database: string
  readonly #follower: ChangeFollower
  #epoch: Epoch | null = null
  #asOf: Lsn = Infinity
  #replica = false
  #refused: string | null = null
  #recorded = false
  #coarse = false
  #nested = false
  readonly #tables = new Set<number>()
  readonly #rows = new Map<TemplateId, TemplateRows>()
  /** The rows of a batch by what they carry in its column. */
  readonly #byValue = new Map<string, Map<TemplateId, TemplateRows>>()
  readonly #batchColumn: string | null
  #common: { readonly keys: ReadonlySet<string>; readonly rows: Rows } | null = null
  readonly #names = new PairSet()

  /** @param batchColumn where a batch is loaded whose rows belong to keys: the column that says to which */
  constructor(database: string, follower: ChangeFollower, batchColumn: string | null = null) {
    this.database = database
    this.#follower = follower
    this.#batchColumn = batchColumn
  }

  /** A bound of the statement that comes next, or has just come on a connection whose replay was known before. */
  bound(position: AsOf, replica: boolean): void {
    this.#take(position)
    this.#replica ||= replica
  }

  /** What was found valid when all changes up to here were known: a nested entry, or a catalogue. */
  validated(position: Position): void {
    this.#take(position)
  }

  /** Reads without any row count too: of a table that was asked for nothing, or of no table at all, the definitions matter. */
  record(reads: readonly RecordedRead[]): void {
    this.#recorded = true
    this.#common = null
    for (const read of reads) {
      if (read.columns === null) this.#readTable(read.table)
      else this.#readRows(read.table, read.columns, read)
    }
  }

  /** The app touches this name itself when what stands behind it changes. */
  recordName(hash: readonly [number, number]): void {
    this.#names.add(hash[0], hash[1])
  }

  /** A nested entry is part of this one, and has been found valid at the watermark. */
  nest(part: EntryPart, watermark: Lsn): void {
    this.#nested = true
    this.#common = null
    this.validated({ epoch: part.epoch, lsn: Math.max(part.asOf, watermark) })
    this.#replica ||= part.replica
    const { tables, rows, names } = part.dependencies
    for (const table of tables) this.#tables.add(table)
    for (const { template, table, hashes } of rows) this.#rowsOf(this.#rows, template, table).addAll(hashes)
    for (let at = 0; at < names.length; at += 2) this.recordName([names[at]!, names[at + 1]!])
  }

  /** What is being read cannot be kept now; the first reason counts. */
  refuse(reason: string): void {
    this.#refused ??= reason
  }

  get refused(): string | null {
    return this.#refused
  }

  /** Whether it depends on a whole table because rows of it cannot be told apart yet: the next load will know better. */
  get coarse(): boolean {
    return this.#coarse
  }

  /** Nothing that can change was read. */
  get empty(): boolean {
    return !this.#recorded && this.#names.flat.length === 0 && !this.#nested
  }

  /** The part, or why it cannot be kept. */
  finish(share: BatchShare | null = null): EntryPart | { readonly refused: string } {
    if (this.#refused !== null) return { refused: this.#refused }
    if (this.#epoch === null || this.#asOf === Infinity) return { refused: 'unbounded' }
    const asOf = this.#asOf
    const dependencies = this.#dependencies(share)
    return { database: this.database, epoch: this.#epoch, asOf, replica: this.#replica, dependencies }
  }

  #take({ epoch, lsn }: Position): void {
    if (this.#epoch !== null && this.#epoch !== epoch) this.refuse('epoch')
    this.#epoch = epoch
    this.#asOf = Math.min(this.#asOf, lsn)
  }

  #readTable(table: number): void {
    if (this.#follower.filter?.tableSince(table) === null) this.#follower.watch([table], [])
    this.#tables.add(table)
  }

  /** Rows of a template that nobody hashes yet count as the whole table until somebody does. */
  #readRows(table: number, columns: readonly string[], { reads, values }: RecordedRead): void {
    const template = this.#follower.templateFor(table, columns, reads)
    if (template === null) return this.#readTable(table)
    const since = this.#follower.filter?.templateSince(template) ?? null
    if (since === null || since > this.#asOf) {
      if (since === null) this.#follower.watch([table], [template])
      this.#tables.add(table)
      this.#coarse = true
      return
    }
    const column = this.#batchColumn === null ? -1 : columns.indexOf(this.#batchColumn)
    const seed = seedOf(template)
    for (const tuple of values) {
      const rows = column < 0 ? this.#rows : this.#carrying(tuple[column]!)
      this.#rowsOf(rows, template, table).addAll(hashTexts(seed, tuple))
    }
  }

  #carrying(value: string): Map<TemplateId, TemplateRows> {
    let rows = this.#byValue.get(value)
    if (rows === undefined) this.#byValue.set(value, (rows = new Map()))
    return rows
  }

  #rowsOf(rows: Map<TemplateId, TemplateRows>, template: TemplateId, table: number): PairSet {
    let held = rows.get(template)
    if (held === undefined) rows.set(template, (held = { table, pairs: new PairSet() }))
    return held.pairs
  }

  /**
   * Where several tables have a column of the batch's name, such as `id`, one of them holds the keys and nobody knows
   * which: author 7 would pass for a part of article 7.
   */
  #tablesByValue(): number {
    const tables = new Set<number>()
    for (const rows of this.#byValue.values()) for (const { table } of rows.values()) tables.add(table)
    return tables.size
  }

  /**
   * The rows of a batch that belong to none of its keys. Made once for all entries of the batch: each of them looking
   * at the rows of all others would cost the square of their number.
   */
  #unclaimed(keys: ReadonlySet<string>): Rows {
    if (this.#common?.keys !== keys) {
      const strays = [...this.#byValue].filter(([value]) => !keys.has(value)).map(([, rows]) => rows)
      this.#common = { keys, rows: unite([this.#rows, ...strays]) }
    }
    return this.#common.rows
  }

  /**
   * Rows with another key's value belong to that one's entry alone. Not where two keys have one text (1 and '1'), nor
   * for a key that is spelled otherwise than the server does: its rows stand under another text.
   */
  #rowsFor(share: BatchShare | null): Rows {
    const own = share === null ? undefined : this.#byValue.get(share.own)
    if (share !== null && own !== undefined && this.#tablesByValue() === 1) {
      return unite([this.#unclaimed(share.keys), own])
    }
    return unite([this.#rows, ...this.#byValue.values()])
  }

  #dependencies(share: BatchShare | null): Dependencies {
    const found = this.#rowsFor(share)
    const tables = new Set(this.#tables)
    for (const { table, pairs } of found.values()) if (pairs.flat.length > 2 * maxRowsPerTable) tables.add(table)
    const rows: RowDependencies[] = []
    for (const [template, { table, pairs }] of found) {
      // Any row of it counts already.
      if (!tables.has(table)) rows.push({ template, table, hashes: pairs.flat })
    }
    return { tables: [...tables], rows, names: this.#names.flat }
  }
}

type Rows = ReadonlyMap<TemplateId, TemplateRows>

/** What is the only one is taken as it is. */
function unite(all: readonly Rows[]): Rows {
  const [only = new Map(), ...more] = all.filter((rows) => rows.size > 0)
  if (more.length === 0) return only
  const united = new Map<TemplateId, TemplateRows>()
  for (const rows of [only, ...more]) {
    for (const [template, { table, pairs }] of rows) {
      let held = united.get(template)
      if (held === undefined) united.set(template, (held = { table, pairs: new PairSet() }))
      held.pairs.addAll(pairs.flat)
    }
  }
  return united
}

interface TemplateRows {
  readonly table: number
  readonly pairs: PairSet
}

/** Up to so many pairs, looking at each is cheaper than an index of them. */
const fewPairs = 8

/** Pairs without most of their repetitions. */
class PairSet {
  readonly flat: number[] = []
  #index: Map<number, number> | null = null

  add(one: number, two: number): void {
    if (this.#has(one, two)) return
    this.#index?.set(one, two)
    this.flat.push(one, two)
  }

  addAll(pairs: readonly number[]): void {
    for (let at = 0; at + 1 < pairs.length; at += 2) this.add(pairs[at]!, pairs[at + 1]!)
  }

  #has(one: number, two: number): boolean {
    const { flat } = this
    if (flat.length <= 2 * fewPairs) {
      for (let at = 0; at < flat.length; at += 2) if (flat[at] === one && flat[at + 1] === two) return true
      return false
    }
    this.#index ??= new Map(Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at]!, flat[2 * at + 1]!]))
    return this.#index.get(one) === two
  }
}
