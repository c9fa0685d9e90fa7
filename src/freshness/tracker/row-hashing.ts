/**
 * From a changed row to the hashes of what it was and is, under every template that is watched on its table or on the
 * tables above it: FRESHNESS rules 15, 28 and 30. Where the stream does not tell what a row was, the table is named whole.
 */

import { hashTexts, seedOf, templateParts, type HashPair, type Seed, type TemplateId } from '../changes/hash.ts'
import { readImages, type RowImages, type RowTag, type Value } from '../../engines/postgres/changes/rows.ts'
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

export function planRelation(
  relation: Relation,
  tables: readonly number[],
  templates: readonly TemplateId[],
): RelationPlan {
  const plans: TemplatePlan[] = []
  const blind: number[] = []
  for (const id of templates) {
    const { table, columns: names } = templateParts(id)
    if (!tables.includes(table)) continue
    const columns = names.map((name) => relation.columns.findIndex((column) => column.name === name))
    if (columns.length === 0 || columns.includes(-1)) blind.push(table)
    else {
      const identified = columns.every((column) => relation.columns[column]?.identity === true)
      plans.push({ table, seed: seedOf(id), columns, identified })
    }
  }
  const wanted = relation.columns.map((_, column) => plans.some((plan) => plan.columns.includes(column)))
  return { tables, templates: plans, blind, wanted }
}

const images: () => RowImages = () => ({ before: 'none', after: false, old: [], new: [] })

export class RowHasher {
  /** Used again for each row: one is looked at, at a time. */
  readonly #images: RowImages = images()

  add(plan: RelationPlan, tag: RowTag, message: Buffer, commit: CommitBuilder): void {
    for (const table of plan.tables) commit.changed(table)
    for (const table of plan.blind) commit.widen(table)
    // The rows of a large update are not looked at any more once their tables are named whole.
    if (plan.templates.every(({ table }) => commit.isWide(table))) return
    const row = this.#images
    readImages(message, plan.wanted, row)
    for (const template of plan.templates) {
      if (commit.isWide(template.table)) continue
      if (!addTemplate(template, tag, row, commit)) commit.widen(template.table)
    }
  }
}

/** Answers false where a value that matters did not come. */
function addTemplate(plan: TemplatePlan, tag: RowTag, row: RowImages, commit: CommitBuilder): boolean {
  if (tag === 'insert') return addTuple(plan, row.new, commit)
  if (row.before === 'full') {
    return addTuple(plan, row.old, commit) && (tag === 'delete' || addTuple(plan, row.new, commit))
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
