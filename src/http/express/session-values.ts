/** A session as fields of the central store: each top-level property as JSON, the cookie among them. */

import { encodeValue } from '../../sessions/session-record.ts'
import type { Session } from './session-object.ts'
import type { StoredSession } from './store.ts'

/** JSON by property. */
export type Values = ReadonlyMap<string, Uint8Array>

/** What JSON has no text for is left out, as `JSON.stringify` of the whole session would. */
export function valuesOf(session: Session | StoredSession): Values {
  const values = new Map<string, Uint8Array>()
  for (const [name, value] of Object.entries(session)) {
    if (value === undefined || typeof value === 'function' || typeof value === 'symbol') continue
    values.set(name, encodeValue(name, value))
  }
  return values
}

export function readValues(data: ReadonlyMap<string, Uint8Array>): Values {
  return new Map(data)
}

export function dataOf(values: Values): StoredSession {
  const entries = [...values].map(([name, bytes]) => [name, JSON.parse(Buffer.from(bytes).toString())] as const)
  return Object.fromEntries(entries) as StoredSession
}

/** What must be written so that `before` becomes `after`; null takes away. The cookie's dates change each time. */
export function changesBetween(before: Values, after: Values): Map<string, Uint8Array | null> {
  const changes = new Map<string, Uint8Array | null>()
  for (const [name, bytes] of after) {
    const held = before.get(name)
    if (name !== 'cookie' && (held === undefined || Buffer.compare(held, bytes) !== 0)) changes.set(name, bytes)
  }
  for (const name of before.keys()) if (!after.has(name)) changes.set(name, null)
  return changes
}
