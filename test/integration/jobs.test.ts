/** Jobs: ordered in transactions, done by workers, tried again, cancelled, limited, waited for. */

import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'

import { isFourfoldError } from '../../src/core/errors.ts'
import { defineJob, JobFailure, type JobContext } from '../../src/jobs/define-job.ts'
import { anything, jobsGround, schemaOf } from '../support/jobs-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'
import type { JobStatus } from '../../src/jobs/status.ts'

const double = defineJob({
  name: 'double',
  input: schemaOf<{ n: number }>((value: any) =>
    typeof value?.n === 'number' ? null : `n: expected a number, got ${typeof value?.n}`,
  ),
  output: schemaOf<{ twice: number }>((value: any) =>
    typeof value?.twice === 'number' ? null : 'twice: expected a number',
  ),
})

/** What a job of these tests does, by the name in its input. */
type Act = (job: JobContext<any> & { readonly databases: any }) => unknown
const acts = new Map<string, Act>()
const act = defineJob<any>({ name: 'act', input: anything, retry: { limit: 2, first: 10, factor: 1 } })
const once = defineJob<any>({ name: 'once', input: anything, retry: 0 })
const short = defineJob<any>({ name: 'short', input: anything, retry: 0, timeout: 50 })
const alike = defineJob<any>({ name: 'alike', input: anything, unique: ({ by }) => by })
const begun = defineJob<any>({ name: 'begun', input: anything, unique: { by: ({ by }) => by, until: 'start' } })
const same = defineJob<any>({ name: 'same', input: anything, unique: true })
const never: any = { '~standard': { version: 1, vendor: 'test', validate: () => new Promise(() => undefined) } }
const unchecked = defineJob<any>({ name: 'unchecked', input: anything, output: never, retry: 0, timeout: 50 })
const unknown = defineJob<any>({ name: 'unknown', input: anything })
const perform: Act = (job) => acts.get(job.input.act)!(job)
const all = [
  double.handle(({ input }) => ({ twice: input.n * 2 })),
  ...[act, once, short, alike, begun, unchecked].map((contract) => contract.handle(perform as never)),
]

