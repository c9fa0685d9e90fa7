/** What workers know of their entries: the reverse index, who owns which bucket, what waits, and what falls due. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import fc from 'fast-check'

import { hashName, hashRow, templateId } from '../../src/freshness/changes/hash.ts'
import { bucketCount } from '../../src/pages/catalogue.ts'
import { keysOfCommit, keysOfEntry, saltOf } from '../../src/pages/baker/dependency-keys.ts'
import { DueTimes } from '../../src/pages/baker/due.ts'
import { Item } from '../../src/pages/baker/items.ts'
import { ownedBuckets } from '../../src/pages/baker/ownership.ts'
import { BakeQueue } from '../../src/pages/baker/queue.ts'
import { ReverseIndex } from '../../src/pages/baker/reverse-index.ts'
import { Weights } from '../../src/pages/baker/weights.ts'

import type { CommitChanges } from '../../src/freshness/changes/message.ts'

suite('the reverse index', () => {
  test('names what a plain map names, through any changes', () => {
    const step = fc.record({
      entry: fc.integer({ min: 0, max: 40 }),
      // Few, so that chains are long and keys are shared; null takes the entry out.
      keys: fc.option(
        fc.array(
          fc.integer({ min: 0, max: 60 }).map((key) => key * 0x01000000),
          { maxLength: 12 },
        ),
      ),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const index = new ReverseIndex()
        const model = new Map<number, ReadonlySet<number>>()
        for (const { entry, keys } of steps) {
          if (keys === null) index.remove(entry)
          else index.set(entry, keys)
          model.set(entry, new Set(keys ?? []))
        }
        for (let key = 0; key <= 60; key += 1) {
          const wanted = key * 0x01000000
          const named: number[] = []
          index.visit(wanted, (entry) => named.push(entry))
          const expected = [...model].filter(([, keys]) => keys.has(wanted)).map(([entry]) => entry)
          assert.deepEqual(
            named.toSorted((a, b) => a - b),
            expected.toSorted((a, b) => a - b),
          )
        }
        assert.equal(
          index.size,
          [...model.values()].reduce((sum, keys) => sum + keys.size, 0),
        )
      }),
      { numRuns: 200 },
    )
  })

  test('100,000 entries with 30 keys each take less than 110 MB, and are taken out one by one', () => {
    const index = new ReverseIndex()
    const keysOf = (entry: number): number[] =>
      // The first one all have in common.
      Array.from({ length: 30 }, (_, at) => (at === 0 ? 7 : Math.imul(entry * 30 + at, 0x9e3779b1) >>> 0))
    for (let entry = 0; entry < 100_000; entry += 1) index.set(entry, keysOf(entry))
    assert.equal(index.size, 3_000_000)
    assert.ok(index.bytes < 110 * 1024 * 1024, `${index.bytes} bytes`)
    let named = 0
    index.visit(7, () => (named += 1))
    assert.equal(named, 100_000)
    // Baked again: the same place for what is as before.
    const { bytes } = index
    for (let entry = 0; entry < 100_000; entry += 1) index.set(entry, keysOf(entry))
    assert.equal(index.bytes, bytes)
    for (let entry = 0; entry < 100_000; entry += 1) index.remove(entry)
    assert.equal(index.size, 0)
  })

  test('a commit and an entry meet in rows, whole tables, names, and what a commit cannot tell', () => {
    const template = templateId(5, ['id'])
    const [row, other, name] = [hashRow(template, ['1']), hashRow(template, ['2']), hashName('weather')]
    const part = (dependencies: object): any => ({
      database: 'main',
      dependencies: { tables: [], rows: [], names: [], ...dependencies },
    })
    const commit = (changes: Partial<CommitChanges>): CommitChanges => ({
      ...{ to: 1, tables: [], wide: [], everything: false, hashes: new Uint32Array() },
      ...changes,
    })
    const meet = (dependencies: object, changes: Partial<CommitChanges>, database = 'main'): boolean => {
      const own = new Set(keysOfEntry([part(dependencies)], saltOf))
      return keysOfCommit(commit(changes), saltOf(database)).some((key) => own.has(key))
    }
    const ofRow = { rows: [{ template, table: 5, hashes: [...row] }] }
    const change = { tables: [5], hashes: Uint32Array.from(row) }
    assert.equal(meet(ofRow, change), true)
    assert.equal(meet(ofRow, { tables: [5], hashes: Uint32Array.from(other) }), false)
    assert.equal(meet(ofRow, change, 'another'), false)
    assert.equal(meet(ofRow, { wide: [5] }), true)
    assert.equal(meet(ofRow, { wide: [6] }), false)
    assert.equal(meet({ tables: [5] }, change), true)
    assert.equal(meet({ tables: [5] }, { wide: [5] }), true)
    assert.equal(meet({ tables: [6] }, change), false)
    assert.equal(meet({ names: [...name] }, { hashes: Uint32Array.from(name) }), true)
    assert.equal(meet({ names: [...name] }, change), false)
  })
})

suite('who owns which bucket', () => {
  const members = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 })

  test('each bucket has one owner, whoever asks, and nobody is left with little', () => {
    fc.assert(
      fc.property(members, (all) => {
        const owned = all.map((self) => ownedBuckets(self, all))
        for (let bucket = 0; bucket < bucketCount; bucket += 1) {
          assert.equal(
            owned.reduce((sum, own) => sum + own[bucket]!, 0),
            1,
          )
        }
      }),
      { numRuns: 50 },
    )
    const four = ['one', 'two', 'three', 'four']
    for (const self of four) {
      const share = ownedBuckets(self, four).reduce((sum, own) => sum + own, 0)
      assert.ok(share > 180 && share < 340, `${share} of ${bucketCount}`)
    }
  })

  test('a member that goes leaves the others what they had', () => {
    const before = ownedBuckets('one', ['one', 'two', 'three'])
    const after = ownedBuckets('one', ['one', 'two'])
    assert.ok(before.every((own, bucket) => own <= after[bucket]!))
  })
})

suite('what waits', () => {
  const item = (id: string): Item => new Item(id, { name: 'page' } as never, id, 0, 0)

  test('those that are asked for most come first, each once, and the least go when there is no room', () => {
    const weights: Record<string, number> = { a: 1, b: 5, c: 3, d: 0, e: 4 }
    const queue = new BakeQueue({ backlog: 3, weightOf: (id) => weights[id]! })
    const items = Object.fromEntries('abcde'.split('').map((id) => [id, item(id)]))
    for (const id of ['a', 'b', 'c']) assert.equal(queue.add(items[id]!), null)
    assert.equal(queue.add(items['b']!), null)
    assert.equal(queue.add(items['d']!), items['d'])
    assert.equal(queue.add(items['e']!), items['a'])
    assert.equal(queue.size, 3)
    assert.deepEqual([queue.take(0)?.id, queue.take(0)?.id, queue.take(0)?.id, queue.take(0)], ['b', 'e', 'c', null])
  })

  test('what is to wait is passed over until its time', () => {
    const queue = new BakeQueue({ backlog: 3, weightOf: () => 0 })
    const [late, early] = [item('late'), item('early')]
    late.notBeforeMs = 100
    queue.add(late)
    queue.add(early)
    assert.equal(queue.take(50), early)
    assert.equal(queue.take(50), null)
    assert.equal(queue.nextAtMs(), 100)
    assert.equal(queue.take(100), late)
  })

  test('what falls due comes in order, and a time that was changed does not count', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 100 }))), (times) => {
        const due = new DueTimes()
        const items = Array.from({ length: 10 }, (_, at) => item(String(at)))
        for (const [at, ms] of times) due.set(items[at]!, ms)
        const expected = new Map(times)
        const taken: number[] = []
        for (let next = due.nextAtMs(); next !== Infinity; next = due.nextAtMs()) {
          assert.equal(due.take(next - 1), null)
          const first = due.take(next)!
          assert.equal(expected.get(Number(first.id)), next)
          expected.delete(Number(first.id))
          taken.push(next)
        }
        assert.equal(expected.size, 0)
        assert.deepEqual(
          taken,
          taken.toSorted((a, b) => a - b),
        )
      }),
    )
  })

  test('times that are put off again and again take no more room than there are items', () => {
    const due = new DueTimes()
    const items = Array.from({ length: 100 }, (_, at) => item(String(at)))
    for (const [at, one] of items.entries()) due.set(one, 1_000 + at)
    for (let count = 0; count < 100_000; count += 1) {
      // There and back as well, and to none.
      due.set(items[count % 100]!, count % 7 === 0 ? Infinity : 1_000_000 + (count % 2))
      assert.ok(due.size <= 300, `${due.size} for 100 items`)
    }
    for (const [at, one] of items.entries()) due.set(one, 5_000 - at)
    for (let at = 99; at >= 0; at -= 1) assert.equal(due.take(5_000), items[at])
    assert.deepEqual([due.take(Infinity), due.size], [null, 0])
  })

  test('counts lose half of their weight every minute', () => {
    let nowMs = 0
    const weights = new Weights(() => nowMs)
    weights.add('a', 8)
    nowMs = 120_000
    assert.equal(weights.of('a'), 2)
    weights.add('a', 1)
    assert.equal(weights.of('a'), 3)
    assert.equal(weights.of('b'), 0)
  })
})
