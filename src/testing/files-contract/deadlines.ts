/** The part of the contract of files that is about a server that is paused. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createFiles } from '../../files/create-files.ts'
import { until } from '../until.ts'
import { hashOf, read, type Given } from './parts.ts'

export function deadlineTests(given: Given): void {
  test('nothing hangs on a server that is paused, and all goes on afterwards', { timeout: 60_000 }, async () => {
    const { server } = given
    const bytes = randomBytes(1000)
    const files = createFiles({ driver: given.driver, deadlineMs: 300 })
    const { name } = await given.one.put(bytes)
    server.pause()
    try {
      await assert.rejects(files.get(name), isLate)
      await assert.rejects(files.put(randomBytes(10)), isLate)
      // Of another file: what was given up may take place after all, later.
      await assert.rejects(files.remove(hashOf(randomBytes(9))), isLate)
    } finally {
      server.resume()
    }
    await until('the server answers again', async () => (await given.one.put(bytes)) !== null, 30_000)
    assert.ok((await read(given.two, name)).equals(bytes))
  })
}

const isLate = (error: unknown): boolean =>
  ['FF_CORE_DEADLINE', 'FF_FILES_UNAVAILABLE'].includes(String((error as { code?: unknown }).code))
