/** Workers are called when there is something to do, and find it anyway where they are not. */

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { suite, test } from 'node:test'

import { defineJob } from '../../src/jobs/define-job.ts'
import { anything, jobsGround } from '../support/jobs-ground.ts'
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

const begun = new Map<string, number>()
const note = defineJob<{ readonly key: string }>({ name: 'note', input: anything })
const jobs = [note.handle(async ({ input: { key } }) => void begun.set(key, performance.now()))]

/** The calls of a worker that hears none come a second apart, half of that on average. */
const heardWithinMs = 250
const rounds = 12
let count = 0

/** From each order until its job begins, the one in the middle. */
async function middleMs(order: (key: string) => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const key = `note ${(count += 1)}`
    const orderedMs = performance.now()
    await order(key)
    await waitFor('it is begun', () => begun.has(key), 5_000)
    times.push(begun.get(key)! - orderedMs)
    // Not in step with anything that ticks.
    await pause(20 + 60 * Math.random())
  }
  return times.toSorted((a, b) => a - b)[rounds >> 1]!
}

suite('calls for workers', () => {
  const ground = jobsGround({ jobs })
  const ordersOf = (ff: Fourfold<any>) => (key: string) => ff.jobs.enqueue(note, { key })

  test('a worker makes the tables where nobody has ordered anything', async () => {
    const { outside, worker } = ground()
    const one = await worker()
    const presentSql = `select to_regclass('fourfold.job_workers') is not null as present`
    await waitFor('the tables', async () => (await outside.query(presentSql)).rows[0].present as boolean, 5_000)
    const registered = async (): Promise<number | null> =>
      (await outside.query('select from fourfold.job_workers')).rowCount
    await waitFor('it works under a name', async () => (await registered()) === 1, 5_000)
    await one.close()
  })

  test('an order is begun at once, in a transaction or not, one or many at a time', async () => {
    const { ff, worker } = ground()
    const one = await worker()
    assert.ok((await middleMs(ordersOf(ff))) < heardWithinMs)
    const { pool } = ff.databases['main']!
    const within = await middleMs(async (key) => {
      const client = await pool.connect()
      await client.query('begin')
      await ff.jobs.enqueue(note, { key }, { in: client })
      await client.query('commit')
      client.release()
    })
    assert.ok(within < heardWithinMs, `in a transaction: ${within} ms`)
    // Each of these is told by itself or with others, and never by an order that commits before it.
    const together = await middleMs(async (key) => {
      await Promise.all(Array.from({ length: 6 }, (_, at) => ff.jobs.enqueue(note, { key: at === 3 ? key : 'more' })))
    })
    assert.ok(together < heardWithinMs, `together: ${together} ms`)
    await one.close()
  })

  test('a worker whose connection was cut listens again', async () => {
    const { ff, outside, worker } = ground()
    const one = await worker()
    const listeners = async (): Promise<readonly number[]> => {
      const { rows } = await outside.query(`select pid from pg_stat_activity where query = 'listen fourfold_jobs'`)
      return rows.map(({ pid }) => pid as number)
    }
    const pid = await waitFor('it listens', async () => (await listeners())[0])
    await outside.query('select pg_terminate_backend($1)', [pid])
    await waitFor('it listens again', async () => {
      const found = await listeners()
      return found.length === 1 && found[0] !== pid
    })
    assert.ok((await middleMs(ordersOf(ff))) < heardWithinMs)
    await one.close()
    assert.deepEqual(await listeners(), [])
  })

  test('what is no call that this version knows harms nobody', async () => {
    const { ff, outside, worker } = ground()
    const one = await worker()
    await middleMs(ordersOf(ff))
    for (const message of ['', 'null', '{"work":true,"names":5}', '{"cancel":7}', '{"work":"yes","names":{}}']) {
      await outside.query('select pg_notify($1, $2)', ['fourfold_jobs', message])
    }
    assert.ok((await middleMs(ordersOf(ff))) < heardWithinMs)
    await one.close()
  })

  test('behind a transaction pooler they are heard past it, or asked for without', async (t) => {
    assert.notEqual(await findPgBouncer(), null)
    const { connections, worker } = ground()
    const { direct, ...main } = connections.databases['main']!
    const pooled = await startPgBouncer(t, direct)
    const through = (past: typeof direct): typeof connections => ({
      ...connections,
      databases: { ...connections.databases, main: { ...main, primary: pooled, direct: past } },
    })
    const clone = await worker({ works: false, connections: through(direct) })
    const hears = await worker({ connections: through(direct) })
    // More at once than the pooler has connections, so that statements meet others than they were named on.
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(Array.from({ length: 8 }, () => clone.jobs.enqueue(note, { key: 'many' })))
    }
    assert.ok((await middleMs(ordersOf(clone))) < heardWithinMs)
    await hears.close()
    const deaf = await worker({ connections: through(pooled) })
    assert.ok((await middleMs(ordersOf(clone))) < 2 * heardWithinMs)
    await deaf.close()
    await clone.close()
  })
})
