import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { Checks } from '../../src/cache/checks.ts'
import { createEntryMemory } from '../../src/cache/entry-memory.ts'
import { Fills } from '../../src/cache/fills.ts'
import { Lookups } from '../../src/cache/lookups.ts'
import { Metrics } from '../../src/cache/metrics.ts'
import { createQuerySource, type QueryOptions } from '../../src/cache/query-source.ts'
import { SharedEntries } from '../../src/cache/shared-entries.ts'
import { silentLogger } from '../../src/core/log.ts'
import { Scope } from '../../src/freshness/scope.ts'

import type { Entry } from '../../src/cache/entry.ts'
import type { Source } from '../../src/cache/source.ts'
import type { Lease, Store } from '../../src/store/store.ts'

const lease: Lease = { key: 'fill', holder: 'me', fence: 1 }

/** Another clone shares its entry while this one takes the lease. */
function beside(onLease: (share: (entry: Entry) => void) => void): { lookups: Lookups; released: Lease[] } {
  const clusters = new Map()
  const found = new Map<string, Uint8Array>()
  const shared = new SharedEntries({
    tier: {
      driver: 'redis',
      maxValueBytes: 1_000_000,
      getMany: async (ids: readonly string[]) => ids.map((id) => found.get(id) ?? null),
      set: async () => undefined,
      ping: async () => undefined,
      close: async () => undefined,
    } as never,
  })
  const released: Lease[] = []
  const store = {
    acquireLease: async () => {
      onLease((entry) => found.set('p:1', shared.encode('p:1', entry)))
      return lease
    },
    releaseLease: async (given: Lease) => void released.push(given),
  } as unknown as Store
  const checks = new Checks(clusters)
  const parts = { clusters, checks, memory: createEntryMemory(), shared, fills: new Fills(), metrics: new Metrics() }
  return { lookups: new Lookups({ ...parts, store, holder: 'me', log: silentLogger }), released }
}

const source: Source<number> = {
  name: 'thing',
  prefix: 'p:',
  ttlMs: 60_000,
  values: 'frozen',
  clusterWide: true,
  load: async () => 'loaded',
}

suite('the lease of a load', () => {
  const find = async (lookups: Lookups): Promise<unknown> => {
    const { value } = await lookups.find(source, 1, 'p:1', new Scope({ reader: null }), null)
    await lookups.settle()
    return value
  }

  test('is given back after the load', async () => {
    const { lookups, released } = beside(() => undefined)
    assert.equal(await find(lookups), 'loaded')
    assert.deepEqual(released, [lease])
  })

  test('is given back where an entry came just before it', async () => {
    const nowMs = Date.now()
    const entry = { value: 'shared', parts: [], filledAtMs: nowMs, expiresAtMs: nowMs + 60_000, loadMs: 1 }
    const { lookups, released } = beside((share) => share(entry))
    assert.equal(await find(lookups), 'shared')
    assert.deepEqual(released, [lease])
  })
})

test('a query that is kept for longer, or handed out otherwise, is another entry', () => {
  const make = createQuerySource(
    'build',
    () => 'settings',
    () => null as never,
  )
  const idOf = (options: QueryOptions): string =>
    make({ database: 'main', sql: 'select 1', parameters: [] }, options).id
  const all = [{}, { ttl: '1s' }, { ttl: '1h' }, { values: 'cloned' }, { ttl: '1s', values: 'cloned' }] as const
  assert.equal(new Set(all.map(idOf)).size, all.length)
  assert.equal(idOf({ ttl: 1000 }), idOf({ ttl: '1s' }))
  assert.equal(idOf({}), idOf({ values: 'frozen' }))
})
