/**
 * The contract of every store driver, as tests for `node:test`. A driver passes when it does what `Store`'s prose
 * says, against its real server: two clients at once, expiry, any bytes, a server that restarts, a server that is
 * paused.
 *
 * @example
 * storeContract({ name: 'redis', start: startRedis, survivesRestart: false })
 */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Store } from '../store/store.ts'
import { assertRejects, hourMs, text, type Clients } from './store-contract/parts.ts'
import { budgetTests } from './store-contract/budgets.ts'
import { registryTests } from './store-contract/registry.ts'
import { followingTests, streamTests } from './store-contract/streams.ts'
import { until } from './until.ts'

/** A real server that the contract may restart and pause. */
export interface StoreServerUnderTest {
  connect(options: { readonly deadlineMs: number }): Promise<Store>
  /** Kills the server as by SIGKILL and starts it again at the same address. */
  restart(): Promise<void>
  /** Stops its process without ending it, as by SIGSTOP. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export interface StoreContractOptions {
  readonly name: string
  readonly start: () => Promise<StoreServerUnderTest>
  /** Whether what was acknowledged is still there after `restart`. If not, the incarnation must change. */
  readonly survivesRestart: boolean
  /** Whether the incarnation is still the same then: not where the server cannot know that nothing was lost. Default: as `survivesRestart`. */
  readonly keepsIncarnation?: boolean
  /** How soon a read that waits hears of an append where nothing else is to be done. Default: 50. */
  readonly wakesWithinMs?: number
  /** Why the suite cannot run here. */
  readonly skip?: string | false
}

/** Generous, because test machines are busy; the tests of deadlines use their own. */
const deadlineMs = 5000

/** Registers the contract's tests. */
export function storeContract(options: StoreContractOptions): void {
  describe(`the contract of stores: ${options.name}`, { skip: options.skip ?? false }, () => {
    let server: StoreServerUnderTest
    let one: Store
    let two: Store
    let names = 0
    const fresh = (): string => `contract:${(names += 1)}`

    before(async () => {
      server = await options.start()
      one = await server.connect({ deadlineMs })
      two = await server.connect({ deadlineMs })
      await until('both clients are connected', () => Promise.all([one.ping(), two.ping()]))
    })
    after(async () => {
      await Promise.all([one?.close(), two?.close()])
      await server?.stop()
    })
    const clients = (): Clients => ({ one, two, fresh })

    recordTests(clients)
    bytesTests(clients)
    expiryTests(clients)
    tokenTests(clients)
    leaseTests(clients)
    registryTests(clients)
    streamTests(clients)
    followingTests(
      (ms) => server.connect({ deadlineMs: ms }),
      clients,
      () => server.restart(),
      options.wakesWithinMs ?? 50,
    )
    budgetTests(clients)
    closingTests(() => server)
    failureTests(() => server, clients, options)
  })
}

