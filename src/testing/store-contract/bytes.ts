/** The part of the stores' contract that is about what keys and values may be. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertRejects, hourMs, type Clients } from './parts.ts'

export function bytesTests(clients: () => Clients): void {
  test('keys and field names are any text, values any bytes', async () => {
    const { one, two, fresh } = clients()
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index)
    const large = new Uint8Array(300_000).fill(0xff)
    const names = ['', ' ', '\0', '!', ':', '__proto__', 'constructor', 'naïve', '鍵', '🔑', 'a\r\nb', '{a}']
    for (const name of names) {
      const key = `${fresh()}${name}${fresh()}`
      await one.create(
        key,
        Object.fromEntries([
          [name, everyByte],
          [`${name}2`, new Uint8Array(0)],
          ['large', large],
        ]),
        { ttlMs: hourMs },
      )
      const fields = await two.read(key)
      assert.ok(fields !== null)
      const byName = new Map(Object.entries(fields))
      assert.deepEqual(new Uint8Array(byName.get(name) ?? []), everyByte)
      assert.equal(byName.get(`${name}2`)?.length, 0)
      assert.equal(Buffer.compare(byName.get('large') ?? new Uint8Array(0), large), 0)
      assert.equal(
        await two.update(key, { expect: Object.fromEntries([[name, everyByte]]), remove: [name] }),
        'updated',
      )
      assert.equal(Object.keys((await one.read(key)) ?? {}).length, 2)
    }
  })

  test('what is no key, no bytes, no time and no position is refused by name', async () => {
    const { one, fresh } = clients()
    const key = fresh()
    await assertRejects(one.create(key, {}, { ttlMs: 0 }), 'FF_STORE_ARGUMENT')
    await assertRejects(one.create(key, {}, { ttlMs: 1.5 }), 'FF_STORE_ARGUMENT')
    await assertRejects(one.create(key, { a: 'text' as unknown as Uint8Array }, { ttlMs: 1 }), 'FF_STORE_ARGUMENT')
    await assertRejects(one.update(key, { ttlMs: Number.NaN }), 'FF_STORE_ARGUMENT')
    await assertRejects(one.raiseToken(key, 'e', -1, 1), 'FF_STORE_ARGUMENT')
    await assertRejects(one.read(7 as unknown as string), 'FF_STORE_ARGUMENT')
  })
}
