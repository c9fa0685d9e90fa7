/** Texts with `{{…}}`: read once, filled in for each request. */

import { parseJsonPath, readJsonPath } from './json-path.ts'
import { scriptError, type Reference, type Text } from './script.ts'
import { systemValue } from './system-values.ts'

import type { Answer } from './answer.ts'

/** @throws FF_CHECK_SCRIPT where something between braces is understood by nobody */
export function parseText(text: string, place: string, env: Readonly<Record<string, string | undefined>>): Text {
  const pieces: (string | Reference)[] = []
  let end = 0
  for (const match of text.matchAll(/\{\{\s*([^{}]+?)\s*\}\}/g)) {
    pieces.push(text.slice(end, match.index), parseReference(match[1]!, place, env))
    end = match.index + match[0].length
  }
  pieces.push(text.slice(end))
  return pieces.filter((piece) => piece !== '')
}

function parseReference(
  expression: string,
  place: string,
  env: Readonly<Record<string, string | undefined>>,
): string | Reference {
  if (expression.startsWith('$')) {
    const value = systemValue(expression, env)
    if (value !== null) return value
    throw scriptError(place, `{{${expression}}} is not known here, or has no value`)
  }
  const answer = /^([\w-]+)\.response\.(body|headers)\.(.+)$/.exec(expression)
  if (answer === null) {
    if (/^[\w.-]+$/.test(expression)) return { kind: 'variable', name: expression }
    throw scriptError(place, `{{${expression}}} is not understood: a variable, or name.response.body.$.path`)
  }
  const [, request = '', part, path = ''] = answer
  if (part === 'headers') return { kind: 'answer', request, from: 'header', path }
  if (path === '*') return { kind: 'answer', request, from: 'body', path }
  if (parseJsonPath(path) !== null) return { kind: 'answer', request, from: 'json', path }
  throw scriptError(place, `{{${expression}}}: expected a path to one value, such as $.user.tags[0]`)
}

/** What has been answered so far, to one run of the script. */
export interface Known {
  readonly variables: ReadonlyMap<string, Text>
  /** By the names of requests. */
  readonly answers: ReadonlyMap<string, Answer>
  /** What `@capture` took; null: it found nothing. */
  readonly captured: ReadonlyMap<string, string | null>
}

/** A value that an answer should have held is not there. */
export class MissingValue extends Error {}

/** @throws MissingValue */
export function fillIn(text: Text, known: Known): Buffer {
  return Buffer.concat(
    text.map((piece) => (piece instanceof Uint8Array ? piece : Buffer.from(fillPiece(piece, known)))),
  )
}

function fillPiece(piece: string | Reference, known: Known): string {
  if (typeof piece === 'string') return piece
  if (piece.kind === 'variable') {
    const captured = known.captured.get(piece.name)
    if (captured === null) throw new MissingValue(`@capture ${piece.name} found nothing`)
    return captured ?? fillIn(known.variables.get(piece.name) ?? [], known).toString()
  }
  const answer = known.answers.get(piece.request)
  const value = answer === undefined ? undefined : valueIn(answer, piece)
  if (value !== undefined) return piece.encoded === true ? encodeURIComponent(value) : value
  const outcome = answer === undefined ? 'was not answered' : `was answered ${answer.failure ?? answer.status}`
  throw new MissingValue(`"${piece.request}" ${outcome}, and holds no ${piece.from} ${piece.path}`)
}

function valueIn(answer: Answer, { from, path }: Extract<Reference, { kind: 'answer' }>): string | undefined {
  const text = answer.body.toString()
  if (from === 'body') return text
  if (from === 'header') return answer.headers.find(([name]) => name === path.toLowerCase())?.[1]
  if (from === 'field') return fieldsOf(text).get(path)
  const value = readJsonPath(parseJson(text), parseJsonPath(path) ?? [])
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The fields that a page's forms hold when they are shown, the first of each name. */
export function fieldsOf(html: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [tag] of html.matchAll(/<(?:input|meta)\b[^>]*>/gi)) {
    const name = attribute(tag, 'name')
    const value = attribute(tag, 'value') ?? attribute(tag, 'content')
    if (name !== undefined && value !== undefined && !fields.has(name)) fields.set(name, value)
  }
  return fields
}

function attribute(tag: string, name: string): string | undefined {
  const match = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i').exec(tag)
  return (match?.[1] ?? match?.[2] ?? match?.[3])
    ?.replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
