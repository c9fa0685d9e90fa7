/** What is wrong with a join, before anything is asked of a database. */

import { FourfoldError } from '../../core/errors.ts'

import type { Join, Joins, LinkOptions, ManyOptions } from './spec.ts'

export function joinMistake(message: string, field?: string): FourfoldError {
  const place = field === undefined ? 'join' : `join: ${field}`
  return new FourfoldError('FF_CACHE_JOIN', `${place}: ${message}`, { fields: field === undefined ? {} : { field } })
}

/** Everything that can be seen without rows, at every depth. @throws FF_CACHE_JOIN */
export function checkJoins(joins: Joins, path = ''): void {
  if (typeof joins !== 'object' || joins === null) {
    throw joinMistake('expected a record of one(…) and many(…)', path || undefined)
  }
  for (const [name, join] of Object.entries(joins)) checkJoin(join, path + name)
}

function checkJoin(join: Join, field: string): void {
  const kind = join?.kind
  if (kind !== 'one' && kind !== 'many') throw joinMistake('expected one(…) or many(…)', field)
  const target = join.target?.kind
  if (target !== 'object' && target !== 'table') throw joinMistake('expected a cached object or table(…)', field)
  const { through, join: nested, columns, where, orderBy, limit } = join.options as ManyOptions
  if (target === 'object' && (nested ?? columns ?? where ?? orderBy ?? limit) !== undefined) {
    throw joinMistake('the options columns, where, orderBy, limit and join are for tables, this is an object', field)
  }
  if (kind === 'one' && (orderBy ?? limit ?? through) !== undefined) {
    throw joinMistake('the options orderBy, limit and through are for many(…)', field)
  }
  if (through !== undefined) checkLink(join, field)
  checkSelection(join.options, field)
  if (nested !== undefined) checkJoins(nested, `${field}.`)
}

function checkLink({ options }: Join<any, any, any, ManyOptions>, field: string): void {
  if (typeof options.through?.to !== 'string') throw joinMistake('through: expected table(name, from, to)', field)
  if (options.orderBy !== undefined || options.limit !== undefined) {
    throw joinMistake('orderBy and limit go into the table between: table(name, from, to, { orderBy, limit })', field)
  }
  checkSelection(options.through.options, field)
}

function checkSelection({ where, orderBy, limit }: LinkOptions, field: string): void {
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1)) {
    throw joinMistake(`limit: expected a whole number from 1 on, got ${limit}`, field)
  }
  const order = Object.entries(orderBy ?? {})
  if (limit !== undefined && order.length === 0) {
    throw joinMistake('limit: expected orderBy too, which says what comes first', field)
  }
  for (const [column, direction] of order) {
    if (direction !== 'asc' && direction !== 'desc') {
      throw joinMistake(`orderBy: expected "asc" or "desc" for ${column}, got ${JSON.stringify(direction)}`, field)
    }
  }
  if (typeof where === 'function') return
  for (const [column, value] of Object.entries(where ?? {})) {
    if (value === undefined) throw joinMistake(`where: expected a value for ${column}, got undefined`, field)
  }
}

/** @throws FF_CACHE_JOIN where a row has the field already */
export function checkFree(rows: readonly object[], joins: Joins): void {
  const names = Object.keys(joins)
  for (const row of rows) {
    if (typeof row !== 'object' || row === null) throw joinMistake('expected rows that are objects')
    for (const name of names) {
      if (Object.hasOwn(row, name)) throw joinMistake('the rows have a field of this name already', name)
    }
  }
}
