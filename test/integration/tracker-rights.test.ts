/** The tracker on servers that do not allow everything, and beside people who change what it stands on. */

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import { runMigrations } from '../../src/engines/postgres/migrations.ts'
import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { hashVersion } from '../../src/freshness/changes/hash.ts'
import { encodeMessage } from '../../src/freshness/changes/message.ts'
import { askToWatch } from '../../src/freshness/tracker/watch-list.ts'
import { changeStream } from '../../src/freshness/tracker/publisher.ts'
import { connectTestStore, MessageReader, startTestTracker, untilStreaming } from '../support/change-stream.ts'
import { connect, makeDirectory, startTestCluster, until } from '../support/postgres.ts'

test('what the server does not allow', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const admin = await connect(t, cluster.primary)
  await admin.query('create role app login replication')
  const store = await connectTestStore(t)
  const makeDatabase = async (name: string, owner: string) => {
    await admin.query(`create database ${name} owner ${owner}`)
    const address = { ...cluster.primary, database: name, user: owner }
    return { address, client: await connect(t, address), reader: new MessageReader(store, name) }
  }

  await t.test('without the right to event triggers nothing is covered, and the reason is told', async () => {
    const { address, client, reader } = await makeDatabase('blind', 'app')
    await client.query('create table rows (id int primary key)')
    const { rows } = await client.query(`select 'rows'::regclass::oid::int as oid`)
    await askToWatch(store, 'blind', { tables: [rows[0].oid], templates: [] })
    const tracker = startTestTracker(t, { database: 'blind', address, store })
    await untilStreaming(tracker)
    const status = tracker.status()
    assert.match((status.state === 'streaming' && status.cacheOff) || '', /event triggers/)
    await client.query('create table more (id int)')
    await reader.until('messages', (messages) => messages.length > 3)
    assert.equal(status.state === 'streaming' && status.tables, 0)
    assert.ok(reader.all.every(({ coverage }) => coverage === null || coverage.tables.size === 0))
    await tracker.stop()
  })

  await t.test("with ddl: 'migrations-only' migrations announce what they change", async () => {
    const { address, client, reader } = await makeDatabase('promised', 'app')
    await client.query('create table rows (id int primary key)')
    const { rows } = await client.query(`select 'rows'::regclass::oid::int as oid`)
    await askToWatch(store, 'promised', { tables: [rows[0].oid], templates: [] })
    const tracker = startTestTracker(t, { database: 'promised', address, store, ddl: 'migrations-only' })
    await untilStreaming(tracker)
    await reader.until('coverage', (messages) => messages.at(-1)?.coverage?.tables.has(rows[0].oid))
    const directory = join(await makeDirectory(t), 'migrations')
    await mkdir(directory)
    await writeFile(join(directory, '1.sql'), 'alter table rows add column more int default 1')
    const before = await readWritePosition(client)
    await runMigrations({ address, directory, log: silentLogger })
    const { lsn } = await readWritePosition(client)
    await reader.until('the watermark', (messages) => (messages.at(-1)?.to ?? 0) >= lsn)
    assert.ok(reader.all.some(({ commits }) => commits.some(({ to, everything }) => everything && to > before.lsn)))
    await tracker.stop()
  })

  await t.test(
    'a server that takes it for a synchronous standby is left alone, also when it begins to later',
    async () => {
      const { address, client } = await makeDatabase('waited', cluster.primary.user)
      const set = async (names: string): Promise<void> => {
        await admin.query('set synchronous_commit = local')
        await admin.query(`alter system set synchronous_standby_names = '${names}'`)
        await admin.query('select pg_reload_conf()')
      }
      const tracker = startTestTracker(t, { database: 'waited', address, store })
      await untilStreaming(tracker)
      await set('*')
      await until('the tracker to leave', async () => tracker.status().state === 'refused')
      const status = tracker.status()
      assert.match('reason' in status ? status.reason : '', /synchronous_standby_names/)
      await set('')
      await client.query('create table written (id int)')
      await tracker.stop()
    },
  )

  await t.test('a server that is behind what was published under its epoch gets another one', async () => {
    const { address, client, reader } = await makeDatabase('copied', cluster.primary.user)
    const { epoch, lsn } = await readWritePosition(client)
    const ahead = { hashVersion, epoch, tracker: 'former', from: lsn, to: lsn + 1e9, visible: lsn }
    const bytes = encodeMessage({ ...ahead, commits: [], coverageId: '', coverage: null })
    await store.appendToStream(changeStream('copied'), bytes, { maxEntries: 10, ttlMs: 60_000 })
    const tracker = startTestTracker(t, { database: 'copied', address, store })
    await untilStreaming(tracker)
    await reader.until('its messages', (messages) => messages.length > 1)
    assert.notEqual(reader.all[1]?.epoch, epoch)
    assert.equal((await readWritePosition(client)).epoch, reader.all[1]?.epoch)
    await tracker.stop()
  })

  await t.test('a publication that was dropped, or a slot that was taken away while it streams, is a gap', async () => {
    const { address, client, reader } = await makeDatabase('tampered', cluster.primary.user)
    const tracker = startTestTracker(t, { database: 'tampered', address, store })
    await untilStreaming(tracker)
    for (const sql of [
      'drop publication fourfold',
      `begin; drop publication fourfold; create publication fourfold; commit`,
      'alter publication fourfold set (publish_via_partition_root = true)',
      // The tracker comes back quickly.
      `do $$ begin
        for attempt in 1..100 loop
          perform pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database();
          begin
            perform pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database();
            return;
          exception when object_in_use then perform pg_sleep(0.01);
          end;
        end loop;
      end $$`,
    ]) {
      const last = (await reader.read()).at(-1)?.to ?? 0
      await client.query(sql).catch(() => undefined)
      const { lsn } = await readWritePosition(client)
      await reader.until(sql, (messages) =>
        messages.some(({ from }, index) => from > (messages[index - 1]?.to ?? 0) && from >= last && from >= lsn),
      )
      await untilStreaming(tracker)
      const { rows } = await client.query('select pubviaroot, pubtruncate from pg_publication')
      assert.deepEqual(rows, [{ pubviaroot: false, pubtruncate: true }], sql)
    }
    await tracker.stop()
  })

  await t.test('stopping does not wait for a slot that waits for an open transaction', async () => {
    const { address, client } = await makeDatabase('busy', cluster.primary.user)
    const other = await connect(t, address)
    await client.query('create table rows (id int)')
    await other.query('begin; insert into rows values (1)')
    const tracker = startTestTracker(t, { database: 'busy', address, store })
    await until('the slot to be begun', async () => {
      const { rows } = await client.query(
        `select from pg_stat_activity where query like '%pg_create_logical_replication_slot%' and pid <> pg_backend_pid() and state = 'active'`,
      )
      return rows.length > 0
    })
    const began = performance.now()
    await tracker.stop()
    assert.ok(performance.now() - began < 5000)
    await other.query('commit')
    const second = startTestTracker(t, { database: 'busy', address, store })
    await untilStreaming(second)
    await second.stop()
  })
})
