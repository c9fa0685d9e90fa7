/** What a worker's outlet does with all pages, as its store, its tier and other builds come and go. */

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import { bucketOf, isWanted, readCatalogue, writeCatalogue } from '../../src/pages/catalogue.ts'
import { announce, type Announcement } from '../../src/pages/announcements.ts'
import { Holdings } from '../../src/pages/baker/holdings.ts'
import { Watch } from '../../src/pages/baker/watch.ts'
import { Weights } from '../../src/pages/baker/weights.ts'
import { createDirectoryPublisher } from '../../src/pages/publish/directory.ts'
import { PageOutlet } from '../../src/pages/publish/outlet.ts'
import { PageRoutes } from '../../src/pages/routes.ts'
import { endAfter, type Cleanup } from '../support/postgres.ts'
import { publishGround, type PublishGround } from '../support/publish-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Source } from '../../src/cache/source.ts'
import type { Store } from '../../src/store/store.ts'

interface OutletOptions {
  readonly store?: Store
  readonly build?: string
  readonly paths?: readonly string[]
  readonly missing?: (id: string) => void
}

function routesOf(build: string, paths: readonly string[]): PageRoutes {
  return new PageRoutes(paths.map((path) => ({ path, query: [], prefix: `${build}:${path}:` })))
}

/** A worker of a build, with pages `/a/:x` and `/b/:x` unless told otherwise. */
function outletOf(t: Cleanup, ground: PublishGround, options: OutletOptions = {}): PageOutlet {
  const { store = ground.store, build = 'b', paths = ['/a/:x', '/b/:x'], missing = () => undefined } = options
  const publishers = [createDirectoryPublisher(join(ground.directory, 'pages'))]
  const isKept = async (id: string): Promise<boolean> =>
    (await readCatalogue(store, build, bucketOf(id))).some((known) => known.id === id)
  const publishing = ground.worker({ store, build, publishers, isKept, missing, firstRetryMs: 5 })
  const routes = routesOf(build, paths)
  const times = { everyMs: 50, firstRetryMs: 5 }
  const wanted = (): void => undefined
  const outlet = new PageOutlet({ publishing, publishers, routes, store, build, log: silentLogger, wanted, ...times })
  endAfter(t, () => outlet.stop())
  outlet.start()
  return outlet
}

function toldOf(path: string, x: string, build = 'b'): Announcement {
  const id = routesOf(build, [path]).matchOf(0, { x }).id
  return { id, source: path, key: { x }, parts: [], expiresAtMs: Infinity, loadMs: 1, found: true }
}

async function bake(ground: PublishGround, body: string, told: Announcement, build = 'b'): Promise<void> {
  ground.bakes.set(told.id, await ground.bake(body))
  await writeCatalogue(ground.store, build, told)
  await announce(ground.store, build, told)
}

async function isFile(ground: PublishGround, name: string, body: string | null): Promise<void> {
  const path = join(ground.directory, 'pages', name)
  const file = async (): Promise<string | null> => readFile(path, 'utf8').catch(() => null)
  await waitFor(`${name} to be ${body}`, async () => (await file()) === body || null, 5_000)
}

test('a comparison that the store breaks off is made again', async (t) => {
  const ground = await publishGround(t)
  const told = toldOf('/a/:x', '1')
  await bake(ground, 'page', told)
  let failures = 0
  const own = await ground.connect()
  const store = Object.assign(Object.create(own) as Store, {
    read: async (key: string) => {
      if (key.startsWith('pages:catalogue:') && failures < 3) {
        failures += 1
        throw new Error('away')
      }
      return own.read(key)
    },
  })
  outletOf(t, ground, { store })
  await isFile(ground, 'a/1.html', 'page')
  assert.equal(failures, 3)
})

test('a page that no tier has is asked for, and what was wrong with its file is put right when it is baked', async (t) => {
  const ground = await publishGround(t)
  const told = toldOf('/a/:x', '1')
  const first = outletOf(t, ground)
  await bake(ground, 'page', told)
  await isFile(ground, 'a/1.html', 'page')
  await first.stop()
  const baked = ground.bakes.get(told.id)!
  ground.bakes.delete(told.id)
  await rm(join(ground.directory, 'pages/a/1.html'))
  const missing: string[] = []
  outletOf(t, ground, { missing: (id) => void missing.push(id) })
  await waitFor('it is asked for', () => missing.length > 0)
  assert.deepEqual([...new Set(missing)], [told.id])
  // To the same as before.
  ground.bakes.set(told.id, baked)
  await announce(ground.store, 'b', told)
  await isFile(ground, 'a/1.html', 'page')
})

