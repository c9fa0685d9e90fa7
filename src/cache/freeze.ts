/**
 * Freezes a value in depth, so that it can be handed to everybody. `Object.freeze` does not reach what Dates, Maps and
 * Sets hold: on these, the methods that change them are shadowed by ones that throw. Bytes cannot be protected at all.
 */

import { isBytes } from './inspect.ts'

/** Only for what passed the inspection, and has no bytes in it. Answers the same value. */
export function freezeValue<T>(value: T): T {
  freeze(value)
  return value
}

function freeze(value: unknown): void {
  // Frozen first, so that a circle comes to its end; what others froze may still hold what is not.
  if (typeof value !== 'object' || value === null || done.has(value) || isBytes(value)) return
  done.add(value)
  if (value instanceof Date) return protect(value, dateMethods)
  if (value instanceof Map) {
    protect(value, mapMethods)
    for (const [key, held] of value) {
      freeze(key)
      freeze(held)
    }
    return
  }
  if (value instanceof Set) {
    protect(value, setMethods)
    for (const held of value) freeze(held)
    return
  }
  if (!Object.isFrozen(value)) Object.freeze(value)
  if (Array.isArray(value)) for (const held of value) freeze(held)
  else for (const name of Object.keys(value)) freeze((value as Record<string, unknown>)[name])
}

/** Frozen by us in depth: a nested object's value stands in many. Holds nothing alive. */
const done = new WeakSet<object>()

function protect(value: object, methods: PropertyDescriptorMap): void {
  if (!Object.isFrozen(value)) Object.freeze(Object.defineProperties(value, methods))
}

function refusing(names: readonly string[]): PropertyDescriptorMap {
  return Object.fromEntries(
    names.map((name) => {
      const refuse = (): never => {
        throw new TypeError(
          `${name}: this value is shared by all readers of the cache; copy it, or declare values: 'cloned'`,
        )
      }
      return [name, { value: refuse }]
    }),
  )
}

const dateMethods = refusing(Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set')))
const mapMethods = refusing(['set', 'delete', 'clear'])
const setMethods = refusing(['add', 'delete', 'clear'])
