/** Orders that meet others like them, which end at that moment. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { defineJob } from '../../src/jobs/define-job.ts'
import { Naming } from '../../src/engines/postgres/naming.ts'
import { orderMany } from '../../src/jobs/ordering.ts'
import { FIND_UNIQUE_SQL } from '../../src/jobs/postgres/orders.ts'
import { overPool } from '../../src/jobs/postgres/database.ts'
import { createOwnPool } from '../../src/engines/postgres/pools.ts'
import { createPostgresJobs } from '../../src/jobs/postgres/engine.ts'
import { anything, jobsGround } from '../support/jobs-ground.ts'

import type { JobsDatabase, RunStatement } from '../../src/jobs/engine.ts'
import type { OrderingOptions } from '../../src/jobs/ordering.ts'

const job = defineJob<{ readonly n: number }>({ name: 'alike', input: anything, unique: (input) => String(input.n) })

suite('orders that meet others like them', () => {
  const ground = jobsGround({ jobs: [] })
  let pool: ReturnType<typeof createOwnPool>
  let core: OrderingOptions
  let ends = 0

  /** The one that was met ends before it is looked for, so many times. */
  const meeting = (run: RunStatement, times: number): RunStatement => {
    return async (text, values, behind) => {
      if (text === FIND_UNIQUE_SQL && ends < times) {
        ends += 1
        await pool.query('delete from fourfold.jobs where input->>$1 = $2', ['n', '1'])
        const answer = await run(text, values, behind)
        // And the next like it is ordered at once.
        if (ends < times) await orderFirst()
        return answer
      }
      return await run(text, values, behind)
    }
  }
  const coreMeeting = (times: number): OrderingOptions => {
    ends = 0
    const plain = core.database
    const database: JobsDatabase = {
      run: meeting(plain.run, times),
      transaction: (work) => plain.transaction((run) => work(meeting(run, times))),
    }
    return { ...core, database, engine: createPostgresJobs({ database }) }
  }
  const owner = async (): Promise<null> => null
  const orderFirst = () => orderMany(core, { job, owner }, [{ n: 1 }], {})
  const inputs = async (): Promise<readonly number[]> => {
    const { rows } = await pool.query(`select (input->>'n')::int as n from fourfold.jobs order by id`)
    return rows.map(({ n }) => n as number)
  }

  before(async () => {
    const { ff } = ground()
    const limits = { max: 4, connectTimeoutMs: 5_000, statementTimeoutMs: 10_000, applicationName: 'test' }
    pool = createOwnPool(ff.clusters['main']!.address, limits)
    pool.on('error', () => undefined)
    const database = overPool(pool, new Naming())
    const engine = createPostgresJobs({ database })
    await engine.prepare()
    const nothing = { call: () => undefined, calling: async (_call: object, order: () => unknown) => await order() }
    core = { engine, database, teller: nothing as never, ready: async () => undefined } as unknown as OrderingOptions
  })
  after(() => pool.end())

  test('all of them are there when the one that was met has ended', async () => {
    await orderFirst()
    const ordered = await orderMany(coreMeeting(1), { job, owner }, [{ n: 0 }, { n: 1 }, { n: 2 }], {})
    assert.equal(ends, 1)
    assert.deepEqual(new Set(await inputs()), new Set([0, 1, 2]))
    assert.ok(ordered.every(({ isNew }) => isNew))
    await pool.query('truncate fourfold.jobs')
  })

  test('none is there when one of them could not be ordered', async () => {
    await orderFirst()
    const all = orderMany(coreMeeting(1_000), { job, owner }, [{ n: 0 }, { n: 1 }, { n: 2 }], {})
    await assert.rejects(all, { code: 'FF_JOB_BUSY' })
    assert.deepEqual(await inputs(), [1])
  })
})
