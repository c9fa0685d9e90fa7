/** The keys of rows, each once. */

import { joinMistake } from './mistakes.ts'

export interface DistinctKeys {
  readonly keys: readonly unknown[]
  /** For each given key its place among the distinct ones; -1: null or undefined. */
  readonly places: readonly number[]
}

/** @param textOf equal texts are one key */
export function distinctKeys(given: readonly unknown[], textOf: (key: unknown) => string): DistinctKeys {
  const known = new Map<string, number>()
  const keys: unknown[] = []
  const places = given.map((key) => {
    if (key === null || key === undefined) return -1
    const text = textOf(key)
    let place = known.get(text)
    if (place === undefined) {
      known.set(text, (place = keys.length))
      keys.push(key)
    }
    return place
  })
  return { keys, places }
}

/** What the server is sent for a key of a table: the same text for `7` and `'7'`, which it compares alike. */
export function tableKeyText(key: unknown): string {
  switch (typeof key) {
    case 'string':
      return `=${key}`
    case 'number':
      if (Number.isFinite(key)) return `=${key}`
      break
    case 'bigint':
    case 'boolean':
      return `=${key}`
    default:
      if (key instanceof Uint8Array) return Buffer.from(key).toString('hex')
  }
  const got =
    typeof key === 'object' ? (key?.constructor.name ?? 'an object') : typeof key === 'number' ? key : typeof key
  throw joinMistake(`expected a key that is a string, number, bigint, boolean or Buffer, got ${got}`)
}

/** @yields runs of at most so many elements */
export function* chunked<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size)
}
