/** The cache when what helps it is gone: reads go on, none takes much longer, and all comes back by itself. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { database, defineApp } from '../../src/app/define-app.ts'
import { open } from '../../src/app/open.ts'
import { silentLogger } from '../../src/core/log.ts'
import { articlesSql, countedObjects, untilKept, type CacheSchema, type Loads } from '../support/cache-app.ts'
import { newDirectory, type Cleanup } from '../support/postgres.ts'
import { startRedisProcess } from '../support/redis-process.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

const deadlineMs = 250
/** What a machine that runs other tests beside this one adds to a timer and a query. */
const slackMs = 1_500

interface Reads {
  count: number
  wrong: number
  slowestMs: number
  errors: unknown[]
  stop(): Promise<void>
}

type App = Fourfold<{ main: CacheSchema }>
type User = ReturnType<typeof countedObjects>['user']

async function openApp(
  t: Cleanup,
  object: User,
): Promise<{ ff: App; redis: Awaited<ReturnType<typeof startRedisProcess>> }> {
  const redis = await startRedisProcess()
  t.after(() => redis.stop())
  const dataDir = await newDirectory('ff-cache-faults-')
  const databases = { main: database<CacheSchema>({ replicas: 0 }) }
  const app = defineApp({ databases, objects: [object], store: { url: redis.url, deadline: deadlineMs }, dataDir })
  const ff = (await open(app, { env: {}, log: silentLogger })) as unknown as App
  t.after(async () => {
    await ff.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  await ff.databases.main.pool.query(articlesSql)
  return { ff, redis }
}

/** Four readers, each of which writes now and then and must see it. */
function readOn(ff: App, object: User): Reads {
  const stop = new AbortController()
  const reads: Reads = { count: 0, wrong: 0, slowestMs: 0, errors: [], stop: async () => undefined }
  const read = async (name: number): Promise<void> => {
    const me = ff.as({ reader: `reader ${name}`, level: 'session' })
    let written = 0
    await me.databases.main.updateTable('users').set({ name: '0' }).where('id', '=', name).execute()
    for (let round = 1; !stop.signal.aborted; round += 1) {
      if (round % 20 === 0) {
        await me.databases.main
          .updateTable('users')
          .set({ name: String(round) })
          .where('id', '=', name)
          .execute()
        written = round
      }
      const began = performance.now()
      const found = await me.cache.get(object, name).catch((error: unknown) => void reads.errors.push(error))
      reads.slowestMs = Math.max(reads.slowestMs, performance.now() - began)
      reads.count += 1
      if (found !== undefined && found?.name !== String(written)) reads.wrong += 1
      await pause(1)
    }
  }
  const running = Promise.all([1, 2, 3, 4].map(read))
  reads.stop = async () => {
    stop.abort()
    await running
  }
  return reads
}

function assertServed(reads: Reads): void {
  assert.deepEqual(reads.errors, [])
  assert.equal(reads.wrong, 0)
  assert.ok(reads.slowestMs < deadlineMs + slackMs, `the slowest read took ${reads.slowestMs} ms`)
}

/** Reads are answered without a load again. */
async function untilHits(ff: App, object: User, loads: Loads): Promise<void> {
  const me = ff.as({ reader: 'somebody', level: 'session' })
  await waitFor('hits', async () => {
    await me.cache.get(object, 30)
    const before = loads.user
    for (let read = 0; read < 10; read += 1) await me.cache.get(object, 30)
    return loads.user === before
  })
}

suite('the cache without its helpers', () => {
  test('Redis is killed under load and comes back, having forgotten everything', async (t) => {
    const { user, loads } = countedObjects()
    const { ff, redis } = await openApp(t, user)
    await untilKept(ff.as({ level: 'session' }), user, 30)
    const reads = readOn(ff, user)
    await waitFor('reads', () => reads.count > 200)
    await redis.kill()
    const before = reads.count
    await waitFor('reads go on', () => reads.count > before + 40, 30_000)
    await redis.start()
    await untilHits(ff, user, loads)
    await reads.stop()
    assertServed(reads)
  })

  test('the change stream stands still and goes on', async (t) => {
    const { user, loads } = countedObjects()
    const { ff } = await openApp(t, user)
    await untilKept(ff.as({ level: 'session' }), user, 30)
    const reads = readOn(ff, user)
    await waitFor('reads', () => reads.count > 200)
    const outage = keepStreamDown(ff)
    const before = reads.count
    await waitFor('reads go on', () => reads.count > before + 200, 30_000)
    await outage.giveBack()
    await untilHits(ff, user, loads)
    await reads.stop()
    assertServed(reads)
  })
})

/** Ends the tracker's connection as often as it makes a new one. */
function keepStreamDown(ff: App): { giveBack(): Promise<void> } {
  const stop = new AbortController()
  const end = `select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null and slot_type = 'logical'`
  const running = (async () => {
    while (!stop.signal.aborted) {
      await ff.clusters['main']!.runClean(end)
      await pause(3)
    }
  })()
  return {
    giveBack: async () => {
      stop.abort()
      await running
    },
  }
}
