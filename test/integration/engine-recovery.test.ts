import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { isFourfoldError } from '../../src/core/errors.ts'
import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import type { ServerProcess } from '../../src/engines/postgres/embedded/cluster.ts'
import { processesIn } from '../../src/engines/postgres/embedded/leftovers.ts'
import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { freeze } from '../support/freeze.ts'
import {
  type Cleanup,
  connect,
  endAfter,
  makeDirectory,
  startTestCluster,
  until,
  untilReplayed,
} from '../support/postgres.ts'

interface Owner {
  readonly child: ChildProcess
  readonly primary: PostgresAddress
  readonly processes: readonly ServerProcess[]
}

/** Another process that owns the directory. */
async function startOwner(t: Cleanup, directory: string, replicas = 1): Promise<Owner> {
  const child = fork(
    join(import.meta.dirname, 'fixtures/embedded-owner.ts'),
    [JSON.stringify({ directory, replicas })],
    {
      execArgv: ['-C', 'fourfold:source'],
    },
  )
  endAfter(t, () => kill(child))
  const [message] = await once(child, 'message')
  return { child, primary: message.primary, processes: message.processes }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** A dead process that nobody has reaped yet does not count. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
  } catch {
    return false
  }
}

/** The shells that stop the servers when their owner dies. */
async function watchersOf(directory: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
      return words[0] === '/bin/sh' && words[1] === '-c' && words.some((word) => word.startsWith(directory))
        ? Number(pid)
        : null
    }),
  )
  return found.filter((pid) => pid !== null)
}

async function writeMany(address: PostgresAddress, t: Cleanup): Promise<number> {
  const client = await connect(t, address)
  await client.query('create table if not exists kept (id int primary key)')
  let id = 0
  for (; id < 20; id++) await client.query('insert into kept values ($1) on conflict do nothing', [id])
  return id
}

async function countKept(address: PostgresAddress, t: Cleanup): Promise<number> {
  const client = await connect(t, address)
  return (await client.query('select count(*)::int as n from kept')).rows[0].n
}

test('servers stop when their owner is killed, and another start finds everything', async (t) => {
  const directory = await makeDirectory(t)
  const owner = await startOwner(t, directory)
  await assert.rejects(startTestCluster(t, { directory }), (error) => {
    assert.ok(isFourfoldError(error, 'FF_ENGINE_OWNED'))
    return error.fields.pid === owner.child.pid
  })
  const written = await writeMany(owner.primary, t)
  await kill(owner.child)
  await until('the servers to stop by themselves', async () => owner.processes.every(({ pid }) => !isAlive(pid)))
  const cluster = await startTestCluster(t, { directory })
  assert.equal(await countKept(cluster.primary, t), written)
  assert.equal(await countKept(cluster.replicas[0]!, t), written)
})

test('a start right after the kill waits for the old servers', async (t) => {
  const directory = await makeDirectory(t)
  for (let round = 0; round < 3; round++) {
    const owner = await startOwner(t, directory)
    await writeMany(owner.primary, t)
    await kill(owner.child)
  }
  const cluster = await startTestCluster(t, { directory })
  assert.equal(await countKept(cluster.replicas[0]!, t), 20)
})

for (const stopped of [false, true]) {
  test(`servers that outlive their owner${stopped ? ' and are asleep' : ''} are stopped by the next start`, async (t) => {
    const directory = await makeDirectory(t)
    const owner = await startOwner(t, directory)
    const written = await writeMany(owner.primary, t)
    const watchers = await until('the watchers', async () => watchersOf(directory))
    assert.ok(watchers.length >= 2)
    for (const pid of watchers) process.kill(pid, 'SIGKILL')
    await kill(owner.child)
    assert.ok(
      owner.processes.every(({ pid }) => isAlive(pid)),
      'the servers are orphans',
    )
    if (stopped) for (const { pid } of owner.processes) process.kill(pid, 'SIGSTOP')
    const cluster = await startTestCluster(t, { directory })
    assert.ok(owner.processes.every(({ pid }) => !isAlive(pid)))
    assert.equal(await countKept(cluster.primary, t), written)
    assert.equal(await countKept(cluster.replicas[0]!, t), written)
  })
}

test('owner and servers are killed at once: nothing acknowledged is lost, and the epoch is another', async (t) => {
  const directory = await makeDirectory(t)
  const owner = await startOwner(t, directory, 2)
  const written = await writeMany(owner.primary, t)
  const before = await readWritePosition(await connect(t, owner.primary))
  for (const { pid } of owner.processes) process.kill(pid, 'SIGKILL')
  await kill(owner.child)
  const cluster = await startTestCluster(t, { directory, replicas: 2 })
  assert.equal(await countKept(cluster.primary, t), written)
  const primary = await connect(t, cluster.primary)
  assert.notEqual((await readWritePosition(primary)).epoch, before.epoch)
  const replica = await connect(t, cluster.replicas[1]!)
  await untilReplayed(primary, replica)
})

test('a stale lock file that names a living stranger does not hinder', async (t) => {
  const directory = await makeDirectory(t)
  await (await startTestCluster(t, { directory, replicas: 0 })).stop()
  const stale = `${process.pid}\n${join(directory, 'servers/primary')}\n0\n5432\n\n\n\nready\n`
  await writeFile(join(directory, 'servers/primary/postmaster.pid'), stale)
  const cluster = await startTestCluster(t, { directory, replicas: 0 })
  await connect(t, cluster.primary)
})

test('a first start that was cut short leaves nothing that hinders', async (t) => {
  const directory = await makeDirectory(t)
  for (const name of ['primary.new', 'replica-0.new']) {
    await mkdir(join(directory, 'servers', name), { recursive: true })
    await writeFile(join(directory, 'servers', name, 'PG_VERSION'), '18')
  }
  const cluster = await startTestCluster(t, { directory })
  await connect(t, cluster.replicas[0]!)
  assert.deepEqual(
    (await readdir(join(directory, 'servers'))).filter((name) => name.endsWith('.new')),
    [],
  )
})

