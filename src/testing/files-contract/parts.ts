/** What the parts of the contract of files share. */

import assert from 'node:assert/strict'
import { createHash, randomInt } from 'node:crypto'
import { buffer } from 'node:stream/consumers'

import type { FileDriver } from '../../files/driver.ts'
import type { Files } from '../../files/files.ts'
import type { FilesServerUnderTest } from './options.ts'

/** Two processes on one server. */
export interface Given {
  readonly server: FilesServerUnderTest
  readonly driver: FileDriver
  readonly one: Files
  readonly two: Files
}

/** One pixel. */
export const png: Buffer = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

export async function read(files: Files, name: string): Promise<Buffer> {
  const opened = await files.get(name)
  assert.ok(opened !== null, `expected a file ${name}`)
  return await buffer(opened.stream)
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Pieces of uneven sizes, as a network brings them. */
export async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const size = randomInt(1, 200_000)
    yield bytes.subarray(at, at + size)
    at += size
  }
}