suite('jobs', () => {
  const ground = jobsGround({ jobs: all })
  let jobs: Fourfold<any>['jobs']
  /** Orders a job that does this, and answers its id. */
  const order = async (does: Act, contract: any = act, options = {}): Promise<string> => {
    const name = String(Math.random())
    acts.set(name, does)
    return (await jobs.enqueue(contract, { act: name, by: name }, options)).id
  }
  const ended = async (id: string): Promise<JobStatus> =>
    (await jobs.wait(id, { timeout: '10s' })) ?? assert.fail('expected a job')

  before(async () => {
    await ground().worker()
    jobs = ground().ff.jobs
    await ground().outside.query('create table notes (id int primary key, text text not null)')
  })

  test('what is ordered is done, and its output is there', async () => {
    const { id, isNew } = await jobs.enqueue(double, { n: 21 })
    assert.equal(isNew, true)
    const done = await jobs.wait<typeof double>(id, { timeout: '5s' })
    assert.equal(done?.state, 'done')
    assert.deepEqual(done?.output, { twice: 42 })
    assert.deepEqual((await jobs.find(id))?.output, { twice: 42 })
  })

  test('many are ordered at once, and answered in their order', async () => {
    const ids = await jobs.enqueueMany(
      double,
      Array.from({ length: 1_000 }, (_, n) => ({ n })),
    )
    assert.equal(new Set(ids.map(({ id }) => id)).size, 1_000)
    for (const n of [0, 500, 999]) assert.deepEqual((await ended(ids[n]!.id)).output, { twice: 2 * n })
    assert.deepEqual(await jobs.enqueueMany(double, []), [])
  })

  test('an input that does not fit is refused with the schema’s words, before anything is written', async () => {
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, { n: 'x' } as any), /n: expected a number, got string/)
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, { n: 1n } as any), /JSON/)
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, undefined as any), /JSON/)
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, { n: 1, more: 'x'.repeat(2 ** 20) } as any), /bytes/)
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, { n: 1 }, { priority: 1.5 }), /priority/)
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, { n: 1 }, { key: '' }), /key/)
    await rejectsWith('FF_JOB_INPUT', jobs.enqueue(double, { n: 1 }, { runAt: '2027-01-01' as any }), /runAt/)
    await rejectsWith('FF_JOB_ID', jobs.find('x'), /digits/)
    assert.equal((await jobs.counts()).length, 0)
  })

  test('texts of any kind travel', async () => {
    const text = '\0 \ud800 鍵 \u{1f600} "\\'
    const id = await order(({ input }) => input, act, {})
    assert.equal((await ended(id)).state, 'done')
    acts.set('echo', ({ input }) => [...input.text].map((unit) => unit.codePointAt(0)))
    const { id: echoed } = await jobs.enqueue(act, { act: 'echo', text })
    assert.deepEqual(
      (await ended(echoed)).output,
      [...text].map((unit) => unit.codePointAt(0)),
    )
  })

  test('an order stands or falls with its transaction', async () => {
    const { ff, outside } = ground()
    const main = ff.databases['main']!
    let inside = ''
    await main.transaction().execute(async (trx: any) => {
      await trx.insertInto('notes').values({ id: 1, text: 'a' }).execute()
      inside = (await jobs.enqueue(double, { n: 1 }, { in: trx })).id
    })
    assert.equal((await ended(inside)).state, 'done')
    let lost = ''
    const rolledBack = main.transaction().execute(async (trx: any) => {
      lost = (await jobs.enqueue(double, { n: 2 }, { in: trx })).id
      throw new Error('rolled back')
    })
    await assert.rejects(rolledBack, /rolled back/)
    assert.equal(await jobs.find(lost), null)
    await outside.query('begin')
    const { id } = await jobs.enqueue(double, { n: 3 }, { in: outside })
    assert.equal(await jobs.find(id), null)
    await outside.query('commit')
    assert.equal((await ended(id)).state, 'done')
  })

  test('a transaction of another database is refused, and goes on', async () => {
    const { main, other } = ground().ff.databases
    await other!.transaction().execute(async (trx: any) => {
      await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: trx }), /other/)
    })
    const client = await other!.pool.connect()
    await client.query('begin')
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: client }), /another database/)
    assert.equal((await client.query('select 1 as one')).rows[0].one, 1)
    await client.query('rollback')
    client.release()
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: main as any }), /no transaction/)
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: {} as any }), /neither/)
  })

  test('what has no transaction open is refused: nothing would hold the order and the rest together', async () => {
    const { ff, outside } = ground()
    const { pool } = ff.databases['main']!
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: pool as any }), /pool/)
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: outside }), /no transaction/)
    const begun = outside.query('begin')
    const { id } = await jobs.enqueue(double, { n: 1 }, { in: outside })
    await begun
    await outside.query('rollback')
    assert.equal(await jobs.find(id), null)
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: outside }), /no transaction/)
    const client = await pool.connect()
    await rejectsWith('FF_JOB_DATABASE', jobs.enqueue(double, { n: 1 }, { in: client }), /no transaction/)
    await client.query('begin')
    await jobs.enqueue(double, { n: 1 }, { in: client })
    await client.query('rollback')
    client.release()
  })

  test('an attempt that fails is followed by others, and each error is kept', async () => {
    const id = await order(({ attempt }) => {
      if (attempt < 3) throw Object.assign(new Error(`no luck ${attempt}\0`), { code: 'BAD_LUCK' })
      return 'at last'
    })
    const { state, output, record, error } = await ended(id)
    assert.deepEqual([state, output, record.attempt, error], ['done', 'at last', 3, null])
    assert.deepEqual(
      record.errors.map(({ attempt, message, code }) => [attempt, message, code]),
      [1, 2].map((attempt) => [attempt, `no luck ${attempt}`, 'BAD_LUCK']),
    )
  })

  test('without an attempt left it has failed, stays, and can be tried again', async () => {
    let broken = true
    const id = await order(() => {
      if (broken) throw new Error('broken')
      return 'whole'
    })
    assert.equal((await ended(id)).error?.message, 'broken')
    assert.equal((await jobs.find(id))?.record.errors.length, 3)
    assert.ok((await jobs.failed()).some((one) => one.id === id))
    broken = false
    assert.equal(await jobs.retry(id), 1)
    assert.equal((await ended(id)).output, 'whole')
    assert.equal(await jobs.retry(id), 0)
  })

  test('what no attempt would change is not tried again', async () => {
    const reasons: [Act, RegExp][] = [
      [
        () => {
          throw new JobFailure('no such user')
        },
        /no such user/,
      ],
      [() => 1n, /JSON/],
      [
        () => {
          const circle: any = {}
          circle.self = circle
          return circle
        },
        /JSON/,
      ],
      [() => 'x'.repeat(2 ** 20 + 1), /bytes/],
    ]
    for (const [does, message] of reasons) {
      const { state, error, record } = await ended(await order(does))
      assert.deepEqual([state, record.errors.length], ['failed', 1])
      assert.match(error!.message, message)
    }
    const { id } = await jobs.enqueue(double, { n: 1e308 * 10 } as any).catch(() => ({ id: '' }))
    assert.equal(id, '', 'Infinity is null in JSON')
  })

  test('whatever a handler rejects with is an error', async () => {
    const reasons: readonly [reason: unknown, message: string][] = [
      [undefined, 'undefined'],
      [null, 'null'],
      ['text', 'text'],
      [7, '7'],
      [{ some: 'thing' }, '[object Object]'],
    ]
    for (const [reason, message] of reasons) {
      const { state, error } = await ended(await order(() => Promise.reject(reason as Error), once))
      assert.deepEqual([state, error?.message], ['failed', message])
    }
  })

  test('what is thrown and cannot be told is a failed attempt like any other', async () => {
    const untellable = {
      get message(): string {
        throw new Error('no message either')
      },
    }
    const reasons: readonly unknown[] = [
      Object.create(null),
      Object.assign(new Error('x'), { message: { some: 'thing' } }),
      Object.assign(new Error('x'), { stack: 7 }),
      Object.setPrototypeOf(untellable, Error.prototype),
    ]
    for (const reason of reasons) {
      const { state, error } = await ended(await order(() => Promise.reject(reason as Error), once))
      assert.deepEqual([state, typeof error?.message], ['failed', 'string'])
    }
  })

  test('an attempt that takes too long hears its signal, and its place is free although it goes on', async () => {
    let heard: unknown = null
    const heeding = await order(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            heard = signal.reason
            reject(signal.reason as Error)
          })
        }),
      short,
    )
    assert.equal((await ended(heeding)).error?.code, 'FF_JOB_TIMEOUT')
    assert.ok(isFourfoldError(heard, 'FF_JOB_TIMEOUT'))
    const hanging = await order(() => new Promise(() => undefined), short)
    assert.equal((await ended(hanging)).error?.code, 'FF_JOB_TIMEOUT')
  })

  test('a schema that never answers is no longer waited for than a handler', async () => {
    const id = await order(() => 1, unchecked)
    assert.equal((await ended(id)).error?.code, 'FF_JOB_TIMEOUT')
    // Inputs are checked again by the worker.
    const unread = defineJob<any>({ name: 'unread', input: never, retry: 0, timeout: 50 })
    const ordered = await jobs.enqueue(defineJob<any>({ name: 'unread', input: anything, retry: 0 }), {})
    const other = await ground().worker({ jobs: [unread.handle(() => 1 as never)] })
    assert.equal((await ended(ordered.id)).error?.code, 'FF_JOB_TIMEOUT')
    await other.close()
  })

  test('delayed ones wait, and runAt is the same as a moment', async () => {
    const beganMs = Date.now()
    const [delayed, later] = await Promise.all([
      order(() => Date.now(), act, { delay: 300 }),
      order(() => Date.now(), act, { runAt: new Date(beganMs + 400) }),
    ])
    assert.equal((await jobs.find(delayed))?.state, 'scheduled')
    const [first, second] = [(await ended(delayed)).output as number, (await ended(later)).output as number]
    assert.ok(first >= beganMs + 290 && first < beganMs + 1_500, `after ${first - beganMs} ms`)
    assert.ok(second >= beganMs + 390, `after ${second - beganMs} ms`)
  })

  test('while one like it is not finished, an order is answered with that', async () => {
    const gate = Promise.withResolvers<void>()
    acts.set('gate', () => gate.promise)
    const orders = await Promise.all(Array.from({ length: 20 }, () => jobs.enqueue(alike, { act: 'gate', by: 'a' })))
    assert.equal(new Set(orders.map(({ id }) => id)).size, 1)
    assert.equal(orders.filter(({ isNew }) => isNew).length, 1)
    const other = await jobs.enqueue(alike, { act: 'gate', by: 'b' })
    assert.equal(other.isNew, true)
    await waitFor('it runs', async () => (await jobs.find(orders[0]!.id))?.state === 'running')
    assert.equal((await jobs.enqueue(alike, { act: 'gate', by: 'a' })).isNew, false)
    const begins = await jobs.enqueue(begun, { act: 'gate', by: 'a' })
    await waitFor('it runs', async () => (await jobs.find(begins.id))?.state === 'running')
    assert.equal((await jobs.enqueue(begun, { act: 'gate', by: 'a' })).isNew, true, 'until the start alone')
    const mixed = await jobs.enqueueMany(
      alike,
      ['a', 'c', 'c', 'b'].map((by) => ({ act: 'gate', by })),
    )
    assert.deepEqual(
      mixed.map(({ isNew }) => isNew),
      [false, true, false, false],
    )
    assert.equal(mixed[3]!.id, other.id)
    gate.resolve()
    await ended(orders[0]!.id)
    assert.equal((await jobs.enqueue(alike, { act: 'gate', by: 'a' })).isNew, true)
  })

  test('inputs are alike in whatever order their fields stand', async () => {
    const [first, second, third] = [
      await jobs.enqueue(same, { a: { x: [1, { p: 1, q: 2 }], y: 2 }, b: null }),
      await jobs.enqueue(same, { b: null, a: { y: 2, x: [1, { q: 2, p: 1 }] } }),
      await jobs.enqueue(same, { b: null, a: { y: 2, x: [{ q: 2, p: 1 }, 1] } }),
    ]
    assert.deepEqual([second, third.isNew], [{ id: first.id, isNew: false }, true])
  })

  test('a name that is paused is told of although there is nothing of it', async () => {
    await jobs.pause('not yet')
    const { paused, waiting } =
      (await jobs.counts()).find(({ name }) => name === 'not yet') ?? assert.fail('expected it')
    assert.deepEqual([paused, waiting], [true, 0])
    await jobs.resume('not yet')
    assert.ok((await jobs.counts()).every(({ name }) => name !== 'not yet'))
  })

  test('one that waits is cancelled at once, one that runs hears it, one that is finished is left', async () => {
    const waiting = await order(() => 1, act, { delay: '1h' })
    assert.equal(await jobs.cancel(waiting), true)
    assert.equal((await ended(waiting)).state, 'cancelled')
    assert.equal(await jobs.cancel(waiting), false)
    const running = await order(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    )
    await waitFor('it runs', async () => (await jobs.find(running))?.state === 'running')
    assert.equal(await jobs.cancel(running), true)
    assert.equal((await ended(running)).state, 'cancelled')
    const deaf = await order(() => new Promise(() => undefined))
    await waitFor('it runs', async () => (await jobs.find(deaf))?.state === 'running')
    await jobs.cancel(deaf)
    assert.equal((await ended(deaf)).state, 'cancelled')
    assert.equal(await jobs.cancel('999999999'), false)
  })

  test('one that has failed is finished, and is not cancelled any more', async () => {
    const id = await order(() => Promise.reject(new Error('no')), once)
    assert.equal((await ended(id)).state, 'failed')
    assert.equal(await jobs.cancel(id), false)
    assert.equal((await jobs.find(id))?.state, 'failed')
    assert.equal(await jobs.retry(id), 1)
    await ended(id)
  })

  test('how far it is can be followed, forwards only, up to the end', async () => {
    const step = Promise.withResolvers<void>()
    const id = await order(async ({ progress }) => {
      progress(0.25, 'begun')
      for (let at = 0; at < 1_000; at += 1) progress(0.25 + at / 4_000, `step ${at}`)
      await step.promise
      progress(0.9, 'nearly')
      progress(7, 'packed\0')
    })
    const seen: JobStatus[] = []
    for await (const status of jobs.follow(id, { signal: AbortSignal.timeout(10_000) })) {
      seen.push(status!)
      if (status!.message === 'step 999') step.resolve()
    }
    const { state, progress, message } = seen.at(-1)!
    assert.deepEqual({ state, progress, message }, { state: 'done', progress: 1, message: 'packed' })
    const versions = seen.map(({ version }) => version)
    assert.deepEqual(
      versions,
      [...new Set(versions)].toSorted((one, other) => one - other),
    )
    const last = seen.find((status) => status.message === 'step 999')
    assert.ok(Math.abs(last!.progress! - 0.49975) < 1e-6)
    assert.ok(seen.length < 10, `${seen.length} states of 1,000 told`)
  })

  test('what is paused is not begun until it is resumed', async () => {
    await jobs.pause(once)
    await waitFor('it is paused', async () => (await ground().ff.jobs.counts()) !== null)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const id = await order(() => 'resumed', once)
    const soon = AbortSignal.timeout(1_200)
    await assert.rejects(jobs.wait(id, { signal: soon }))
    assert.equal((await jobs.counts()).find(({ name }) => name === 'once')?.paused, true)
    await jobs.resume('once')
    assert.equal((await ended(id)).output, 'resumed')
  })

  test('a name that no worker knows waits for one that does', async () => {
    const { id } = await jobs.enqueue(unknown, {})
    await ended((await jobs.enqueue(double, { n: 1 })).id)
    assert.equal((await jobs.find(id))?.state, 'waiting')
    const newer = await ground().worker({ jobs: [unknown.handle(() => 'known' as never)] })
    assert.equal((await ended(id)).output, 'known')
    await newer.close()
  })

  test('that it is done is told although another database of the app is away', async () => {
    const { connections, worker } = ground()
    const other = connections.databases['other']!
    const away = { ...other, primary: { ...other.primary, port: 1 }, direct: { ...other.primary, port: 1 } }
    const partly = { ...connections, databases: { ...connections.databases, other: away } }
    const reader = (await worker({ works: false, connections: partly })).as({ reader: 'ann' })
    const { id } = await reader.jobs.enqueue(double, { n: 4 })
    assert.deepEqual((await reader.jobs.wait(id, { timeout: '10s' }))?.output, { twice: 8 })
  })

  test('whoever waits in vain is told so', async () => {
    const id = await order(() => 1, act, { delay: '1h' })
    await rejectsWith('FF_CORE_DEADLINE', jobs.wait(id, { timeout: 50 }))
    const reason = new Error('gone')
    await assert.rejects(jobs.wait(id, { signal: AbortSignal.abort(reason) }), reason)
    assert.equal(await jobs.wait('999999999'), null)
    // Longer than a timer can be, and no whole number.
    for (const timeout of ['30d', '90d', '1000.0005s']) {
      const tired = AbortSignal.timeout(100)
      await assert.rejects(jobs.wait(id, { timeout, signal: tired }), { name: 'TimeoutError' }, timeout)
    }
  })

  test('whoever waits in an app that is closed is told so', async () => {
    const beside = await ground().worker({ works: false })
    const id = await order(() => 1, act, { delay: '1h' })
    const waiting = beside.jobs.wait(id).catch((error: unknown) => error)
    await waitFor('it waits', () => beside.jobs.watching > 0)
    await beside.close()
    const late = new Promise((resolve) => setTimeout(() => resolve('nothing'), 2_000).unref())
    assert.ok(isFourfoldError(await Promise.race([waiting, late]), 'FF_CORE_CLOSED'))
  })
})

