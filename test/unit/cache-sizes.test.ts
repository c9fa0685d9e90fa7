/** The estimate of an entry's bytes, held against what V8's heap says. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { createEntryMemory } from '../../src/cache/entry-memory.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

let serial = 0
/** Texts that no other value shares, in one piece. */
function fresh(length: number): string {
  serial += 1
  return JSON.parse(JSON.stringify(`${serial}:`.padEnd(length, 'x'))) as string
}

function article(): object {
  return {
    id: 1_000_000_000_000 + serial,
    slug: fresh(30),
    title: fresh(40),
    body: fresh(700),
    createdAt: new Date(serial),
    updatedAt: new Date(serial),
    favorited: false,
    score: serial + 0.5,
    tags: [fresh(8), fresh(8), fresh(8)],
    author: { id: serial, name: fresh(12), bio: null, image: fresh(60) },
  }
}

const shapes: readonly [name: string, make: () => unknown, count: number][] = [
  ['an article', article, 4000],
  ['a feed of articles', () => Array.from({ length: 20 }, article), 200],
  ['small answers', () => ({ id: (serial += 1) }), 20_000],
  ['null', () => null, 20_000],
  ['a long text', () => fresh(20_000), 200],
  ['a text of two bytes a unit', () => JSON.parse(JSON.stringify(`鍵${fresh(5000)}`)), 400],
  ['numbers', () => Array.from({ length: 500 }, () => Math.random()), 400],
  ['a Map', () => new Map(Array.from({ length: 100 }, (_, n) => [fresh(10), n])), 400],
  ['bytes', () => Buffer.from(new ArrayBuffer(5000)), 400],
]

/** Until the end: what of one test is given back during the next one would count as the next one's. */
const kept: unknown[] = []

for (const [name, make, count] of shapes) {
  test(`the estimate for ${name} is near what it takes`, () => {
    const memory = createEntryMemory({ maxBytes: 2 ** 40 })
    kept.push(memory)
    const before = used()
    for (let n = 0; n < count; n += 1) {
      const entry = { value: make(), parts: [], filledAtMs: 1.5e12 + n, expiresAtMs: Infinity, loadMs: 0.5 }
      memory.set(`build:1:o:article:0:s${fresh(20)}`, entry, 'cloned')
    }
    const real = (used() - before) / count
    const estimated = memory.counts().bytes / count
    const ratio = estimated / real
    assert.ok(ratio > 0.8 && ratio < 1.4, `${estimated} estimated, ${real} taken`)
  })
}

function used(): number {
  // What is outside the heap is given back only after its holder.
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