function recordTests(clients: () => Clients): void {
  test('a record that one client makes is read by the other', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.equal(await two.read(key), null)
    assert.equal(await one.create(key, { name: text('Ada') }, { ttlMs: hourMs }), true)
    assert.equal(await two.create(key, { name: text('Eve') }, { ttlMs: hourMs }), false)
    assertFields(await two.read(key), { name: 'Ada' })
  })

  test('a record without fields exists', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.equal(await one.create(key, {}, { ttlMs: hourMs }), true)
    assertFields(await two.read(key), {})
    assert.equal(await two.update(key, { set: { a: text('1') } }), 'updated')
    assert.equal(await two.update(key, { remove: ['a', 'never there'] }), 'updated')
    assertFields(await one.read(key), {})
    assert.equal(await one.delete(key), true)
  })

  test('an update touches only the fields that it names', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { kept: text('1'), changed: text('2'), removed: text('3') }, { ttlMs: hourMs })
    assert.equal(
      await two.update(key, { set: { changed: text('x'), added: text('y') }, remove: ['removed'] }),
      'updated',
    )
    assertFields(await one.read(key), { kept: '1', changed: 'x', added: 'y' })
  })

  test('concurrent updates of different fields by two clients lose none', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, {}, { ttlMs: hourMs })
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    await Promise.all(
      numbers.map((n) => (n % 2 === 0 ? one : two).update(key, { set: { [`f${n}`]: text(String(n)) } })),
    )
    const expected = Object.fromEntries(numbers.map((n) => [`f${n}`, String(n)]))
    assertFields(await two.read(key), expected)
  })

  test('a deleted record is never revived by an update', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1') }, { ttlMs: hourMs })
    const results = await Promise.all([
      ...Array.from({ length: 20 }, (_, n) => two.update(key, { set: { [`f${n}`]: text('x') }, ttlMs: hourMs })),
      one.delete(key),
      ...Array.from({ length: 20 }, (_, n) => two.update(key, { set: { [`g${n}`]: text('x') }, ttlMs: hourMs })),
    ])
    assert.equal(results[20], true)
    assert.equal(await two.update(key, { set: { late: text('x') }, ttlMs: hourMs }), 'missing')
    assert.equal(await two.update(key, { expect: { a: null }, set: { late: text('x') } }), 'missing')
    assert.equal(await one.read(key), null)
    assert.equal(await one.delete(key), false)
  })

  test('compare and set writes only where every expectation holds', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1'), b: text('2') }, { ttlMs: hourMs })
    assert.equal(await two.update(key, { expect: { a: text('1'), b: text('9') }, set: { a: text('x') } }), 'conflict')
    assert.equal(await two.update(key, { expect: { b: null }, set: { a: text('x') } }), 'conflict')
    assert.equal(await two.update(key, { expect: { c: text('') }, remove: ['a'] }), 'conflict')
    assertFields(await one.read(key), { a: '1', b: '2' })
    assert.equal(
      await two.update(key, { expect: { a: text('1'), c: null }, set: { c: text('3') }, remove: ['a'] }),
      'updated',
    )
    assertFields(await one.read(key), { b: '2', c: '3' })
  })

  test('a race of compare and set has exactly one winner', async () => {
    const { one, two, fresh } = clients()
    for (let round = 0; round < 10; round += 1) {
      const key = fresh()
      await one.create(key, { turn: text('free') }, { ttlMs: hourMs })
      const attempts = Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? one : two).update(key, { expect: { turn: text('free') }, set: { turn: text(`taken by ${n}`) } }),
      )
      const results = await Promise.all(attempts)
      assert.equal(results.filter((result) => result === 'updated').length, 1)
      assert.equal(results.filter((result) => result === 'conflict').length, 19)
      const winner = results.indexOf('updated')
      assertFields(await two.read(key), { turn: `taken by ${winner}` })
    }
  })

  test('a race to make a record has exactly one winner', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const made = await Promise.all([one, two, one, two].map((store) => store.create(key, {}, { ttlMs: hourMs })))
    assert.equal(made.filter(Boolean).length, 1)
  })

  test('list finds the living records of a prefix, and no tokens or leases', async () => {
    const { one, two, fresh } = clients()
    // Signs that stand for others in patterns are ordinary here.
    const prefix = `${fresh()}[*?\\^]:`
    await Promise.all(['a', 'b', 'c'].map((name) => one.create(prefix + name, {}, { ttlMs: hourMs })))
    await one.create(`${prefix.replace('*', 'x')}d`, {}, { ttlMs: hourMs })
    await Promise.all([one.raiseToken(`${prefix}t`, 'e', 1, hourMs), one.acquireLease(`${prefix}l`, 'me', hourMs)])
    await one.delete(`${prefix}b`)
    assert.deepEqual([...(await two.list(prefix))].toSorted(), [`${prefix}a`, `${prefix}c`])
    assert.equal((await two.list(prefix, { limit: 1 })).length, 1)
    assert.deepEqual(await two.list(`${prefix}none`), [])
  })
}

function bytesTests(clients: () => Clients): void {
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

function expiryTests(clients: () => Clients): void {
  test('what has expired does not exist', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1') }, { ttlMs: 40 })
    await one.raiseToken(key, 'e', 1, 40)
    await until('the record has expired', async () => (await two.read(key)) === null)
    await until('the token has expired', async () => (await two.readToken(key)) === null)
    assert.equal(await two.update(key, { set: { a: text('2') }, ttlMs: hourMs }), 'missing')
    assert.equal(await two.delete(key), false)
    assert.deepEqual(await two.list(key), [])
    assert.equal(await two.create(key, {}, { ttlMs: hourMs }), true)
    assertFields(await one.read(key), {})
  })

  test('an update without a time to live leaves the old one, with one gives a new one', async () => {
    const { one, two, fresh } = clients()
    const [longer, same] = [fresh(), fresh()]
    await Promise.all([longer, same].map((key) => one.create(key, {}, { ttlMs: 400 })))
    assert.equal(await one.update(longer, { set: { a: text('1') }, ttlMs: hourMs }), 'updated')
    assert.equal(await one.update(same, { set: { a: text('1') } }), 'updated')
    await until('the one that was not lengthened has expired', async () => (await two.read(same)) === null)
    assertFields(await two.read(longer), { a: '1' })
  })
}

