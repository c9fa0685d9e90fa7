import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBackoff } from '../../src/clones/backoff.ts'

test('delays double up to the longest one, between half and whole of the base', () => {
  const longest = createBackoff({ firstMs: 100, maxMs: 1000, random: () => 1 })
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => longest.next()),
    [100, 200, 400, 800, 1000, 1000],
  )
  const shortest = createBackoff({ firstMs: 100, maxMs: 1000, random: () => 0 })
  assert.deepEqual(
    [1, 2, 3].map(() => shortest.next()),
    [50, 100, 200],
  )
})

test('reset begins again with the first delay', () => {
  const backoff = createBackoff({ firstMs: 100, random: () => 1 })
  backoff.next()
  backoff.next()
  backoff.reset()
  assert.equal(backoff.next(), 100)
})

test('a thousand attempts do not overflow', () => {
  const backoff = createBackoff({ random: () => 1 })
  for (let attempt = 0; attempt < 1000; attempt += 1) backoff.next()
  assert.equal(backoff.next(), 15_000)
})
