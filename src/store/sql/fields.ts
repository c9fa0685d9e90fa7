/**
 * Fields of a record as `jsonb`: an object of base64 texts. Names are written in printable ASCII, because `jsonb` takes
 * no zero and no half of a surrogate pair, and a database of another encoding not every sign.
 */

import type { StoreFields } from '../store.ts'

export function encodeName(name: string): string {
  return name.replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, (unit) => `\\${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

export function decodeName(text: string): string {
  if (!text.includes('\\')) return text
  return text.replaceAll(/\\([0-9a-f]{4})/g, (_, unit: string) => String.fromCharCode(Number.parseInt(unit, 16)))
}

export function encodeFields(pairs: readonly (readonly [string, Buffer])[]): string {
  return JSON.stringify(Object.fromEntries(pairs.map(([name, value]) => [encodeName(name), value.toString('base64')])))
}

export function decodeFields(fields: Readonly<Record<string, string>>): StoreFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [decodeName(name), Buffer.from(value, 'base64')]),
  )
}

export function encodeParts(parts: Readonly<Record<string, number>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(parts).map(([name, value]) => [encodeName(name), value])))
}

export function decodeParts(parts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(parts).map(([name, value]) => [decodeName(name), value]))
}

/** The least bytes behind all that begin with these, or null where there are none. */
export function endOfPrefix(prefix: Buffer): Buffer | null {
  const last = prefix.findLastIndex((byte) => byte < 0xff)
  if (last === -1) return null
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last] = end[last]! + 1
  return end
}
