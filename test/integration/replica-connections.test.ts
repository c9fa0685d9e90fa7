/** The connections to one address: who gets which, and what becomes of those that die, hang or are never given back. */

import assert from 'node:assert/strict'
import { after, before, suite, test, type TestContext } from 'node:test'

import type pg from 'pg'

import { createClient } from '../../src/engines/postgres/pools.ts'
import {
  ReplicaConnections,
  type Refusal,
  type ReplicaConnection,
  type ReplicaConnectionsOptions,
} from '../../src/engines/postgres/replica-connections.ts'
import { connect, startTestCluster, until } from '../support/postgres.ts'

import type { ReplayPosition } from '../../src/engines/position.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'

const always = (): boolean => true

// Each waits for a deadline or for a connection to end; together they wait once.
suite('connections of a replica', { concurrency: 4 }, () => {
  let address: PostgresAddress
  let admin: pg.Client
  const endings: (() => Promise<void>)[] = []
  const cleanup = { after: (end: () => Promise<void>) => void endings.push(end) }

  before(async () => {
    const cluster = await startTestCluster(cleanup, { replicas: 0 })
    address = cluster.primary
    admin = await connect(cleanup, address)
  })
  after(async () => {
    for (const end of endings.toReversed()) await end()
  })

  function open(t: TestContext, options: Partial<ReplicaConnectionsOptions> = {}): ReplicaConnections {
    const limits = { max: 2, connectTimeoutMs: 2_000, statementTimeoutMs: 60_000, applicationName: t.name.slice(0, 60) }
    const connections = new ReplicaConnections({
      max: 2,
      create: () => createClient(address, limits),
      waitMs: 2_000,
      statementMs: 60_000,
      idleMs: 60_000,
      onIdleLost: () => undefined,
      ...options,
    })
    t.after(() => connections.close())
    return connections
  }
  const take = (connections: ReplicaConnections): Promise<ReplicaConnection> =>
    new Promise((resolve, reject) => {
      connections.take((connection, refusal) =>
        connection === null ? reject(new Error(refusal?.why)) : resolve(connection),
      )
    })
  const backends = async (t: TestContext): Promise<number[]> =>
    (
      await admin.query<{ pid: number }>('select pid from pg_stat_activity where application_name = $1', [
        t.name.slice(0, 60),
      ])
    ).rows.map(({ pid }) => pid)
  const pidOf = async ({ client }: ReplicaConnection): Promise<number> =>
    (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0

  test('are let go of at the end, also where the server hangs', { timeout: 20_000 }, async (t) => {
    const connections = open(t)
    const [idle, given] = await Promise.all([take(connections), take(connections)])
    const pids = await Promise.all([idle, given].map(pidOf))
    const ended = [idle, given].map(({ client }) => new Promise((resolve) => client.once('end', resolve)))
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    try {
      connections.give(idle)
      connections.drop(given)
      await connections.close()
      await Promise.all(ended)
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT')
    }
  })

  test('are never more than allowed, and go to who waits, in order', async (t) => {
    const connections = open(t)
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const connection = await take(connections)
        order.push(index)
        await connection.client.query('select 1')
        connections.give(connection)
      }),
    )
    // The first two open connections, which may take them longer.
    const waited = order.filter((index) => index >= 2)
    assert.deepEqual(
      waited.toSorted((a, b) => a - b),
      waited,
    )
    assert.equal((await backends(t)).length, 2)
  })

  test('one that has replayed enough is found among those that have not', async (t) => {
    const connections = open(t)
    const [far, near] = await Promise.all([take(connections), take(connections)])
    far.replay = { epoch: 'e', lsn: 20 } as ReplayPosition
    near.replay = { epoch: 'e', lsn: 10 } as ReplayPosition
    connections.give(far)
    connections.give(near)
    const found = connections.takeEligible(({ lsn }) => lsn >= 15)
    assert.equal(found, far)
    assert.equal(
      connections.takeEligible(({ lsn }) => lsn >= 15),
      null,
      'it is in use',
    )
    assert.equal(connections.takeEligible(always), near)
  })

  test('one that dies while idle is told of, forgotten, and replaced', async (t) => {
    let lost = 0
    const connections = open(t, { onIdleLost: () => (lost += 1) })
    const [kept, dying] = await Promise.all([take(connections), take(connections)])
    const pid = await pidOf(dying)
    connections.give(dying)
    await admin.query('select pg_terminate_backend($1)', [pid])
    await until('the loss to be seen', async () => lost > 0)
    assert.equal(lost, 1)
    assert.equal((await kept.client.query('select 1 as one')).rows[0].one, 1, 'the other goes on')
    const next = await take(connections)
    assert.notEqual(await pidOf(next), pid)
  })

  test('one that dies in its holder’s hands fails the statement, and who waits gets a new one', async (t) => {
    const connections = open(t, { max: 1 })
    const dying = await take(connections)
    const waiting = take(connections)
    const pid = await pidOf(dying)
    const failing = assert.rejects(dying.client.query('select pg_sleep(60)'))
    await admin.query('select pg_terminate_backend($1)', [pid])
    await failing
    connections.drop(dying)
    assert.notEqual(await pidOf(await waiting), pid)
  })

  test('a statement that hangs has its connection cut', async (t) => {
    const connections = open(t, { statementMs: 300 })
    const connection = await take(connections)
    const began = performance.now()
    await assert.rejects(connection.client.query('select pg_sleep(60)'), /terminated/)
    assert.ok(performance.now() - began < 5_000)
  })

  test('one kept for several statements is cut by the deadline of each, not by its age', async (t) => {
    const connections = open(t, { statementMs: 400 })
    const connection = await take(connections)
    connections.keep(connection)
    for (const end = performance.now() + 1_000; performance.now() < end;)
      await connection.client.query('select pg_sleep(0.05)')
    await assert.rejects(connection.client.query('select pg_sleep(60)'), /timeout/)
  })

  test('those at work for long are known, those held in peace are not', async (t) => {
    const connections = open(t, { max: 3 })
    const [working, kept, keptAtWork] = await Promise.all([take(connections), take(connections), take(connections)])
    connections.keep(kept)
    connections.keep(keptAtWork)
    const sleeps = Promise.all([
      working.client.query('select pg_sleep(2)'),
      keptAtWork.client.query('select pg_sleep(2)'),
    ])
    await until('both to be known', async () => connections.silentFor(750).length === 2)
    assert.ok(!connections.silentFor(750).includes(kept))
    await sleeps
  })

  test('who waits too long is refused, which says nothing about the server', async (t) => {
    const connections = open(t, { max: 1, waitMs: 300 })
    const held = await take(connections)
    await assert.rejects(take(connections), /busy/)
    connections.give(held)
    assert.equal(connections.takeEligible(always), null, 'nothing is known of its replay')
    await take(connections)
  })

  test('a server that refuses fails who waits at once', async (t) => {
    const nowhere = { host: '127.0.0.1', port: 1, user: 'nobody', database: 'none' } as PostgresAddress
    const limits = { max: 1, connectTimeoutMs: 2_000, statementTimeoutMs: 1_000, applicationName: 'nobody' }
    const connections = open(t, { max: 1, create: () => createClient(nowhere, limits) })
    const refusals = await Promise.all(
      Array.from(
        { length: 3 },
        () => new Promise<Refusal | null>((resolve) => connections.take((_, refusal) => resolve(refusal))),
      ),
    )
    assert.deepEqual(
      refusals.map((refusal) => refusal?.why),
      ['unreachable', 'unreachable', 'unreachable'],
    )
  })

  test('closing ends what is idle, cuts what is held, and refuses whoever comes later', async (t) => {
    const connections = open(t)
    const [held, idle] = await Promise.all([take(connections), take(connections)])
    connections.give(idle)
    const running = assert.rejects(held.client.query('select pg_sleep(61)'))
    const waiting = connections.close()
    await assert.rejects(take(connections), /closed/)
    await Promise.all([running, waiting])
    await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where query = $1', [
      'select pg_sleep(61)',
    ])
    await until('no connection is left', async () => (await backends(t)).length === 0)
  })
})
