/** pg-boss 12: NOTIFY, batches that are fetched without a pause while they are full, and the shortest interval of polling. */

import pg from 'pg'
import { PgBoss } from 'pg-boss'

import { bytesOfSchema, copyRow, type Queue } from './jobs-queue.ts'

interface Input {
  readonly n: number
}

const name = 'trivial'
const shortestSeconds = 0.5
const batchSize = 100
const leastHeartbeatSeconds = 10

export const pgBossQueue: Queue = {
  client: async ({ address }) => {
    const boss = new PgBoss({ ...address, max: 8, supervise: false, schedule: false })
    boss.on('error', () => undefined)
    await boss.start()
    await boss.createQueue(name, { notify: true })
    const pool = new pg.Pool({ ...(address as pg.PoolConfig), max: 1 })
    return {
      one: (n) => boss.send(name, { n }),
      many: (count) =>
        boss.insert(
          name,
          Array.from({ length: count }, (_, n) => ({ data: { n } })),
        ),
      within: (client, n) =>
        boss.send(name, { n }, { db: { executeSql: async (text, values) => await client.query(text, values) } }),
      isDone: async () => {
        const { rows } = await pool.query(`select exists (select from pgboss.job where state < 'completed') as some`)
        return rows[0].some === false
      },
      clear: async () => void (await pool.query('truncate pgboss.job cascade')),
      bytes: () => bytesOfSchema(pool, 'pgboss'),
      grow: async (count) => {
        const anew = { id: 'gen_random_uuid()' }
        await copyRow(pool, { table: 'pgboss.job', where: `state = 'completed'`, anew }, count)
        await pool.query('vacuum analyze')
      },
      close: async () => {
        await boss.stop()
        await pool.end()
      },
    }
  },
  work: async ({ address }, { concurrency, soon, handle }) => {
    const boss = new PgBoss({
      ...{ ...address, max: Math.max(10, concurrency + 2), useListenNotify: true, schedule: false },
      ...(soon === true && { superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 }),
    })
    boss.on('error', () => undefined)
    await boss.start()
    // Jobs take it from their queue when they are ordered.
    await boss.updateQueue(name, { heartbeatSeconds: soon === true ? leastHeartbeatSeconds : null })
    await boss.work<Input>(
      name,
      {
        ...{ batchSize, burstWhenBatchFull: true, localConcurrency: concurrency },
        ...{ pollingIntervalSeconds: shortestSeconds, notifyPollingIntervalSeconds: shortestSeconds },
      },
      async (jobs) => {
        for (const { data } of jobs) await handle(data.n)
      },
    )
    return { stop: () => boss.stop() }
  },
}
