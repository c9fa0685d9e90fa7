/** The contract of streams: one order for everybody, bounded, and no gap that its reader is not told of. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store, StreamPage } from '../../store/store.ts'
import { until } from '../until.ts'
import { assertRejects, hourMs, text, textOf, type Clients } from './parts.ts'

const kept = { maxEntries: 1000, ttlMs: hourMs }

export function streamTests(clients: () => Clients): void {
  test('entries are read in the order of their numbers, from where the reader was', async () => {
    const { one, two, fresh } = clients()
    const stream = fresh()
    assert.deepEqual(await two.readStream(stream, 0), { entries: [], last: 0, gap: false })
    const first = await one.appendToStream(stream, text('a'), kept)
    assert.equal(await two.appendToStream(stream, text('b'), kept), first + 1)
    await one.appendToStream(stream, text('c'), kept)
    assert.deepEqual(shown(await two.readStream(stream, 0)), ['a', 'b', 'c'])
    const page = await one.readStream(stream, first, { limit: 1 })
    assert.deepEqual(shown(page), ['b'])
    assert.deepEqual([page.entries[0]?.number, page.last, page.gap], [first + 1, first + 2, false])
    assert.deepEqual(await one.readStream(stream, first + 2), { entries: [], last: first + 2, gap: false })
    assert.deepEqual(await one.readStream(stream, 0, { limit: 0 }), { entries: [], last: first + 2, gap: false })
  })

  test('a reader who follows while two clients append sees every entry once and in order', async () => {
    const { one, two, fresh } = clients()
    const stream = fresh()
    const work: { numbers: number[] | null } = { numbers: null }
    const appends = Array.from({ length: 120 }, (_, n) =>
      (n % 2 === 0 ? one : two).appendToStream(stream, text(String(n)), kept),
    )
    const working = Promise.all(appends).then((given) => {
      work.numbers = given
    })
    const seen: number[] = []
    const take = async (): Promise<void> => {
      const page: StreamPage = await two.readStream(stream, seen.at(-1) ?? 0, { limit: 7 })
      assert.equal(page.gap, false)
      seen.push(...page.entries.map(({ number }) => number))
    }
    while (work.numbers === null) await take()
    await working
    while (seen.length < 120) await take()
    assert.deepEqual(
      seen,
      work.numbers?.toSorted((a, b) => a - b),
    )
    assert.equal(seen.at(-1)! - seen[0]!, 119)
  })

  test('a stream keeps its newest entries, and tells who was too slow', async () => {
    const { one, two, fresh } = clients()
    const stream = fresh()
    const first = await one.appendToStream(stream, text('0'), kept)
    for (let n = 1; n < 10; n += 1) await append(n % 2 === 0 ? one : two, stream, String(n))
    const page = await two.readStream(stream, first)
    assert.deepEqual([shown(page), page.gap, page.last], [['7', '8', '9'], true, first + 9])
    assert.equal((await two.readStream(stream, first + 5)).gap, true)
    const next = await two.readStream(stream, first + 6)
    assert.deepEqual([shown(next), next.gap], [['7', '8', '9'], false])
    assert.equal((await two.readStream(stream, 0)).gap, false)
    // A number that nobody gave: of a memory that was lost.
    assert.equal((await two.readStream(stream, first + 1000)).gap, true)
  })

  test('a stream that nobody adds to expires, and one that begins anew is not taken for it', async () => {
    const { one, two, fresh } = clients()
    const stream = fresh()
    const old = await one.appendToStream(stream, text('a'), { maxEntries: 5, ttlMs: 30 })
    await until('the stream has expired', async () => (await two.readStream(stream, 0)).last === 0)
    assert.deepEqual(await two.readStream(stream, old), { entries: [], last: 0, gap: true })
    const next = await two.appendToStream(stream, text('b'), kept)
    assert.ok(next > old)
    const page = await one.readStream(stream, old)
    assert.deepEqual([shown(page), page.gap], [['b'], next !== old + 1])
  })

  test('streams are of any name and bytes', async () => {
    const { one, two, fresh } = clients()
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index)
    const stream = `${fresh()}\0{a}鍵`
    await one.appendToStream(stream, everyByte, kept)
    await one.appendToStream(stream, new Uint8Array(0), kept)
    const { entries } = await two.readStream(stream, 0)
    assert.deepEqual(new Uint8Array(entries[0]!.value), everyByte)
    assert.equal(entries[1]?.value.length, 0)
    await assertRejects(one.appendToStream(stream, text('x'), { maxEntries: 0, ttlMs: 1 }), 'FF_STORE_ARGUMENT')
    await assertRejects(one.readStream(stream, -1), 'FF_STORE_ARGUMENT')
  })
}

/** Reads that wait. A client of its own each, so that nothing of one test wakes another. */
export function followingTests(
  connect: (deadlineMs: number) => Promise<Store>,
  clients: () => Clients,
  restart: () => Promise<void>,
  wakesWithinMs: number,
): void {
  const withReader = async (work: (reader: Store) => Promise<void>, deadlineMs = 5000): Promise<void> => {
    const reader = await connect(deadlineMs)
    try {
      await until('the reader is connected', () => reader.ping())
      await work(reader)
    } finally {
      await reader.close()
    }
  }

  test('a read that waits is answered as soon as another client appends', () =>
    withReader(async (reader) => {
      const { one, fresh } = clients()
      const stream = fresh()
      let quickest = Infinity
      // Several attempts, because a busy machine may be late; never early.
      for (let last = 0, round = 0; round < 12 && quickest > wakesWithinMs; round += 1) {
        const waiting = timed(reader.readStream(stream, last, { waitMs: 20_000 }))
        await letWait(reader)
        const number = await one.appendToStream(stream, text(String(round)), kept)
        const appendedMs = performance.now()
        const { value: page, endedMs } = await waiting
        assert.deepEqual([shown(page), page.last, page.gap], [[String(round)], number, false])
        quickest = Math.min(quickest, endedMs - appendedMs)
        last = number
      }
      assert.ok(quickest <= wakesWithinMs, `woke ${quickest} ms after the append at best`)
    }))

  test('a read does not wait where there is something to tell, and answers an empty page when its time is over', () =>
    withReader(async (reader) => {
      const { one, fresh } = clients()
      const stream = fresh()
      const number = await one.appendToStream(stream, text('a'), kept)
      assert.deepEqual(shown(await reader.readStream(stream, 0, { waitMs: 30_000 })), ['a'])
      assert.equal((await reader.readStream(stream, number + 9, { waitMs: 30_000 })).gap, true)
      assert.equal((await reader.readStream(fresh(), 7, { waitMs: 30_000 })).gap, true)
      const began = performance.now()
      const empty = await reader.readStream(stream, number, { waitMs: 120 })
      assert.deepEqual(empty, { entries: [], last: number, gap: false })
      const tookMs = performance.now() - began
      assert.ok(tookMs >= 110 && tookMs < 120 + 1500, `took ${tookMs} ms`)
      await assertRejects(reader.readStream(stream, 0, { waitMs: 30_001 }), 'FF_STORE_ARGUMENT')
      await assertRejects(reader.readStream(stream, 0, { waitMs: 0.5 }), 'FF_STORE_ARGUMENT')
    }))

  test('while reads wait, the same client does everything else', () =>
    withReader(async (reader) => {
      const { one, fresh } = clients()
      const streams = [fresh(), fresh(), fresh()]
      const waiting = streams.map((stream) => timed(reader.readStream(stream, 0, { waitMs: 20_000 })))
      for (let turn = 0; turn < 20; turn += 1) assert.equal(await reader.read(fresh()), null)
      const began = performance.now()
      for (const stream of streams) await one.appendToStream(stream, text(stream), kept)
      const pages = await Promise.all(waiting)
      assert.deepEqual(
        pages.map(({ value }) => shown(value)),
        streams.map((stream) => [stream]),
      )
      for (const { endedMs } of pages) assert.ok(endedMs >= began, 'it did wait')
    }))

  test('close ends a read that waits at once, by name', async () => {
    const { fresh } = clients()
    const reader = await connect(5000)
    await until('the reader is connected', () => reader.ping())
    const refused = assertRejects(reader.readStream(fresh(), 0, { waitMs: 30_000 }), 'FF_CORE_CLOSED')
    await letWait(reader)
    const began = performance.now()
    await reader.close()
    await refused
    assert.ok(performance.now() - began < 2000)
  })

  test('a read that waits while its server is killed ends in its time, and the next one works', () =>
    withReader(async (reader) => {
      const { one, two, fresh } = clients()
      const stream = fresh()
      const number = await one.appendToStream(stream, text('a'), kept)
      const waiting = reader.readStream(stream, number, { waitMs: 1000 }).catch((error: unknown) => error)
      await letWait(reader)
      await restart()
      const outcome = await waiting
      if (outcome instanceof Error)
        await assertRejects(Promise.reject(outcome), 'FF_STORE_UNAVAILABLE', 'FF_STORE_DEADLINE')
      await until('the server is back', () => Promise.all([one, two, reader].map((store) => store.ping())))
      const again = reader.readStream(stream, 0, { waitMs: 20_000 })
      await one.appendToStream(stream, text('b'), kept)
      const page = await again
      assert.ok(page.last > 0 && page.entries.length > 0)
    }))
}

/** By when the read has reached the server, as far as one can tell from outside. */
async function letWait(reader: Store): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await reader.ping()
}

async function timed<T>(work: Promise<T>): Promise<{ value: T; endedMs: number }> {
  const value = await work
  return { value, endedMs: performance.now() }
}

function append(store: Store, stream: string, value: string): Promise<number> {
  return store.appendToStream(stream, text(value), { maxEntries: 3, ttlMs: hourMs })
}

function shown(page: StreamPage): string[] {
  return page.entries.map(({ value }) => textOf(value))
}
