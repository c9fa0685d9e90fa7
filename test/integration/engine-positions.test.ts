import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'

import { isFourfoldError } from '../../src/core/errors.ts'
import { ensureEpoch, renewEpoch } from '../../src/engines/postgres/epoch.ts'
import { flushHeartbeat } from '../../src/engines/postgres/heartbeat.ts'
import { readReplayPosition, readWritePosition } from '../../src/engines/postgres/positions.ts'
import { formatLsn } from '../../src/engines/position.ts'
import { connect, startTestCluster, until } from '../support/postgres.ts'

for (const walLevel of ['replica', 'logical'] as const) {
  test(`positions at wal_level = ${walLevel}`, async (t) => {
    const cluster = await startTestCluster(t, { walLevel, healStandbys: false })
    const primary = await connect(t, cluster.primary)
    const replica = await connect(t, cluster.replicas[0]!)
    await primary.query('create table written (id int)')

    await t.test('a standby that has reached a write position shows the write', async () => {
      await ensureEpoch(primary)
      for (let id = 1; id <= 50; id++) {
        await primary.query('insert into written values ($1)', [id])
        const position = await readWritePosition(primary)
        await flushHeartbeat(primary)
        await until('the position', async () => {
          const found = await readReplayPosition(replica)
          return found !== null && found.epoch === position.epoch && found.lsn >= position.lsn
        })
        const { rows } = await replica.query('select max(id) as id from written')
        assert.equal(rows[0].id, id)
      }
    })

    await t.test(
      'a write with synchronous_commit = off is below the position that is read after it, and a heartbeat sends it',
      async () => {
        await primary.query('set synchronous_commit = off')
        await primary.query('insert into written values (1000)')
        const position = await readWritePosition(primary)
        await primary.query('reset synchronous_commit')
        await flushHeartbeat(primary)
        await until('the position', async () => ((await readReplayPosition(replica))?.lsn ?? 0) >= position.lsn)
        assert.equal((await replica.query('select 1 from written where id = 1000')).rowCount, 1)
      },
    )

    await t.test('the primary has no replay position, and a standby no epoch to make', async () => {
      assert.equal(await readReplayPosition(primary), null)
      await assert.rejects(renewEpoch(replica, 'x'), (error) => isFourfoldError(error, 'FF_ENGINE_NOT_PRIMARY'))
      await assert.rejects(ensureEpoch(replica), (error) => isFourfoldError(error, 'FF_ENGINE_NOT_PRIMARY'))
      assert.equal((await replica.query('select 1 as one')).rows[0].one, 1, 'the connection is usable')
    })

    await t.test('a record that ends at the end of a page leaves a position that a standby reaches', async () => {
      const raw = async (): Promise<number> => (await readOffsets(primary)).offset
      let hits = 0
      for (let attempt = 0; attempt < 40 && hits < 3; attempt++) {
        await fillPage(primary)
        if ((await raw()) % 8192 !== 24) continue
        hits += 1
        const position = await readWritePosition(primary)
        assert.equal(position.lsn % 8192, 0)
        const flushed = (await primary.query('select pg_current_wal_flush_lsn()::text as lsn')).rows[0].lsn
        assert.equal(flushed, formatLsn(position.lsn))
        await until('the standby', async () => ((await readReplayPosition(replica))?.lsn ?? 0) >= position.lsn)
      }
      assert.ok(hits > 0, 'no record ended at the end of a page: the test shows nothing')
    })

    await t.test(
      'when a backend is killed, the server comes back with another epoch, and the standby follows',
      async () => {
        const before = await readWritePosition(primary)
        const victim = await connect(t, cluster.primary)
        const { rows } = await victim.query('select pg_backend_pid() as pid')
        process.kill(rows[0].pid, 'SIGKILL')
        const [again, position] = await until('the primary to recover with another epoch', async () => {
          const client = await connect(t, cluster.primary)
          const found = await readWritePosition(client)
          return found.epoch === before.epoch ? null : ([client, found] as const)
        })
        await flushHeartbeat(again)
        await until(
          'the standby to replay the new epoch',
          async () => (await readReplayPosition(replica))?.epoch === position.epoch,
        )
      },
    )

    await t.test('a clean restart keeps the epoch', async () => {
      const client = await connect(t, cluster.primary)
      const before = await readWritePosition(client)
      await cluster.restart('primary')
      const again = await connect(t, cluster.primary)
      assert.equal((await readWritePosition(again)).epoch, before.epoch)
    })

    await t.test('a promoted standby makes an epoch of its own', async () => {
      const old = await readReplayPosition(replica)
      assert.equal((await replica.query('select pg_promote(true, 20) as done')).rows[0].done, true)
      assert.equal(await readReplayPosition(replica), null)
      const position = await readWritePosition(replica)
      assert.notEqual(position.epoch, old?.epoch)
      assert.match(position.epoch, /\.00000002\./)
    })
  })
}