suite('jobs by the clock', () => {
  const ticks: number[] = []
  const every = defineJob<any>({
    name: 'every',
    input: anything,
    schedule: { cron: '* * * * * *', input: { from: 'clock' } },
  })
  const missed = defineJob<any>({ name: 'missed', input: anything, schedule: '0 0 1 1 *' })
  const late = defineJob<any>({ name: 'late', input: anything, schedule: { cron: '0 0 * * *', timeZone: 'UTC' } })
  const seldom = defineJob<any>({ name: 'seldom', input: anything, schedule: '*/4 * * * * *' })
  const ground = jobsGround({
    jobs: [
      every.handle(({ input }) => void (assert.deepEqual(input, { from: 'clock' }), ticks.push(Date.now())) as never),
      missed.handle(() => assert.fail('it was never due') as never),
      late.handle(() => 'made up for' as never),
    ],
  })

  test('each tick is one job, however many workers hear it; the last that nobody heard is made up for', async () => {
    const { ff, outside, worker } = ground()
    // As if the last worker had gone two days ago.
    await ff.jobs.counts()
    await outside.query(`insert into fourfold.job_names (name, last_tick) values ('late', now() - interval '2 days')`)
    const beganMs = Date.now()
    await Promise.all([worker(), worker(), worker()])
    await waitFor('three ticks', () => ticks.length >= 3)
    const most = Math.ceil((Date.now() - beganMs) / 1_000) + 1
    assert.ok(ticks.length <= most, `${ticks.length} jobs in ${most} ticks`)
    const found = async (name: string): Promise<number> =>
      (await outside.query('select count(*)::int as n from fourfold.finished_jobs where name = $1', [name])).rows[0].n
    await waitFor('what was missed', async () => (await found('late')) === 1)
    assert.equal(await found('missed'), 0)
  })

  test('a host whose clock is wrong orders nothing too soon, and keeps nothing from others', async (t) => {
    const { ff, outside, worker } = ground()
    await ff.jobs.counts()
    const { rows } = await outside.query(
      `select to_char(now() at time zone 'UTC' + interval '30 min', 'MI HH24') as at`,
    )
    const cron = `${rows[0].at} * * *`
    const soon = defineJob<any>({ name: 'soon', input: anything, schedule: { cron, timeZone: 'UTC' } })
    const often = defineJob<any>({ name: 'often', input: anything, schedule: '* * * * * *' })
    await outside.query(
      `insert into fourfold.job_names (name, last_tick) values ('soon', now() - interval '20 hours'), ('often', now())`,
    )
    const ordered = async (name: string): Promise<number> =>
      (await outside.query('select count(*)::int as n from fourfold.finished_jobs where name = $1', [name])).rows[0].n
    t.after(putClock(3_600_000))
    const ahead = await worker({ jobs: [soon, often].map((one) => one.handle(() => null)) })
    await waitFor('two ticks', async () => (await ordered('often')) >= 2)
    const { rows: last } = await outside.query(
      `select (extract(epoch from last_tick - clock_timestamp()) * 1000)::float8 as ms from fourfold.job_names where name = 'often'`,
    )
    assert.ok(last[0].ms <= 0, `a tick was ordered ${last[0].ms} ms before its time`)
    assert.equal(await ordered('soon'), 0)
    await ahead.close()
  })

  test('a tick that is heard late is the tick that it was', async () => {
    const { ff, outside, worker } = ground()
    await ff.jobs.counts()
    const running = await worker({ jobs: [seldom.handle(() => null)] })
    const lastMs = async (): Promise<number> =>
      (
        await outside.query(
          `select extract(epoch from last_tick) * 1000 as ms from fourfold.job_names where name = $1`,
          [seldom.name],
        )
      ).rows[0]?.ms
    await waitFor('it has begun', async () => (await lastMs()) !== undefined)
    const nextMs = Math.ceil(Date.now() / 4_000) * 4_000
    await new Promise((resolve) => setTimeout(resolve, nextMs - Date.now() - 100))
    // As if the process were paused.
    while (Date.now() < nextMs + 1_500);
    await waitFor('it is recorded', async () => Number(await lastMs()) >= nextMs)
    assert.equal(Number(await lastMs()) - nextMs, 0)
    await running.close()
  })
})

/** Puts this process's clock forward, as that of a host that is wrong; answers what sets it right. */
function putClock(byMs: number): () => void {
  const Right = Date
  globalThis.Date = class extends Right {
    constructor(...given: []) {
      if (given.length === 0) super(Right.now() + byMs)
      else super(...given)
    }

    static override now(): number {
      return Right.now() + byMs
    }
  } as DateConstructor
  return () => void (globalThis.Date = Right)
}

async function rejectsWith(code: string, work: Promise<unknown>, message = /./): Promise<void> {
  await assert.rejects(
    work,
    (error: Error) => isFourfoldError(error) && error.code === code && message.test(error.message),
  )
}
