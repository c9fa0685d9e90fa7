import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import fc from 'fast-check'

import { createClassRegistry } from '../../src/cache/classes.ts'
import { cloneValue } from '../../src/cache/clone.ts'
import { createEntryMemory, type BoundedEntryMemory } from '../../src/cache/entry-memory.ts'
import { freezeValue } from '../../src/cache/freeze.ts'
import { inspect } from '../../src/cache/inspect.ts'
import { SharedEntries } from '../../src/cache/shared-entries.ts'
import { openMemoryTier } from '../../src/store/memory/memory-tier.ts'
import type { Entry } from '../../src/cache/entry.ts'
import { Author, cachedValues, Money } from '../support/cached-values.ts'

const classes = createClassRegistry([
  ['Author', Author],
  ['Money', Money],
])

function entryOf(value: unknown): Entry {
  return { value, parts: [], filledAtMs: Date.now(), expiresAtMs: Infinity, loadMs: 1 }
}

function store(memory: BoundedEntryMemory, id: string, value: unknown, values: 'frozen' | 'cloned'): unknown {
  return memory.handOut(memory.set(id, entryOf(value), values), values)
}

describe('the tier in each process', () => {
  test('a frozen value is handed out as it is, and nobody changes it', () => {
    const memory = createEntryMemory({ classes })
    const value = {
      tags: ['a'],
      author: new Author('Ada'),
      when: new Date(5),
      map: new Map([['k', { deep: 1 }]]),
      set: new Set([{ deep: 1 }]),
    }
    const out = store(memory, 'a', value, 'frozen') as typeof value
    assert.equal(memory.handOut(memory.get('a')!, 'frozen'), out)
    const changes = [
      () => out.tags.push('b'),
      () => (out.author.name = 'Eve'),
      () => out.author.friends.push(1),
      () => out.when.setTime(7),
      () => out.when.setUTCFullYear(1999),
      () => out.map.set('k', { deep: 2 }),
      () => out.map.clear(),
      () => (out.map.get('k')!.deep = 2),
      () => out.set.add({ deep: 2 }),
      () => ([...out.set][0]!.deep = 2),
      () => Object.assign(out, { more: 1 }),
    ]
    for (const change of changes) assert.throws(change, TypeError)
    assert.equal(out.when.getTime(), 5)
    assert.ok(isDeepStrictEqual(out.when, new Date(5)) && out.when instanceof Date)
    assert.ok(isDeepStrictEqual(out.set, new Set([{ deep: 1 }])) && out.map instanceof Map)
    assert.deepEqual([...out.map.keys()], ['k'])
    assert.equal(JSON.stringify(out.when), JSON.stringify(new Date(5)))
  })

  test('bytes are refused where values are frozen, by their path, and copied where they are not', () => {
    const memory = createEntryMemory({ classes })
    const value = { pictures: [{ data: Buffer.from('abc') }] }
    assert.throws(
      () => memory.set('a', entryOf(value), 'frozen'),
      (error: Error) => error.message.includes('pictures[0].data'),
    )
    assert.equal(memory.get('a'), undefined)
    const out = store(memory, 'a', value, 'cloned') as typeof value
    out.pictures[0]!.data[0] = 0
    const again = memory.handOut(memory.get('a')!, 'cloned') as typeof value
    assert.equal(again.pictures[0]!.data.toString(), 'abc')
  })

  test('a copy is what the value is, and shares nothing with it', () => {
    fc.assert(
      fc.property(cachedValues, (value) => {
        const copy = cloneValue(value, classes, true)
        assert.ok(isDeepStrictEqual(copy, value))
        for (const part of objectsIn(copy)) assert.ok(!objectsIn(value).has(part))
      }),
      { numRuns: 500 },
    )
  })

  test('a copy has the circles of its value, and what stands in it twice stands in the copy twice', () => {
    const memory = createEntryMemory({ classes })
    const ada = new Author('Ada')
    ada.friends.push(ada, new Map([[ada, [ada]]]))
    const out = store(memory, 'a', { ada, first: ada }, 'cloned') as { ada: Author; first: Author }
    assert.ok(out.ada instanceof Author && out.ada !== ada)
    assert.equal(out.first, out.ada)
    assert.equal(out.ada.friends[0], out.ada)
    assert.equal([...(out.ada.friends[1] as Map<unknown, unknown[]>).values()][0]![0], out.ada)
  })

  test('what could not go to the second tier is not kept in the first', () => {
    const memory = createEntryMemory({ classes })
    assert.throws(() => memory.set('a', entryOf({ save: () => 1 }), 'cloned'), { code: 'FF_CACHE_VALUE' })
    assert.equal(memory.get('a'), undefined)
  })

  test('it is bounded by bytes, and forgets first what was used least lately', () => {
    const memory = createEntryMemory({ maxBytes: 100_000 })
    const value = (): object => ({ body: 'x'.repeat(8000) })
    for (let n = 0; n < 10; n += 1) memory.set(`k${n}`, entryOf(value()), 'frozen')
    assert.ok(memory.get('k0') !== undefined)
    for (let n = 10; n < 15; n += 1) memory.set(`k${n}`, entryOf(value()), 'frozen')
    assert.ok(memory.get('k0') !== undefined)
    assert.equal(memory.get('k1'), undefined)
    const { entries, bytes, evictions } = memory.counts()
    assert.ok(entries >= 10 && entries <= 12 && bytes <= 100_000 && evictions === 15 - entries)
    memory.set('huge', entryOf({ body: 'x'.repeat(200_000) }), 'frozen')
    assert.equal(memory.get('huge'), undefined)
    assert.equal(createEntryMemory({ maxBytes: 0 }).set('a', entryOf(1), 'frozen').value, 1)
  })
})

