import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { announceClone, type Announcement } from '../../src/clones/hosts/announcement.ts'
import { balancerGroup, cloneGroup, decodeClone, encodeEntry, type CloneEntry } from '../../src/clones/hosts/entries.ts'
import { silentLogger } from '../../src/core/log.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Registration, Store } from '../../src/store/store.ts'
import { waitFor } from '../support/wait-for.ts'

const ttlMs = 2000

/** A store that can be emptied, as Redis without persistence is by a restart. */
function emptyable(): { readonly store: Store; empty(): void } {
  let store = openMemoryStore()
  const proxy = new Proxy({} as Store, {
    get: (_target, name: keyof Store) => (store[name] as (...args: unknown[]) => unknown).bind(store),
  })
  return { store: proxy, empty: () => void (store = openMemoryStore()) }
}

function announce(t: TestContext, store: Store, graceMs = 5000): Announcement {
  const announcement = announceClone({
    store,
    name: 'clone-1',
    host: 'web',
    address: { host: '10.0.0.2', port: 20_000 },
    buildId: 'b1',
    graceMs,
    log: silentLogger,
    ttlMs,
  })
  t.after(() => announcement.stop())
  return announcement
}

interface Seen extends CloneEntry {
  readonly id: string
  readonly fence: number
}

async function clonesIn(store: Store): Promise<Seen[]> {
  const view = await store.readRegistry(cloneGroup)
  return (view?.entries ?? []).flatMap(({ id, fence, value }) => {
    const entry = decodeClone(value)
    return entry === null ? [] : [{ id, fence, ...entry }]
  })
}

function balancerSays(store: Store, drained: readonly string[], ttl: number): Promise<Registration> {
  const value = encodeEntry({ host: 'front', drained, admission: 1, counts: {} })
  return store.register(balancerGroup, 'front/balancer', value, ttl)
}

/** Keeps the process busy, as SIGSTOP would keep it still: no timer comes. */
function standStill(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

test('a clone stays registered under one id and one fence for as long as it lives', async (t) => {
  const { store } = emptyable()
  const announcement = announce(t, store)
  await announcement.begin()
  const [first] = await clonesIn(store)
  assert.equal(first?.id, announcement.id)
  assert.match(first?.id ?? '', /^web\/clone-1\.[\da-f]{8}$/)
  const until = performance.now() + 1.25 * ttlMs
  await waitFor('longer than a registration lives', async () => {
    assert.deepEqual(await clonesIn(store), [first])
    return performance.now() > until
  })
  await announcement.stop()
  assert.deepEqual(await clonesIn(store), [])
})

test('in a store that was emptied it registers again, as the same', async (t) => {
  const { store, empty } = emptyable()
  const announcement = announce(t, store)
  await announcement.begin()
  const { id } = announcement
  empty()
  await waitFor('it to be back', async () => (await clonesIn(store)).length === 1)
  assert.equal((await clonesIn(store))[0]?.id, id)
})

test('after it stood still for too long it is another at once, before it hears what the store says', async (t) => {
  const { store } = emptyable()
  const announcement = announce(t, store)
  await announcement.begin()
  const { id } = announcement
  standStill(ttlMs + 100)
  announcement.pauses.check()
  assert.notEqual(announcement.id, id)
  assert.ok(announcement.pauses.recently())
  await waitFor('the new one alone', async () => {
    const ids = (await clonesIn(store)).map((clone) => clone.id)
    return ids.length === 1 && ids[0] === announcement.id
  })
})

test('after a shorter pause it is the same, and what it reads is looked at twice', async (t) => {
  const { store } = emptyable()
  const announcement = announce(t, store)
  await announcement.begin()
  const { id } = announcement
  standStill(ttlMs / 2)
  announcement.pauses.check()
  assert.equal(announcement.id, id)
  assert.ok(announcement.pauses.recently())
})

test('leaving waits until every living balancer is done with it, and then refuses all', async (t) => {
  const { store } = emptyable()
  await balancerSays(store, [], 60_000)
  const announcement = announce(t, store)
  await announcement.begin()
  const id = announcement.id ?? ''
  let left: boolean | null = null
  const leaving = announcement.leave().then((drained) => (left = drained))
  await waitFor('it to say so', async () => (await clonesIn(store))[0]?.state === 'draining')
  assert.equal(left, null)
  assert.equal(announcement.id, id, 'what is on its way is still answered')
  await balancerSays(store, [id], 60_000)
  await leaving
  assert.equal(left, true)
  assert.equal(announcement.id, null)
})

test('leaving waits for a dead balancer until it expires, and for a living one until the grace is over', async (t) => {
  const { store } = emptyable()
  await balancerSays(store, [], ttlMs)
  const dead = announce(t, store)
  await dead.begin()
  assert.equal(await dead.leave(), true)
  await balancerSays(store, [], 60_000)
  const hurried = announce(t, store, 300)
  await hurried.begin()
  assert.equal(await hurried.leave(), false)
  assert.equal(hurried.id, null)
})