test('an initdb that outlives the start it belonged to does not hinder the next', async (t) => {
  const directory = await makeDirectory(t)
  const place = join(directory, 'servers', 'primary.new')
  const child = fork(
    join(import.meta.dirname, 'fixtures/embedded-owner.ts'),
    [JSON.stringify({ directory, replicas: 0 })],
    // Its own initdb, and no copy of what one made before.
    { execArgv: ['-C', 'fourfold:source'], env: { ...process.env, PG_EMPTY_CLUSTERS: '' } },
  )
  endAfter(t, () => kill(child))
  const working = await until('initdb to work', async () => {
    const pids = await processesIn(place)
    return pids.length > 0 ? pids : null
  })
  freeze(working)
  await kill(child)
  await writeFile(join(directory, 'servers', 'limits.json'), '{"maxConn')
  const cluster = await startTestCluster(t, { directory, replicas: 0 })
  await connect(t, cluster.primary)
  await until('the old ones to be gone', async () => !working.some(isAlive))
})

test('servers that are killed are started again', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 1 })
  const written = await writeMany(cluster.primary, t)
  for (const role of ['primary', 'replica'] as const) {
    const before = cluster.processes().find((one) => one.role === role)!.pid
    process.kill(before, 'SIGKILL')
    await until(`the ${role} to be started again`, async () =>
      cluster.processes().some((one) => one.role === role && one.pid !== before),
    )
    const address = role === 'primary' ? cluster.primary : cluster.replicas[0]!
    await until('it to answer', () => connect(t, address))
    assert.equal(await countKept(address, t), written)
  }
  const primary = await connect(t, cluster.primary)
  await primary.query('insert into kept values (1000)')
  await untilReplayed(primary, await connect(t, cluster.replicas[0]!))
})

test('a standby beyond help is made anew', async (t) => {
  const directory = await makeDirectory(t)
  const cluster = await startTestCluster(t, { directory, standbyPatienceMs: 1_000 })
  const primary = await connect(t, cluster.primary)
  await writeMany(cluster.primary, t)

  async function becomesWhole(what: string, before: number): Promise<void> {
    await until(
      `the standby to be made anew after ${what}`,
      async () => {
        // It may serve a moment before it is counted among the processes.
        const now = cluster.processes().find((one) => one.role === 'replica')?.pid
        if (now === undefined || now === before) return false
        await primary.query('insert into kept select max(id) + 1 from kept')
        const replica = await connect(t, cluster.replicas[0]!)
        await untilReplayed(primary, replica)
        const { rows } = await replica.query(
          'select pg_is_in_recovery() as standby, (select count(*)::int from kept) as n',
        )
        return rows[0].standby === true && rows[0].n >= 20
      },
      20_000,
    )
  }
  const pidNow = (): number => cluster.processes().find((one) => one.role === 'replica')!.pid

  await t.test('it was promoted', async () => {
    const before = pidNow()
    const replica = await connect(t, cluster.replicas[0]!)
    await replica.query('select pg_promote(true, 20)')
    await replica.query('insert into kept values (-1)')
    await becomesWhole('a promotion', before)
    assert.equal((await primary.query('select from kept where id = -1')).rowCount, 0)
  })

  await t.test('its slot is gone', async () => {
    const before = pidNow()
    await until('the slot to be dropped', async () => {
      await primary.query(`select pg_terminate_backend(pid) from pg_stat_replication`)
      await primary.query(`select pg_drop_replication_slot('replica_0')`)
      return true
    })
    await becomesWhole('the loss of its slot', before)
  })

  await t.test('its data does not start', async () => {
    const before = pidNow()
    await rm(join(directory, 'servers/replica-0/global/pg_control'))
    process.kill(before, 'SIGKILL')
    await becomesWhole('the loss of its control file', before)
  })

  await t.test('its data does not start with the cluster', async () => {
    await cluster.stop()
    await rm(join(directory, 'servers/replica-0/global'), { recursive: true })
    const again = await startTestCluster(t, { directory })
    assert.ok((await countKept(again.replicas[0]!, t)) >= 20)
    await again.stop()
    assert.deepEqual(await processesIn(join(directory, 'servers/primary')), [])
    // Each looks every so often whether what it watches has gone.
    await until('no shell to be left', async () => (await watchersOf(directory)).length === 0 || null)
  })
})

test('a standby that is made anew under load has exactly what the primary has', async (t) => {
  const cluster = await startTestCluster(t, {})
  const primary = await connect(t, cluster.primary)
  await primary.query('create table busy (id int primary key, body text)')
  const over = new AbortController()
  const write = async (from: number): Promise<void> => {
    const client = await connect(t, cluster.primary)
    for (let id = from; !over.signal.aborted; id += 2) {
      await client.query(`insert into busy values ($1, repeat('x', $2))`, [id, id % 3000])
      if (id % 7 === 0) await client.query('update busy set body = body || $2 where id = $1', [id - 14, 'y'])
    }
  }
  const writers = [write(0), write(1)]
  for (let round = 0; round < 3; round++) await cluster.rebuildReplica(0)
  over.abort()
  await Promise.all(writers)
  const replica = await connect(t, cluster.replicas[0]!)
  await untilReplayed(primary, replica)
  const digest = `select count(*)::int as n, md5(string_agg(id || body, ',' order by id)) as sum from busy`
  const [here, there] = await Promise.all([primary.query(digest), replica.query(digest)])
  assert.ok(here.rows[0].n > 100)
  assert.deepEqual(there.rows, here.rows)
})
