/** What one analysis gathers while it walks over a statement: shared by everything that takes part in it. */

import { refuse } from './refusal.ts'

import type { Catalogue, CatalogueRelation } from './catalogue.ts'
import type { Fact, ValueSource } from './facts.ts'
import type { Scope, Variable } from './scope.ts'
import type { Tree } from './tree.ts'
import type { Family } from './types.ts'

/** A reference to a table, and the values by which it is narrowed. */
export interface DraftRead {
  readonly relation: CatalogueRelation
  readonly keys: readonly DraftKey[]
  /** The columns of it that the statement names: complete when all of the statement has been bound and pushed. */
  readonly read: ReadonlySet<string>
}

export interface DraftKey {
  readonly column: string
  readonly family: Family
  readonly values: readonly ValueSource[]
}

/** A query that has been looked through: names resolved, nothing read yet. */
export interface BoundQuery {
  readonly source: number
  readonly columns: readonly OutputColumn[]
  /** There are columns beside these. */
  readonly open: boolean
  /** What holds for all its rows, in terms of its own columns. */
  readonly guaranteed: readonly Fact[]
  /** Records what it reads, given that only those of its rows matter which satisfy the facts. */
  push(facts: readonly Fact[]): void
}

export interface OutputColumn {
  /** Null: nothing can refer to it. */
  readonly name: string | null
  readonly variable: Variable
}

/** Common table expressions in sight: a frame of names, then those around it. */
export interface CteFrame {
  readonly entries: ReadonlyMap<string, Cte>
  readonly outer: CteFrame | null
}

export interface Cte {
  readonly body: Tree
  readonly columnNames: readonly string[]
  /** What its body sees. */
  readonly frame: CteFrame | null
  readonly scope: Scope | null
  readonly place: Place | null
  readonly open: boolean
  used: boolean
  busy: boolean
  recursive: boolean
}

/** A sub-select inside an expression, and what links it with the rows around it. */
export interface Subquery {
  readonly query: BoundQuery
  readonly links: readonly Fact[]
}

/** Where an expression stands. */
export interface Place {
  readonly analysis: Analysis
  readonly scope: Scope
  readonly frame: CteFrame | null
  readonly outer: Place | null
  readonly subqueries: Subquery[]
  windowed: boolean
  aggregates: boolean
}

export interface Analysis {
  readonly catalogue: Catalogue
  readonly reads: DraftRead[]
  /** How each parameter is used: families, families with `[]`, or `other`. */
  readonly parameters: Map<number, Set<string>>
  volatile: string | null
  nextSource(): number
  bind(select: Tree, scope: Scope | null, frame: CteFrame | null, outer: Place | null): BoundQuery
  parse(text: string): Tree
}

/** Common table expressions and views unfold at every use, so a short text can be a long way. */
const mostSources = 5_000

export function createAnalysis(
  catalogue: Catalogue,
  parse: (text: string) => Tree,
  bind: (
    analysis: Analysis,
    select: Tree,
    scope: Scope | null,
    frame: CteFrame | null,
    outer: Place | null,
  ) => BoundQuery,
): Analysis {
  let sources = 0
  const analysis: Analysis = {
    catalogue,
    reads: [],
    parameters: new Map(),
    volatile: null,
    nextSource() {
      sources += 1
      return sources > mostSources ? refuse('the query is too large to follow') : sources
    },
    bind: (select, scope, frame, outer) => bind(analysis, select, scope, frame, outer),
    parse,
  }
  return analysis
}

export function placeIn(analysis: Analysis, scope: Scope, frame: CteFrame | null, outer: Place | null): Place {
  return { analysis, scope, frame, outer, subqueries: [], windowed: false, aggregates: false }
}

/** The first reason is kept: one is enough to need a time to live. */
export function noteVolatile(analysis: Analysis, reason: string): void {
  analysis.volatile ??= reason
}

export function noteParameter(analysis: Analysis, number: number, use: string): void {
  const uses = analysis.parameters.get(number)
  if (uses === undefined) analysis.parameters.set(number, new Set([use]))
  else uses.add(use)
}
