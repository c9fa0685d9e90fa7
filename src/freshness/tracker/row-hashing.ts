/**
 * From a changed row to the hashes of what it was and is, under every template that is watched on its table or on the
 * tables above it: FRESHNESS rules 15, 28 and 30. Where the stream does not tell what a row was, the table is named whole.
 * An update that shows to have changed nothing of what a template reads is none to it: decision 031.
 */

import { hashTexts, seedOf, templateParts, type HashPair, type Seed, type TemplateId } from '../changes/hash.ts'
import {
  createRowImages,
  isUnchanged,
  readImages,
  type RowImages,
  type RowTag,
  type Value,
} from '../../engines/postgres/changes/rows.ts'
import { exactTypes } from '../../engines/postgres/changes/exact-types.ts'
import type { Relation } from '../../engines/postgres/changes/decoder.ts'
import type { CommitBuilder } from './commit-builder.ts'

interface TemplatePlan {
  /** The template's own table: the relation's or one above it. */
  readonly table: number
  readonly seed: Seed
  /** Positions of its columns in the relation. */
  readonly columns: readonly number[]
  /** Whether the replica identity has all of them. */
  readonly identified: boolean
  /** An update that leaves all of these as they were is none. Null: each is one. */
  readonly matters: readonly number[] | null
  /** The column that had changed when one was looked for last: rows that change together often change alike. */
  likely: number
}

/** What to do with the rows of one relation. */
export interface RelationPlan {
  /** Itself and what is above it. */
  readonly tables: readonly number[]
  readonly templates: readonly TemplatePlan[]
  /** Tables with a template of which a column is not in the stream: any change may be one of its rows. */
  readonly blind: readonly number[]
  /** By column: whether its value is needed. */
  readonly wanted: readonly boolean[]
}

/** @param ownExact types that are not PostgreSQL's own and whose output tells all values apart */
export function planRelation(
  relation: Relation,
  tables: readonly number[],
  templates: readonly TemplateId[],
  ownExact: ReadonlySet<number> = new Set(),
): RelationPlan {
  const plans: TemplatePlan[] = []
  const blind: number[] = []
  for (const id of templates) {
    const { table, columns: names, reads } = templateParts(id)
    if (!tables.includes(table)) continue
    const columns = names.map((name) => relation.columns.findIndex((column) => column.name === name))
    if (columns.includes(-1)) blind.push(table)
    else {
      const identified = columns.every((column) => relation.columns[column]?.identity === true)
      // All columns may be more than the stream has: those that are generated, for one.
      const matters = reads === null ? null : comparable(relation, [...names, ...reads], ownExact)
      plans.push({ table, seed: seedOf(id), columns, identified, matters, likely: 0 })
    }
  }
  const wanted = relation.columns.map((_, column) => plans.some((plan) => plan.columns.includes(column)))
  return { tables, templates: plans, blind, wanted }
}

/** The positions of columns; null where one is not in the stream, or its output does not tell all values apart. */
function comparable(
  { columns }: Relation,
  names: readonly string[],
  ownExact: ReadonlySet<number>,
): readonly number[] | null {
  const positions = names.map((name) => columns.findIndex((column) => column.name === name))
  const exact = positions.every((position) => {
    const type = columns[position]?.type
    return type !== undefined && (exactTypes.has(type) || ownExact.has(type))
  })
  return exact ? positions : null
}

export class RowHasher {
  /** Used again for each row: one is looked at, at a time. */
  readonly #images: RowImages = createRowImages()
  /** By column, for this row: 0 where nobody has looked yet whether it changed, 1 if not, 2 if so. */
  readonly #looked: number[] = []

  add(plan: RelationPlan, tag: RowTag, message: Buffer, commit: CommitBuilder): void {
    for (const table of plan.tables) commit.changed(table)
    for (const table of plan.blind) commit.widen(table)
    // The rows of a large update are not looked at any more once their tables are named whole.
    if (plan.templates.every(({ table }) => commit.isWide(table))) return
    const row = this.#images
    readImages(message, plan.wanted, row)
    const compares = tag === 'update' && row.before === 'full'
    if (compares) this.#looked.fill(0)
    for (const template of plan.templates) {
      if (commit.isWide(template.table)) continue
      if (compares && this.#isQuiet(template, message)) continue
      // One tuple is enough where it is the same before and after.
      const once = compares && template.columns.every((column) => !this.#isChanged(column, message))
      if (!addTemplate(template, tag, row, once, commit)) commit.widen(template.table)
    }
  }

  #isQuiet(template: TemplatePlan, message: Buffer): boolean {
    const { matters, likely } = template
    if (matters === null || (matters.includes(likely) && this.#isChanged(likely, message))) return false
    for (const column of matters) {
      if (!this.#isChanged(column, message)) continue
      template.likely = column
      return false
    }
    return true
  }

  #isChanged(column: number, message: Buffer): boolean {
    const looked = this.#looked[column] ?? 0
    if (looked !== 0) return looked === 2
    const changed = !isUnchanged(message, this.#images, column)
    this.#looked[column] = changed ? 2 : 1
    return changed
  }
}

/** Answers false where a value that matters did not come. */
function addTemplate(plan: TemplatePlan, tag: RowTag, row: RowImages, once: boolean, commit: CommitBuilder): boolean {
  if (tag === 'insert') return addTuple(plan, row.new, commit)
  if (row.before === 'full') {
    return addTuple(plan, row.old, commit) && (once || tag === 'delete' || addTuple(plan, row.new, commit))
  }
  // Only the identity's columns are known of the old row. An update without it left these as they are.
  if (!plan.identified) return false
  if (row.before === 'none') return tag === 'update' && addTuple(plan, row.new, commit)
  return addTuple(plan, row.old, commit) && (tag === 'delete' || addTuple(plan, row.new, commit))
}

function addTuple({ columns, seed, table }: TemplatePlan, tuple: readonly Value[], commit: CommitBuilder): boolean {
  const values: string[] = []
  let hasNull = false
  for (const column of columns) {
    const value = tuple[column]
    if (value === undefined) return false
    if (value === null) hasNull = true
    else values.push(value)
  }
  // Nothing equals null, so no dependency by equality names such a row.
  if (hasNull) return true
  const hash: HashPair = hashTexts(seed, values)
  commit.row(table, hash)
  return true
}
