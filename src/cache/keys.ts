/**
 * Canonical texts of keys: what an entry is found by, in any process. Equal keys give equal texts, and different keys
 * different ones: `1` is not `'1'`, and a record's fields may stand in any order.
 */

import { FourfoldError } from '../core/errors.ts'

export type ScalarKey = string | number | bigint | boolean
export type RecordKey = Readonly<Record<string, ScalarKey | null>>
export type Key = ScalarKey | RecordKey

/** The key as it is now: a record that its owner goes on to change would otherwise be loaded as another. */
export function ownKey<K>(key: K): K {
  return typeof key === 'object' && key !== null ? { ...key } : key
}

/** @throws FF_CACHE_KEY */
export function canonicalKey(key: unknown, object: string): string {
  if (typeof key === 'string') return `s${key}`
  if (typeof key === 'object' && key !== null) return canonicalRecord(key as RecordKey, object)
  return canonicalScalar(key, object)
}

function canonicalScalar(key: unknown, object: string): string {
  switch (typeof key) {
    case 'string':
      return `s${key}`
    case 'number':
      if (Number.isNaN(key)) break
      // 0 and -0 are equal keys.
      return `n${key === 0 ? 0 : key}`
    case 'bigint':
      return `i${key}`
    case 'boolean':
      return key ? 'bt' : 'bf'
    default:
  }
  throw refused(object, key)
}

function canonicalRecord(key: RecordKey, object: string): string {
  const prototype: unknown = Object.getPrototypeOf(key)
  if (prototype !== Object.prototype && prototype !== null) throw refused(object, key)
  const fields = Object.keys(key)
    .toSorted()
    .map((name) => [name, key[name] === null ? '0' : canonicalScalar(key[name], object)])
  return `r${JSON.stringify(fields)}`
}

function refused(object: string, key: unknown): FourfoldError {
  const got = typeof key === 'object' && key !== null ? (key.constructor?.name ?? 'an object') : String(key)
  const message = `A key of ${object}: expected a string, number, bigint or boolean, or a flat record of these; got ${got}`
  return new FourfoldError('FF_CACHE_KEY', message, { fields: { object } })
}
