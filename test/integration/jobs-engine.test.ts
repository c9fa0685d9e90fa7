/** What keeps jobs: claims and their fences, leases, limits across the cluster, retention. Against docs/decisions/037-jobs.md. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, suite, test } from 'node:test'

import { createOwnPool } from '../../src/engines/postgres/pools.ts'
import { Naming } from '../../src/engines/postgres/naming.ts'
import { overPool } from '../../src/jobs/postgres/database.ts'
import { createPostgresJobs } from '../../src/jobs/postgres/engine.ts'
import { Reports } from '../../src/jobs/worker/reports.ts'
import { silentLogger } from '../../src/core/log.ts'
import { jobsGround } from '../support/jobs-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Claim, JobEngine, JobsDatabase, LimitedName, NewJob } from '../../src/jobs/engine.ts'

const leaseMs = 60_000

suite('the engine of jobs on PostgreSQL', () => {
  const ground = jobsGround({ jobs: [] })
  let pool: ReturnType<typeof createOwnPool>
  let engine: JobEngine
  let database: JobsDatabase

  const order = async (jobs: Partial<NewJob> | readonly Partial<NewJob>[]): Promise<string[]> => {
    const rows = [jobs].flat().map((job) => ({ ...plain, ...job }) as NewJob)
    return (await engine.order(database.run, rows)).map(({ id }) => id)
  }
  const worker = (ms = leaseMs): Promise<string> => engine.register('test', ms)
  const take = async (who: string, most = 100): Promise<readonly Claim[]> =>
    (await engine.claim(who, ['plain'], most)).claims
  const stateOf = async (id: string): Promise<string | undefined> => (await engine.find([id]))[0]?.state
  const isLost = async (answers: Promise<readonly object[]>): Promise<boolean> => 'lost' in (await answers)[0]!

  before(async () => {
    const { address } = ground().ff.clusters['main']!
    const limits = { max: 12, connectTimeoutMs: 5_000, statementTimeoutMs: 10_000, applicationName: 'test' }
    pool = createOwnPool(address, limits)
    pool.on('error', () => undefined)
    database = overPool(pool, new Naming())
    engine = createPostgresJobs({ database })
    await Promise.all(Array.from({ length: 5 }, () => engine.prepare()))
  })
  after(() => pool.end())
  beforeEach(async () => {
    await pool.query('truncate fourfold.jobs, fourfold.finished_jobs, fourfold.job_workers, fourfold.job_names')
  })

  test('workers that claim at once get different jobs, and all of them', async () => {
    const ids = await order(Array.from({ length: 500 }, () => ({})))
    const workers = await Promise.all(Array.from({ length: 8 }, () => worker()))
    const claims = await Promise.all(
      workers.map(async (who) => {
        const taken: Claim[] = []
        for (let more = await take(who, 7); more.length > 0; more = await take(who, 7)) taken.push(...more)
        return taken
      }),
    )
    const taken = claims.flat().map(({ id }) => id)
    assert.equal(taken.length, 500)
    assert.deepEqual(new Set(taken), new Set(ids))
  })

  test('a claim is completed once, by its holder alone, and saying so again changes nothing', async () => {
    const [id] = await order({})
    const [first, second] = [await worker(), await worker()]
    const [claim] = await take(first)
    const done = [{ ...claim!, output: '{"a":1}' }]
    assert.ok(await isLost(engine.complete(second, done)))
    assert.ok(await isLost(engine.complete(first, [{ ...done[0]!, token: 2 }])))
    const recorded = await engine.complete(first, done)
    assert.deepEqual(await engine.complete(first, done), recorded, 'its answer had been lost')
    assert.ok(await isLost(engine.complete(second, done)))
    assert.ok(await isLost(engine.fail(first, [{ ...claim!, error: noError, retryMs: null }])))
    const { rows } = await pool.query('select count(*)::int as n from fourfold.finished_jobs')
    assert.equal(rows[0].n, 1)
    assert.deepEqual((await engine.find([id!]))[0]?.output, { a: 1 })
  })

  test('a worker whose lease was over can neither complete, nor fail, nor report, nor hand back what is another’s', async () => {
    const [id] = await order({})
    const zombie = await worker(1)
    const [old] = await take(zombie)
    const heir = await worker()
    await waitFor('it is taken back', async () => (await engine.recover()) === 1)
    const [now] = await take(heir)
    assert.deepEqual([now!.id, now!.token, now!.attempt], [id, 2, 2])
    assert.ok(await isLost(engine.complete(zombie, [{ ...old!, output: null }])))
    assert.ok(await isLost(engine.fail(zombie, [{ ...old!, error: noError, retryMs: 0 }])))
    assert.ok(await isLost(engine.progress(zombie, [{ ...old!, progress: 1, message: null }])))
    assert.ok(await isLost(engine.handBack(zombie, [old!])))
    assert.equal((await engine.beat(zombie, leaseMs, [id!])).alive, false)
    assert.equal(await stateOf(id!), 'running')
    assert.equal(await isLost(engine.complete(heir, [{ ...now!, output: null }])), false)
    assert.equal((await engine.find([id!]))[0]?.errors[0]?.code, 'FF_JOB_WORKER_LOST')
  })

  test('a worker that claims after its lease is over loses that, too', async () => {
    const zombie = await worker(1)
    await waitFor('its lease is over', async () => {
      await engine.recover()
      return !(await engine.beat(zombie, 1, [])).alive
    })
    const [id] = await order({})
    assert.equal((await take(zombie)).length, 1)
    assert.equal(await engine.recover(), 1)
    assert.equal(await stateOf(id!), 'waiting')
  })

  test('a claim whose answer was lost is handed back by the next heartbeat, and costs no attempt', async () => {
    const ids = await order([{}, {}])
    const who = await worker()
    const [known] = await take(who, 1)
    await take(who, 1)
    assert.equal((await engine.beat(who, leaseMs, [known!.id])).handedBack, 1)
    const [again] = await take(who)
    assert.deepEqual([again!.attempt, again!.token], [1, 2])
    assert.deepEqual(new Set([known!.id, again!.id]), new Set(ids))
    assert.equal((await engine.beat(who, leaseMs, [known!.id, again!.id])).handedBack, 0)
  })

  test('what lost its worker at its last attempt has failed; before that it waits longer each time', async () => {
    const [id] = await order({ attempts: 4 })
    const states: unknown[] = []
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      await pool.query(`update fourfold.jobs set state = 'waiting'`)
      assert.equal((await take(await worker(0)))[0]?.attempt, attempt)
      await waitFor('it is taken back', async () => (await engine.recover()) === 1)
      states.push(await stateOf(id!))
    }
    assert.deepEqual(states, ['waiting', 'waiting', 'scheduled', 'failed'])
    assert.equal((await engine.find([id!]))[0]?.errors.length, 4)
  })

  test('a worker that leaves gives back what it has', async () => {
    const [id] = await order({})
    const who = await worker()
    await take(who)
    await engine.withdraw(who)
    assert.equal(await stateOf(id!), 'waiting')
    assert.equal((await take(await worker()))[0]?.attempt, 1)
  })

  test('a priority goes before the waiting of so many minutes, and no further', async () => {
    const [low, high, older] = await order([{}, { priority: 5 }, {}])
    await pool.query(`update fourfold.jobs set rank = rank - interval '6 min' where id = $1`, [older])
    const who = await worker()
    assert.deepEqual(
      (await take(who)).map(({ id }) => id),
      [older, high, low],
    )
  })

  test('what is due waits from then on; the time of the next is known', async () => {
    assert.deepEqual(await engine.due(), { moved: 0, nextMs: null })
    const [id] = await order([{ delayMs: 60_000 }])
    const { nextMs } = await engine.due()
    assert.ok(nextMs! > 50_000 && nextMs! <= 60_000)
    await pool.query(`update fourfold.jobs set run_at = now()`)
    assert.equal((await engine.due()).moved, 1)
    assert.equal(await stateOf(id!), 'waiting')
  })

  test('a cancelled one that fails is cancelled, and one that is handed back is told to whoever takes it', async () => {
    const [fails, back] = await order([{}, {}])
    const who = await worker()
    const claims = await take(who)
    await engine.cancel(fails!)
    await engine.cancel(back!)
    assert.equal((await engine.beat(who, leaseMs, [fails!, back!])).cancelled.length, 2)
    const of = (id: string): Claim => claims.find((claim) => claim.id === id)!
    await engine.fail(who, [{ ...of(fails!), error: noError, retryMs: 1_000 }])
    assert.equal(await stateOf(fails!), 'cancelled')
    await engine.handBack(who, [of(back!)])
    assert.equal((await take(who))[0]?.cancelled, true)
  })

  test('one that is cancelled while its attempt fails, or while it is taken, is cancelled', async () => {
    for (const [before, after] of [
      [`state = 'running'`, `state = 'scheduled', worker = null`],
      [`state = 'waiting'`, `state = 'running'`],
    ] as const) {
      const [id] = await order({})
      await pool.query(`update fourfold.jobs set ${before} where id = $1`, [id])
      const client = await pool.connect()
      await client.query('begin')
      await client.query(`update fourfold.jobs set ${after} where id = $1`, [id])
      const cancelled = engine.cancel(id!)
      await waitFor('it waits for the row', async () => {
        const { rows } = await pool.query(`select 1 from pg_locks where not granted`)
        return rows.length > 0
      })
      await client.query('commit')
      client.release()
      assert.notEqual(await cancelled, null)
    }
  })

  test('orders that meet one like them that is finished at this moment are ordered, all of them', async () => {
    const alike = (uniqueKey: string): NewJob => ({ ...plain, uniqueKey })
    await order(alike('end:one'))
    let statements = 0
    const ordered = await engine.order(
      async (text, values) => {
        if (++statements === 2) await pool.query(`delete from fourfold.jobs where unique_key = 'end:one'`)
        return await database.run(text, values)
      },
      [alike('end:other'), alike('end:one'), alike('end:one'), plain],
    )
    assert.deepEqual(
      ordered.map(({ isNew }) => isNew),
      [true, true, false, true],
    )
    assert.equal(ordered[1]!.id, ordered[2]!.id)
    const { rows } = await pool.query('select id from fourfold.jobs')
    assert.deepEqual(new Set(rows.map(({ id }) => id)), new Set(ordered.map(({ id }) => id)))
  })

  test('large outputs are recorded in lots that a statement can carry', async () => {
    const ids = await order(Array.from({ length: 24 }, () => ({})))
    const who = await worker()
    const claims = await take(who)
    const lots: number[] = []
    const complete: JobEngine['complete'] = async (name, completed) => {
      lots.push(completed.reduce((sum, { output }) => sum + output!.length, 0))
      return await engine.complete(name, completed)
    }
    const reports = new Reports({
      engine: { ...engine, complete },
      recorded: () => undefined,
      refused: (_report, error) => assert.fail(String(error)),
      log: silentLogger,
    })
    const output = JSON.stringify('x'.repeat(2 ** 20 - 2))
    for (const claim of claims) reports.add({ kind: 'done', worker: who, what: { ...claim, output } })
    await reports.settle(AbortSignal.timeout(30_000))
    assert.equal(reports.size, 0)
    assert.equal(await stateOf(ids.at(-1)!), 'done')
    assert.ok(Math.max(...lots) <= 8 * 2 ** 20, `lots of ${lots.join(', ')} bytes`)
  })

  test('one that has failed is kept from its failure on, however long it had waited', async () => {
    const [failed, lost] = await order([{}, { attempts: 1 }])
    await pool.query(`update fourfold.jobs set run_at = now() - interval '30 days', rank = now()`)
    const who = await worker(0)
    const claims = await take(who)
    await engine.fail(who, [{ ...claims.find(({ id }) => id === failed)!, error: noError, retryMs: null }])
    await waitFor('the other is taken back', async () => (await engine.recover()) === 1)
    await engine.rotate(1e9, 1e9, 24 * 3_600_000)
    assert.deepEqual([await stateOf(failed!), await stateOf(lost!)], ['failed', 'failed'])
  })

  suite('limits', () => {
    const limited = (limits: Partial<LimitedName>): LimitedName => ({
      ...{ name: 'plain', limit: null, perKey: null, rate: null },
      ...limits,
    })
    const claimAll = async (limits: LimitedName, workers: number, most: number): Promise<Claim[][]> => {
      const who = await Promise.all(Array.from({ length: workers }, () => worker()))
      return await Promise.all(who.map(async (one) => [...(await engine.claimLimited(one, limits, most)).claims]))
    }

    test('at most so many run at once, however many workers ask at once', async () => {
      await order(Array.from({ length: 50 }, () => ({})))
      const claims = await claimAll(limited({ limit: 7 }), 8, 5)
      assert.equal(claims.flat().length, 7)
      const [own] = claims.find(({ length }) => length > 0)!
      assert.equal((await claimAll(limited({ limit: 7 }), 2, 5)).flat().length, 0)
      const { rows } = await pool.query('select worker from fourfold.jobs where id = $1', [own!.id])
      await engine.complete(rows[0].worker, [{ ...own!, output: null }])
      assert.equal((await claimAll(limited({ limit: 7 }), 2, 5)).flat().length, 1)
    })

    test('at most so many of a key, and a long backlog of one key holds up no other', async () => {
      await order([
        ...Array.from({ length: 600 }, () => ({ key: 'busy' })),
        ...Array.from({ length: 20 }, (_, at) => ({ key: `other ${at % 10}` })),
        {},
        {},
        {},
      ])
      const claims = (await claimAll(limited({ perKey: 2 }), 4, 100)).flat()
      const keys = await pool.query(
        `select key, count(*)::int as n from fourfold.jobs where state = 'running' group by key`,
      )
      const counts = new Map(keys.rows.map(({ key, n }) => [key, n]))
      assert.equal(counts.get('busy'), 2)
      for (let at = 0; at < 10; at += 1) assert.equal(counts.get(`other ${at}`), 2)
      assert.equal(claims.length, 22 + 3)
      assert.equal(counts.get(null), 3)
    })

    test('what has no key does not wait behind a long backlog of a key that is full', async () => {
      await order([...Array.from({ length: 600 }, () => ({ key: 'busy' })), {}])
      const claims = (await claimAll(limited({ perKey: 1 }), 2, 10)).flat()
      assert.equal(claims.length, 2)
    })

    test('of more keys than are looked at together each has its turn', async () => {
      await order([...Array.from({ length: 300 }, () => ({ key: 'busy' })), { key: 'z' }])
      const who = await worker()
      // The first keys never run dry.
      const first = Array.from({ length: 1_100 }, (_, at) => ({ key: `k${String(at).padStart(4, '0')}` }))
      await order(first)
      const claimed: string[] = []
      for (let round = 0; round < 4; round += 1) {
        const { claims } = await engine.claimLimited(who, limited({ perKey: 1 }), 10)
        claimed.push(...claims.map(({ id }) => id))
        await order(first.slice(0, 10))
      }
      const { rows } = await pool.query('select key from fourfold.jobs where id = any($1::bigint[])', [claimed])
      assert.ok(
        rows.some(({ key }) => key === 'z'),
        rows.map(({ key }) => key).join(' '),
      )
    })

    test('at most so many begin in a time, in every stretch of it, and all do in the end', async () => {
      await order(Array.from({ length: 60 }, () => ({})))
      const limits = limited({ rate: { limit: 20, perMs: 500 } })
      const who = await Promise.all([worker(), worker()])
      const begun: number[] = []
      const deadline = performance.now() + 10_000
      while (begun.length < 60 && performance.now() < deadline) {
        const claims = await Promise.all(who.map((one) => engine.claimLimited(one, limits, 100)))
        for (const one of claims) for (const _ of one.claims) begun.push(performance.now())
        const againMs = Math.min(...claims.map((one) => one.againMs ?? 1))
        await new Promise((resolve) => setTimeout(resolve, Math.min(againMs, 50)))
      }
      assert.equal(begun.length, 60)
      for (const [at, ms] of begun.entries()) {
        // What came here later than it was claimed makes a stretch look shorter.
        const within = begun.slice(at).filter((other) => other < ms + 450).length
        assert.ok(within <= 20, `${within} within 450 ms`)
      }
      assert.ok(begun.at(-1)! - begun[0]! < 3_500, `all of them took ${begun.at(-1)! - begun[0]!} ms`)
    })

    test('what is paused is not claimed', async () => {
      await order({})
      await engine.setPaused('plain', true)
      assert.deepEqual(await engine.paused(), ['plain'])
      assert.equal((await claimAll(limited({ limit: 1 }), 1, 5)).flat().length, 0)
      await engine.setPaused('plain', false)
      assert.equal((await claimAll(limited({ limit: 1 }), 1, 5)).flat().length, 1)
    })
  })

  test('a tick is ordered once, by whoever comes first, and none of before', async () => {
    const job = { ...plain, name: 'tick' }
    const [begun] = await Promise.all([engine.lastTick('tick'), engine.lastTick('tick'), engine.lastTick('tick')])
    assert.ok(Math.abs(begun.nowMs - begun.atMs) < 1_000)
    const atMs = Math.floor(begun.nowMs) + 60_000
    const ordered = await Promise.all(Array.from({ length: 8 }, () => engine.tick('tick', atMs, job)))
    assert.equal(ordered.filter((one) => one !== null).length, 1)
    assert.equal(await engine.tick('tick', atMs - 1_000, job), null)
    const last = await engine.lastTick('tick')
    assert.equal(last.atMs, atMs)
    assert.ok(last.nowMs >= begun.nowMs && last.nowMs < atMs)
  })

  test('of large inputs a few are taken at once, and it is said that there are more', async () => {
    // What cannot be made smaller.
    const input = JSON.stringify(randomBytes(750_000).toString('base64'))
    const ids = await order(Array.from({ length: 9 }, () => ({ input })))
    const who = await worker()
    const taken: string[] = []
    for (const count of [5, 4]) {
      const { claims, more } = await engine.claim(who, ['plain'], 100)
      assert.equal(claims.length, count)
      assert.equal(more, count === 5)
      taken.push(...claims.map(({ id }) => id))
    }
    assert.deepEqual(taken, ids)
    assert.deepEqual(await engine.claim(who, ['plain'], 100), { claims: [], more: false })
  })

  test('plans that were made for an empty table read of a full one what they need', async () => {
    const client = await pool.connect()
    const own = createPostgresJobs({ database: overPool({ query: client.query.bind(client) } as any, new Naming()) })
    const scansUntilNow = async (): Promise<number> => {
      await client.query('select pg_stat_force_next_flush()')
      const { rows } = await client.query(`select pg_stat_get_numscans('fourfold.jobs'::regclass)::int as count`)
      return rows[0].count as number
    }
    const indexReads = async (): Promise<number> => {
      await client.query('select pg_stat_force_next_flush()')
      const { rows } = await client.query(
        `select sum(idx_tup_read)::int as count from pg_stat_user_indexes where schemaname = 'fourfold' and relname = 'jobs'`,
      )
      return rows[0].count as number
    }
    const complete = async (who: string, taken: readonly Claim[]): Promise<void> => {
      await own.complete(
        who,
        taken.map((claim) => ({ ...claim, output: null })),
      )
    }
    try {
      await client.query('vacuum analyze fourfold.jobs')
      const who = await worker()
      // As often as a plan takes to be kept.
      for (let round = 0; round < 8; round += 1) {
        for (const names of [['plain', 'other'], ['plain']]) {
          await order({})
          await complete(who, (await own.claim(who, names, 5)).claims)
        }
      }
      await order(Array.from({ length: 5_000 }, () => ({})))
      const scans = await scansUntilNow()
      const { claims: held } = await own.claim(who, ['plain', 'other'], 1_000)
      assert.equal(held.length, 1_000)
      const first = await indexReads()
      for (let round = 0; round < 10; round += 1)
        assert.equal((await own.claim(who, round % 2 === 0 ? ['plain', 'other'] : ['plain'], 10)).claims.length, 10)
      const read = await indexReads()
      // By what names and ranks offer, beside some that were taken before, and by their ids.
      assert.ok((read - first) / 100 < 200, `${(read - first) / 100} entries of indexes were read for each claim`)
      await complete(who, held.slice(0, 100))
      const each = ((await indexReads()) - read) / 100
      assert.ok(each < 10, `${each} entries of indexes were read for each that was completed`)
      assert.equal(await scansUntilNow(), scans)
    } finally {
      client.release()
    }
  })

  test('finished ones go in eighths, by age and by size, and failed ones by age', async () => {
    const finish = async (count: number): Promise<string[]> => {
      const ids = await order(Array.from({ length: count }, () => ({ input: JSON.stringify('x'.repeat(500)) })))
      const who = await worker()
      const fresh = createPostgresJobs({ database })
      await fresh.complete(
        who,
        (await take(who, count)).map((claim) => ({ ...claim, output: null })),
      )
      return ids
    }
    const [old] = await finish(1)
    const day = 24 * 3_600_000
    await engine.rotate(7 * day, 1e9, day)
    assert.equal(await stateOf(old!), 'done')
    for (let turn = 0; turn < 7; turn += 1) {
      await pool.query(`update fourfold.job_segments set began_at = now() - interval '25 hours'`)
      await engine.rotate(7 * day, 1e9, day)
      await finish(1)
    }
    assert.equal(await stateOf(old!), 'done', 'kept for seven of them')
    await pool.query(`update fourfold.job_segments set began_at = now() - interval '25 hours'`)
    await engine.rotate(7 * day, 1e9, day)
    assert.equal(await stateOf(old!), undefined)
    for (let round = 0; round < 12; round += 1) {
      await finish(1_000)
      await engine.rotate(7 * day, 4 * 2 ** 20, day)
    }
    const { rows } = await pool.query(
      `select sum(pg_total_relation_size(c.oid))::float8 as bytes from pg_class c where c.relname ~ '^finished_jobs_'`,
    )
    assert.ok(rows[0].bytes < 6 * 2 ** 20, `${rows[0].bytes} bytes are left`)
  })
})

const plain: NewJob = {
  ...{ name: 'plain', input: '{}', owner: null, key: null, uniqueKey: null },
  ...{ priority: 0, delayMs: 0, attempts: 3 },
}
const noError = { attempt: 1, at: '2026-01-01T00:00:00.000Z', message: 'no' }
