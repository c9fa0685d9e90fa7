/**
 * Makes commits out of the stream's calls. Everything here is synchronous but the question what a relation belongs to.
 *
 * Invariant: templates begin to count between two transactions only, so that no commit is hashed in part.
 */

import { beatPrefix, ddlPrefix, touchPrefix } from '../../engines/postgres/changes/names.ts'
import type { Relation, StreamReceiver } from '../../engines/postgres/changes/decoder.ts'
import type { Lineage } from '../../engines/postgres/changes/tables.ts'
import type { RowTag } from '../../engines/postgres/changes/rows.ts'
import type { Lsn } from '../../engines/position.ts'
import { hashName, templateParts, type TemplateId } from '../changes/hash.ts'
import type { CommitChanges } from '../changes/message.ts'
import { CommitBuilder } from './commit-builder.ts'
import { planRelation, RowHasher, type RelationPlan } from './row-hashing.ts'

/** Sets of columns that are read, of all processes. */
export const maxReadSetsPerTable = 64

export interface CollectorEvents {
  lineage(table: number): Promise<Lineage>
  /** A transaction is over. `changes` is null where it changed nothing that is watched. */
  commit(changes: CommitChanges | null, xid: number, end: Lsn): void
  /** The stream has come so far outside of transactions. `changes`: names that were touched outside of them. */
  advance(changes: CommitChanges | null, position: Lsn): void
  /** DDL was committed with the commit that comes next. @param tag as PostgreSQL names the command */
  ddl(tag: string): void
  beat(beat: number): void
  /** Templates count from here on. */
  templates(since: ReadonlyMap<TemplateId, Lsn>): void
}

interface Known {
  readonly relation: Relation
  /** Everything that was ever above it. */
  readonly above: Set<number>
  readonly exact: ReadonlySet<number>
  plan: RelationPlan
}

export class Collector implements StreamReceiver {
  readonly #events: CollectorEvents
  readonly #builder: CommitBuilder
  readonly #hasher = new RowHasher()
  readonly #relations = new Map<number, Known>()
  readonly #ancestors = new Map<number, Set<number>>()
  readonly #templates = new Map<TemplateId, Lsn>()
  #wanted: readonly TemplateId[] = []
  /** By table: how many sets of columns are watched, or about to be. */
  readonly #admitted = new Map<number, number>()
  /** Tables of which the catalogue does not say any more why they are in the stream. */
  readonly #unexplained = new Set<number>()
  #xid: number | null = null
  #position: Lsn
  /** Names touched outside of transactions: they count from the next position on. */
  #loose: { readonly name: string; readonly start: Lsn }[] = []

  constructor(from: Lsn, events: CollectorEvents, builder: CommitBuilder = new CommitBuilder()) {
    this.#position = from
    this.#events = events
    this.#builder = builder
  }

  /** How far the stream has come: the end of a commit, or a keepalive. */
  get position(): Lsn {
    return this.#position
  }

  /** Asks for templates; they count from the next transaction on. Those that a table has no room for are left out. */
  watch(templates: readonly TemplateId[]): void {
    const fresh = templates.filter((id) => !this.#templates.has(id) && !this.#wanted.includes(id) && this.#admits(id))
    if (fresh.length === 0) return
    this.#wanted = [...this.#wanted, ...fresh]
    if (this.#xid === null) this.#activate()
  }

  /** Each row is hashed under each of them. Whoever asks in vain does with all columns. */
  #admits(id: TemplateId): boolean {
    const { table, reads } = templateParts(id)
    if (reads === null) return true
    const count = this.#admitted.get(table) ?? 0
    if (count >= maxReadSetsPerTable) return false
    this.#admitted.set(table, count + 1)
    return true
  }

  #activate(): void {
    for (const id of this.#wanted) this.#templates.set(id, this.#position)
    this.#wanted = []
    for (const known of this.#relations.values()) this.#plan(known)
    this.#events.templates(this.#templates)
  }

  #plan(known: Known): void {
    const { relation, above, exact } = known
    known.plan = planRelation(relation, [relation.oid, ...above], [...this.#templates.keys()], exact)
  }

  begin(xid: number): void {
    if (this.#wanted.length > 0) this.#activate()
    this.#xid = xid
  }

  async relation(relation: Relation): Promise<void> {
    const above = this.#ancestors.get(relation.oid) ?? new Set<number>()
    const { ancestors, published, exactTypes } = await this.#events.lineage(relation.oid)
    for (const table of ancestors) above.add(table)
    this.#ancestors.set(relation.oid, above)
    const known: Known = { relation, above, exact: new Set(exactTypes), plan: planRelation(relation, [], []) }
    this.#plan(known)
    this.#relations.set(relation.oid, known)
    if (published) this.#unexplained.delete(relation.oid)
    else this.#unexplained.add(relation.oid)
  }

  row(tag: RowTag, table: number, message: Buffer): void {
    const known = this.#relations.get(table)
    if (known === undefined) throw new Error(`a row of the unknown relation ${table} in the change stream`)
    if (this.#unexplained.size > 0 && this.#unexplained.has(table)) this.#builder.all()
    this.#hasher.add(known.plan, tag, message, this.#builder)
  }

  truncate(tables: readonly number[]): void {
    for (const table of tables) {
      if (this.#unexplained.has(table)) this.#builder.all()
      for (const each of [table, ...(this.#ancestors.get(table) ?? [])]) this.#builder.widen(each)
    }
  }

  message(prefix: string, content: Buffer, transactional: boolean, start: Lsn): void {
    const text = content.toString()
    if (prefix === beatPrefix) this.#events.beat(Number(text))
    else if (prefix === ddlPrefix) {
      this.#builder.all()
      this.#events.ddl(text)
    } else if (prefix === touchPrefix) {
      if (transactional) this.#builder.name(hashName(text))
      else this.#loose.push({ name: text, start })
    }
  }

  commit(end: Lsn): void {
    for (const { name } of this.#loose.splice(0)) this.#builder.name(hashName(name))
    const xid = this.#xid ?? 0
    this.#xid = null
    this.#position = Math.max(this.#position, end)
    this.#events.commit(this.#builder.finish(end), xid, end)
  }

  /** Everything up to here was sent. Inside a transaction it means nothing: that one's end is still to come. */
  keepalive(position: Lsn): void {
    if (this.#xid !== null || position <= this.#position) return
    this.#position = position
    const due = this.#loose.filter(({ start }) => start < position)
    this.#loose = this.#loose.filter(({ start }) => start >= position)
    for (const { name } of due) this.#builder.name(hashName(name))
    this.#events.advance(this.#builder.finish(position), position)
  }
}
