/** The types of expressions, as far as they show without the server's whole catalogue of functions. */

import { columnOf, type Sight } from './conditions.ts'
import { bodyOf, constantOf, listOf, namesOf, open } from './tree.ts'
import { castType } from './type-names.ts'
import { isTime, typeOids } from './types.ts'

/** Oid, or null where it does not show. A text constant has no type yet. */
export function typeOfValue(node: unknown, sight: Sight): number | null {
  const [kind, body] = open(node)
  switch (kind) {
    case 'ColumnRef':
      return columnOf(node, sight)?.type ?? null
    case 'TypeCast': {
      const type = castType(body, sight.catalogue)
      return type.array || type.oid === 0 ? null : type.oid
    }
    case 'A_Const': {
      const constant = constantOf(node)?.kind
      if (constant === 'integer') return typeOids.int4
      if (constant === 'number') return typeOids.numeric
      return constant === 'boolean' ? typeOids.bool : null
    }
    case 'FuncCall': {
      const name = namesOf(body.funcname)?.at(-1) ?? ''
      if (name === 'timezone') return typeInZone(listOf(body.args), sight)
      return resultTypes.get(name) ?? (sameAsArgument.has(name) ? typeOfValue(listOf(body.args)[0], sight) : null)
    }
    default:
      return null
  }
}

/** `AT TIME ZONE` turns each of the two into the other. */
function typeInZone(args: readonly unknown[], sight: Sight): number | null {
  const type = args.length === 2 ? typeOfValue(args[1], sight) : null
  if (type === typeOids.timestamp) return typeOids.timestamptz
  return type === typeOids.timestamptz ? typeOids.timestamp : null
}

const resultTypes: ReadonlyMap<string, number> = new Map<string, number>([
  ['count', typeOids.int8],
  ['length', typeOids.int4],
  ['row_number', typeOids.int8],
  ['to_tsvector', typeOids.tsvector],
  ['setweight', typeOids.tsvector],
  ['to_jsonb', typeOids.jsonb],
  ['lower', typeOids.text],
  ['upper', typeOids.text],
  ['make_date', typeOids.date],
  ['make_timestamp', typeOids.timestamp],
])

const sameAsArgument: ReadonlySet<string> = new Set(['min', 'max', 'any_value'])

/** Whether the type of a value may be one of these: true in doubt. */
export function mayBe(node: unknown, sight: Sight, wanted: (type: number) => boolean): boolean {
  const [kind, body] = open(node)
  if (kind === 'A_Expr' && body.kind === 'AEXPR_OP' && arithmetic.has(namesOf(body.name)?.at(-1) ?? '')) {
    return [body.lexpr, body.rexpr].some((side) => side !== undefined && mayBe(side, sight, wanted))
  }
  const args = listOf(body.args)
  if (kind === 'CoalesceExpr') return args.some((one) => mayBe(one, sight, wanted))
  if (kind === 'FuncCall') {
    const name = namesOf(body.funcname)?.at(-1) ?? ''
    if (name === 'date_trunc') return mayBe(args[1], sight, (type) => wanted(type) || type === typeOids.date)
    if (name === 'sum' || name === 'avg' || name === 'age') return false
  }
  const type = typeOfValue(node, sight)
  return type === null || type >= firstOwnOid || wanted(type)
}

/** Of the app's own: perhaps a domain over a timestamptz. */
const firstOwnOid = 16_384

const arithmetic: ReadonlySet<string> = new Set(['+', '-', '*', '/'])

/** One bound of a plain type decides about both. */
export function mayBeZonedSeries(args: readonly unknown[], sight: Sight): boolean {
  return !args.slice(0, 2).some((bound) => {
    const type = typeOfValue(bound, sight)
    return type !== null && type < firstOwnOid && (!isTime(type) || type === typeOids.timestamp)
  })
}

/** Whether one side of `@@` shows that no setting decides how text is searched. */
export function isTextSearch(node: unknown, sight: Sight): boolean {
  const concatenation = bodyOf(node, 'A_Expr')
  if (concatenation !== null && namesOf(concatenation.name)?.at(-1) === '||') {
    return isTextSearch(concatenation.lexpr, sight)
  }
  const type = typeOfValue(node, sight)
  return type === typeOids.tsvector || type === typeOids.jsonb
}
