/**
 * Values that a recorded visit took from one answer and sent back later: tokens in JSON, hidden fields of forms. Only what
 * looks like an identifier counts, and nothing that the visitor had sent before it was answered: that was typed.
 */

import { formatJsonPath, type JsonPath } from './json-path.ts'
import { fieldsOf, parseJson } from './text.ts'

export interface Recorded {
  /** What went out: address, headers, body. */
  readonly sent: readonly string[]
  readonly body: string
  readonly type: string
}

export interface Link {
  readonly text: string
  /** Whose answer it is from, counted from 0. */
  readonly source: number
  readonly from: 'json' | 'field'
  readonly path: string
}

/** What this request sends of earlier answers, the longest first; of several answers that held it, the latest. */
export function findLinks(recorded: readonly Recorded[], index: number): readonly Link[] {
  const { sent } = recorded[index]!
  const holds = (texts: readonly string[], text: string): boolean =>
    texts.some((one) => one.includes(text) || one.includes(encodeURIComponent(text)))
  const links = new Map<string, Link>()
  for (let source = index - 1; source >= 0; source -= 1) {
    for (const link of valuesOf(recorded[source]!, source)) {
      if (links.has(link.text) || !holds(sent, link.text)) continue
      const typed = recorded
        .slice(0, firstAnswer(recorded, link.text) + 1)
        .some((earlier) => holds(earlier.sent, link.text))
      if (!typed) links.set(link.text, link)
    }
  }
  return [...links.values()].toSorted((a, b) => b.text.length - a.text.length)
}

function firstAnswer(recorded: readonly Recorded[], text: string): number {
  return recorded.findIndex(({ body }) => body.includes(text))
}

function valuesOf({ body, type }: Recorded, source: number): Link[] {
  if (/[/+]json/.test(type)) {
    return leavesOf(parseJson(body), []).map(([path, text]) => ({
      text,
      source,
      from: 'json',
      path: formatJsonPath(path),
    }))
  }
  if (!type.includes('html')) return []
  const fields = [...fieldsOf(body)].filter(([, text]) => isIdentifier(text))
  return fields.map(([path, text]) => ({ text, source, from: 'field', path }))
}

function leavesOf(value: unknown, path: JsonPath): [JsonPath, string][] {
  if (typeof value === 'string') return isIdentifier(value) ? [[path, value]] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    leavesOf(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  )
}

/** Long enough to be nobody's word, and without spaces. */
function isIdentifier(text: string): boolean {
  return /^[\w.~+/=:-]+$/.test(text) && (text.length >= 16 || (text.length >= 8 && /\d/.test(text)))
}
