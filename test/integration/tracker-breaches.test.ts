/**
 * What decision 029 promises, and for each promise the mistakes that would break it: the same steps run once more with
 * each mistake planted, and must fail.
 */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { parseLsn } from '../../src/engines/position.ts'
import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { templateId } from '../../src/freshness/changes/hash.ts'
import { askToWatch } from '../../src/freshness/tracker/watch-list.ts'
import { endAfter, startTestCluster, until } from '../support/postgres.ts'
import { startStoreProcess } from '../support/store-process.ts'
import { makeGround, type Ground } from '../support/tracker-ground.ts'
import type { Plant } from '../support/tracker-process.ts'
import { createWatchedTable } from '../support/watched-table.ts'

interface Promised {
  readonly name: string
  readonly steps: (ground: Ground, t: TestContext) => Promise<void>
  readonly breaches: Readonly<Record<string, Plant>>
  /** Whether the store is killed. */
  readonly killsStore?: boolean
  /** Whether settings of the whole server change, from which nobody else should suffer. */
  readonly changesServer?: boolean
  /** Whether a mistake shows only in a moment that a busy machine may miss: it has the machine to itself, and some tries. */
  readonly fleeting?: boolean
}

const acknowledged: Plant = {
  file: 'tracker/run.ts',
  find: 'this.#acknowledged = Math.min(this.#publisher.published, this.#visibility.visible)',
  put: 'this.#acknowledged = Math.min(this.#publisher.published, this.#visibility.visible)',
}

