/** Headers that a client acts on. */

import type { Answer } from './answer.ts'
import type { Difference } from './compare.ts'

/** Of the connection, of the moment, or told by the body. */
const leftOut: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'date',
  'age',
  'server-timing',
  'x-response-time',
  'x-runtime',
  'x-request-id',
  'x-correlation-id',
  'x-fourfold-clone',
])

export function compareHeaders(expected: Answer, got: Answer, ignored: ReadonlySet<string>): readonly Difference[] {
  const [left, right] = [factsOf(expected, ignored), factsOf(got, ignored)]
  const names = new Set([...left.keys(), ...right.keys()])
  return [...names].flatMap((place): Difference[] => {
    const [a, b] = [left.get(place), right.get(place)]
    if (a === b) return []
    return [{ place, kind: a === undefined ? 'extra' : b === undefined ? 'missing' : 'value', expected: a, got: b }]
  })
}

/** What counts of each header, by place. */
function factsOf({ headers }: Answer, ignored: ReadonlySet<string>): Map<string, string> {
  const facts = new Map<string, string>()
  for (const [name, value] of headers) {
    if (leftOut.has(name) || ignored.has(name)) continue
    const [place, fact] = name === 'set-cookie' ? cookieFact(value) : [`header ${name}`, factOf(name, value)]
    const before = facts.get(place)
    facts.set(place, before === undefined ? fact : `${before}, ${fact}`)
  }
  return facts
}

function factOf(name: string, value: string): string {
  // Clones that render the same may tag it by their own time of start; who a reader is, is signed anew for each.
  if (name === 'etag' || name === 'fourfold-reader') return 'is there'
  // The order of a list says nothing.
  if (name === 'vary' || name === 'allow') {
    const words = value.toLowerCase().split(/\s*,\s*/)
    return words.toSorted().join(', ')
  }
  return value
}

/** A cookie by its name and what is said about it, without its value; ages by whether they lie ahead. */
function cookieFact(text: string): [place: string, fact: string] {
  const [pair = '', ...attributes] = text.split(/\s*;\s*/)
  const name = pair.split('=')[0]
  const facts = attributes.map((attribute) => {
    const [key = '', value = ''] = attribute.split('=')
    if (/^max-age$/i.test(key)) return Number(value) > 0 ? 'expires later' : 'expires now'
    if (/^expires$/i.test(key)) return Date.parse(value) > Date.now() ? 'expires later' : 'expires now'
    return attribute.toLowerCase()
  })
  return [`header set-cookie ${name}`, ['set', ...new Set(facts)].toSorted().join('; ')]
}
