/**
 * The contract of every driver of the cache's second tier, as tests for `node:test`. A driver passes when it does what
 * `CacheTier`'s prose says, against its real server.
 *
 * @example
 * tierContract({ name: 'memcached', start: startMemcachedProcess })
 */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import type { CacheTier } from '../store/tier.ts'
import { assertRejects, hourMs, text } from './store-contract/parts.ts'
import { until } from './until.ts'

/** A real server that the contract may restart and pause. */
export interface TierServerUnderTest {
  connect(options: { readonly deadlineMs: number }): Promise<CacheTier>
  /** Kills the server as by SIGKILL and starts it again at the same address. */
  restart(): Promise<void>
  /** Stops its process without ending it, as by SIGSTOP. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export interface TierContractOptions {
  readonly name: string
  readonly start: () => Promise<TierServerUnderTest>
  /** Why the suite cannot run here. */
  readonly skip?: string | false
}

interface TierClients {
  readonly one: CacheTier
  readonly two: CacheTier
  readonly fresh: () => string
}

/** Generous, because test machines are busy; the tests of deadlines use their own. */
const deadlineMs = 5000
/** Memcached's clock ticks once a second, and its seconds are rounded up. */
const longestExpiryMs = 6000

/** Registers the contract's tests. */
export function tierContract(options: TierContractOptions): void {
  describe(`the contract of cache tiers: ${options.name}`, { skip: options.skip ?? false }, () => {
    let server: TierServerUnderTest
    let one: CacheTier
    let two: CacheTier
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
    const clients = (): TierClients => ({ one, two, fresh })

    valueTests(clients)
    keyTests(clients)
    sizeTests(clients)
    endingTests(() => server)
    failureTests(() => server, clients)
  })
}

function valueTests(clients: () => TierClients): void {
  test('what one client sets the other gets, until it is replaced or deleted', async () => {
    const { one, two, fresh } = clients()
    const [a, b] = [fresh(), fresh()]
    assert.deepEqual(await two.getMany([a, b]), [null, null])
    await one.set(a, text('1'), hourMs)
    assertValues(await two.getMany([b, a, a]), [null, '1', '1'])
    await two.set(a, text('2'), hourMs)
    await two.set(b, text('3'), hourMs)
    assertValues(await one.getMany([a, b]), ['2', '3'])
    await one.delete(a)
    await one.delete(fresh())
    assertValues(await two.getMany([a, b]), [null, '3'])
    assert.deepEqual(await two.getMany([]), [])
  })

  test('values are any bytes', async () => {
    const { one, two, fresh } = clients()
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index)
    const values = [
      everyByte,
      new Uint8Array(0),
      text('END\r\n'),
      text('\r\nVALUE x 0 1\r\n$-1\r\n'),
      new Uint8Array(1),
    ]
    for (const value of values) {
      const key = fresh()
      await one.set(key, value, hourMs)
      const [got] = await two.getMany([key])
      assert.ok(got instanceof Uint8Array)
      assert.deepEqual([...got], [...value])
    }
  })

  test('many keys are got at once, each with its value', async () => {
    const { one, two, fresh } = clients()
    const keys = Array.from({ length: 500 }, fresh)
    const sets = keys.map((key, n) => ({ key, client: n % 2 === 0 ? one : two })).filter((_, n) => n % 3 !== 0)
    await Promise.all(sets.map(({ key, client }) => client.set(key, text(key), hourMs)))
    const expected = keys.map((key, n) => (n % 3 === 0 ? null : key))
    assertValues(await one.getMany(keys), expected)
    const parts = await Promise.all([keys.slice(0, 250), keys.slice(250)].map((part) => two.getMany(part)))
    assertValues(parts.flat(), expected)
  })

  test('a value is gone when its time is over, and not before', async () => {
    const { one, two, fresh } = clients()
    const [brief, long] = [fresh(), fresh()]
    await Promise.all([one.set(brief, text('1'), 300), one.set(long, text('2'), hourMs)])
    assertValues(await two.getMany([brief, long]), ['1', '2'])
    await until('it has expired', async () => (await two.getMany([brief]))[0] === null, longestExpiryMs)
    assertValues(await two.getMany([long]), ['2'])
    await one.set(brief, text('3'), hourMs)
    assertValues(await two.getMany([brief]), ['3'])
  })
}

