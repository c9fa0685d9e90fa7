/** What every driver checks before it asks its store, so that a mistake is the same named error everywhere. */

import { FourfoldError } from '../core/errors.ts'
import type { Lsn } from '../engines/position.ts'
import type { StoreFields } from './store.ts'

/** Ten years: beyond it a time to live is a mistake of unit. */
const longestTtlMs = 10 * 365 * 24 * 3_600_000

export function checkKey(key: string): void {
  if (typeof key !== 'string') throw argumentError('a key must be a text', key)
}

export function checkTtl(ttlMs: number): void {
  if (Number.isSafeInteger(ttlMs) && ttlMs > 0 && ttlMs <= longestTtlMs) return
  throw argumentError('a time to live must be whole milliseconds, more than 0 and at most ten years', ttlMs)
}

export function checkLsn(lsn: Lsn): void {
  if (Number.isSafeInteger(lsn) && lsn >= 0) return
  throw argumentError('a position must be a whole number of bytes, 0 or more', lsn)
}

/** The number of a stream's entry, or of how many to keep or to read. */
export function checkCount(count: number, least = 0): void {
  if (Number.isSafeInteger(count) && count >= least) return
  throw argumentError(`expected a whole number, ${least} or more`, count)
}

/** Longer waits would hide for longer that a store is paused; readers ask again anyway. */
const longestWaitMs = 30_000

export function checkWait(waitMs: number): void {
  if (Number.isSafeInteger(waitMs) && waitMs >= 0 && waitMs <= longestWaitMs) return
  throw argumentError(`a wait must be whole milliseconds, from 0 to ${longestWaitMs}`, waitMs)
}

export function checkBudget(costMs: number, capacityMs: number): void {
  checkTtl(capacityMs)
  if (Number.isSafeInteger(costMs) && costMs >= 0 && costMs <= capacityMs) return
  throw argumentError('a cost must be whole milliseconds, from 0 to the capacity', costMs)
}

/** Fields as pairs, so that names such as `__proto__` survive the way through objects. */
export function fieldPairs(fields: StoreFields | undefined): [string, Buffer][] {
  return Object.entries(fields ?? {}).map(([name, value]) => [name, bytesOf(`the field "${name}"`, value)])
}

/** As {@link fieldPairs}, where null stands for an absent field. */
export function expectationPairs(
  fields: Readonly<Record<string, Uint8Array | null>> | undefined,
): [string, Buffer | null][] {
  return Object.entries(fields ?? {}).map(([name, value]) => [
    name,
    value === null ? null : bytesOf(`the field "${name}"`, value),
  ])
}

export function bytesOf(what: string, value: Uint8Array): Buffer {
  if (!(value instanceof Uint8Array)) throw argumentError(`${what} must be bytes (a Uint8Array)`, value)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function argumentError(expected: string, got: unknown): FourfoldError {
  const shown = typeof got === 'number' ? String(got) : typeof got
  return new FourfoldError('FF_STORE_ARGUMENT', `${expected}; got ${shown}`)
}
