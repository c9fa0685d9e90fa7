/** JSON bodies, compared place by place. */

import { formatJsonPath, type JsonPath } from './json-path.ts'

import type { Difference, Kind } from './compare.ts'

/** @param ignored paths to leave out, with all that is in them; `[*]` is any item */
export function compareJson(expected: unknown, got: unknown, ignored: readonly string[]): readonly Difference[] {
  const found: Difference[] = []
  const leaveOut = ignored.map(toPattern)
  const add = (path: JsonPath, kind: Kind, a: unknown, b: unknown): void => {
    found.push({ place: `body ${formatJsonPath(path)}`, kind, expected: show(a), got: show(b) })
  }
  const visit = (path: JsonPath, a: unknown, b: unknown): void => {
    if (leaveOut.some((pattern) => pattern.test(formatJsonPath(path)))) return
    if (a === undefined) return add(path, 'extra', a, b)
    if (b === undefined) return add(path, 'missing', a, b)
    if (typeOf(a) !== typeOf(b)) return add(path, 'type', a, b)
    if (typeof a !== 'object' || a === null) {
      if (a !== b) add(path, 'value', a, b)
      return
    }
    const [left, right] = [a, b] as [Record<string, unknown>, Record<string, unknown>]
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      visit([...path, Array.isArray(a) ? Number(key) : key], left[key], right[key])
    }
  }
  visit([], expected, got)
  return found
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

const longestShown = 80

function show(value: unknown): string | undefined {
  const text = JSON.stringify(value)
  return text !== undefined && text.length > longestShown ? `${text.slice(0, longestShown)}…` : text
}

function toPattern(path: string): RegExp {
  const text = path.replace(/[.$()+?^{}|\\[\]]/g, '\\$&').replaceAll('\\[*\\]', '\\[\\d+\\]')
  return new RegExp(`^${text}(?:[.[].*)?$`)
}