function keyTests(clients: () => TierClients): void {
  test('keys are any text, and no two are one', async () => {
    const { one, two, fresh } = clients()
    const base = fresh()
    const suffixes = ['', ' ', '\0', '\r\n', 'a b', 'naïve', '鍵', '🔑', '{a}', '{b}', '*', '__proto__', 'k:', 'h:']
    const long = ['x'.repeat(249), 'x'.repeat(250), 'x'.repeat(251), 'x'.repeat(5000)]
    const keys = [...suffixes, ...long].map((suffix) => `${base}${suffix}`)
    await Promise.all(keys.map((key, n) => one.set(key, text(String(n)), hourMs)))
    assertValues(
      await two.getMany(keys),
      keys.map((_, n) => String(n)),
    )
    await two.delete(keys[3]!)
    assertValues(await one.getMany(keys.slice(2, 5)), ['2', null, '4'])
  })

  test('what is no key, no bytes and no time is refused by name', async () => {
    const { one, fresh } = clients()
    await assertRejects(one.getMany([7 as unknown as string]), 'FF_STORE_ARGUMENT')
    await assertRejects(one.set(fresh(), 'text' as unknown as Uint8Array, hourMs), 'FF_STORE_ARGUMENT')
    await assertRejects(one.set(fresh(), text('x'), 0), 'FF_STORE_ARGUMENT')
    await assertRejects(one.set(fresh(), text('x'), 1.5), 'FF_STORE_ARGUMENT')
  })
}

function sizeTests(clients: () => TierClients): void {
  test('a value up to the limit is kept, a larger one is not stored and takes the old one with it', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.ping()
    const limit = one.maxValueBytes
    assert.ok(limit >= 500_000 && Number.isSafeInteger(limit))
    const largest = new Uint8Array(limit).map((_, index) => index % 251)
    await one.set(key, largest, hourMs)
    const [got] = await two.getMany([key])
    assert.equal(Buffer.compare(got ?? new Uint8Array(0), largest), 0)
    await one.set(key, new Uint8Array(limit + 1), hourMs)
    assert.deepEqual(await two.getMany([key]), [null])
    await one.set(key, text('small'), hourMs)
    assertValues(await two.getMany([key]), ['small'])
  })

  test('small values are answered while large ones are on their way', async () => {
    const { one, two, fresh } = clients()
    const [small, ...large] = Array.from({ length: 6 }, fresh)
    await one.set(small!, text('small'), hourMs)
    const bytes = new Uint8Array(500_000).fill(7)
    const setting = Promise.all(large.map((key) => one.set(key, bytes, hourMs)))
    assertValues(await two.getMany([small!]), ['small'])
    await setting
    const sizes = (await two.getMany([small!, ...large])).map((value) => value?.length)
    assert.deepEqual(sizes, [5, ...large.map(() => bytes.length)])
  })
}

function endingTests(server: () => TierServerUnderTest): void {
  test('close may be called twice; later calls are refused', async () => {
    const tier = await server().connect({ deadlineMs })
    await until('the client is connected', () => tier.ping())
    const underWay = tier.getMany(['contract:closing'])
    await Promise.all([tier.close(), tier.close()])
    assert.deepEqual(await underWay, [null])
    await tier.close()
    await assertRejects(tier.getMany(['k']), 'FF_CORE_CLOSED')
    await assertRejects(tier.set('k', text('x'), hourMs), 'FF_CORE_CLOSED')
    await assertRejects(tier.ping(), 'FF_CORE_CLOSED')
  })
}

function failureTests(server: () => TierServerUnderTest, clients: () => TierClients): void {
  test('a paused server costs a caller the deadline and no more, and is used again when it goes on', async () => {
    const quick = await server().connect({ deadlineMs: 100 })
    try {
      await until('the client is connected', () => quick.ping())
      server().pause()
      for (let call = 0; call < 4; call += 1) {
        const began = performance.now()
        const work = call % 2 === 0 ? quick.getMany(['k']) : quick.set('k', text('x'), hourMs)
        await assertRejects(work, 'FF_STORE_DEADLINE', 'FF_STORE_UNAVAILABLE')
        assert.ok(performance.now() - began < 100 + 900)
      }
      server().resume()
      await until('the server answers again', () => quick.ping())
    } finally {
      server().resume()
      await quick.close()
    }
  })

  test('clients reconnect to a server that was killed, and never get another value', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.set(key, text('1'), hourMs)
    await server().restart()
    await until('both are connected again', () => Promise.all([one.ping(), two.ping()]))
    const [kept] = await two.getMany([key])
    assert.ok(kept === null || Buffer.from(kept!).toString() === '1')
    await two.set(key, text('2'), hourMs)
    assertValues(await one.getMany([key]), ['2'])
  })
}

function assertValues(values: readonly (Uint8Array | null)[], expected: readonly (string | null)[]): void {
  assert.deepEqual(
    values.map((value) => (value === null ? null : Buffer.from(value).toString())),
    expected,
  )
}
