/** When what is looked after is baked again: after changes, by the clock, after failures of its own and of others. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { FourfoldError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/log.ts'
import { Bakes, type Baked, type BakesOptions } from '../../src/pages/baker/bakes.ts'
import { Item } from '../../src/pages/baker/items.ts'
import { waitFor } from '../support/wait-for.ts'

const item = (id: string): Item => new Item(id, { name: 'page' } as never, id, 0, 0)
const good: Baked = { outcome: 'baked', coarse: false, endsAtMs: Infinity }
const away = (): FourfoldError => new FourfoldError('FF_DATABASE_UNAVAILABLE', 'nobody is there')

function bakesOf(bake: BakesOptions['bake']): Bakes {
  const options = {
    next: () => null,
    ended: () => undefined,
    weightOf: () => 0,
    atOnce: 2,
    backlog: 10,
    bakesLeft: false,
  }
  return new Bakes({ ...options, bake, log: silentLogger })
}

suite('bakes', () => {
  test('what ends by the clock is loaded anew when it is due, and not for a change before', async (t) => {
    const begun: boolean[] = []
    const bakes = bakesOf(async (_, anew) => {
      begun.push(anew)
      return begun.length < 3 ? { ...good, endsAtMs: performance.now() + (begun.length === 1 ? 60_000 : 50) } : good
    })
    t.after(() => bakes.stop())
    const page = item('page')
    bakes.touch(page)
    await waitFor('the first', () => begun.length === 1 && bakes.running === 0)
    bakes.touch(page)
    await waitFor('the change, and then the clock', () => begun.length === 3)
    assert.deepEqual(begun, [false, false, true])
  })

  test('while the database is away no page is to blame, and none waits longer than it does', async (t) => {
    const tries = new Map<Item, number>()
    let isAway = true
    const bakes = bakesOf(async (one) => {
      tries.set(one, (tries.get(one) ?? 0) + 1)
      if (isAway) throw away()
      return good
    })
    t.after(() => bakes.stop())
    const pages = [item('one'), item('two')]
    for (const page of pages) bakes.touch(page)
    await waitFor('three tries of each', () => pages.every((page) => tries.get(page)! >= 3))
    assert.deepEqual([bakes.failing.size, ...pages.map(({ failures }) => failures)], [0, 0, 0])
    isAway = false
    const backAtMs = performance.now()
    await waitFor('both are baked', () => bakes.counts.baked === 2)
    assert.ok(performance.now() - backAtMs < 2_500)
    assert.deepEqual(
      pages.map(({ error }) => error),
      [null, null],
    )
  })

  test('a page that alone finds the database away, while others are baked, fails of itself', async (t) => {
    const [bad, other] = [item('bad'), item('other')]
    const bakes = bakesOf(async (one) => {
      if (one === bad) throw away()
      return good
    })
    t.after(() => bakes.stop())
    bakes.touch(bad)
    const timer = setInterval(() => bakes.touch(other), 20)
    t.after(() => clearInterval(timer))
    await waitFor('it is shown', () => bakes.failing.has(bad))
    const { baked } = bakes.counts
    await waitFor('the others go on', () => bakes.counts.baked > baked + 3)
    assert.equal(bad.error, 'nobody is there')
  })
})
