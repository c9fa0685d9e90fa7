/** Batches of a loader: whose they are, how large, and what becomes of each key. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { loader } from '../../src/cache/join/loader.ts'

/** A loader that notes what its function was given. */
function noting(options: { readonly maxBatch?: number } = {}) {
  const calls: { readonly executor: object; readonly keys: readonly unknown[] }[] = []
  const made = loader(async (executor: object, keys: readonly (string | number)[]) => {
    calls.push({ executor, keys })
    return keys.map((key) => `${typeof key} ${key}`)
  }, options)
  return { calls, made }
}

suite('a loader', () => {
  test('asks for the keys of one tick at once, each once, also behind promises that are settled already', async () => {
    const { calls, made } = noting()
    const executor = {}
    const later = async (): Promise<string | null> => {
      await Promise.resolve()
      await Promise.resolve()
      return await made.load(executor, 3)
    }
    const found = await Promise.all([made.load(executor, 1), made.load(executor, '1'), made.load(executor, 1), later()])
    assert.deepEqual(found, ['number 1', 'string 1', 'number 1', 'number 3'])
    assert.deepEqual(calls, [{ executor, keys: [1, '1', 3] }])
  })

  test('never mixes executors', async () => {
    const { calls, made } = noting()
    const [one, two] = [{ name: 'one' }, { name: 'two' }]
    await Promise.all([made.load(one, 1), made.load(two, 1), made.load(one, 2)])
    assert.deepEqual(calls, [
      { executor: one, keys: [1, 2] },
      { executor: two, keys: [1] },
    ])
    assert.equal(calls[0]!.executor, one)
  })

  test('keeps nothing from one batch to the next', async () => {
    const { calls, made } = noting()
    const executor = {}
    await made.load(executor, 1)
    await made.load(executor, 1)
    assert.equal(calls.length, 2)
  })

  test('asks for no more than maxBatch at once', async () => {
    const { calls, made } = noting({ maxBatch: 2 })
    const executor = {}
    await made.loadMany(executor, [1, 2, 3, 1, 4, 5])
    assert.deepEqual(
      calls.map(({ keys }) => keys),
      [
        [1, 2],
        [3, 1],
        [4, 5],
      ],
    )
    assert.throws(() => noting({ maxBatch: 0 }), { code: 'FF_CACHE_LOADER' })
  })

  test('takes records as keys, in any order of their fields, and maps whose keys are equal to those asked for', async () => {
    const made = loader(async (_: object, keys: readonly { readonly a: number; readonly b: number }[]) => {
      assert.equal(keys.length, 1)
      return new Map([[{ b: 2, a: 1 }, 'found']])
    })
    const executor = {}
    assert.deepEqual(await Promise.all([made.load(executor, { a: 1, b: 2 }), made.load(executor, { b: 2, a: 1 })]), [
      'found',
      'found',
    ])
  })

  test('fails one key with an error, and all when its function fails or answers what does not fit', async () => {
    const mixed = loader(async (_: object, keys: readonly string[]) =>
      keys.map((key) => (key === 'bad' ? new RangeError('bad') : null)),
    )
    const executor = {}
    const settled = await Promise.allSettled([mixed.load(executor, 'good'), mixed.load(executor, 'bad')])
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    assert.ok((settled[1] as PromiseRejectedResult).reason instanceof RangeError)
    const failing = loader(async (): Promise<string[]> => {
      throw new TypeError('down')
    })
    await assert.rejects(failing.loadMany(executor, [1, 2]), TypeError)
    const short = loader(async () => ['one'])
    await assert.rejects(short.loadMany(executor, [1, 2]), { code: 'FF_CACHE_LOADER' })
    const holes = loader(async () => [undefined as unknown as string])
    await assert.rejects(holes.load(executor, 1), { code: 'FF_CACHE_LOADER' })
    const map = loader(async () => new Map([['a', 'A']]))
    assert.deepEqual(await map.loadMany(executor, ['a', 'b']), ['A', null])
    const mistyped = loader(
      async (_: object, keys: readonly number[]) => new Map<any, string>([[String(keys[0]), 'A']]),
    )
    await assert.rejects(mistyped.load(executor, 7), /such as 7; got '7'/)
    await assert.rejects(map.load(executor, [1] as never), { code: 'FF_CACHE_KEY' })
  })
})
