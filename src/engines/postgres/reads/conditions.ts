/**
 * Which facts a condition states: equalities that a row must satisfy for the condition to be true.
 *
 * Only the forms listed here state any; whatever else a condition says is not needed to be right. The other side of a
 * column must be a constant or parameter that the server surely takes for a value of the column's own kind.
 */

import { arrayElements, canonicalText } from './canonical.ts'
import { equal, type Fact, type ValueSource } from './facts.ts'
import { resolve, type Scope, type Variable } from './scope.ts'
import { bodyOf, conjuncts, type Constant, constantOf, listOf, namesOf, open, parameterOf, type Tree } from './tree.ts'
import { castType } from './type-names.ts'

import type { Catalogue } from './catalogue.ts'
import type { Family } from './types.ts'

export interface Sight {
  readonly scope: Scope
  readonly catalogue: Catalogue
}

/** The facts that hold for rows for which the condition is true. */
export function factsOf(condition: unknown, sight: Sight): readonly Fact[] {
  return conjuncts(condition).flatMap((part) => factsOfPart(part, sight))
}

function factsOfPart(part: unknown, sight: Sight): readonly Fact[] {
  const [kind, body] = open(part)
  switch (kind) {
    case 'A_Expr':
      return factsOfComparison(body, sight)
    case 'BoolExpr':
      return body.boolop === 'OR_EXPR' ? factsOfAlternatives(listOf(body.args), sight) : factsOfNegation(body, sight)
    case 'BooleanTest':
      if (body.booltesttype === 'IS_TRUE') return factsOf(body.arg, sight)
      return body.booltesttype === 'IS_FALSE' ? factsOfFlag(body.arg, 'f', sight) : []
    case 'CoalesceExpr':
      return factsOfCoalesce(listOf(body.args), sight)
    default:
      return factsOfFlag(part, 't', sight)
  }
}

/** `coalesce(x, false)` is true where x is: written by whoever wants to keep a condition away from the indexes. */
function factsOfCoalesce([first, ...others]: readonly unknown[], sight: Sight): readonly Fact[] {
  const otherwise = others.map(constantOf)
  return otherwise.every((one) => one?.kind === 'boolean' && one.text === 'f') ? factsOf(first, sight) : []
}

function factsOfNegation(body: Tree, sight: Sight): readonly Fact[] {
  return body.boolop === 'NOT_EXPR' ? factsOfFlag(listOf(body.args)[0], 'f', sight) : []
}

function factsOfFlag(node: unknown, text: string, sight: Sight): readonly Fact[] {
  const variable = columnOf(node, sight)
  return variable?.family === 'bool' ? [{ kind: 'among', variable, values: [{ kind: 'constant', text }] }] : []
}

function factsOfComparison(body: Tree, sight: Sight): readonly Fact[] {
  if (!isEquality(body)) return []
  if (body.kind === 'AEXPR_OP') return factsOfEquality(body.lexpr, body.rexpr, sight)
  if (body.kind === 'AEXPR_IN') return factsOfList(body.lexpr, listOf(bodyOf(body.rexpr, 'List')?.items), sight)
  const variable = columnOf(body.lexpr, sight)
  if (body.kind !== 'AEXPR_OP_ANY' || variable?.family === null || variable === null) return []
  const values = arraySources(body.rexpr, variable.family, sight.catalogue)
  return values === null ? [] : [{ kind: 'among', variable, values }]
}

/** The server's own `=`, as far as its name tells. */
export function isEquality(body: Tree): boolean {
  const names = namesOf(body.name)
  return names?.at(-1) === '=' && (names.length === 1 || names[0] === 'pg_catalog')
}

function factsOfEquality(left: unknown, right: unknown, sight: Sight): readonly Fact[] {
  const rows = [rowOf(left), rowOf(right)] as const
  if (rows[0] !== null && rows[1] !== null) {
    const others = rows[1]
    return rows[0].length === others.length
      ? rows[0].flatMap((node, at) => factsOfEquality(node, others[at], sight))
      : []
  }
  const columns = [columnOf(left, sight), columnOf(right, sight)] as const
  if (columns[0] !== null && columns[1] !== null) return toList(equal(columns[0], columns[1]))
  const among = columns[0] === null ? amongOf(columns[1], [left], sight) : amongOf(columns[0], [right], sight)
  return toList(among)
}

function factsOfList(left: unknown, items: readonly unknown[], sight: Sight): readonly Fact[] {
  const columns = rowOf(left) ?? [left]
  const rows = rowOf(left) === null ? items.map((item) => [item]) : items.map(rowOf)
  return columns.flatMap((column, at) => {
    const nodes = rows.map((row) => row?.[at])
    return amongOf(columnOf(column, sight), nodes, sight) ?? []
  })
}

