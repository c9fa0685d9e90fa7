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

function append(store: Store, stream: string, value: string): Promise<number> {
  return store.appendToStream(stream, text(value), { maxEntries: 3, ttlMs: hourMs })
}

function shown(page: StreamPage): string[] {
  return page.entries.map(({ value }) => textOf(value))
}
