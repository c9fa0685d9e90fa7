/** What the store on PostgreSQL does where clients meet in one row, and when its server fails over. */

import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'

import { silentLogger, type Logger } from '../../src/core/log.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { choosePoolSize } from '../../src/engines/postgres/pool-size.ts'
import { IncarnationWatch } from '../../src/store/sql/incarnation.ts'
import { prepareSchema } from '../../src/store/sql/schema.ts'
import { createSqlStore } from '../../src/store/sql/sql-store.ts'
import { sweepings } from '../../src/store/sql/sweeper.ts'
import type { Store } from '../../src/store/store.ts'
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { connect, startTestCluster, until, untilReplayed } from '../support/postgres.ts'
import { startSqlStoreServer, type SqlStoreServer } from '../support/sql-store-server.ts'
import { startSwitchedEndpoint } from '../support/switched-endpoint.ts'

const hourMs = 3_600_000
const skip = (await findPgBouncer()) === null && 'no PgBouncer on this machine'
const text = (value: string): Uint8Array => Buffer.from(value)

let server: SqlStoreServer
before(async () => {
  server = await startSqlStoreServer()
})
after(() => server.stop())

async function openStore(
  t: TestContext,
  address: PostgresAddress = server.address,
  { deadlineMs = 5000, log = silentLogger }: { readonly deadlineMs?: number; readonly log?: Logger } = {},
): Promise<Store> {
  const store = createSqlStore({ address, deadlineMs, log })
  t.after(() => store.close())
  await until('the store to answer', async () => {
    await store.ping()
    return true
  })
  return store
}

/** Waits until a statement waits for a lock. On a connection of its own: in a transaction, what is active is looked up once. */
async function untilBlocked(t: TestContext, statement: string): Promise<void> {
  const looker = await connect(t, server.address)
  await until('a statement to wait', async () => {
    const { rows } = await looker.query(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like $1`,
      [`%${statement}%`],
    )
    return rows.length > 0
  })
}

describe('two who meet in one row', () => {
  test('a change that waited for a logout finds nothing, and says so', async (t) => {
    const store = await openStore(t)
    const holder = await connect(t, server.address)
    await store.create('logout', { a: text('1') }, { ttlMs: hourMs })
    await holder.query('begin')
    await holder.query(`delete from fourfold.store_records where key = 'logout'`)
    const update = store.update('logout', { set: { a: text('2') }, expect: { a: text('1') }, ttlMs: hourMs })
    await untilBlocked(t, 'store_records')
    await holder.query('commit')
    assert.equal(await update, 'missing')
    assert.equal(await store.read('logout'), null)
  })

  test('a change that waited is made on what it waited for', async (t) => {
    const store = await openStore(t)
    const holder = await connect(t, server.address)
    await store.create('fields', { a: text('1'), b: text('1') }, { ttlMs: hourMs })
    await holder.query('begin')
    await holder.query(`update fourfold.store_records set fields = fields - 'b' || '{"c":"Mg=="}' where key = 'fields'`)
    const update = store.update('fields', { set: { a: text('2') } })
    const late = store.update('fields', { set: { a: text('3') }, expect: { b: text('1') } })
    await untilBlocked(t, 'store_records')
    await holder.query('commit')
    assert.deepEqual([await update, await late], ['updated', 'conflict'])
    const fields = Object.entries((await store.read('fields')) ?? {}).map(([name, value]) => [name, String(value)])
    assert.deepEqual(Object.fromEntries(fields), { a: '2', c: '2' })
  })

  test('a sweep leaves a record that was made anew while it waited', async (t) => {
    const store = await openStore(t)
    const [holder, sweeper] = [await connect(t, server.address), await connect(t, server.address)]
    await store.create('anew', {}, { ttlMs: 1 })
    await until('the record has expired', async () => (await store.read('anew')) === null)
    await holder.query('begin')
    await holder.query(
      `update fourfold.store_records set expires_at = clock_timestamp() + interval '1 hour' where key = 'anew'`,
    )
    const records = sweepings.find(({ name }) => name === 'records')!
    const sweep = sweeper.query(records.sql, ['records', 0])
    await untilBlocked(t, 'store_sweeps')
    await holder.query('commit')
    await sweep
    assert.notEqual(await store.read('anew'), null)
  })

  test('a call that outlives its deadline leaves no statement behind that waits', (t) =>
    outliveDeadline(t, 'locked', server.address))

  test('nor does it behind a transaction pooler', { skip }, async (t) =>
    outliveDeadline(t, 'locked behind a pooler', await startPgBouncer(t, server.address)),
  )
})

async function outliveDeadline(t: TestContext, key: string, address: PostgresAddress): Promise<void> {
  const store = await openStore(t, address, { deadlineMs: 200 })
  const holder = await connect(t, server.address)
  await until('the record is made', () => store.create(key, {}, { ttlMs: hourMs }))
  await holder.query('begin')
  await holder.query(`select from fourfold.store_records where key = $1 for update`, [key])
  await assert.rejects(store.update(key, { set: { a: text('1') } }), { code: 'FF_STORE_DEADLINE' })
  const looker = await connect(t, server.address)
  await until('nobody waits', async () => {
    const { rows } = await looker.query(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`)
    return rows.length === 0
  })
  await holder.query('rollback')
  await until('the store serves again', () => store.update(key, { set: { a: text('2') } }))
  assert.equal(String((await store.read(key))?.['a']), '2')
}