/** A column that each alternative compares with values is compared with all of them. */
function factsOfAlternatives(alternatives: readonly unknown[], sight: Sight): readonly Fact[] {
  const [first, ...rest] = alternatives.map((one) => amongFacts(factsOf(one, sight)))
  if (first === undefined) return []
  return [...first].flatMap(([variable, values]): readonly Fact[] => {
    const others = rest.map((facts) => facts.get(variable))
    if (!others.every((one) => one !== undefined)) return []
    return [{ kind: 'among', variable, values: [...values, ...others.flat()] }]
  })
}

function amongFacts(facts: readonly Fact[]): ReadonlyMap<Variable, readonly ValueSource[]> {
  return new Map(facts.flatMap((fact) => (fact.kind === 'among' ? [[fact.variable, fact.values]] : [])))
}

function amongOf(variable: Variable | null, nodes: readonly unknown[], sight: Sight): Fact | null {
  const family = variable?.family ?? null
  if (variable === null || family === null) return null
  const values = nodes.map((node) => valueSource(node, family, sight.catalogue))
  return values.every((value) => value !== null) ? { kind: 'among', variable, values } : null
}

function rowOf(node: unknown): readonly unknown[] | null {
  const body = bodyOf(node, 'RowExpr')
  return body === null ? null : listOf(body.args)
}

/** The column that an expression is, also behind a cast that changes none of its values. */
export function columnOf(node: unknown, sight: Sight): Variable | null {
  const [kind, body] = open(node)
  if (kind === 'ColumnRef') {
    const path = namesOf(body.fields)
    return path === null ? null : resolve(sight.scope, path)
  }
  if (kind !== 'TypeCast' || bodyOf(body.arg, 'ColumnRef') === null) return null
  const variable = columnOf(body.arg, sight)
  const type = castType(body, sight.catalogue)
  return variable !== null && type.family === variable.family && !type.array && !type.modified ? variable : null
}

/** Null: in doubt. */
export function valueSource(node: unknown, family: Family, catalogue: Catalogue): ValueSource | null {
  const cast = bodyOf(node, 'TypeCast')
  if (cast === null) return plainSource(node, family)
  const type = castType(cast, catalogue)
  return type.family === family && !type.array && !type.modified ? plainSource(cast.arg, family) : null
}

function plainSource(node: unknown, family: Family): ValueSource | null {
  const parameter = parameterOf(node)
  if (parameter !== null) return { kind: 'parameter', number: parameter }
  const constant = constantOf(node)
  const text = constant === null ? undefined : canonicalConstant(constant, family)
  return text === undefined ? null : { kind: 'constant', text }
}

function canonicalConstant({ kind, text }: Constant, family: Family): string | null | undefined {
  if (kind === 'null') return null
  if (kind === 'text') return canonicalText(family, text)
  if (kind === 'boolean') return family === 'bool' ? text : undefined
  const whole = kind === 'integer' || (kind === 'number' && /^-?\d+$/.test(text))
  return whole && family === 'int' ? canonicalText(family, text) : undefined
}

/** The values in what stands behind `= ANY`; null: in doubt. */
function arraySources(node: unknown, family: Family, catalogue: Catalogue): readonly ValueSource[] | null {
  const cast = bodyOf(node, 'TypeCast')
  if (cast !== null) {
    const type = castType(cast, catalogue)
    if (type.family !== family || !type.array || type.modified) return null
    return bodyOf(cast.arg, 'TypeCast') === null ? arraySources(cast.arg, family, catalogue) : null
  }
  const parameter = parameterOf(node)
  if (parameter !== null) return [{ kind: 'array', number: parameter }]
  const elements = bodyOf(node, 'A_ArrayExpr')
  if (elements !== null) return allSources(listOf(elements.elements), family, catalogue)
  const constant = constantOf(node)
  if (constant?.kind === 'null') return []
  const texts = constant?.kind === 'text' ? arrayElements(constant.text) : undefined
  if (texts === undefined) return null
  const canonical = texts.map((text) => (text === null ? null : canonicalText(family, text)))
  if (!canonical.every((text) => text !== undefined)) return null
  return canonical.map((text) => ({ kind: 'constant', text }))
}

function allSources(nodes: readonly unknown[], family: Family, catalogue: Catalogue): readonly ValueSource[] | null {
  const found = nodes.map((node) => valueSource(node, family, catalogue))
  return found.every((value) => value !== null) ? found : null
}

function toList(fact: Fact | null): readonly Fact[] {
  return fact === null ? [] : [fact]
}
