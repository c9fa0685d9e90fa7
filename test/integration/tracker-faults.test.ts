/** The tracker, its store and its server are killed and stopped while writers write. */

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { startTestCluster, until } from '../support/postgres.ts'
import { makeGround } from '../support/tracker-ground.ts'
import { createWatchedTable, type Write } from '../support/watched-table.ts'

/** Each has a database, a store and trackers of its own, and mostly waits: so many go side by side. */
const sideBySide = 2

test('faults', { concurrency: sideBySide }, async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const faults: Promise<void>[] = []
  const when = (fault: string, behave: (inner: TestContext) => Promise<void>): void =>
    void faults.push(t.test(fault, behave))

  when('a tracker that is killed again and again leaves out no change', async (inner) => {
    const ground = await makeGround(inner, cluster)
    const { client, store, reader, follower, storeProcess } = ground
    let tracker = await ground.start()
    const table = await createWatchedTable(client, store, reader, 'written')
    const writes: Write[] = []
    const writing = new AbortController()
    const writer = async (name: string): Promise<void> => {
      const own = await ground.connect()
      for (let count = 0; !writing.signal.aborted; count += 1) writes.push(await table.write(own, `${name} ${count}`))
    }
    const check = async (): Promise<void> => {
      // The store may have been killed a moment ago.
      follower.follow(await until('the store', () => reader.read()))
      for (const write of writes) table.mustKnow(follower, write)
    }
    const writers = Promise.all([writer('one'), writer('two')])
    for (let kill = 0; kill < 5; kill += 1) {
      const goal = writes.length + Math.floor(Math.random() * 60)
      await until('some writes', async () => writes.length >= goal)
      if (kill % 3 === 2) await storeProcess.restart()
      await tracker.kill()
      await check()
      tracker = await ground.start()
    }
    writing.abort()
    await writers
    await ground.reach((await readWritePosition(client)).lsn)
    await check()
    const known = writes.filter((write) => table.isPast(follower, write)).length
    assert.equal(known, writes.length)
    assert.equal(follower.starts, 1, 'no run left a gap')
    inner.diagnostic(`${writes.length} writes, ${reader.all.length} messages`)
  })

  when('a second tracker takes over when the first dies, and not before', async (inner) => {
    const ground = await makeGround(inner, cluster)
    const { client, store, reader, follower } = ground
    const first = await ground.start()
    const table = await createWatchedTable(client, store, reader, 'written')
    const second = ground.spawn()
    await until('the second to wait', async () => (await second.status()).state === 'waiting')
    await ground.reach((await table.write(client, 'first')).token)
    await first.kill()
    const killed = performance.now()
    await second.ready()
    const tookMs = performance.now() - killed
    const write = await table.write(client, 'second')
    await ground.reach(write.token)
    table.mustKnow(follower, write)
    assert.equal(follower.starts, 1)
    assert.equal(new Set(reader.all.map(({ tracker }) => tracker)).size, 2)
    inner.diagnostic(`took over in ${Math.round(tookMs)} ms`)
    assert.ok(tookMs < 5000)
  })

  when('a tracker that was stopped and wakes does no harm', async (inner) => {
    const ground = await makeGround(inner, cluster)
    const { client, store, reader, follower } = ground
    const first = await ground.start()
    const table = await createWatchedTable(client, store, reader, 'written')
    const second = ground.spawn()
    await until('the second to wait', async () => (await second.status()).state === 'waiting')
    first.child.kill('SIGSTOP')
    const during = await table.write(client, 'during')
    await second.ready()
    await ground.reach(during.token)
    first.child.kill('SIGCONT')
    const after = await table.write(client, 'after')
    await ground.reach(after.token)
    await until('the first to wait', async () => (await first.status()).state === 'waiting')
    await ground.reach((await table.write(client, 'last')).token)
    for (const write of [during, after]) table.mustKnow(follower, write)
    assert.equal(follower.starts, 1)
  })

  when('a walsender that hangs is noticed, and given up', async (inner) => {
    const ground = await makeGround(inner, cluster)
    const { client, store, reader, follower } = ground
    const tracker = await ground.start()
    const table = await createWatchedTable(client, store, reader, 'written')
    const { rows } = await client.query(
      'select active_pid as pid from pg_replication_slots where database = current_database()',
    )
    const walsender = rows[0].pid as number
    process.kill(walsender, 'SIGSTOP')
    try {
      const write = await table.write(client, 'unheard')
      await until('the tracker to notice', async () => (await tracker.status()).state !== 'streaming', 15_000)
      follower.follow(await reader.read())
      assert.equal(table.isPast(follower, write), false)
      process.kill(walsender, 'SIGCONT')
      await tracker.ready()
      await ground.reach(write.token)
      table.mustKnow(follower, write)
      assert.equal(follower.starts, 1)
    } catch (error) {
      process.kill(walsender, 'SIGCONT')
      throw error
    }
  })

  when('a slot whose log the server gave up is made anew, with a gap', async (inner) => {
    const small = await startTestCluster(inner, { replicas: 0, settings: { max_slot_wal_keep_size: '2MB' } })
    const ground = await makeGround(inner, small)
    const { client, store, reader, follower } = ground
    const tracker = await ground.start()
    const table = await createWatchedTable(client, store, reader, 'written')
    await ground.reach((await table.write(client, 'before')).token)
    await tracker.kill()
    const write = await table.write(client, 'given up')
    await until('the slot to be lost', async () => {
      await client.query(`select pg_logical_emit_message(false, 'fill', repeat('x', 4000000)), pg_switch_wal()`)
      await client.query('checkpoint')
      const { rows } = await client.query(
        'select wal_status from pg_replication_slots where database = current_database()',
      )
      return rows[0].wal_status === 'lost'
    })
    await ground.start()
    await ground.reach(write.token)
    table.mustKnow(follower, write)
    assert.equal(follower.starts, 2)
    const after = await table.write(client, 'after')
    await ground.reach(after.token)
    table.mustKnow(follower, after)
  })

  when('after a crash of the server there is another epoch, and everything is forgotten', async (inner) => {
    const crashing = await startTestCluster(inner, { replicas: 0 })
    const ground = await makeGround(inner, crashing)
    const { client, store, reader, follower } = ground
    await ground.start()
    const table = await createWatchedTable(client, store, reader, 'written')
    await ground.reach((await table.write(client, 'before')).token)
    const before = follower.epoch
    const victim = await ground.connect()
    const { rows } = await victim.query('select pg_backend_pid() as pid')
    process.kill(rows[0].pid, 'SIGKILL')
    // The first connections may still reach the server that is about to go down.
    const write = await until('a write after the crash', async () => {
      const found = await table.write(await ground.connect(), `after ${performance.now()}`)
      return found.epoch === before ? null : found
    })
    await until('the new epoch', async () => {
      follower.follow(await reader.read())
      return follower.epoch === write.epoch && follower.watermark >= write.token
    })
    table.mustKnow(follower, write)
    assert.notEqual(follower.epoch, before)
    assert.equal(follower.starts, 2)
  })
  await Promise.all(faults)
})
