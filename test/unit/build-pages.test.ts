/** The pages of a build in a balancer: what is remembered of addresses, which come from anybody, is bounded. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { createEntryMemory } from '../../src/cache/entry-memory.ts'
import { silentLogger } from '../../src/core/log.ts'
import { makeDocument } from '../../src/pages/document.ts'
import { BuildPages } from '../../src/pages/front/build-pages.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heapMiB(): number {
  collect()
  return process.memoryUsage().heapUsed / 1024 ** 2
}

test('a flood of addresses, of a page that is there and of many that are not, leaves little behind', async (t) => {
  const entry = {
    ...{ value: await makeDocument(200, [], Buffer.from('page'), 0), parts: [], filledAtMs: 0 },
    ...{ expiresAtMs: Infinity, loadMs: 1 },
  }
  const found = { head: entry, open: () => entry }
  const routes = [{ path: '/article/:slug', query: [], prefix: 'a:' }]
  const pages = new BuildPages({
    build: '',
    manifest: { routes, identifies: false },
    checks: { staleness: () => null } as never,
    memory: createEntryMemory({ maxBytes: 1024 ** 2 }),
    shared: { getMany: async ([id]: string[]) => [id!.includes('sthere') ? found : null] } as never,
    expandedBytes: 1024 ** 2,
    // Nothing is told, and nobody is told of anything.
    store: { readStream: () => new Promise(() => undefined), appendToStream: async () => 1 } as never,
    sessionCookie: 'ff_session',
    more: [],
    log: silentLogger,
  })
  t.after(() => pages.close())
  const there = pages.find('/article/there')
  assert.equal(typeof there, 'string')
  await pages.fetch(there as string)
  const flood = async (from: number, count: number): Promise<void> => {
    const long = 'x'.repeat(200)
    for (let at = from; at < from + count; at += 1) {
      assert.equal(typeof pages.find(`/article/there?${long}${at}`), 'object')
      const id = pages.find(`/article/${long}${at}`)
      if (pages.mayFetch(id as string)) await pages.fetch(id as string)
    }
  }
  // As many as are ever remembered.
  await flood(0, 21_000)
  const before = heapMiB()
  await flood(21_000, 40_000)
  const grown = heapMiB() - before
  // Either all the addresses or all the ids are three times as much.
  assert.ok(grown < 5, `${grown} MiB more`)
})