const promises: readonly Promised[] = [
  {
    name: 'a position is the end of a commit',
    steps: async ({ start, client, store, reader, follower, reach }) => {
      await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      for (const value of ['a', 'b', 'c']) {
        const write = await table.write(client, value)
        await reach(write.token)
        table.mustKnow(follower, write)
      }
    },
    breaches: {
      'its beginning': {
        file: 'changes/decoder.ts',
        find: 'const commitEndAt = 10',
        put: 'const commitEndAt = 2',
      },
    },
  },
  {
    name: 'the commit next to an acknowledged one is sent',
    steps: async ({ start, client, store, reader, follower, reach, confirmed, connect }) => {
      let tracker = await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      const other = await connect()
      for (let round = 0; round < 2; round += 1) {
        await other.query('begin')
        await other.query('insert into written (value) values ($1)', [`other ${round}`])
        const first = await table.write(client, `first ${round}`)
        await until('the acknowledgement', async () => (await confirmed()) >= first.token)
        await tracker.kill()
        const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
        await other.query('commit')
        const { lsn, epoch } = await readWritePosition(other)
        tracker = await start()
        await reach(lsn)
        table.mustKnow(follower, { value: `other ${round}`, before: parseLsn(rows[0].lsn), token: lsn, epoch })
        // A position behind the end is refused by whoever follows, so that nothing stale remains; but all is forgotten.
        assert.equal(follower.starts, 1)
      }
    },
    breaches: {
      'end + 1 is acknowledged': {
        file: 'changes/replication-connection.ts',
        find: 'encodeStatus(this.#position, replyWanted)',
        put: 'encodeStatus(this.#position + 1, replyWanted)',
      },
    },
  },
  {
    name: 'nothing is acknowledged before it is published',
    killsStore: true,
    steps: async ({ start, client, store, reader, follower, reach, confirmed, storeProcess }) => {
      const tracker = await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      await storeProcess.kill()
      const write = await table.write(client, 'a')
      await until('the tracker to have it', async () => {
        const status = await tracker.status()
        return status.state === 'streaming' && status.visible >= write.token
      })
      // The next beat is behind it: time enough to acknowledge.
      const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
      await until('the next beat', async () => {
        const status = await tracker.status()
        return status.state === 'streaming' && status.visible > parseLsn(rows[0].lsn)
      })
      assert.ok((await confirmed()) < write.token, 'it was acknowledged')
      await tracker.kill()
      await storeProcess.start()
      await start()
      await reach(write.token)
      table.mustKnow(follower, write)
    },
    breaches: {
      'what is received is acknowledged': {
        ...acknowledged,
        find: 'const position = Math.min(this.#publisher.published, this.#visibility.visible)',
        put: 'this.#parts.connection.acknowledge(this.#visibility.visible); const position = 0',
      },
    },
  },
  {
    name: 'a commit that no snapshot shows is not visible, nor acknowledged, also for the next tracker',
    changesServer: true,
    steps: async ({ start, client, store, reader, follower, reach, confirmed, connect }, t) => {
      let tracker = await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      const setStandby = async (name: string): Promise<void> => {
        await client.query(`set synchronous_commit = local`)
        await client.query(`alter system set synchronous_standby_names = '${name}'`)
        await client.query('select pg_reload_conf()')
        await until('the setting', async () => {
          const { rows } = await client.query('show synchronous_standby_names')
          return rows[0].synchronous_standby_names === name
        })
      }
      endAfter(t, () => setStandby(''))
      await setStandby('missing')
      const writer = await connect()
      const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
      const start0 = parseLsn(rows[0].lsn)
      const hangs = writer.query(`insert into written (value) values ('hangs')`)
      hangs.catch(() => undefined)
      const find = () =>
        reader.all
          .flatMap(({ commits }) => commits)
          .findLast(({ to, tables }) => to > start0 && tables.includes(table.oid))
      const change = await until('the change', async () => (await reader.read()) && find())
      for (let round = 0; round < 2; round += 1) {
        assert.equal((await client.query('select from written')).rowCount, 0)
        const from = reader.all.length
        const position = (await client.query('select pg_current_wal_insert_lsn()::text as lsn')).rows[0].lsn
        await reach(parseLsn(position) + 1)
        for (const { visible } of reader.all.slice(from)) assert.ok(visible < change.to, 'it counts as visible')
        assert.ok((await confirmed()) < change.to, 'it was acknowledged')
        await tracker.kill()
        tracker = await start()
      }
      await setStandby('')
      await hangs
      await reader.until('visibility', (messages) => (messages.at(-1)?.visible ?? 0) >= change.to)
      assert.ok(follower.changed(table.template, table.oid, ['hangs']) > start0)
    },
    breaches: {
      'what is received counts as visible': {
        file: 'changes/visibility.ts',
        find: 'return xid < xmin || (xid < xmax && !running.has(xid))',
        put: 'return true',
      },
      'what is published is acknowledged': {
        ...acknowledged,
        find: 'const position = Math.min(this.#publisher.published, this.#visibility.visible)',
        put: 'this.#parts.connection.acknowledge(this.#publisher.published); const position = 0',
      },
    },
  },
  {
    name: 'a table is covered only from where on nothing of it is missing',
    steps: async ({ start, client, store, reader, connect }) => {
      const tracker = await start()
      await client.query('create table late (id int, value text)')
      await client.query('alter table late replica identity full')
      const { rows } = await client.query(`select 'late'::regclass::oid::int as oid`)
      const table = rows[0].oid as number
      const writer = await connect()
      await writer.query('begin')
      await writer.query(`insert into late values (1, 'open')`)
      await askToWatch(store, reader.database, { tables: [table], templates: [] })
      const since = (): number | undefined =>
        reader.all.findLast(({ coverage }) => coverage !== null)?.coverage?.tables.get(table)?.since
      await until('the join, or its try', async () => {
        const status = await tracker.status()
        await reader.read()
        return since() !== undefined || (status.state === 'streaming' && status.refused.length > 0)
      })
      const { rows: at } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
      await writer.query('commit')
      await until('the join', async () => (await reader.read()) && since() !== undefined)
      const { lsn } = await readWritePosition(writer)
      await reader.until('the watermark', (messages) => (messages.at(-1)?.to ?? 0) >= lsn)
      const told = reader.all
        .flatMap(({ commits }) => commits)
        .some(({ to, tables }) => to > parseLsn(at[0].lsn) && to <= lsn && tables.includes(table))
      assert.ok(told || (since() ?? 0) > parseLsn(at[0].lsn), 'the open writer is missing from the stream')
    },
    breaches: {
      'without the lock': {
        file: 'changes/join-table.ts',
        find: 'await client.query(`lock table ${before.sql} in share row exclusive mode`)',
        put: '',
      },
    },
  },
  {
    name: 'DDL changes everything',
    steps: async ({ start, client, reader, follower, reach }) => {
      await start()
      await client.query('create table altered (id int primary key)')
      const { lsn: before } = await readWritePosition(client)
      await client.query('alter table altered add column more int default 7')
      const { lsn } = await readWritePosition(client)
      await reach(lsn)
      assert.ok(follower.floor > before, `nothing was told in (${before}, ${lsn}], ${reader.all.length} messages`)
    },
    breaches: {
      'nothing is announced': { file: 'changes/event-triggers.ts', find: 'if relevant then', put: 'if false then' },
      'what is announced is not heard': {
        file: 'tracker/collector.ts',
        find: 'else if (prefix === ddlPrefix)',
        put: 'else if (prefix === "")',
      },
    },
  },
  {
    name: 'a change of a partition, or its TRUNCATE, is one of the tables above it',
    steps: async ({ start, client, store, reader, follower, reach }) => {
      await start()
      await client.query('create table parted (id int, value text, primary key (id)) partition by range (id)')
      await client.query('create table leaf partition of parted for values from (0) to (100)')
      const { rows } = await client.query(`select 'parted'::regclass::oid::int as oid`)
      const root = rows[0].oid as number
      const template = templateId(root, ['value'])
      await askToWatch(store, reader.database, { tables: [root], templates: [template] })
      await reader.until('coverage', (messages) =>
        messages.findLast(({ coverage }) => coverage !== null)?.coverage?.templates.has(template),
      )
      for (const sql of [`insert into parted values (1, 'x')`, 'truncate leaf']) {
        const { lsn: before } = await readWritePosition(client)
        await client.query(sql)
        const { lsn } = await readWritePosition(client)
        await reach(lsn)
        assert.ok(follower.changed(template, root, ['x']) > before, sql)
      }
    },
    breaches: {
      'leaves speak for themselves': {
        file: 'tracker/collector.ts',
        find: 'for (const table of ancestors) above.add(table)',
        put: '',
      },
      'the root speaks for them': {
        file: 'changes/installation.ts',
        find: 'publish_via_partition_root = false',
        put: 'publish_via_partition_root = true',
      },
    },
  },
  {
    name: 'a slot that was lost is a gap',
    steps: async ({ start, client, store, reader, follower, reach }) => {
      const tracker = await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      await reach((await table.write(client, 'before')).token)
      await tracker.kill()
      await until('the slot to be free', async () => {
        await client.query(
          'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
        )
        return true
      })
      const write = await table.write(client, 'lost')
      await start()
      await reach(write.token)
      table.mustKnow(follower, write)
      assert.equal(follower.starts, 2)
    },
    breaches: {
      'the chain goes on': { file: 'tracker/open-run.ts', find: 'from: state.confirmed', put: 'from: 1' },
    },
  },
  {
    name: 'what happened while the event triggers were off is a gap',
    steps: async ({ start, client, store, reader, follower, reach }) => {
      await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      await reach((await table.write(client, 'before')).token)
      assert.equal(follower.starts, 1)
      await client.query(`
        begin; alter event trigger fourfold_ddl_end disable; alter table written add column more int default 7;
        alter event trigger fourfold_ddl_end enable always; commit`)
      const { lsn } = await readWritePosition(client)
      await until(
        'the gap',
        async () => {
          follower.follow(await reader.read())
          return follower.starts === 2 && follower.floor >= lsn
        },
        4000,
      )
    },
    breaches: {
      'nobody looks': {
        file: 'tracker/pulse.ts',
        find: 'if (standing.fingerprint !== fingerprint)',
        put: 'if (standing.fingerprint === null)',
      },
    },
  },
  {
    name: 'a table that somebody took out of the publication is not covered from there on',
    fleeting: true,
    steps: async ({ start, client, store, reader }) => {
      await start()
      const table = await createWatchedTable(client, store, reader, 'written')
      await client.query('alter publication fourfold drop table written')
      const { lsn } = await readWritePosition(client)
      const later = await table.write(client, 'unseen')
      await reader.until('the watermark', (messages) => (messages.at(-1)?.to ?? 0) >= later.token)
      const coverages = new Map(
        reader.all.flatMap(({ coverageId, coverage }) => (coverage === null ? [] : [[coverageId, coverage]])),
      )
      for (const { to, coverageId } of reader.all) {
        const since = coverages.get(coverageId)?.tables.get(table.oid)?.since
        if (to < lsn) continue
        assert.ok(since === undefined || since >= lsn, `covered since ${since} at ${to}, taken out at ${lsn}`)
      }
      await reader.until('it to join again', (messages) => {
        const since = messages.findLast(({ coverage }) => coverage !== null)?.coverage?.tables.get(table.oid)?.since
        return (since ?? 0) >= later.token
      })
    },
    breaches: {
      // And is told before anybody could have looked: as a rule, the message waits for whether its commit is visible.
      'coverage goes on': {
        file: 'tracker/run.ts',
        find: 'this.#coverage.suspend(true)',
        put: 'setImmediate(() => this.#publisher.wake())',
      },
    },
  },
]

