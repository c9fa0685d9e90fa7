import assert from 'node:assert/strict'
import { access, chmod, mkdir, readdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { isFourfoldError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/log.ts'
import { readOwner, resetEmbeddedCluster, startEmbeddedCluster } from '../../src/engines/postgres/embedded/cluster.ts'
import { connect, endAfter, makeDirectory, startTestCluster, until, untilReplayed } from '../support/postgres.ts'

test('a cluster starts from nothing, replicates, and keeps its data between runs', async (t) => {
  const directory = await makeDirectory(t)
  const first = await startTestCluster(t, { directory, replicas: 2 })
  assert.deepEqual(
    first.processes().map(({ role, index }) => `${role} ${index}`),
    ['primary 0', 'replica 0', 'replica 1'],
  )
  const primary = await connect(t, first.primary)
  await primary.query('create table kept (id int primary key)')
  await primary.query('insert into kept values (1)')
  for (const address of first.replicas) {
    const replica = await connect(t, address)
    await untilReplayed(primary, replica)
    assert.equal((await replica.query('select * from kept')).rowCount, 1)
    await assert.rejects(replica.query('insert into kept values (2)'), { code: '25006' })
  }
  await first.stop()
  await first.stop()
  assert.deepEqual(first.processes(), [])
  await assert.rejects(access(join(directory, 'servers/sockets')), 'no socket is left')

  const began = performance.now()
  const second = await startTestCluster(t, { directory, replicas: 2 })
  const took = performance.now() - began
  const replica = await connect(t, second.replicas[1]!)
  assert.equal((await replica.query('select * from kept')).rowCount, 1)
  assert.ok(took < 1_500, `starting on existing data took ${Math.round(took)} ms`)
})

test('a second start in the same directory says who holds it', async (t) => {
  const directory = await makeDirectory(t)
  await startTestCluster(t, { directory, replicas: 0 })
  const owner = await readOwner(directory)
  assert.equal(owner?.pid, process.pid)
  await assert.rejects(startTestCluster(t, { directory }), (error) => {
    assert.ok(isFourfoldError(error, 'FF_ENGINE_OWNED'))
    assert.match(error.message, new RegExp(`process ${process.pid} since ${owner.since}`))
    assert.equal(error.fields.pid, process.pid)
    return true
  })
  await assert.rejects(resetEmbeddedCluster(directory), (error) => isFourfoldError(error, 'FF_ENGINE_OWNED'))
})

test('two clusters live in one process', async (t) => {
  const [one, two] = await Promise.all([startTestCluster(t, { replicas: 0 }), startTestCluster(t, { replicas: 0 })])
  const first = await connect(t, one.primary)
  const second = await connect(t, two.primary)
  await first.query('create table only_here (id int)')
  await assert.rejects(second.query('select * from only_here'), { code: '42P01' })
})

test('replicas may become more or fewer from run to run', async (t) => {
  const directory = await makeDirectory(t)
  const one = await startTestCluster(t, { directory, replicas: 1 })
  const before = await connect(t, one.primary)
  await before.query('create table grown as select generate_series(1, 1000) as id')
  await one.stop()

  const three = await startTestCluster(t, { directory, replicas: 3 })
  const primary = await connect(t, three.primary)
  for (const address of three.replicas) {
    const replica = await connect(t, address)
    await untilReplayed(primary, replica)
    assert.equal((await replica.query('select count(*)::int as n from grown')).rows[0].n, 1000)
  }
  await three.stop()

  const none = await startTestCluster(t, { directory, replicas: 0 })
  const last = await connect(t, none.primary)
  assert.deepEqual((await last.query('select slot_name from pg_replication_slots')).rows, [])
  await assert.rejects(access(join(directory, 'servers/replica-0')))
})

test('a replica can be made to lag, and the delay is forgotten at the next start', async (t) => {
  const directory = await makeDirectory(t)
  const cluster = await startTestCluster(t, { directory })
  const primary = await connect(t, cluster.primary)
  const replica = await connect(t, cluster.replicas[0]!)
  await primary.query('create table lag (id int)')
  await untilReplayed(primary, replica)
  await cluster.setReplicaDelay(0, 250)
  await until(
    'the setting to be taken up',
    async () => (await replica.query('show recovery_min_apply_delay')).rows[0].recovery_min_apply_delay === '250ms',
  )
  const began = performance.now()
  await primary.query('insert into lag values (1)')
  await until('the row to arrive', async () => (await replica.query('select * from lag')).rowCount === 1)
  assert.ok(performance.now() - began >= 240)
  await cluster.stop()

  const again = await startTestCluster(t, { directory })
  const fresh = await connect(t, again.replicas[0]!)
  assert.equal((await fresh.query('show recovery_min_apply_delay')).rows[0].recovery_min_apply_delay, '0')
})

test('reset takes everything away', async (t) => {
  const directory = await makeDirectory(t)
  const cluster = await startTestCluster(t, { directory, replicas: 1 })
  await cluster.stop()
  await resetEmbeddedCluster(directory)
  await assert.rejects(access(join(directory, 'servers')))
  const again = await startEmbeddedCluster({ directory, replicas: 0, database: 'main', log: silentLogger })
  endAfter(t, () => again.stop())
})

test('the servers run at wal_level = replica and with more settings', async (t) => {
  const cluster = await startTestCluster(t, { walLevel: 'replica', settings: { work_mem: '7MB' } })
  const primary = await connect(t, cluster.primary)
  assert.equal((await primary.query('show wal_level')).rows[0].wal_level, 'replica')
  assert.equal((await primary.query('show work_mem')).rows[0].work_mem, '7MB')
  assert.equal((await primary.query('show listen_addresses')).rows[0].listen_addresses, '')
})

test('limits may change from run to run', async (t) => {
  const directory = await makeDirectory(t)
  for (const [wanted, expected] of [
    [30, '30'],
    [20, '30'],
    [40, '40'],
  ] as const) {
    const cluster = await startTestCluster(t, { directory, maxConnections: wanted })
    for (const address of [cluster.primary, ...cluster.replicas]) {
      const client = await connect(t, address)
      assert.equal((await client.query('show max_connections')).rows[0].max_connections, expected)
    }
    await cluster.stop()
  }
})

const asRoot = process.getuid?.() === 0 ? {} : { skip: 'only root lends its servers to another user' }

test(
  'below a directory that other users cannot enter, the data goes elsewhere and is found again',
  asRoot,
  async (t) => {
    const home = await makeDirectory(t)
    const directory = join(home, 'app')
    await mkdir(directory)
    await chmod(home, 0o700)
    const first = await startTestCluster(t, { directory, replicas: 0 })
    await (await connect(t, first.primary)).query('create table kept (id int)')
    await first.stop()
    const place = await realpath(join(directory, 'servers'))
    assert.ok(!place.startsWith(home))

    await chmod(home, 0o755)
    const second = await startTestCluster(t, { directory, replicas: 0 })
    await (await connect(t, second.primary)).query('select * from kept')
    await second.stop()
    await resetEmbeddedCluster(directory)
    await assert.rejects(access(place))
    assert.deepEqual(await readdir(directory), ['owner.sqlite'])
  },
)

test('data whose directory was deleted by hand does not come back', asRoot, async (t) => {
  const home = await makeDirectory(t)
  await chmod(home, 0o700)
  const directory = join(home, 'app')
  const first = await startTestCluster(t, { directory, replicas: 0 })
  await (await connect(t, first.primary)).query('create table kept (id int)')
  await first.stop()
  await rm(directory, { recursive: true })
  const second = await startTestCluster(t, { directory, replicas: 0 })
  await assert.rejects((await connect(t, second.primary)).query('select * from kept'), { code: '42P01' })
  await second.stop()
  await resetEmbeddedCluster(directory)
})

test('a directory with a long and strange name works', async (t) => {
  const directory = join(await makeDirectory(t), `it's a "long" one, ${'x'.repeat(100)}`)
  const cluster = await startTestCluster(t, { directory })
  const replica = await connect(t, cluster.replicas[0]!)
  await untilReplayed(await connect(t, cluster.primary), replica)
})

test('a copy of an empty cluster that was kept is as good as a new one', async (t) => {
  const before = process.env['PG_EMPTY_CLUSTERS']
  t.after(() => {
    if (before === undefined) delete process.env['PG_EMPTY_CLUSTERS']
    else process.env['PG_EMPTY_CLUSTERS'] = before
  })
  const kept = await makeDirectory(t)
  const namesOf = async (folder: string): Promise<string[]> => (await readdir(folder)).toSorted()
  const start = async (folder: string): Promise<string> => {
    process.env['PG_EMPTY_CLUSTERS'] = folder
    const directory = await makeDirectory(t)
    const cluster = await startTestCluster(t, { directory, replicas: 0 })
    const client = await connect(t, cluster.primary)
    await client.query(`alter system set work_mem = '5MB'`)
    await client.query('create table kept (id int); insert into kept values (1)')
    await client.end()
    await cluster.stop()
    return join(directory, 'servers', 'primary')
  }
  const own = await namesOf(await start(''))
  // At once, as test files do: both copy, whichever made it.
  await Promise.all([start(kept), start(kept)])
  assert.equal((await readdir(kept)).length, 1)
  assert.deepEqual(await namesOf(await start(kept)), own)
})
