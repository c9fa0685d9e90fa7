/**
 * Random queries over the tables of `ground.ts`: joins of all kinds, sub-selects everywhere, common table expressions,
 * set operations, grouping, windows, LIMIT. What is random is decided by a seed. Answers do not depend on the order of
 * rows: where there is a LIMIT, all columns are sorted by.
 */

import type { Random } from '../front-fuzz/random.ts'

/** `numeric` and `bpchar` are never told apart by: they are what integers and text are compared with. */
export type ValueType = 'int' | 'text' | 'bool' | 'mood' | 'uuid' | 'numeric' | 'bpchar'

export interface GeneratedQuery {
  readonly sql: string
  readonly parameters: readonly QueryParameter[]
}

export type QueryParameter = string | null | readonly (string | null)[]

interface Column {
  readonly sql: string
  readonly type: ValueType
}

interface Named {
  readonly name: string
  readonly type: ValueType
}

interface Relation {
  readonly name: string
  readonly columns: readonly Named[]
}

const named = (text: string): readonly Named[] =>
  text.split(' ').map((column) => {
    const [name = '', type = 'int'] = column.split(':')
    return { name, type: type as ValueType }
  })

export const relations: readonly Relation[] = [
  { name: 'a', columns: named('id k t:text f:bool n:numeric') },
  { name: 'b', columns: named('id a_id k t:text') },
  { name: 'c', columns: named('id b_id k m:mood u:uuid w:bpchar') },
  { name: 'parts', columns: named('id k t:text') },
  { name: 'parent', columns: named('id k') },
  { name: 'a_with_b', columns: named('id k b_id t:text') },
  { name: 'a_or_b', columns: named('id k t:text') },
  { name: 'b_by_k', columns: named('k how_many') },
]

export const values: Readonly<Record<ValueType, readonly string[]>> = {
  int: ['0', '1', '2'],
  text: ['x', 'y', 'z'],
  bool: ['t', 'f'],
  mood: ['sad', 'ok', 'happy'],
  numeric: ['0', '1.0', '1.5', '2'],
  bpchar: ['x', 'y'],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a22'],
}

/** What the server compares these with as well, by turning one into the other. */
const relatives: Readonly<Partial<Record<ValueType, ValueType>>> = {
  int: 'numeric',
  numeric: 'int',
  text: 'bpchar',
  bpchar: 'text',
}

