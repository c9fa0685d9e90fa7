/**
 * Facts: equalities that a row must satisfy to matter, and what follows from them.
 *
 * Each is strict: it is not true where a variable is null. That is what lets a fact about the nullable side of an outer
 * join turn the join into a narrower one.
 */

import type { Variable } from './scope.ts'

/** What a column is compared with: the canonical text of a constant (null: a null), a parameter, or a parameter that is an array. */
export type ValueSource =
  | { readonly kind: 'constant'; readonly text: string | null }
  | { readonly kind: 'parameter'; readonly number: number }
  | { readonly kind: 'array'; readonly number: number }

export type Fact =
  | { readonly kind: 'equal'; readonly left: Variable; readonly right: Variable }
  | { readonly kind: 'among'; readonly variable: Variable; readonly values: readonly ValueSource[] }

export function variablesOf(fact: Fact): readonly Variable[] {
  return fact.kind === 'equal' ? [fact.left, fact.right] : [fact.variable]
}

/** Equal variables of one family, or null: equality across families proves nothing about printed values. */
export function equal(left: Variable | null, right: Variable | null): Fact | null {
  if (left === null || right === null || left.family === null || left.family !== right.family) return null
  return { kind: 'equal', left, right }
}

export function mentions(facts: readonly Fact[], sources: ReadonlySet<number>): boolean {
  return facts.some((fact) => variablesOf(fact).some((variable) => sources.has(variable.source)))
}

/** The facts with some variables in the place of others. */
export function substitute(facts: readonly Fact[], inPlaceOf: ReadonlyMap<Variable, Variable>): readonly Fact[] {
  if (inPlaceOf.size === 0) return facts
  const put = (variable: Variable): Variable => inPlaceOf.get(variable) ?? variable
  return facts.map((fact) =>
    fact.kind === 'equal'
      ? { kind: 'equal', left: put(fact.left), right: put(fact.right) }
      : { kind: 'among', variable: put(fact.variable), values: fact.values },
  )
}

/** What follows from facts by transitivity. */
export interface Closure {
  /** The narrowest known values of a variable, or null. */
  values(variable: Variable): readonly ValueSource[] | null
  /** Whether the two are equal because facts say so. */
  same(left: Variable, right: Variable): boolean
}

export function closureOf(facts: readonly Fact[]): Closure {
  const parents = new Map<Variable, Variable>()
  const rootOf = (variable: Variable): Variable => {
    let root = variable
    for (let next = parents.get(root); next !== undefined; next = parents.get(root)) root = next
    return root
  }
  for (const fact of facts) {
    if (fact.kind !== 'equal') continue
    const [left, right] = [rootOf(fact.left), rootOf(fact.right)]
    if (left !== right) parents.set(left, right)
  }
  const known = new Map<Variable, readonly ValueSource[]>()
  for (const fact of facts) {
    if (fact.kind !== 'among') continue
    const root = rootOf(fact.variable)
    const before = known.get(root)
    if (before === undefined || width(fact.values) < width(before)) known.set(root, fact.values)
  }
  return {
    values: (variable) => known.get(rootOf(variable)) ?? null,
    same: (left, right) => rootOf(left) === rootOf(right),
  }
}

/** An array counts as many values. */
function width(values: readonly ValueSource[]): number {
  return values.reduce((sum, value) => sum + (value.kind === 'array' ? 100 : 1), 0)
}
