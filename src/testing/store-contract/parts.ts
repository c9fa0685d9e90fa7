/** What the parts of the stores' contract share. */

import assert from 'node:assert/strict'
import { isFourfoldError, type ErrorCode } from '../../core/errors.ts'
import type { Store } from '../../store/store.ts'

/** Two clients of one server, and keys that nobody has used. */
export interface Clients {
  readonly one: Store
  readonly two: Store
  readonly fresh: () => string
}

export const hourMs = 3_600_000

/** Generous, because test machines are busy; the tests of deadlines use their own. */
export const deadlineMs = 5000

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

export function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString()
}

export async function assertRejects(work: Promise<unknown>, ...codes: ErrorCode[]): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(
      codes.some((code) => isFourfoldError(error, code)),
      `expected ${codes.join(' or ')}, got ${String(error)}`,
    )
    return true
  })
}

export function assertFields(
  fields: Readonly<Record<string, Uint8Array>> | null,
  expected: Record<string, string>,
): void {
  assert.ok(fields !== null, 'the record is there')
  const decoded = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString()]),
  )
  assert.deepEqual(decoded, expected)
}