/** Each stands on a database of its own, and mostly waits: so many go side by side. */
const sideBySide = 2
const fleetingTries = 4

test('the tracker keeps what decision 029 promises', { concurrency: sideBySide }, async (t) => {
  const together = await startTestCluster(t, { replicas: 0 })
  const shared = await startStoreProcess()
  endAfter(t, () => shared.stop())
  const keep = async (
    promise: TestContext,
    { steps, breaches, killsStore, changesServer, fleeting }: Promised,
  ): Promise<void> => {
    const storeProcess = killsStore === true ? undefined : shared
    const cluster = changesServer === true ? await startTestCluster(promise, { replicas: 0 }) : together
    await promise.test(
      'as it is',
      async (inner) => await steps(await makeGround(inner, cluster, { storeProcess }), inner),
    )
    for (const [breach, plant] of Object.entries(breaches)) {
      await promise.test(`caught: ${breach}`, async (inner) => {
        let failure: Error | null = null
        for (let left = fleeting === true ? fleetingTries : 1; left > 0 && failure === null; left -= 1) {
          const ground = await makeGround(inner, cluster, { storeProcess, plants: [plant] })
          failure = await steps(ground, inner).then(
            () => null,
            (error: unknown) => error as Error,
          )
        }
        assert.ok(failure !== null, 'the mistake went unnoticed')
        inner.diagnostic(failure.message.slice(0, 200))
      })
    }
  }
  const prove = (promised: Promised): Promise<void> => t.test(promised.name, (promise) => keep(promise, promised))
  await Promise.all(promises.filter(({ fleeting }) => fleeting !== true).map(prove))
  for (const promised of promises.filter(({ fleeting }) => fleeting === true)) await prove(promised)
})
