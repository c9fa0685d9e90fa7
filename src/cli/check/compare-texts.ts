/**
 * Pages and other texts, compared by their words. What varies between runs on one clone is a stretch of the first
 * answer's words (or a gap between two); a later answer may have something else there, and only there. White space does
 * not count.
 */

import { diffArrays } from 'diff'

import type { Difference } from './compare.ts'

export interface Token {
  readonly text: string
  readonly line: number
  /** Whether white space stands before it. */
  readonly apart: boolean
}

/** A stretch of the expected text, from one word to before another, and what stands there instead. */
interface Hunk {
  readonly from: number
  readonly to: number
  readonly added: readonly Token[]
}

export interface TextNoise {
  /** Null: the answer is no text. */
  readonly tokens: readonly Token[] | null
  /** What the same clone answered at other times. */
  readonly varying: readonly (readonly Token[] | null)[]
}

/** Past so many changes, everything between the first and the last is one change. */
const maxEdits = 600

/** Words, and the signs that part them in HTML and prose; lines that match are left out. */
export function tokensOf(text: string, leaveOut: readonly RegExp[]): readonly Token[] {
  return text.split('\n').flatMap((content, index) => {
    if (leaveOut.some((pattern) => pattern.test(content))) return []
    return [...content.matchAll(/(\s*)([<>"'=&;,()]|[^\s<>"'=&;,()]+)/g)].map(([, space = '', text = ''], nth) => {
      return { text, line: index + 1, apart: space !== '' || nth === 0 }
    })
  })
}

export function compareTexts(
  { tokens, varying }: TextNoise,
  got: readonly Token[] | null,
): { readonly differences: readonly Difference[]; readonly noise: readonly string[] } {
  if (tokens === null) return { differences: [], noise: [] }
  const ranges = mergeRanges(varying.flatMap((other) => (other === null ? [] : findHunks(tokens, other))))
  const place = (at: number): string => `body, line ${(tokens[at] ?? tokens.at(-1))?.line ?? 1}`
  const noise = [...new Set(ranges.map(({ from }) => place(from)))]
  if (got === null) return { differences: [], noise }
  const hunks = findHunks(tokens, got).filter((hunk) => !ranges.some((range) => isWithin(hunk, range)))
  const differences = hunks.map(({ from, to, added }): Difference => ({
    place: place(from),
    kind: 'value',
    expected: show(tokens.slice(from, to)),
    got: show(added),
  }))
  return { differences, noise }
}

/** What must be done to `a` to get `b`, as stretches of `a`. */
function findHunks(a: readonly Token[], b: readonly Token[]): readonly Hunk[] {
  const [left, right] = [a, b].map((tokens) => tokens.map(({ text }) => text)) as [string[], string[]]
  const changes = diffArrays(left, right, { maxEditLength: maxEdits })
  if (changes === undefined) return [wholeMiddle(a, b)]
  const hunks: { from: number; to: number; added: Token[] }[] = []
  let [at, other, open] = [0, 0, false]
  for (const { added, removed, value } of changes) {
    const same = !added && !removed
    if (!same && !open) hunks.push({ from: at, to: at, added: [] })
    open = !same
    const hunk = hunks.at(-1)
    if (!removed) other += value.length
    if (!added) at += value.length
    if (added) hunk?.added.push(...b.slice(other - value.length, other))
    if (removed && hunk !== undefined) hunk.to = at
  }
  return hunks.map((hunk) => slide(hunk, a))
}

/** The same insertion a little earlier, where it then begins with a tag: `<b>new</b>` and not `b>new</b><`. */
function slide(hunk: Hunk, a: readonly Token[]): Hunk {
  if (hunk.from !== hunk.to) return hunk
  let [from, added] = [hunk.from, hunk.added]
  while (added[0]?.text !== '<') {
    const before = a[from - 1]
    if (before === undefined || before.text !== added.at(-1)?.text) return hunk
    from -= 1
    added = [before, ...added.slice(0, -1)]
  }
  return { from, to: from, added }
}

function wholeMiddle(a: readonly Token[], b: readonly Token[]): Hunk {
  const shorter = Math.min(a.length, b.length)
  let from = 0
  while (from < shorter && a[from]?.text === b[from]?.text) from += 1
  let behind = 0
  while (behind < shorter - from && a.at(-1 - behind)?.text === b.at(-1 - behind)?.text) behind += 1
  return { from, to: a.length - behind, added: b.slice(from, b.length - behind) }
}

interface Range {
  readonly from: number
  readonly to: number
  /** Whether one clone has had nothing there. */
  readonly mayBeEmpty: boolean
}

function mergeRanges(hunks: readonly Hunk[]): readonly Range[] {
  const merged: Range[] = []
  for (const { from, to, added } of hunks.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const mayBeEmpty = from === to || added.length === 0
    const last = merged.at(-1)
    if (last === undefined || from > last.to) merged.push({ from, to, mayBeEmpty })
    else {
      const joined = { from: last.from, to: Math.max(last.to, to), mayBeEmpty: last.mayBeEmpty || mayBeEmpty }
      merged[merged.length - 1] = joined
    }
  }
  return merged
}

function isWithin(hunk: Hunk, range: Range): boolean {
  if (hunk.from < range.from || hunk.to > range.to) return false
  return range.mayBeEmpty || hunk.added.length > 0 || hunk.to - hunk.from < range.to - range.from
}

const longestShown = 120

function show(tokens: readonly Token[]): string | undefined {
  if (tokens.length === 0) return undefined
  const text = JSON.stringify(
    tokens
      .map(({ text, apart }) => (apart ? ` ${text}` : text))
      .join('')
      .trim(),
  )
  return text.length > longestShown ? `${text.slice(0, longestShown)}…"` : text
}
