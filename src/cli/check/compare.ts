/**
 * What differs between two answers to the same request, place by place, and which places differ anyway.
 *
 * Places that differ between runs on one clone (times, ids, tokens) are noise: they are left out, but not their type,
 * because a token that has become null is no longer a token.
 */

import { headerOf, type Answer } from './answer.ts'
import { compareHeaders } from './compare-headers.ts'
import { compareJson } from './compare-json.ts'
import { compareTexts, tokensOf, type TextNoise } from './compare-texts.ts'
import { parseJson } from './text.ts'
import { findUnordered, sortUnordered } from './unordered.ts'

export type Kind = 'value' | 'type' | 'missing' | 'extra'

export interface Difference {
  /** `status`, `header location`, `body $.user.name`, `body, line 3`. */
  readonly place: string
  readonly kind: Kind
  /** As they are shown; undefined: there is nothing. */
  readonly expected: string | undefined
  readonly got: string | undefined
}

/** What a user asked to leave out. */
export interface Ignored {
  readonly headers: ReadonlySet<string>
  /** JSON paths; `[*]` is any item. */
  readonly json: readonly string[]
  readonly lines: readonly RegExp[]
}

export interface Comparison {
  /** What is different, apart from the noise. */
  differences(answer: Answer): readonly Difference[]
  /** The places that are not compared. */
  readonly noise: readonly string[]
}

/** @param singles answers of one clone: the first is what others are compared with, the rest tell what varies */
export function createComparison(singles: readonly [Answer, ...Answer[]], ignored: Ignored): Comparison {
  const [expected, ...others] = singles
  const orderless = new Set(others.flatMap((other) => findUnordered(jsonOf(expected), jsonOf(other))))
  const compare = (answer: Answer): readonly Difference[] => comparePlaces(expected, answer, ignored, orderless)
  const places = others.flatMap(compare)
  const tokens = textOf(expected, ignored)
  const textNoise: TextNoise = { tokens, varying: others.map((other) => textOf(other, ignored)) }
  return {
    noise: [
      ...new Set(places.map(({ place }) => place)),
      ...[...orderless].map((path) => `body ${path}, its order`),
      ...compareTexts(textNoise, null).noise,
    ],
    differences: (answer) => [
      ...compare(answer).filter((found) => !isNoise(found, places)),
      ...compareTexts(textNoise, textOf(answer, ignored)).differences,
    ],
  }
}

/** Everything but bodies of text. */
function comparePlaces(
  expected: Answer,
  got: Answer,
  ignored: Ignored,
  orderless: ReadonlySet<string>,
): readonly Difference[] {
  if (expected.failure !== null || got.failure !== null) {
    if (expected.failure === got.failure) return []
    return [difference('answer', 'type', expected.failure ?? `${expected.status}`, got.failure ?? `${got.status}`)]
  }
  const status =
    expected.status === got.status ? [] : [difference('status', 'value', `${expected.status}`, `${got.status}`)]
  return [
    ...status,
    ...compareHeaders(expected, got, ignored.headers),
    ...compareBodies(expected, got, ignored, orderless),
  ]
}

function compareBodies(
  expected: Answer,
  got: Answer,
  ignored: Ignored,
  orderless: ReadonlySet<string>,
): readonly Difference[] {
  const [kind, other] = [bodyKind(expected), bodyKind(got)]
  if (kind !== other) return [difference('body', 'type', describeBody(expected, kind), describeBody(got, other))]
  if (kind === 'json') {
    const [left, right] = [expected, got].map((answer) => sortUnordered(jsonOf(answer), orderless))
    return compareJson(left, right, ignored.json)
  }
  if (kind === 'bytes' && !expected.body.equals(got.body)) {
    return [difference('body', 'value', `${expected.body.length} bytes`, `${got.body.length} other bytes`)]
  }
  return []
}

const difference = (place: string, kind: Kind, expected: string, got: string): Difference => ({
  place,
  kind,
  expected,
  got,
})

function jsonOf(answer: Answer): unknown {
  return bodyKind(answer) === 'json' ? parseJson(answer.body.toString()) : undefined
}

type BodyKind = 'empty' | 'json' | 'text' | 'bytes'

function bodyKind(answer: Answer): BodyKind {
  if (answer.body.length === 0) return 'empty'
  const type = headerOf(answer, 'content-type') ?? ''
  if (/[/+]json\b/.test(type) && parseJson(answer.body.toString()) !== undefined) return 'json'
  if (headerOf(answer, 'content-encoding') !== undefined) return 'bytes'
  return type === '' || /^text\/|[/+]xml|javascript|x-www-form|[/+]json/.test(type) ? 'text' : 'bytes'
}

const longestShown = 60

function describeBody({ body }: Answer, kind: BodyKind): string {
  if (kind === 'empty') return 'no body'
  if (kind === 'bytes') return `${body.length} bytes`
  const text = body.toString().replace(/\s+/g, ' ').trim()
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text
}

function textOf(answer: Answer, ignored: Ignored): ReturnType<typeof tokensOf> | null {
  if (answer.failure !== null || bodyKind(answer) !== 'text') return null
  return tokensOf(answer.body.toString(), ignored.lines)
}

function isNoise(found: Difference, noise: readonly Difference[]): boolean {
  return noise.some(({ place, kind }) => {
    if (place === found.place) return kind !== 'value' || found.kind === 'value'
    if (kind === 'value') return false
    // A member that comes and goes takes along what is in it; in a list, everything after it has moved.
    return (
      isWithin(found.place, place) || (place.endsWith(']') && isWithin(found.place, place.replace(/\[[^[\]]*\]$/, '')))
    )
  })
}

function isWithin(place: string, container: string): boolean {
  return place.startsWith(container) && /^[.[]|^$/.test(place.slice(container.length))
}