describe('fences and numbers beside a clock that was set back', () => {
  test('a lease, an entry and a stream from the future are followed by greater numbers', async (t) => {
    const store = await openStore(t)
    const meddler = await connect(t, server.address)
    const lease = await store.acquireLease('future', 'a', hourMs)
    const entry = await store.register('future', 'a', text('1'), hourMs)
    await store.appendToStream('future', text('1'), { maxEntries: 3, ttlMs: hourMs })
    const ahead = lease!.fence + 10 ** 12
    const ended = `expires_at = clock_timestamp()`
    await meddler.query(`update fourfold.store_leases set fence = $1, ${ended} where key = 'future'`, [ahead])
    await meddler.query(`update fourfold.store_registry set fence = $1, revision = $1 where grp = 'future'`, [ahead])
    await meddler.query(`update fourfold.store_streams set last = $1, ${ended} where key = 'future'`, [ahead])
    assert.ok((await store.acquireLease('future', 'b', hourMs))!.fence > ahead)
    assert.ok((await store.register('future', 'a', text('2'), hourMs)).fence > ahead)
    assert.equal(await store.renewRegistration(entry, hourMs), false)
    assert.ok((await store.appendToStream('future', text('2'), { maxEntries: 3, ttlMs: hourMs })) > ahead + 1)
    assert.equal((await store.readStream('future', ahead)).gap, true)
  })
})

describe('sweeping', () => {
  test('what has expired is deleted in portions, by one process at a time, and fences are remembered', async (t) => {
    const store = await openStore(t)
    const looker = await connect(t, server.address)
    await Promise.all([
      ...Array.from({ length: 1500 }, (_, n) => store.create(`sweep:${n}`, {}, { ttlMs: n < 1200 ? 1 : hourMs })),
      store.raiseToken('sweep', 'e', 1, 1),
      store.acquireLease('sweep', 'a', 1),
      store.appendToStream('sweep', text('1'), { maxEntries: 3, ttlMs: 1 }),
    ])
    const turn = async (pauseMs: number): Promise<number> => {
      const counts: number[] = []
      for (const { name, sql } of sweepings) counts.push((await looker.query(sql, [name, pauseMs])).rowCount ?? 0)
      return counts[0]!
    }
    const deleted = [await turn(0), await turn(60_000), await turn(0), await turn(0)]
    assert.ok(deleted[0]! > 0 && deleted[0]! <= 1000, deleted.join())
    assert.equal(deleted[1], 0, 'it is not time yet')
    const count = async (table: string): Promise<number> =>
      Number((await looker.query(`select count(*) from fourfold.${table}`)).rows[0].count)
    assert.equal((await store.list('sweep:')).length, 300)
    const { rows } = await looker.query(`select 1 from fourfold.store_records where expires_at <= clock_timestamp()`)
    assert.deepEqual([rows.length, await count('store_tokens')], [0, 0])
    const left = await looker.query(`select 1 from fourfold.store_entries where stream = 'sweep'`)
    const lease = await looker.query(`select 1 from fourfold.store_leases where key = 'sweep'`)
    assert.deepEqual([left.rows.length, lease.rows.length], [0, 1])
  })
})

