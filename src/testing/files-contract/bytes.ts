/** The part of the contract of files that is about their bytes: by whom, how many and which part of them are read. */

import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { hashOf, inPieces, png, read, type Given } from './parts.ts'

export function bytesTests(given: Given): void {
  test('a file put by one process is read by another at once, under the hash of its bytes', async () => {
    const bytes = Buffer.concat([png, randomBytes(1000)])
    const put = await given.one.put(bytes)
    const name = hashOf(bytes)
    assert.deepEqual(put, { name, size: bytes.length, type: 'image/png', url: `/files/${name}` })
    assert.deepEqual(await given.two.head(name), put)
    assert.deepEqual(await read(given.two, name), bytes)
  })

  test('files of all sizes around that of a piece come back as they were', async () => {
    const { pieceBytes } = given.driver
    for (const size of [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes, 2 * pieceBytes + 17]) {
      const bytes = randomBytes(size)
      const { name } = await given.one.put(inPieces(bytes))
      assert.equal(name, hashOf(bytes), `${size} bytes`)
      assert.equal((await given.two.head(name))?.size, size)
      assert.ok((await read(given.two, name)).equals(bytes), `${size} bytes`)
    }
  })

  test('any part is exactly that part, also across pieces', async () => {
    const { pieceBytes } = given.driver
    const bytes = randomBytes(2 * pieceBytes + 1000)
    const { name } = await given.one.put(bytes)
    const edges = [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes, bytes.length - 1, bytes.length]
    const places = [...edges, ...Array.from({ length: 4 }, () => randomInt(bytes.length))]
    for (const start of places) {
      const end = Math.min(bytes.length, start + (places[randomInt(places.length)] ?? 0))
      const opened = await given.two.get(name, { range: { start, end } })
      assert.ok(opened !== null)
      const part = await buffer(opened.stream)
      assert.ok(
        part.equals(bytes.subarray(start, end)),
        `${start} to ${end} of ${bytes.length}, got ${part.length} bytes`,
      )
    }
    await assert.rejects(given.two.get(name, { range: { start: 0, end: bytes.length + 1 } }), {
      code: 'FF_FILES_ARGUMENT',
    })
  })

  test('the same bytes put many times at once are one file', async () => {
    for (const size of [100, given.driver.pieceBytes + 100]) {
      const bytes = randomBytes(size)
      const before = await given.server.countContents()
      const put = await Promise.all(
        [...Array(4).keys()].map((index) => (index % 2 ? given.one : given.two).put(inPieces(bytes))),
      )
      assert.equal(new Set(put.map(({ name }) => name)).size, 1)
      assert.ok((await read(given.two, hashOf(bytes))).equals(bytes))
      assert.equal(await given.server.countContents(), before + 1)
    }
  })

  test('what is no name, or nobody’s, is null', async () => {
    for (const name of ['', '../etc/passwd', 'A'.repeat(64), hashOf(randomBytes(9))]) {
      assert.equal(await given.one.head(name), null)
      assert.equal(await given.one.get(name), null)
      assert.equal(await given.one.remove(name), false)
    }
  })
}