describe('the second tier', () => {
  test('what one process puts there another finds, with its head before its value', async (t) => {
    const tier = openMemoryTier()
    const one = new SharedEntries({ tier, classes })
    const two = new SharedEntries({ tier, classes })
    t.after(() => one.close())
    const entry = entryOf({ author: new Author('Ada'), when: new Date(5) })
    await one.set('a', one.encode('a', entry), entry.expiresAtMs)
    const [found, missing] = await two.getMany(['a', 'b'])
    assert.equal(missing, null)
    assert.equal(found?.head.filledAtMs, entry.filledAtMs)
    assert.deepEqual(found?.open(), entry)
    assert.throws(
      () => one.encode('b', entryOf({ save: () => 1 }), 'article'),
      /^FourfoldError: article\.save|article\.save/,
    )
  })

  test('what is over, too large, damaged or of unknown classes is a miss and counted', async (t) => {
    const tier = openMemoryTier()
    const shared = new SharedEntries({ tier, classes, compressAbove: Infinity })
    t.after(() => shared.close())
    const entry = entryOf(new Author('Ada'))
    await shared.set('over', shared.encode('over', entry), Date.now() - 1)
    await shared.set('large', shared.encode('large', entryOf('x'.repeat(5_000_000))), Infinity)
    await tier.set('noise', Buffer.from('noise'), 60_000)
    await shared.set('a', shared.encode('a', entry), Infinity)
    assert.deepEqual(await shared.getMany(['over', 'large', 'noise']), [null, null, null])
    assert.deepEqual(await new SharedEntries({ tier }).getMany(['a']), [null])
    const { unreadable, oversized, hits, misses } = shared.counts()
    assert.deepEqual({ unreadable, oversized, hits, misses }, { unreadable: 1, oversized: 1, hits: 1, misses: 2 })
  })
})

test('what was frozen as one value can be part of another, in both tiers', () => {
  const inner = freezeValue({ when: new Date(5), map: new Map([['a', new Set([1])]]) })
  const shared = new SharedEntries({ classes })
  const memory = createEntryMemory({ classes })
  const entry = entryOf({ inner })
  assert.ok(shared.encode('a', entry).length > 0)
  const out = store(memory, 'a', entry.value, 'cloned') as { inner: typeof inner }
  out.inner.when.setTime(7)
  out.inner.map.get('a')!.add(2)
  assert.equal(inner.when.getTime(), 5)
  assert.deepEqual(Object.getPrototypeOf(out.inner.when), Date.prototype)
})

test('freezing comes to an end in circles, and freezes what others had frozen on the outside only', () => {
  const list: unknown[] = [{ a: 1 }]
  list.push(list)
  const outside = Object.freeze({ list, inner: { a: 1 } })
  freezeValue(outside)
  assert.ok(Object.isFrozen(list) && Object.isFrozen(list[0]) && Object.isFrozen(outside.inner))
  assert.equal(inspect(outside, classes).shared.size, 1)
})

/** All objects that can be reached. */
function objectsIn(value: unknown, found: Set<object> = new Set()): Set<object> {
  if (typeof value !== 'object' || value === null || found.has(value)) return found
  found.add(value)
  if (value instanceof Map) for (const pair of value) pair.forEach((part) => objectsIn(part, found))
  else if (value instanceof Set) for (const part of value) objectsIn(part, found)
  else if (ArrayBuffer.isView(value)) found.add(value.buffer)
  else for (const part of Object.values(value)) objectsIn(part, found)
  return found
}
