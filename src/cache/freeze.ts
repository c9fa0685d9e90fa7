/**
 * Freezes a value in depth, so that it can be handed to everybody. `Object.freeze` does not reach what Dates, Maps and
 * Sets hold: these get a prototype between their own and themselves whose methods that would change them throw. They stay
 * instances, and equal to others. (Own methods on each would take three bytes for one, and a hundred times as long.)
 * Bytes cannot be protected at all.
 */

import { isBytes } from './bytes.ts'

/** Only for what passed the inspection, and has no bytes in it. Answers the same value. */
export function freezeValue<T>(value: T): T {
  freeze(value, new Set())
  return value
}

/** Of a Date, Map or Set, whether it is protected or not. */
export function plainPrototypeOf(prototype: object): object {
  return plainPrototypes.get(prototype) ?? prototype
}

/** @param met what was found frozen: by us, a circle, or by somebody on the outside only, so that it is looked through */
function freeze(value: unknown, met: Set<object>): void {
  if (typeof value !== 'object' || value === null || isBytes(value)) return
  if (Object.isFrozen(value)) {
    if (met.has(value)) return
    met.add(value)
  } else if (value instanceof Date) protect(value, protectedDate)
  else if (value instanceof Map) protect(value, protectedMap)
  else if (value instanceof Set) protect(value, protectedSet)
  else Object.freeze(value)
  for (const part of partsOf(value)) freeze(part, met)
}

function partsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value
  if (value instanceof Map) return [...value].flat()
  return Object.values(value)
}

function protect(value: object, prototype: object): void {
  // What somebody else sealed keeps its prototype: there is no way.
  if (Object.isExtensible(value)) Object.setPrototypeOf(value, prototype)
  Object.freeze(value)
}

function refusing(prototype: object, names: readonly string[]): object {
  const methods = names.map((name) => {
    const refuse = (): never => {
      const message = `${name}: this value is shared by all readers of the cache; copy it, or declare values: 'cloned'`
      throw new TypeError(message)
    }
    return [name, { value: refuse }] as const
  })
  return Object.create(prototype, Object.fromEntries(methods)) as object
}

const dateSetters = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'))
const protectedDate = refusing(Date.prototype, dateSetters)
const protectedMap = refusing(Map.prototype, ['set', 'delete', 'clear', 'getOrInsert', 'getOrInsertComputed'])
const protectedSet = refusing(Set.prototype, ['add', 'delete', 'clear'])
const plainPrototypes = new Map<object, object>([
  [protectedDate, Date.prototype],
  [protectedMap, Map.prototype],
  [protectedSet, Set.prototype],
])
