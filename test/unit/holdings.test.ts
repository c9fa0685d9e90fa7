/** The entries that a worker looks after and nobody lists: bounded, and given up when nobody asks for them any more. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import { Holdings, type HoldingsOptions } from '../../src/pages/baker/holdings.ts'
import { Items } from '../../src/pages/baker/items.ts'
import { Weights } from '../../src/pages/baker/weights.ts'
import { waitFor } from '../support/wait-for.ts'

class Ground {
  readonly items = new Items()
  readonly forgotten: string[] = []
  /** Taken out of the catalogue. */
  readonly dropped: string[] = []
  readonly holdings: Holdings
  readonly source = { name: '/page', prefix: 'page:', ttlMs: null }

  constructor(limits: Pick<HoldingsOptions, 'maxOnDemand' | 'longestUnvisitedMs'>) {
    const { items } = this
    const store = {
      update: async (_: string, { remove = [] }: { remove?: string[] }) => {
        this.dropped.push(...remove)
        return 'updated'
      },
    }
    const bakes = { forget: ({ id }: { id: string }) => this.forgotten.push(id), touch: () => 0, touchAt: () => 0 }
    const watch = { items, adopt: () => true, remove: (item: never) => items.remove(item), staleness: () => null }
    const options = {
      watch,
      sources: [this.source],
      bakes,
      weights: new Weights(),
      store,
      dropped: null,
      build: '',
      log: silentLogger,
    }
    this.holdings = new Holdings({ ...options, ...limits } as never)
  }

  hear(name: string): void {
    const told = { id: `page:s${name}`, source: '/page', key: name, parts: [], expiresAtMs: Infinity, loadMs: 1 }
    this.holdings.hear({ ...told, found: true })
  }

  list(name: string): void {
    this.holdings.list(`page:s${name}`, this.source as never, name, 0, 1)
  }

  get names(): string {
    return [...this.items]
      .map(({ key }) => String(key))
      .toSorted()
      .join('')
  }
}

suite('entries that nobody lists', () => {
  test('those asked for least lately go when there are too many, and out of the catalogue; what is listed stays', async () => {
    const ground = new Ground({ maxOnDemand: 3 })
    ground.list('l')
    for (const name of ['a', 'b', 'c']) ground.hear(name)
    assert.equal(ground.names, 'abcl')
    ground.holdings.visited(['page:sa', 1])
    ground.hear('d')
    assert.equal(ground.names, 'acdl', 'a was asked for after b')
    // By whoever baked it, which is what a reader made of it.
    ground.hear('c')
    ground.hear('e')
    assert.equal(ground.names, 'cdel')
    await waitFor('both are out of the catalogue', () => ground.dropped.length === 2)
    assert.deepEqual(
      [ground.forgotten, ground.dropped],
      [
        ['page:sb', 'page:sa'],
        ['page:sb', 'page:sa'],
      ],
    )
  })

  test('each of several workers keeps its share', () => {
    const ground = new Ground({ maxOnDemand: 4 })
    ground.holdings.workers = 2
    for (const name of ['a', 'b', 'c']) ground.hear(name)
    assert.equal(ground.names, 'bc')
  })

  test('what is listed no more counts again, and what is listed does not', () => {
    const ground = new Ground({ maxOnDemand: 2 })
    for (const name of ['a', 'b']) ground.hear(name)
    ground.list('a')
    ground.hear('c')
    assert.equal(ground.names, 'abc')
    const a = ground.items.get('page:sa')!
    a.parts = new Uint8Array(1)
    ground.holdings.unlist(a)
    ground.hear('d')
    assert.equal(ground.names, 'acd')
  })

  test('what nobody has asked for in a day goes, and what somebody has stays', async () => {
    const longestUnvisitedMs = 1_000
    const ground = new Ground({ longestUnvisitedMs })
    ground.list('l')
    for (const name of ['a', 'b']) ground.hear(name)
    for (const item of ground.items as Iterable<{ visitedAtMs: number }>) item.visitedAtMs -= longestUnvisitedMs
    ground.holdings.visited(['page:sb', 1])
    ground.holdings.dropUnused([...(ground.items as Iterable<never>)])
    assert.equal(ground.names, 'bl')
    await waitFor('it is out of the catalogue', () => ground.dropped.length === 1)
  })
})
