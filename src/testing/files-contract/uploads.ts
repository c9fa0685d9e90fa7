/** The part of the contract of files that is about uploads that are refused, break off, or are left over. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { until } from '../until.ts'
import { hashOf, inPieces, png, read, type Given } from './parts.ts'

export function brokenUploadTests(given: Given): void {
  const refuses = async (code: string, put: (bytes: Buffer) => Promise<unknown>, size: number): Promise<void> => {
    const bytes = randomBytes(size)
    const before = await given.server.countContents()
    await assert.rejects(put(bytes), { code })
    assert.equal(await given.two.head(hashOf(bytes)), null)
    assert.equal(await given.server.countContents(), before)
  }

  test('an upload that breaks off leaves nothing, whole pieces in or not', async () => {
    for (const size of [100, 3 * given.driver.pieceBytes]) {
      const broken = (bytes: Buffer): Promise<unknown> => given.one.put(thenFails(bytes, new Error('the line broke')))
      await refuses('FF_FILES_INCOMPLETE', broken, size)
    }
  })

  test('an upload that is given up leaves nothing', async () => {
    const ending = new AbortController()
    const reason = Object.assign(new Error('given up'), { code: 'GIVEN_UP' })
    const source = async function* (bytes: Buffer): AsyncGenerator<Buffer> {
      yield bytes
      ending.abort(reason)
      yield bytes
    }
    await refuses(
      'GIVEN_UP',
      (bytes) => given.one.put(source(bytes), { signal: ending.signal }),
      given.driver.pieceBytes * 2,
    )
  })

  test('a file that is too large is refused where it gets too large', async () => {
    const limit = given.driver.pieceBytes + 10
    let sent = 0
    const counted = async function* (bytes: Buffer): AsyncGenerator<Buffer> {
      for await (const piece of inPieces(bytes)) {
        sent += piece.length
        yield piece
      }
    }
    await refuses('FF_FILES_TOO_LARGE', (bytes) => given.one.put(counted(bytes), { maxBytes: limit }), 3 * limit)
    assert.ok(sent < 2 * limit, `read ${sent} bytes of a file of which ${limit} are taken`)
  })

  test('the type is what the bytes look like, and others are refused', async () => {
    const accept = ['image/*']
    assert.equal((await given.one.put(Buffer.concat([png, randomBytes(10)]), { accept })).type, 'image/png')
    await refuses('FF_FILES_TYPE', (bytes) => given.one.put(bytes, { accept }), 1000)
    const page = Buffer.from(`<html><script>alert(1)</script>${randomBytes(9).toString('hex')}`)
    await assert.rejects(given.one.put(page, { accept }), { code: 'FF_FILES_TYPE' })
    assert.equal((await given.one.put(page)).type, 'text/plain; charset=utf-8')
  })
}

export function sweepTests(given: Given): void {
  test('what a dead process staged is swept by its age, and cannot be finished then', async () => {
    const { server, driver, two } = given
    const kept = randomBytes(driver.pieceBytes + 5)
    const { name } = await two.put(kept)
    await two.sweep(0)
    const before = await server.countContents()
    const stage = driver.stage()
    const { signal } = new AbortController()
    await stage.write(randomBytes(driver.pieceBytes), signal)
    await stage.write(randomBytes(driver.pieceBytes), signal)
    await two.sweep()
    assert.equal(await server.countContents(), before + 1, 'it is young, and may go on')
    await until('it is old enough', async () => (await two.sweep(1)) === 1)
    assert.equal(await server.countContents(), before)
    const facts = { name: 'b'.repeat(64), size: 2 * driver.pieceBytes, type: 'text/plain' }
    await assert.rejects(stage.finish(facts, new Uint8Array(0), signal), { code: 'FF_FILES_SWEPT' })
    await stage.discard()
    assert.equal(await two.head(facts.name), null)
    assert.ok((await read(two, name)).equals(kept), 'a file that has its name is not swept')
    assert.equal(await two.sweep(0), 0)
  })
}

async function* thenFails(bytes: Buffer, error: Error): AsyncGenerator<Buffer> {
  yield* inPieces(bytes)
  throw error
}
