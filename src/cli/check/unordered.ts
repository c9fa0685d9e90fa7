/** Lists whose order nobody promised: seen where one clone answers the same items in another order. */

import { formatJsonPath, type JsonPath } from './json-path.ts'

/** The paths of lists that hold the same items in both values, but not in the same order. */
export function findUnordered(a: unknown, b: unknown, path: JsonPath = []): readonly string[] {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return []
  if (Array.isArray(a) && Array.isArray(b) && isReordered(a, b)) return [formatJsonPath(path)]
  const [left, right] = [a, b] as [Record<string, unknown>, Record<string, unknown>]
  return Object.keys(left).flatMap((key) =>
    findUnordered(left[key], right[key], [...path, Array.isArray(a) ? Number(key) : key]),
  )
}

/** The value with the lists at these paths in an order of their own. */
export function sortUnordered(value: unknown, unordered: ReadonlySet<string>, path: JsonPath = []): unknown {
  if (unordered.size === 0 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map((item, index) => sortUnordered(item, unordered, [...path, index]))
    return unordered.has(formatJsonPath(path)) ? sorted(items) : items
  }
  const members = Object.entries(value).map(
    ([key, inner]) => [key, sortUnordered(inner, unordered, [...path, key])] as const,
  )
  return Object.fromEntries(members)
}

function isReordered(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length || a.length < 2 || JSON.stringify(a) === JSON.stringify(b)) return false
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

function sorted(items: readonly unknown[]): readonly unknown[] {
  const texts = items.map((item) => [JSON.stringify(item) ?? '', item] as const)
  return texts.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, item]) => item)
}
