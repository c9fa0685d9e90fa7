/** What is looked after is looked for in the tier: what is lost is baked anew, what is old there is put there again. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import { SharedEntries } from '../../src/cache/shared-entries.ts'
import { Items, type Item } from '../../src/pages/baker/items.ts'
import { Presence } from '../../src/pages/baker/presence.ts'
import { noTier, type CacheTier } from '../../src/store/tier.ts'
import { waitFor } from '../support/wait-for.ts'

const hour = 3_600_000

class Ground {
  readonly items = new Items()
  readonly kept = new Map<string, Uint8Array>()
  readonly sets: [id: string, ttlMs: number][] = []
  readonly baked: string[] = []
  asked = 0
  mostAtOnce = 0
  isAway = false
  /** Whether what is to be baked is put there. */
  bakes = false
  waiting = 0
  readonly warned: string[] = []
  readonly presence: Presence
  readonly shared: SharedEntries

  constructor(count: number, lookAgainMs = 50) {
    const tier: CacheTier = {
      ...noTier,
      driver: 'redis',
      maxValueBytes: 1_000_000,
      getMany: async (ids) => {
        if (this.isAway) throw new Error('away')
        this.asked += ids.length
        this.mostAtOnce = Math.max(this.mostAtOnce, ids.length)
        return ids.map((id) => this.kept.get(id) ?? null)
      },
      set: async (id, bytes, ttlMs) => {
        this.sets.push([id, ttlMs])
        this.kept.set(id, bytes)
      },
      ping: async () => {
        if (this.isAway) throw new Error('away')
      },
    }
    this.shared = new SharedEntries({ tier, breaker: { firstPauseMs: 5, longestPauseMs: 10 } })
    const bakes: any = {
      queue: { size: 0 },
      touchAt: ({ id }: Item, _: number, anew: boolean) => {
        if (anew) this.baked.push(id)
        if (this.bakes) this.put(id)
      },
    }
    Object.defineProperty(bakes.queue, 'size', { get: () => this.waiting })
    this.presence = new Presence({
      watch: { items: this.items, staleness: () => null } as never,
      bakes,
      shared: this.shared,
      checks: { staleness: ({ expiresAtMs }: any) => (expiresAtMs < Date.now() ? 'expired' : null) },
      backlog: 1_000,
      log: { ...silentLogger, warn: (_: object, text: string) => this.warned.push(text) } as never,
      lookAgainMs,
    })
    for (let at = 0; at < count; at += 1) {
      const item = this.items.add(`page:s${at}`, { name: 'page' } as never, String(at), 0)
      item.parts = new Uint8Array(1)
      this.put(item.id)
    }
  }

  put(id: string, filledAtMs: number = Date.now(), expiresAtMs = Infinity): void {
    this.kept.set(id, this.shared.encode(id, { value: 'x', parts: [], filledAtMs, expiresAtMs, loadMs: 1 }))
  }

  /** As a worker does, and faster. */
  async look(what: string, until: () => boolean): Promise<void> {
    await waitFor(what, () => {
      this.presence.some()
      return until()
    })
  }
}

suite('presence in the tier', () => {
  test('what is lost, or was overwritten by what is over, is baked anew', async (t) => {
    const ground = new Ground(100)
    t.after(() => ground.presence.stop())
    ground.kept.delete('page:s7')
    ground.put('page:s8', Date.now() - 1_000, Date.now() - 500)
    await ground.look('both are baked', () => new Set(ground.baked).size === 2)
    assert.deepEqual(ground.baked.toSorted(), ['page:s7', 'page:s8'])
    await ground.look('all are looked for', () => ground.asked > 100)
    assert.ok(ground.mostAtOnce <= 16, `${ground.mostAtOnce} at once`)
    ground.kept.clear()
    await ground.look('all are baked', () => new Set(ground.baked).size === 100)
  })

  test('what no tier keeps is baked for it ever more seldom', async (t) => {
    const ground = new Ground(1, 20)
    t.after(() => ground.presence.stop())
    ground.kept.clear()
    await ground.look('it is baked', () => ground.baked.length === 4)
    const began = performance.now()
    await ground.look('it is baked', () => ground.baked.length === 5)
    assert.ok(performance.now() - began >= 20 * 2 ** 4 - 5)
  })

  test('a tier that has no room for all is not filled for ever', async (t) => {
    const ground = new Ground(20, 1)
    t.after(() => ground.presence.stop())
    ground.bakes = true
    for (let round = 1; round <= 6; round += 1) {
      ground.kept.clear()
      await ground.look('all are baked', () => ground.baked.length === 20 * round)
      await ground.look('all are there', () => [...(ground.items as Iterable<Item>)].every(({ lost }) => lost === 0))
    }
    assert.deepEqual(ground.warned, [])
    ground.kept.clear()
    const asked = ground.asked
    await ground.look('all are looked for, many times', () => ground.asked > asked + 200)
    assert.equal(ground.baked.length, 120, 'those there are, and a hundred, in six hours')
    assert.equal(ground.warned.length, 1)
    assert.match(ground.warned[0]!, /too small/)
  })

  test('what lies there for most of a day is put there again, once', async (t) => {
    const ground = new Ground(3)
    t.after(() => ground.presence.stop())
    ground.put('page:s1', Date.now() - 20 * hour)
    ground.put('page:s2', Date.now() - 20 * hour, Date.now() + 2 * hour)
    await ground.look('some rounds', () => ground.asked > 12)
    assert.deepEqual(ground.sets, [['page:s1', 24 * hour]])
    assert.deepEqual(ground.baked, [])
  })

  test('a tier that is away has lost nothing, and neither has one while much waits', async (t) => {
    const ground = new Ground(20)
    t.after(() => ground.presence.stop())
    ground.isAway = true
    for (let round = 0; round < 50; round += 1) {
      ground.presence.some()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await ground.presence.all()
    assert.deepEqual([ground.baked, [...ground.items].filter(({ missing }) => missing)], [[], []])
    ground.isAway = false
    ground.waiting = 500
    ground.presence.some()
    assert.equal(ground.asked, 0)
    ground.waiting = 0
    await ground.look('they are looked for', () => ground.asked >= 20)
    assert.deepEqual(ground.baked, [])
  })

  test('a look at some of 100,000 costs next to nothing', async (t) => {
    const ground = new Ground(0)
    t.after(() => ground.presence.stop())
    for (let at = 0; at < 100_000; at += 1) {
      ground.items.add(`page:s${at}`, { name: 'page' } as never, at, 0).parts = new Uint8Array(1)
    }
    for (let at = 0; at < 2_000; at += 1) ground.put(`page:s${at}`)
    const { cpuMs } = await costOf(() => ground.look('2,000 are looked for', () => ground.asked >= 2_000))
    // Of 125 looks.
    assert.ok(cpuMs / 125 < 5, `${cpuMs / 125} ms`)
  })
})

async function costOf(work: () => Promise<void>): Promise<{ cpuMs: number }> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { cpuMs: (user + system) / 1_000 }
}