describe('the tables', () => {
  test('eight processes that start at once on an empty database make them once', async (t) => {
    const address = await emptyDatabase(t, 'eight')
    const { log, errors } = rememberErrors()
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(t, address, { log })))
    assert.deepEqual(errors, [])
    const made = await Promise.all(stores.map((store) => store.create('k', {}, { ttlMs: hourMs })))
    assert.equal(made.filter(Boolean).length, 1)
    assert.equal(new Set(stores.map((store) => store.incarnation())).size, 1)
  })

  test('are made by one after the other of those who find them missing at once', async (t) => {
    const address = await emptyDatabase(t, 'lock')
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(t, address)))
    await prepareSchema(clients[0]!)
    for (let round = 0; round < 5; round += 1) {
      const { rows } = await clients[0]!.query(
        `select string_agg('fourfold.' || tablename, ', ') as names from pg_tables where starts_with(tablename, 'store_')`,
      )
      await clients[0]!.query(`drop table ${rows[0].names}`)
      await Promise.all(clients.map((client) => prepareSchema(client)))
    }
  })

  test('are made again where they were taken away, as by the restore of an older copy', async (t) => {
    const address = await emptyDatabase(t, 'restored')
    const store = await openStore(t, address)
    const known = await store.incarnation()
    const owner = await connect(t, address)
    await owner.query('drop schema fourfold cascade')
    await until('the store serves again', () => store.create('k', {}, { ttlMs: hourMs }))
    assert.equal(await store.readToken('k'), null)
    assert.notEqual(await store.incarnation(), known)
    await owner.query('drop table fourfold.store_leases')
    await until('leases are served again', () => store.acquireLease('k', 'me', hourMs))
  })

  test('a user who may not make them is told what to grant', async (t) => {
    const address = await emptyDatabase(t, 'foreign')
    const owner = await connect(t, address)
    await owner.query('create role guest login')
    const { log, errors } = rememberErrors()
    const store = createSqlStore({ address: { ...address, user: 'guest' }, deadlineMs: 300, log })
    t.after(() => store.close())
    await until('the error is told', async () => errors.length > 0)
    assert.match(errors[0]!, /grant it CREATE on the database/)
    await assert.rejects(store.ping(), { code: /FF_STORE_(UNAVAILABLE|DEADLINE)/ })
  })
})

function rememberErrors(): { readonly log: Logger; readonly errors: string[] } {
  const errors: string[] = []
  const error = (fields: unknown): void => void errors.push(String((fields as { error: unknown }).error))
  return { log: { ...silentLogger, error }, errors }
}

async function emptyDatabase(t: TestContext, name: string): Promise<PostgresAddress> {
  const owner = await connect(t, server.address)
  await owner.query(`create database "${name}"`)
  return { ...server.address, database: name }
}

test('room is made for the connections of the store beside the pools', async (t) => {
  const looker = await connect(t, server.address)
  const { rows } = await looker.query(`select current_setting('max_connections')::int as max`)
  const size = (aside: number, configured?: number): Promise<number> =>
    choosePoolSize({ name: 'main', address: server.address, processes: 2, configured, aside, timeoutMs: 5000 })
  const most = Math.floor((rows[0].max - 6) / 2) - 1
  assert.equal(await size(0, most), most)
  await assert.rejects(size(2, most), { code: 'FF_DATABASE_POOL_SIZE' })
  assert.equal(await size(2, most - 2), most - 2)
})

describe('failover', () => {
  test('a standby that takes over is another memory, whatever it had got', async (t) => {
    const cluster = await startTestCluster(t, { replicas: 1 })
    const endpoint = await startSwitchedEndpoint(t, cluster.primary)
    const store = await openStore(t, endpoint.address, { deadlineMs: 1000 })
    const [primary, standby] = [await connect(t, cluster.primary), await connect(t, cluster.replicas[0]!)]
    await store.create('session', { a: text('1') }, { ttlMs: hourMs })
    await store.raiseToken('reader', 'e', 5, hourMs)
    await untilReplayed(primary, standby)
    const before = await store.incarnation()
    endpoint.switchTo(cluster.replicas[0]!)
    await assert.rejects(store.ping(), { code: /FF_STORE_(UNAVAILABLE|DEADLINE)/ })
    await standby.query('select pg_promote(true, 20)')
    const token = await until('the new primary to answer', () => store.readToken('reader'))
    assert.deepEqual(token.parts, { e: 5 })
    assert.notEqual(await store.incarnation(), before)
    assert.equal(String((await store.read('session'))?.['a']), '1')
  })

  test('an incarnation that another has followed does not come back', () => {
    const watch = new IncarnationWatch(silentLogger)
    for (const seen of ['old', 'new', 'old']) watch.learn(seen)
    assert.equal(watch.current, 'new')
  })
})
