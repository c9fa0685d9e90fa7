/** A process that starts goes on with what the others know of changes, however little is left of the stream. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { SnapshotShelf } from '../../src/freshness/changes/snapshot-shelf.ts'
import { decodeMessage } from '../../src/freshness/changes/message.ts'
import { changeStream } from '../../src/freshness/tracker/publisher.ts'
import { connectStore } from '../../src/store/connect.ts'
import { connectTier } from '../../src/store/connect-tier.ts'
import { cacheGround, countedObjects, untilKept, type CacheGround } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'
import type { ChangeFollower } from '../../src/freshness/changes/follower.ts'
import type { Store } from '../../src/store/store.ts'
import type { CacheTier } from '../../src/store/tier.ts'

function followerOf(ff: Fourfold<any>): ChangeFollower {
  return ff.clusters['main']!.changes!
}

/** The number of a message, behind a position, that says what is watched: processes that start hear it first. */
async function announcementBehind(store: Store, position: number): Promise<number> {
  return await waitFor('a message that says what is watched', async () => {
    const { entries } = await store.readStream(changeStream('main'), 0, { limit: 100_000 })
    const found = entries.find(({ value }) => {
      const message = decodeMessage(value)
      return message !== null && 'epoch' in message && message.coverage !== null && message.from >= position
    })
    return found?.number ?? null
  })
}

/** As if so much had happened since that the stream begins with this message. */
async function trimStream(store: Store, first: number): Promise<void> {
  const stream = changeStream('main')
  await waitFor('the stream begins there', async () => {
    const { entries, last } = await store.readStream(stream, 0, { limit: 100_000 })
    const { value } = entries.at(-1)!
    const added = await store.appendToStream(stream, value, { maxEntries: last + 2 - first, ttlMs: 86_400_000 })
    // Else another came in between.
    return added === last + 1
  })
}

async function insertPosition({ outside }: CacheGround): Promise<number> {
  const { rows } = await outside.query<{ lsn: string }>(`select pg_current_wal_insert_lsn() - '0/0' as lsn`)
  return Number(rows[0]!.lsn)
}

suite('a process that starts', () => {
  const ground = cacheGround([], { open: { snapshotEveryMs: 200 } })
  let tier: CacheTier
  let store: Store
  before(async () => {
    tier = await connectTier({ url: ground().storeUrl })
    store = await connectStore({ url: ground().storeUrl })
  })
  after(async () => {
    await tier.close()
    await store.close()
  })

  test('finds entries of the shared tier fresh that were filled before its first message, and those that changed over', async () => {
    const { clone, outside } = ground()
    const one = countedObjects()
    const first = await clone([one.article, one.byAuthor])
    await untilKept(first.as({ level: 'session' }), one.article, 'slug-1', 'slug-2')
    await outside.query(`update articles set title = 'changed' where slug = 'slug-2'`)
    const oldest = await announcementBehind(store, await insertPosition(ground()))
    const position = await insertPosition(ground())
    // Another set of columns: what is known after that is worth another snapshot.
    await untilKept(first.as({ level: 'session' }), one.byAuthor, 1)
    const shelf = new SnapshotShelf(tier, 'main')
    const { epoch } = followerOf(first)
    const head = await waitFor('a snapshot knows of the change', async () => {
      const found = await shelf.head(epoch!)
      return found !== null && found.watermark >= position ? found : null
    })
    await trimStream(store, oldest)

    const two = countedObjects()
    const second = await clone([two.article, two.user])
    const follower = followerOf(second)
    await waitFor('it has taken the snapshot over', () => follower.filter?.floor === head.floor)
    const ada = second.as({ reader: 'ada', level: 'session' })
    assert.equal((await ada.cache.get(two.article, 'slug-1'))?.title, 'title 1')
    assert.equal(two.loads.article, 0)
    assert.equal(second.cache.metrics()['article']!.hits.tier, 1)
    assert.equal((await ada.cache.get(two.article, 'slug-2'))?.title, 'changed')
    assert.equal(two.loads.article, 1)
  })

  test('counts as changed what it cannot know, where a part of the snapshot is lost', async () => {
    const { clone, outside } = ground()
    const { epoch } = followerOf(ground().ff)
    const one = countedObjects()
    const first = await clone([one.user])
    await untilKept(first.as({ level: 'session' }), one.user, 3)
    await outside.query('update users set name = name where id = 50')
    const oldest = await announcementBehind(store, await insertPosition(ground()))
    await waitFor('nobody else writes any more', () => store.acquireLease('filter-snapshot:main', 'a test', 60_000))
    const head = await new SnapshotShelf(tier, 'main').head(epoch!)
    await tier.delete(`filter:main:${epoch}:${head!.marks.findIndex((mark) => mark !== null)}`)
    await trimStream(store, oldest)
    const two = countedObjects()
    const second = await clone([two.user])
    await waitFor('it has heard the first message', () => followerOf(second).filter !== null)
    const ada = second.as({ reader: 'ada', level: 'session' })
    const { tier: found, verdict } = await ada.cache.explain(two.user, 3)
    assert.deepEqual([found, verdict], ['shared', 'forgotten'])
    assert.equal((await ada.cache.get(two.user, 3))?.name, 'user 3')
    assert.equal(two.loads.user, 1)
  })
})