test('what a former build put there once more before it went is taken away, or put right', async (t) => {
  const ground = await publishGround(t)
  const old = outletOf(t, ground, { build: 'old' })
  const [gone, kept, unlisted] = ['/b/:x', '/a/:x', '/a/:x'].map((path, at) => toldOf(path, `${at}`, 'old'))
  for (const told of [gone, kept, unlisted]) await bake(ground, 'old', told!, 'old')
  for (const name of ['b/0', 'a/1', 'a/2']) await isFile(ground, `${name}.html`, 'old')
  outletOf(t, ground, { paths: ['/a/:x'] })
  await isFile(ground, 'b/0.html', null)
  await bake(ground, 'new', toldOf('/a/:x', '1'))
  await isFile(ground, 'a/1.html', 'new')
  for (const told of [gone, kept, unlisted]) await bake(ground, 'old again', told!, 'old')
  for (const name of ['b/0', 'a/1', 'a/2']) await isFile(ground, `${name}.html`, 'old again')
  await old.stop()
  await isFile(ground, 'b/0.html', null)
  await isFile(ground, 'a/1.html', 'new')
  const wanted = toldOf('/a/:x', '2')
  const entries = await readCatalogue(ground.store, 'b', bucketOf(wanted.id))
  assert.ok(
    entries.some((entry) => entry.id === wanted.id && isWanted(entry)),
    'the new build is to bake it',
  )
})

test('what a baker lets go of is taken away, and a worker that is late with it does not bring it back', async (t) => {
  const ground = await publishGround(t)
  const outlet = outletOf(t, ground)
  const told = toldOf('/a/:x', '1')
  await bake(ground, 'page', told)
  await isFile(ground, 'a/1.html', 'page')
  outlet.dropped(told)
  await announce(ground.store, 'b', toldOf('/a/:x', '2'))
  await isFile(ground, 'a/1.html', 'page')
  await writeCatalogue(ground.store, 'b', { ...told, found: false })
  outlet.dropped(told)
  await isFile(ground, 'a/1.html', null)
  // Of whoever read the catalogue before.
  await announce(ground.store, 'b', told)
  await bake(ground, 'other', toldOf('/a/:x', '3'))
  await isFile(ground, 'a/3.html', 'other')
  await isFile(ground, 'a/1.html', null)
  await bake(ground, 'newer', told)
  await isFile(ground, 'a/1.html', 'newer')
})

test('of pages that nobody lists the last 10,000 are looked after, for a day, and the others are let go of', async (t) => {
  const ground = await publishGround(t)
  const source = { name: '/a/:x', prefix: 'b:/a/:x:', ttlMs: null } as Source<any>
  const watch = new Watch({
    clusters: new Map(),
    checks: { staleness: () => null },
    touched: () => undefined,
    forgotten: () => undefined,
  })
  const dropped: string[] = []
  const bakes = { touch: () => undefined, touchAt: () => undefined, later: () => undefined, forget: () => undefined }
  const holdings = new Holdings({
    ...{ watch, sources: [source], bakes, weights: new Weights(), store: ground.store, build: 'b', log: silentLogger },
    dropped: (item) => void dropped.push(item.id),
  })
  const tolds = Array.from({ length: 10_002 }, (_, at) => toldOf('/a/:x', `${at}`))
  for (const told of tolds.slice(0, 2)) await writeCatalogue(ground.store, 'b', told)
  for (const told of tolds) holdings.take(told)
  await waitFor('the first are dropped', () => dropped.length === 2)
  assert.deepEqual(dropped, [tolds[0]!.id, tolds[1]!.id])
  assert.equal(watch.items.size, 10_000)
  assert.deepEqual(await readCatalogue(ground.store, 'b', bucketOf(tolds[0]!.id)), [])
  const [old, recent] = [watch.items.get(tolds[2]!.id)!, watch.items.get(tolds[3]!.id)!]
  old.visitedAtMs = performance.now() - 24 * 3_600_000 - 1
  holdings.dropUnused([old, recent])
  await waitFor('one more is dropped', () => dropped.length === 3)
  assert.equal(dropped[2], old.id)
  assert.equal(watch.items.get(recent.id), recent)
})