export function generateQuery(random: Random): GeneratedQuery {
  const parameters: QueryParameter[] = []
  let aliases = 0
  const alias = (): string => `r${(aliases += 1)}`
  return { sql: query(1 + random.below(3), [], []).sql, parameters }

  interface Answer {
    readonly sql: string
    readonly columns: readonly Named[]
  }

  function query(depth: number, outer: readonly Column[], ctes: readonly Relation[]): Answer {
    const kind = depth > 0 ? random.below(10) : 9
    if (kind === 0) return withClause(depth, outer, ctes)
    if (kind === 1) return setOperation(depth, outer, ctes)
    if (kind === 2 && depth > 1) return recursion(depth, outer, ctes)
    if (kind === 3) return filtered(depth, outer, ctes)
    return select(depth, outer, ctes)
  }

  function withClause(depth: number, outer: readonly Column[], ctes: readonly Relation[]): Answer {
    const body = query(depth - 1, outer, ctes)
    const cte = { name: random.chance(0.15) ? 'a' : alias(), columns: body.columns }
    const how = random.pick(['', '', 'materialized ', 'not materialized '])
    const main = select(depth, outer, [...ctes.filter((one) => one.name !== cte.name), cte, cte])
    const names = cte.columns.map(({ name }) => name).join(', ')
    return { ...main, sql: `with ${cte.name}(${names}) as ${how}(${body.sql}) ${main.sql}` }
  }

  function recursion(depth: number, outer: readonly Column[], ctes: readonly Relation[]): Answer {
    const cte = { name: alias(), columns: named('id k') }
    const [first, next] = [alias(), alias()]
    const columnsOf = (name: string): Column[] => named('id k').map((one) => ({ ...one, sql: `${name}.${one.name}` }))
    const start = conjunction(1, columnsOf(first), outer, 0, ctes)
    const step = conjunction(random.below(2), columnsOf(next), outer, 0, ctes)
    const main = select(depth - 1, outer, [...ctes, cte, cte])
    const body =
      `select ${first}.id, ${first}.k from a ${first} where ${start} union ` +
      `select ${next}.id, ${next}.k from a ${next} join ${cte.name} on ${next}.k = ${cte.name}.id where ${step}`
    return { ...main, sql: `with recursive ${cte.name}(id, k) as (${body}) ${main.sql}` }
  }

  function setOperation(depth: number, outer: readonly Column[], ctes: readonly Relation[]): Answer {
    const types = Array.from({ length: 1 + random.below(2) }, () => random.pick<ValueType>(['int', 'int', 'text']))
    const sides = [0, 1].map(() => plain(depth - 1, outer, ctes, types))
    const operator = random.pick(['union', 'union all', 'intersect', 'except', 'except all'])
    const sql = `(${sides[0]?.sql}) ${operator} (${sides[1]?.sql})`
    const columns = sides[0]?.columns ?? []
    return { sql: random.chance(0.15) ? `${sql} ${sortAndLimit(columns.length)}` : sql, columns }
  }

  function sortAndLimit(columns: number): string {
    const positions = Array.from({ length: columns }, (_, at) => at + 1).join(', ')
    return `order by ${positions} limit ${1 + random.below(3)}${random.chance(0.3) ? ' offset 1' : ''}`
  }

  /** A condition above something through which it must not, or may, pass. */
  function filtered(depth: number, outer: readonly Column[], ctes: readonly Relation[]): Answer {
    const from = source(depth - 1, outer, ctes)
    const [one, other] = [random.pick(from.columns), random.pick(from.columns)]
    const [name, second, inner] = [`o${(aliases += 1)}`, `o${(aliases += 1)}`, alias()]
    const list = `${one.sql} as ${name}, ${other.sql} as ${second}`
    const body = random.pick([
      `select ${list} from ${from.sql} ${sortAndLimit(2)}`,
      `select distinct ${list} from ${from.sql}`,
      `select distinct on (1) ${list} from ${from.sql} order by 1, 2`,
      `select ${one.sql} as ${name}, (count(*) over (partition by ${other.sql}))::int as ${second} from ${from.sql}`,
      `select ${one.sql} as ${name}, count(*)::int as ${second} from ${from.sql} group by ${one.sql}`,
      `select ${one.sql} as ${name}, count(*)::int as ${second} from ${from.sql} group by rollup (${one.sql}, ${other.sql})`,
      `select ${one.sql} as ${name}, 1 as ${second} from ${from.sql} group by 1 having count(*) > 1`,
    ])
    const condition = `${inner}.${name} ${random.pick(['=', '=', '= any (array[', 'is not distinct from'])} `
    const single = random.chance(0.2) ? 'null' : literal(one.type)
    const operand = condition.includes('[') ? `${literal(one.type)}, ${literal(one.type)}])` : single
    return {
      sql: `select ${inner}.${name}, ${inner}.${second}::text from (${body}) ${inner} where ${condition}${operand}`,
      columns: [
        { name, type: one.type },
        { name: second, type: 'text' },
      ],
    }
  }

  /** Plain columns of these types. */
  function plain(
    depth: number,
    outer: readonly Column[],
    ctes: readonly Relation[],
    types: readonly ValueType[],
  ): Answer {
    const from = source(depth, outer, ctes)
    const picked = types.map((type) => {
      const fitting = from.columns.filter((column) => column.type === type)
      return fitting.length === 0 ? literal(type) : random.pick(fitting).sql
    })
    const columns = types.map((type) => ({ name: `o${(aliases += 1)}`, type }))
    const list = picked.map((one, at) => `${one} as ${columns[at]?.name}`).join(', ')
    const where = conjunction(random.pick([0, 1, 1, 2]), from.columns, outer, depth - 1, ctes)
    return { sql: `select ${list} from ${from.sql} where ${where}`, columns }
  }

  function select(depth: number, outer: readonly Column[], ctes: readonly Relation[]): Answer {
    const from = source(depth, outer, ctes)
    const where = conjunction(random.pick([0, 1, 1, 2]), from.columns, outer, depth - 1, ctes)
    const rest = `from ${from.sql} where ${where}`
    const picked = Array.from({ length: 1 + random.below(3) }, () => random.pick(from.columns))
    const columns = picked.map(({ type }) => ({ name: `o${(aliases += 1)}`, type }))
    const list = picked.map(({ sql }, at) => `${sql} as ${columns[at]?.name}`).join(', ')
    const extra = { name: `o${(aliases += 1)}`, type: 'int' as const }
    const inside = [...outer, ...from.columns]
    switch (random.below(12)) {
      case 0:
        return { sql: `select distinct ${list} ${rest}`, columns }
      case 1: {
        const by = random.chance(0.5) ? picked.map(({ sql }) => sql) : picked.map((_, at) => String(at + 1))
        const group = random.chance(0.3) ? `rollup (${picked.map(({ sql }) => sql).join(', ')})` : by.join(', ')
        const having = random.pick(['', '', ` having count(*) > ${random.below(2)}`, ` having ${greatest(from)}`])
        return {
          sql: `select ${list}, count(*)::int as ${extra.name} ${rest} group by ${group}${having}`,
          columns: [...columns, extra],
        }
      }
      case 2: {
        const scalar = depth > 0 && random.chance(0.5) ? ` + coalesce(${counted(depth - 1, outer, ctes)}, 0)` : ''
        const filter = random.chance(0.3) ? ` filter (where ${condition(from.columns, [], 0, [])})` : ''
        const what = random.chance(0.5)
          ? `(count(*)${filter})::int`
          : `coalesce(max(${random.pick([random.pick(from.columns).sql + '::text', wholeRow(from)])}), '-')`
        const type = what.startsWith('(count') ? 'int' : 'text'
        const havingAll = random.chance(0.3) ? ` having ${greatest(from)}` : ''
        return {
          sql: `select ${what}${type === 'int' ? scalar : ''} as ${extra.name} ${rest}${havingAll}`,
          columns: [{ ...extra, type }],
        }
      }
      case 3:
        return {
          sql: `select ${list}, (count(*) over (partition by ${random.pick(from.columns).sql}))::int as ${extra.name} ${rest}`,
          columns: [...columns, extra],
        }
      case 4:
        return { sql: `select ${list} ${rest} ${sortAndLimit(columns.length)}`, columns }
      case 6: {
        // First by what need not be in the answer.
        const sorted = sortAndLimit(columns.length).replace('order by', `order by ${random.pick(from.columns).sql},`)
        return { sql: `select ${list} ${rest} ${sorted}`, columns }
      }
      case 7: {
        // Grouping takes such a name for a column of FROM.
        const name = random.pick(from.columns).sql.split('.')[1] ?? 'k'
        return {
          sql: `select max(${random.pick(from.columns).sql}::text) as ${name} ${rest} group by ${name}`,
          columns: [{ name, type: 'text' }],
        }
      }
      case 8:
        return {
          sql: `select ${list}, ${wholeRow(from)} as ${extra.name} ${rest}`,
          columns: [...columns, { ...extra, type: 'text' }],
        }
      case 5:
        if (depth === 0) return { sql: `select ${list} ${rest}`, columns }
        return {
          sql: `select ${list}, ${counted(depth - 1, inside, ctes)} as ${extra.name} ${rest}`,
          columns: [...columns, extra],
        }
      default:
        return { sql: `select ${list} ${rest}`, columns }
    }
  }

  function greatest(from: From): string {
    const { sql, type } = random.pick(from.columns)
    return `max(${sql}::text) >= '${random.pick(values[type])}'`
  }

  /** All columns of a table at once, as a text. */
  function wholeRow(from: From): string {
    const name = random.pick(from.columns).sql.split('.')[0] ?? ''
    return random.pick([`${name}::text`, `row(${name}.*)::text`])
  }

  /** A sub-select with one number. */
  function counted(depth: number, outer: readonly Column[], ctes: readonly Relation[]): string {
    const from = source(depth, outer, ctes)
    const where = conjunction(1 + random.below(2), from.columns, outer, depth - 1, ctes)
    const numbers = from.columns.filter(({ type }) => type === 'int')
    const what = random.chance(0.5) || numbers.length === 0 ? 'count(*)::int' : `max(${random.pick(numbers).sql})::int`
    return `(select ${what} from ${from.sql} where ${where})`
  }

  interface From {
    readonly sql: string
    readonly columns: readonly Column[]
  }

  function source(depth: number, outer: readonly Column[], ctes: readonly Relation[]): From {
    let all = leaf(depth, outer, ctes, [])
    const joins = random.pick([0, 0, 1, 1, 1, 2])
    for (let more = 0; more < (depth > 0 ? joins : Math.min(joins, 1)); more += 1) all = joined(all, depth, outer, ctes)
    return all
  }

  function leaf(depth: number, outer: readonly Column[], ctes: readonly Relation[], left: readonly Column[]): From {
    const name = alias()
    const qualified = (columns: readonly Named[]): readonly Column[] =>
      columns.map((column) => ({ sql: `${name}.${column.name}`, type: column.type }))
    if (depth > 0 && random.chance(0.3)) {
      const lateral = left.length > 0 && random.chance(0.5)
      const inner = query(depth - 1, lateral ? [...outer, ...left] : outer, ctes)
      return { sql: `${lateral ? 'lateral ' : ''}(${inner.sql}) ${name}`, columns: qualified(inner.columns) }
    }
    const hidden = new Set(ctes.map((cte) => cte.name))
    const relation = random.pick([...relations.filter((one) => !hidden.has(one.name)), ...ctes])
    if (random.chance(0.1)) {
      const renamed = relation.columns.map((column, at) => ({ ...column, name: at === 0 ? 'k' : `n${at}` }))
      return {
        sql: `${relation.name} as ${name}(${renamed.map((one) => one.name).join(', ')})`,
        columns: qualified(renamed),
      }
    }
    const only = relation.name === 'parent' && random.chance(0.3) ? 'only ' : ''
    return { sql: `${only}${relation.name} ${name}`, columns: qualified(relation.columns) }
  }

  function joined(left: From, depth: number, outer: readonly Column[], ctes: readonly Relation[]): From {
    const kind = random.pick(['join', 'join', 'left join', 'left join', 'right join', 'full join', 'cross join'])
    const mayBeLateral = kind === 'join' || kind === 'left join' || kind === 'cross join'
    const right =
      depth > 0 && random.chance(0.2)
        ? parenthesised(source(depth - 1, outer, ctes))
        : leaf(depth, outer, ctes, mayBeLateral ? left.columns : [])
    const columns = [...left.columns, ...right.columns]
    if (kind === 'cross join') return { sql: `${left.sql} cross join ${right.sql}`, columns }
    if (random.chance(0.1)) return { sql: `${left.sql} ${kind} ${right.sql} using (k)`, columns }
    if (random.chance(0.08)) return { sql: `${left.sql} natural ${kind} ${right.sql}`, columns }
    const link = equality(left.columns, right.columns)
    const [mine, theirs] = [random.pick(left.columns), random.pick(right.columns)]
    const more = random.pick([
      () => 'true',
      () => `${mine.sql} = ${literal(mine.type)}`,
      () => `${theirs.sql} = ${literal(theirs.type)}`,
      () => condition(columns, outer, depth - 1, ctes),
    ])()
    const on = kind === 'full join' ? link : `${link} and ${more}`
    return { sql: `${left.sql} ${kind} ${right.sql} on ${on}`, columns }
  }

  function parenthesised(from: From): From {
    return from.sql.includes(' join ') ? { ...from, sql: `(${from.sql})` } : from
  }

  /** Two columns of one type, one from each side. */
  function equality(left: readonly Column[], right: readonly Column[]): string {
    const one = random.pick(left)
    const kin = random.chance(0.3) ? relatives[one.type] : undefined
    const fitting = right.filter(({ type }) => type === (kin ?? one.type))
    if (fitting.length === 0) return 'true'
    return `${one.sql} = ${random.pick(fitting).sql}`
  }

  function conjunction(
    parts: number,
    columns: readonly Column[],
    outer: readonly Column[],
    depth: number,
    ctes: readonly Relation[],
  ): string {
    if (parts === 0) return 'true'
    return Array.from({ length: parts }, () => condition(columns, outer, depth, ctes)).join(' and ')
  }

  function condition(
    columns: readonly Column[],
    outer: readonly Column[],
    depth: number,
    ctes: readonly Relation[],
  ): string {
    const { sql, type } = random.pick(columns)
    const correlated = outer.filter((column) => column.type === type)
    if (correlated.length > 0 && random.chance(0.45)) return `${sql} = ${random.pick(correlated).sql}`
    switch (random.below(depth >= 0 ? 18 : 14)) {
      case 0:
        return `${sql} in (${literal(type)}, ${literal(type)})`
      case 1:
        return `(${sql} = ${literal(type)} or ${sql} = ${literal(type)})`
      case 2: {
        const other = random.pick(columns)
        return `(${sql} = ${literal(type)} or ${other.sql} = ${literal(other.type)})`
      }
      case 3:
        return arrayCondition(sql, type)
      case 4:
        return `${sql} is ${random.pick(['', 'not '])}null`
      case 5:
        return `${sql} is not distinct from ${random.chance(0.4) ? 'null' : literal(type)}`
      case 6:
        return `not (${sql} = ${literal(type)})`
      case 7:
        return equality([{ sql, type }], columns)
      case 8: {
        const other = random.pick(columns)
        const pair = (): string => `(${literal(type)}, ${literal(other.type)})`
        return `(${sql}, ${other.sql}) in (${pair()}, ${pair()})`
      }
      case 9:
        return type === 'bool' ? random.pick([sql, `not ${sql}`, `${sql} is true`]) : `${sql} = ${literal(type)}`
      case 14:
        return `${random.pick(['', 'not '])}exists ${counted(depth - 1, [...outer, ...columns], ctes).replace(/^\(select \S+/, random.chance(0.2) ? '(select *' : '(select 1')}`
      case 15:
      case 16: {
        const simple = random.chance(0.5) ? columnOf(type) : null
        const inner = simple ?? plain(depth - 1, [...outer, ...columns], ctes, [type]).sql
        const also = random.chance(0.6) ? `${sql} = ${random.pick(values[type].map((one) => `'${one}'`))} and ` : ''
        return `${also}${sql} ${random.pick(['in', 'not in'])} (${inner})`
      }
      case 17:
        return `${counted(depth - 1, [...outer, ...columns], ctes)} > 0`
      default:
        return `${sql} = ${literal(type)}`
    }
  }

  /** All values of a column of some table. */
  function columnOf(type: ValueType): string | null {
    const fitting = relations.flatMap((one) =>
      one.columns.filter((column) => column.type === type).map((column) => `select ${column.name} from ${one.name}`),
    )
    return fitting.length === 0 ? null : random.pick(fitting)
  }

  function arrayCondition(sql: string, type: ValueType): string {
    const elements = Array.from({ length: random.below(4) }, () => random.pick(values[type]))
    if (random.chance(0.5)) {
      parameters.push(random.chance(0.1) ? null : random.chance(0.2) ? `{${elements.join(',')}}` : [...elements, null])
      return `${sql} = any ($${parameters.length})`
    }
    return `${sql} = any (array[${elements.map((one) => `'${one}'`).join(', ')}]::${type}[])`
  }

  function literal(type: ValueType): string {
    const value = random.pick(values[type])
    // The same parameter in two places: the server then decides what it is.
    if (parameters.length > 0 && random.chance(0.12)) {
      const at = random.below(parameters.length)
      if (!Array.isArray(parameters[at])) return `$${at + 1}`
    }
    if (random.chance(0.4)) {
      parameters.push(random.chance(0.08) ? null : written(value, type))
      return `$${parameters.length}${random.chance(0.3) ? `::${type}` : ''}`
    }
    if (type === 'int' && random.chance(0.7)) return random.chance(0.1) ? `${value}.0` : value
    if (type === 'bool' && random.chance(0.5)) return value === 't' ? 'true' : 'false'
    return `'${written(value, type)}'${random.chance(0.3) ? `::${type}` : ''}`
  }

  /** The same value in other clothes. */
  function written(value: string, type: ValueType): string {
    if (type === 'int') return random.pick([value, value, ` ${value}`, `+0${value}`])
    if (type === 'uuid') return random.pick([value, value.toUpperCase(), value.replaceAll('-', ''), `{${value}}`])
    if (type === 'bool') return value === 't' ? random.pick(['t', 'true', 'YES', '1']) : random.pick(['f', 'off', '0'])
    return value
  }
}
