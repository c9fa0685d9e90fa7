/**
 * Values as the server prints them in its change stream, from how a statement gives them.
 *
 * `undefined` is doubt: it may be a value whose printed form nobody here knows, or one that the server will reject.
 * `null` is SQL's null, which equals nothing.
 */

import type { Family } from './types.ts'

/** @param value a parameter, as the package pg takes and sends it */
export function canonicalParameter(family: Family, value: unknown): string | null | undefined {
  switch (typeof value) {
    case 'string':
      return canonicalText(family, value)
    case 'number':
      // Such a number prints as an integer.
      if (family === 'int' && Number.isSafeInteger(value)) return String(value)
      return canonicalText(family, String(value))
    case 'bigint':
    case 'boolean':
      return canonicalText(family, String(value))
    case 'undefined':
      return null
    default:
      // Dates, buffers and other objects are sent in forms of their own.
      return value === null ? null : undefined
  }
}

/** What the server makes of a text that it reads as a value of this type. */
export function canonicalText(family: Family, text: string): string | undefined {
  switch (family) {
    case 'int':
      return canonicalInteger(text)
    case 'uuid':
      return canonicalUuid(text)
    case 'bool':
      return canonicalBoolean(text)
    default:
      return text.includes('\u0000') || !text.isWellFormed() ? undefined : text
  }
}

const plainInteger = /^(?:0|-?[1-9]\d{0,18})$/
const integer = /^[ \t\n\v\f\r]*([+-]?)0*(\d+)[ \t\n\v\f\r]*$/

function canonicalInteger(text: string): string | undefined {
  if (plainInteger.test(text)) return text
  const found = integer.exec(text)
  if (found === null) return undefined
  const [, sign, digits = ''] = found
  return sign === '-' && digits !== '0' ? `-${digits}` : digits
}

const plainUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const uuid = /^(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}$/i

function canonicalUuid(text: string): string | undefined {
  if (plainUuid.test(text)) return text
  const inner = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  if (!uuid.test(inner)) return undefined
  const digits = inner.replaceAll('-', '').toLowerCase()
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

const yes = /^[ \t\n\v\f\r]*(?:t|tr|tru|true|y|ye|yes|on|1)[ \t\n\v\f\r]*$/i
const no = /^[ \t\n\v\f\r]*(?:f|fa|fal|fals|false|n|no|of|off|0)[ \t\n\v\f\r]*$/i

function canonicalBoolean(text: string): string | undefined {
  if (yes.test(text)) return 't'
  return no.test(text) ? 'f' : undefined
}

/** The elements of an array parameter, canonical and without nulls; null: the array itself is null; undefined: doubt. */
export function canonicalArray(family: Family, value: unknown): readonly string[] | null | undefined {
  if (value === null || value === undefined) return null
  const elements = typeof value === 'string' ? arrayElements(value) : value
  if (!Array.isArray(elements)) return undefined
  const found: string[] = []
  for (const element of elements as readonly unknown[]) {
    const text = canonicalParameter(family, element)
    if (text === undefined) return undefined
    if (text !== null) found.push(text)
  }
  return found
}

const space = '[ \\t\\n\\v\\f\\r]*'
const element = new RegExp(
  `${space}(?:"((?:[^"\\\\]|\\\\[^])*)"|([^ \\t\\n\\v\\f\\r"\\\\{},](?:[^"\\\\{},]*[^ \\t\\n\\v\\f\\r"\\\\{},])?))${space}(,|$)`,
  'y',
)
const braces = new RegExp(`^${space}\\{([^]*)\\}${space}$`)
const blank = new RegExp(`^${space}$`)

/** The elements of an array as text, such as `{1,"a b",NULL}`: one dimension, without bounds; else undefined. */
export function arrayElements(text: string): readonly (string | null)[] | undefined {
  const inner = braces.exec(text)?.[1]
  if (inner === undefined) return undefined
  if (blank.test(inner)) return []
  const found: (string | null)[] = []
  element.lastIndex = 0
  for (;;) {
    const match = element.exec(inner)
    if (match === null) return undefined
    const [, quoted, bare, end] = match
    if (quoted !== undefined) found.push(quoted.replace(/\\([^])/g, '$1'))
    else found.push(bare?.toLowerCase() === 'null' ? null : (bare ?? ''))
    if (end === '') return found
  }
}