function tokenTests(clients: () => Clients): void {
  test('a token only rises, however many raise it at once', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.equal(await one.readToken(key), null)
    const lsns = Array.from({ length: 100 }, (_, n) => ((n * 7919) % 100) + 2 ** 40)
    await Promise.all(lsns.map((lsn, n) => (n % 2 === 0 ? one : two).raiseToken(key, 'epoch-1', lsn, hourMs)))
    assert.deepEqual(await two.readToken(key), { parts: { 'epoch-1': 2 ** 40 + 99 } })
    await two.raiseToken(key, 'epoch-1', 5, hourMs)
    assert.deepEqual(await one.readToken(key), { parts: { 'epoch-1': 2 ** 40 + 99 } })
  })

  test('positions are exact up to the greatest whole number', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.raiseToken(key, 'e', Number.MAX_SAFE_INTEGER - 1, hourMs)
    await one.raiseToken(key, 'e', Number.MAX_SAFE_INTEGER, hourMs)
    assert.deepEqual(await two.readToken(key), { parts: { e: Number.MAX_SAFE_INTEGER } })
  })

  test('a mixture keeps every part, and is replaced only as it was seen', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.raiseToken(key, 'old', 900, hourMs)
    await two.raiseToken(key, 'new', 7, hourMs)
    const seen = { parts: { old: 900, new: 7 } }
    assert.deepEqual({ ...(await one.readToken(key))?.parts }, seen.parts)
    const next = { epoch: 'new', lsn: 8 }
    assert.equal(await one.replaceToken(key, { parts: { new: 7 } }, next, hourMs), false)
    assert.equal(await one.replaceToken(key, { parts: { old: 900, new: 6 } }, next, hourMs), false)
    assert.equal(await one.replaceToken(key, { parts: { old: 900, other: 7 } }, next, hourMs), false)
    assert.equal(await one.replaceToken(key, { parts: { old: 900, new: 7, more: 1 } }, next, hourMs), false)
    const replaced = await Promise.all([one, two].map((store) => store.replaceToken(key, seen, next, hourMs)))
    assert.equal(replaced.filter(Boolean).length, 1)
    assert.deepEqual(await two.readToken(key), { parts: { new: 8 } })
    assert.equal(await one.replaceToken(fresh(), { parts: {} }, next, hourMs), false)
  })

  test('raising gives a new time to live', async () => {
    const { one, two, fresh } = clients()
    const [longer, same] = [fresh(), fresh()]
    await Promise.all([longer, same].map((key) => one.raiseToken(key, 'e', 10, 200)))
    await one.raiseToken(longer, 'e', 1, hourMs)
    await until('the other has expired', async () => (await two.readToken(same)) === null)
    assert.deepEqual(await two.readToken(longer), { parts: { e: 10 } })
  })
}

function leaseTests(clients: () => Clients): void {
  test('one holder at a time, and the holder keeps its fence', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const taken = await Promise.all([one.acquireLease(key, 'a', hourMs), two.acquireLease(key, 'b', hourMs)])
    const held = taken.find((lease) => lease !== null)
    assert.ok(held !== undefined && held !== null)
    assert.equal(taken.filter((lease) => lease !== null).length, 1)
    assert.deepEqual(await two.acquireLease(key, held.holder, hourMs), held)
    assert.equal(await two.renewLease(held, hourMs), true)
    assert.equal(await two.renewLease({ ...held, fence: held.fence + 1 }, hourMs), false)
    assert.equal(await two.renewLease({ ...held, holder: 'c' }, hourMs), false)
    await two.releaseLease({ ...held, fence: held.fence + 1 })
    assert.equal(await one.acquireLease(key, 'c', hourMs), null)
  })

  test('fences only rise: after release, after expiry, for every new holder', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    let last = 0
    for (let round = 0; round < 6; round += 1) {
      const store = round % 2 === 0 ? one : two
      const ttlMs = round % 3 === 0 ? 30 : hourMs
      const lease = await until('the lease is free', () => store.acquireLease(key, `holder ${round}`, ttlMs))
      assert.ok(Number.isSafeInteger(lease.fence) && lease.fence > last, `${lease.fence} after ${last}`)
      last = lease.fence
      if (ttlMs === hourMs) await store.releaseLease(lease)
    }
  })

  test('a lease that expired cannot be renewed, and its old holder does not give away the new one', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const old = await one.acquireLease(key, 'a', 30)
    assert.ok(old !== null)
    const next = await until('the lease is free', () => two.acquireLease(key, 'b', hourMs))
    assert.equal(await one.renewLease(old, hourMs), false)
    await one.releaseLease(old)
    assert.equal(await one.acquireLease(key, 'a', hourMs), null)
    assert.equal(await two.renewLease(next, hourMs), true)
  })
}

function closingTests(server: () => StoreServerUnderTest): void {
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

function failureTests(
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

function assertFields(fields: Readonly<Record<string, Uint8Array>> | null, expected: Record<string, string>): void {
  assert.ok(fields !== null, 'the record is there')
  const decoded = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString()]),
  )
  assert.deepEqual(decoded, expected)
}
