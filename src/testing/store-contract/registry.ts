/** The contract of the registry: entries under leases, fences, and versions that tell followers whether to look. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryView, Store } from '../../store/store.ts'
import { until } from '../until.ts'
import { assertRejects, hourMs, text, textOf, type Clients } from './parts.ts'

export function registryTests(clients: () => Clients): void {
  test('what one process registers is read by another, with its fence', async () => {
    const { one, two, fresh } = clients()
    const [group, other] = [fresh(), fresh()]
    assert.deepEqual(shown(await two.readRegistry(group)), {})
    const a = await one.register(group, 'a', text('at 1'), hourMs)
    const b = await two.register(group, 'b', text('at 2'), hourMs)
    await one.register(other, 'a', text('elsewhere'), hourMs)
    const view = await two.readRegistry(group)
    assert.deepEqual(shown(view), { a: 'at 1', b: 'at 2' })
    const fences = Object.fromEntries(view!.entries.map(({ id, fence }) => [id, fence]))
    assert.deepEqual(fences, { a: a.fence, b: b.fence })
    assert.deepEqual([a.group, a.id], [group, 'a'])
    assert.deepEqual(shown(await one.readRegistry(other)), { a: 'elsewhere' })
  })

  test('an entry that was replaced, withdrawn or has expired cannot be renewed by its old holder', async () => {
    const { one, two, fresh } = clients()
    const group = fresh()
    const paused = await one.register(group, 'a', text('old'), hourMs)
    const next = await two.register(group, 'a', text('new'), hourMs)
    assert.ok(next.fence > paused.fence)
    assert.equal(await one.renewRegistration(paused, hourMs, text('old again')), false)
    await one.withdraw(paused)
    assert.deepEqual(shown(await one.readRegistry(group)), { a: 'new' })
    await two.withdraw(next)
    assert.equal(await two.renewRegistration(next, hourMs), false)
    assert.deepEqual(shown(await one.readRegistry(group)), {})
    const brief = await one.register(group, 'b', text('brief'), 30)
    assert.ok(brief.fence > next.fence)
    await until('the entry has expired', async () => shown(await two.readRegistry(group))['b'] === undefined)
    assert.equal(await one.renewRegistration(brief, hourMs), false)
    assert.ok((await two.register(group, 'b', text('x'), hourMs)).fence > brief.fence)
  })

  test('renewing lengthens, and writes a value where one is given', async () => {
    const { one, two, fresh } = clients()
    const group = fresh()
    const [longer, brief] = await Promise.all([
      one.register(group, 'longer', text('1'), 1000),
      one.register(group, 'brief', text('1'), 1000),
    ])
    assert.equal(await two.renewRegistration(longer, hourMs), true)
    assert.equal(await two.renewRegistration(brief, 800, text('2')), true)
    assert.deepEqual(shown(await two.readRegistry(group)), { longer: '1', brief: '2' })
    await until('the other has expired', async () => Object.keys(shown(await one.readRegistry(group))).length === 1)
    assert.deepEqual(shown(await one.readRegistry(group)), { longer: '1' })
  })

  test('a version is answered by null while its entries stand, and never when they do not', async () => {
    const { one, two, fresh } = clients()
    const group = fresh()
    const follower = follow(two, group)
    assert.deepEqual(await follower.changed(), {})
    const a = await one.register(group, 'a', text('1'), hourMs)
    assert.deepEqual(await follower.changed(), { a: '1' })
    await one.renewRegistration(a, hourMs)
    assert.equal(await follower.changed(), null)
    await one.renewRegistration(a, hourMs, text('2'))
    assert.deepEqual(await follower.changed(), { a: '2' })
    const b = await one.register(group, 'b', text('1'), hourMs)
    await one.withdraw(a)
    assert.deepEqual(await follower.changed(), { b: '1' })
    // One goes and one comes: as many as before.
    const c = await one.register(group, 'c', text('1'), hourMs)
    await one.withdraw(b)
    assert.deepEqual(await follower.changed(), { c: '1' })
    await one.renewRegistration(c, 30)
    await until(
      'the last one has expired',
      async () => Object.keys((await follower.changed()) ?? { c: '' }).length === 0,
    )
    assert.equal(await follower.changed(), null)
    await one.register(fresh(), 'a', text('1'), hourMs)
    assert.equal(await follower.changed(), null)
  })

  test('a follower of many who come and go ends up with those who are there', async () => {
    const { one, two, fresh } = clients()
    const group = fresh()
    const work = { over: false }
    const come = Array.from({ length: 24 }, async (_, n) => {
      const store = n % 2 === 0 ? one : two
      const held = await store.register(group, `m${n % 16}`, text(String(n)), hourMs)
      await store.renewRegistration(held, hourMs, text(`${n}, renewed`))
      if (n % 3 === 0) await store.withdraw(held)
    })
    const working = Promise.all(come).finally(() => (work.over = true))
    const follower = follow(two, group)
    let known: Record<string, string> = {}
    while (!work.over) known = (await follower.changed()) ?? known
    await working
    known = (await follower.changed()) ?? known
    assert.deepEqual(known, shown(await one.readRegistry(group)))
    assert.equal(await follower.changed(), null)
  })

  test('groups and ids are any text, values any bytes', async () => {
    const { one, two, fresh } = clients()
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index)
    for (const name of ['', '\0', '!', ':', '{a}', '鍵', 'a"b', '__proto__']) {
      const group = `${fresh()}${name}`
      const held = await one.register(group, name, everyByte, hourMs)
      assert.equal(await two.renewRegistration(held, hourMs), true)
      const view = await two.readRegistry(group)
      assert.equal(view?.entries.length, 1)
      assert.equal(view.entries[0]?.id, name)
      assert.deepEqual(new Uint8Array(view.entries[0].value), everyByte)
    }
    await assertRejects(one.register(fresh(), 'a', 'text' as unknown as Uint8Array, 1), 'FF_STORE_ARGUMENT')
    await assertRejects(one.register(fresh(), 'a', text(''), 0), 'FF_STORE_ARGUMENT')
  })
}

/** Asks as a follower does: with the version that it saw last. */
function follow(store: Store, group: string): { changed(): Promise<Record<string, string> | null> } {
  let seen: string | undefined
  return {
    changed: async () => {
      const view = await store.readRegistry(group, seen)
      seen = view?.version ?? seen
      return view === null ? null : shown(view)
    },
  }
}

function shown(view: RegistryView | null): Record<string, string> {
  assert.ok(view !== null)
  return Object.fromEntries(view.entries.map(({ id, value }) => [id, textOf(value)]))
}