/** Writes a record that ends exactly where the page ends, if all goes well. */
async function fillPage(client: pg.Client): Promise<void> {
  const { offset } = await readOffsets(client)
  const rest = 8192 - (offset % 8192)
  const overhead = 24 + 5 + 24 + 1
  const length = rest - overhead
  if (length < 300) await client.query(`select pg_logical_emit_message(false, '', repeat('x', 2000), true)`)
  else await client.query(`select pg_logical_emit_message(false, '', repeat('x', $1), true)`, [length])
}

async function readOffsets(client: pg.Client): Promise<{ offset: number }> {
  const { rows } = await client.query(
    'select file_offset as offset from pg_walfile_name_offset(pg_current_wal_insert_lsn())',
  )
  return rows[0]
}

test('epochs', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const admin = await connect(t, cluster.primary)
  await admin.query('create role app login; create role guest login')
  await admin.query('create database owned owner app')
  const as = (user: string, database = 'owned') => connect(t, { ...cluster.primary, user, database })

  await t.test('an ordinary owner of the database may keep one, and all who ask at once get the same', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => as('app')))
    const epochs = await Promise.all(clients.map((client) => ensureEpoch(client)))
    assert.equal(new Set(epochs).size, 1)
    assert.equal((await readWritePosition(clients[0]!)).epoch, epochs[0])
    await flushHeartbeat(clients[0]!)
  })

  await t.test('who may not is told what to grant', async () => {
    const guest = await as('guest')
    await assert.rejects(
      readWritePosition(guest),
      (error) => isFourfoldError(error, 'FF_ENGINE_PERMISSION') && /GRANT/.test(error.message),
    )
    assert.equal((await guest.query('select 1 as one')).rows[0].one, 1, 'the connection is usable')
  })

  await t.test('a role that may not read the control file has an epoch all the same', async () => {
    await admin.query('create database hosted owner app')
    const inside = await connect(t, { ...cluster.primary, database: 'hosted' })
    await inside.query('revoke execute on function pg_control_system() from public')
    const app = await as('app', 'hosted')
    const epoch = await ensureEpoch(app)
    assert.match(epoch, /^unknown\./)
    assert.equal(await ensureEpoch(app), epoch)
    assert.equal(await ensureEpoch(inside), epoch, 'a role that may read it does not quarrel')
  })

  await t.test('an epoch that a dump brought along does not count', async () => {
    const app = await as('app')
    const epoch = await ensureEpoch(app)
    await app.query(
      'update fourfold.live_epoch set home = home::bigint + 1; update fourfold.epoch set home = home::bigint + 1',
    )
    assert.notEqual((await readWritePosition(app)).epoch, epoch)
  })

  await t.test('an epoch can be renewed once by many who saw the same one', async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => as('app')))
    const seen = await ensureEpoch(clients[0]!)
    const renewed = new Set(await Promise.all(clients.map((client) => renewEpoch(client, seen))))
    assert.equal(renewed.size, 1)
    assert.ok(!renewed.has(seen))
  })

  await t.test('the isolation level of the role does not matter', async () => {
    await admin.query(`alter role app set default_transaction_isolation = 'serializable'`)
    await admin.query(`alter role app set default_transaction_read_only = on`)
    const clients = await Promise.all(Array.from({ length: 5 }, () => as('app')))
    await clients[0]!.query('begin read write; delete from fourfold.live_epoch; commit')
    assert.equal(new Set(await Promise.all(clients.map((client) => ensureEpoch(client)))).size, 1)
    await admin.query('alter role app reset all')
  })

  await t.test('the heartbeat falls back to a marker row', async () => {
    const app = await as('app')
    await ensureEpoch(app)
    const old = {
      query: async (text: string) => {
        if (text.includes('pg_logical_emit_message'))
          throw Object.assign(new Error('no such function'), { code: '42883' })
        return app.query(text)
      },
    }
    await flushHeartbeat(old)
    assert.equal((await app.query('select beat::int from fourfold.heartbeat')).rows[0].beat, 1)
  })

  await t.test('what a standby has replayed is read in one statement that works as an ordinary role', async () => {
    const app = await as('app')
    await ensureEpoch(app)
    assert.equal(await readReplayPosition(app), null)
  })
})
