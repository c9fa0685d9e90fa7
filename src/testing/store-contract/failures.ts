/** The part of the stores' contract that is about ends and failures: clients that close, servers that are paused or killed. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { assertFields, assertRejects, deadlineMs, hourMs, text, type Clients } from './parts.ts'

import type { StoreContractOptions, StoreServerUnderTest } from './options.ts'

export function closingTests(server: () => StoreServerUnderTest): void {
  test('close may be called twice; later calls are refused', async () => {
    const store = await server().connect({ deadlineMs })
    await until('the client is connected', () => store.ping())
    const underWay = store.read('contract:closing')
    await Promise.all([store.close(), store.close()])
    assert.equal(await underWay, null)
    await store.close()
    await assertRejects(store.read('k'), 'FF_CORE_CLOSED')
    await assertRejects(store.ping(), 'FF_CORE_CLOSED')
    await assertRejects(Promise.resolve(store.incarnation()), 'FF_CORE_CLOSED')
  })
}

export function failureTests(
  server: () => StoreServerUnderTest,
  clients: () => Clients,
  { survivesRestart, keepsIncarnation = survivesRestart }: StoreContractOptions,
): void {
  test('a paused server costs a caller the deadline and no more, and is used again when it goes on', async () => {
    const quick = await server().connect({ deadlineMs: 100 })
    try {
      await until('the client is connected', () => quick.ping())
      server().pause()
      for (let call = 0; call < 4; call += 1) {
        const began = performance.now()
        await assertRejects(quick.read('k'), 'FF_STORE_DEADLINE', 'FF_STORE_UNAVAILABLE')
        // The deadline, and what a busy machine adds to a timer.
        assert.ok(performance.now() - began < 100 + 900)
      }
    } finally {
      server().resume()
    }
    await until('the server answers again', () => quick.ping())
    await quick.close()
  })

  test('a process that stood still itself does not take that for the store', async () => {
    const quick = await server().connect({ deadlineMs: 100 })
    try {
      await until('the client is connected', () => quick.ping())
      for (let turn = 0; turn < 3; turn += 1) {
        const answer = quick.read('k')
        // By then the question is on its way.
        await new Promise((resolve) => setImmediate(resolve))
        const untilMs = performance.now() + 300
        while (performance.now() < untilMs);
        assert.equal(await answer, null)
      }
    } finally {
      await quick.close()
    }
  })

  test('clients reconnect to a server that was killed', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1') }, { ttlMs: hourMs })
    const lease = await one.acquireLease(key, 'a', hourMs)
    await one.raiseToken(key, 'e', 5, hourMs)
    const registered = await one.register(key, 'a', text('1'), hourMs)
    const number = await one.appendToStream(key, text('1'), { maxEntries: 5, ttlMs: hourMs })
    const before = await one.incarnation()
    assert.equal(await two.incarnation(), before)
    await server().restart()
    await until('both are connected again', () => Promise.all([one.ping(), two.ping()]))
    const later = await two.incarnation()
    assert.equal(later === before, keepsIncarnation)
    assert.equal(await one.incarnation(), later)
    if (survivesRestart) {
      assertFields(await two.read(key), { a: '1' })
      assert.deepEqual(await two.readToken(key), { parts: { e: 5 } })
      assert.equal(await two.acquireLease(key, 'b', hourMs), null)
      await one.releaseLease(lease!)
      assert.equal(await two.renewRegistration(registered, hourMs), true)
      assert.equal((await two.readStream(key, 0)).last, number)
    } else {
      assert.equal(await two.renewRegistration(registered, hourMs), false)
      assert.equal((await two.readStream(key, number)).gap, true)
    }
    assert.ok((await two.register(key, 'a', text('2'), hourMs)).fence > registered.fence, 'nor does an entry’s')
    const next = await until('the lease is free', () => two.acquireLease(key, 'b', hourMs))
    assert.ok(next.fence > lease!.fence, 'a fence never goes back')
  })
}
