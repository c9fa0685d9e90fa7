/** The part of the contract of files that removals are, also beside readers and puts of the same bytes. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { hashOf, read, type Given } from './parts.ts'

export function removalTests(given: Given): void {
  test('a removed file is gone for everybody, and can be put again', async () => {
    const bytes = randomBytes(1000)
    const { name } = await given.one.put(bytes)
    assert.equal(await given.two.remove(name), true)
    assert.equal(await given.one.head(name), null)
    assert.equal(await given.one.remove(name), false)
    await given.one.put(bytes)
    assert.deepEqual(await read(given.two, name), bytes)
  })

  test('who reads a file that is removed meanwhile gets it to its end', async () => {
    const bytes = randomBytes(2 * given.driver.pieceBytes)
    const { name } = await given.one.put(bytes)
    const opened = await given.two.get(name)
    assert.ok(opened !== null)
    const iterator = opened.stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const parts = [(await iterator.next()).value as Buffer]
    await given.one.remove(name)
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) parts.push(next.value)
    assert.ok(Buffer.concat(parts).equals(bytes))
  })

  test('a put beside a removal of the same bytes is as if one came after the other', async () => {
    for (const [size, rounds] of [
      [50, 4],
      [given.driver.pieceBytes + 50, 1],
    ] as const) {
      const bytes = randomBytes(size)
      const name = hashOf(bytes)
      for (let round = 0; round < rounds; round += 1) {
        await given.one.put(bytes)
        const [removed] = await Promise.all([given.two.remove(name), given.one.put(bytes)])
        assert.equal(removed, true)
        const opened = await given.two.get(name)
        if (opened !== null) assert.ok((await buffer(opened.stream)).equals(bytes))
        await given.one.put(bytes)
        assert.ok((await read(given.two, name)).equals(bytes))
      }
    }
  })
}
