/**
 * From the text of a statement to what its answer depends on (rules 27 to 29 of the freshness protocol).
 *
 * What it rests on: of every reference to a table, only rows that satisfy the equalities recorded for it can make a
 * difference to the answer, before a change or after it. `query.ts` and `joins.ts` argue that for queries and joins,
 * `conditions.ts` says which conditions state equalities, `canonical.ts` how values are printed. Everything else is
 * refused or depends on the whole table: a mistake on that side costs hits, a mistake on the other answers for ever.
 */

import { createAnalysis, type DraftRead } from './analysis.ts'
import { bindQuery } from './query.ts'
import { Refusal, refuse } from './refusal.ts'
import { open, type Tree } from './tree.ts'
import { loadParser, type Parse } from '../classify.ts'
import { createRecentMap, type RecentMap } from '../classify/recent-map.ts'

import type { Catalogue, CatalogueRelation } from './catalogue.ts'
import type { ValueSource } from './facts.ts'
import type { Family } from './types.ts'

export type ReadPlan = RefusedPlan | CacheablePlan

export interface RefusedPlan {
  readonly cacheable: false
  readonly reason: string
  /** Whether it names what the catalogue does not have: one that is newer might. */
  readonly unknown: boolean
}

export interface CacheablePlan {
  readonly cacheable: true
  /** Why the answer also changes by itself, so that it needs a time to live; or null. */
  readonly volatile: string | null
  readonly reads: readonly TableRead[]
  /** Numbers of the parameters that the server may take for dates: see `volatileParameter`. */
  readonly looseParameters: readonly number[]
}

/** One reference to a table. */
export interface TableRead {
  /** Oid. */
  readonly table: number
  /** `schema.table`, for people. */
  readonly name: string
  /** A conjunction, in ascending order of the columns' names. Empty: the whole table. */
  readonly keys: readonly KeyRead[]
  /** The columns that the statement reads of it, in ascending order; null: any may matter (decision 031). */
  readonly reads: readonly string[] | null
}

/** Rows of which this column has one of these values. */
export interface KeyRead {
  readonly column: string
  readonly family: Family
  readonly values: readonly ValueSource[]
}

export interface ReadAnalyser {
  /** Never throws. The same text and the same catalogue give the same object as long as it is remembered. */
  plan(text: string, catalogue: Catalogue): ReadPlan
}

/** Texts beyond this length are analysed each time. */
const longestRemembered = 16_384

/** Loads the grammar, and answers an analyser that remembers this many texts for the catalogue that it used last. Default 4,000. */
export async function loadReadAnalyser(options: { readonly maxEntries?: number } = {}): Promise<ReadAnalyser> {
  const parse = await loadParser()
  let known: { readonly catalogue: Catalogue; readonly plans: RecentMap<ReadPlan> } | null = null
  return {
    plan(text, catalogue) {
      if (known === null || known.catalogue !== catalogue) {
        known = { catalogue, plans: createRecentMap(options.maxEntries ?? 4_000) }
      }
      const found = known.plans.get(text)
      if (found !== undefined) return found
      const made = planOf(text, catalogue, parse)
      if (text.length <= longestRemembered) known.plans.set(text, made)
      return made
    },
  }
}

function planOf(text: string, catalogue: Catalogue, parse: Parse): ReadPlan {
  try {
    if (catalogue.ownCast !== null) refuse(`the implicit cast from ${catalogue.ownCast} may run code of the app's own`)
    const analysis = createAnalysis(catalogue, (definition) => onlyStatement(definition, parse), bindQuery)
    const [kind, body] = open(onlyStatement(text, parse))
    if (kind !== 'SelectStmt') refuse(`${kind} is not a query`)
    analysis.bind(body, null, null, null).push([])
    const { volatile, parameters } = analysis
    const steady = [...parameters].filter(([, uses]) => uses.size === 1 && !uses.has('other'))
    const reads = analysis.reads.map((read) => tableRead(read, new Map(steady)))
    const loose = [...parameters].filter(([, uses]) => uses.has('other')).map(([number]) => number)
    return { cacheable: true, volatile, reads: withoutRepeats(reads), looseParameters: loose }
  } catch (error) {
    if (error instanceof Refusal) return { cacheable: false, reason: error.message, unknown: error.unknown }
    const reason = `not understood: ${error instanceof Error ? error.message : String(error)}`
    return { cacheable: false, reason, unknown: false }
  }
}

function onlyStatement(text: string, parse: Parse): Tree {
  if (text.trim() === '') refuse('empty text')
  const statements = parse(text).stmts ?? []
  if (statements.length > 1) refuse('several statements in one text')
  return (statements[0]?.stmt ?? refuse('empty text')) as Tree
}

/** A parameter that the statement uses in two ways is of a type that nobody here knows. */
function tableRead({ relation, keys, read }: DraftRead, steady: ReadonlyMap<number, ReadonlySet<string>>): TableRead {
  const certain = keys.filter(({ values, family }) =>
    values.every((value) => {
      if (value.kind === 'constant') return true
      return steady.get(value.number)?.has(value.kind === 'array' ? `${family}[]` : family) === true
    }),
  )
  return {
    table: relation.oid,
    name: `${relation.schema}.${relation.name}`,
    keys: certain.toSorted((a, b) => (a.column < b.column ? -1 : 1)),
    reads: columnsRead(relation, read),
  }
}

/** Null also where all are read, or where every update counts as a change of one of them. */
function columnsRead({ columns }: CatalogueRelation, read: ReadonlySet<string>): readonly string[] | null {
  const named = columns.filter(({ name }) => read.has(name))
  if (named.length === columns.length || !named.every(({ compared }) => compared)) return null
  return named.map(({ name }) => name).toSorted()
}

/** The same rows once, with all that is read of them; and of a table that is read as a whole nothing more. */
function withoutRepeats(reads: readonly TableRead[]): readonly TableRead[] {
  const whole = new Set(reads.filter(({ keys }) => keys.length === 0).map(({ table }) => table))
  const merged = new Map<string, TableRead>()
  for (const read of reads) {
    const kept = whole.has(read.table) ? { ...read, keys: [] } : read
    const id = JSON.stringify([kept.table, kept.keys])
    const before = merged.get(id)
    merged.set(id, before === undefined ? kept : { ...kept, reads: bothOf(before.reads, kept.reads) })
  }
  return [...merged.values()]
}

function bothOf(one: readonly string[] | null, two: readonly string[] | null): readonly string[] | null {
  return one === null || two === null ? null : [...new Set([...one, ...two])].toSorted()
}
