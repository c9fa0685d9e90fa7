/** Connections end where the server, or the way to it, says nothing more. */

import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { before, after, suite, test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { silentLogger } from '../../src/core/log.ts'
import { readServerFacts } from '../../src/engines/postgres/changes/server-facts.ts'
import { setUpStream } from '../../src/engines/postgres/changes/upkeep.ts'
import { startTracker } from '../../src/freshness/tracker/tracker.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { endAfter, startTestCluster } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

import type { PostgresAddress } from '../../src/engines/postgres/address.ts'

const goodbye = Buffer.from([0x58, 0, 0, 0, 4])

interface Way {
  readonly address: PostgresAddress
  /** How many have asked for something that this way swallows. */
  swallowed: number
}

/** A way to a server on which nothing comes through any more, in either direction, from what `isLast` names on. */
async function layWay(t: TestContext, to: PostgresAddress, isLast: (bytes: Buffer) => boolean): Promise<Way> {
  const { host, port, user, database } = to as { host: string; port: number; user: string; database: string }
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(join(host, `.s.PGSQL.${port}`))
    sockets.push(near, far)
    let isOver = false
    near.on('data', (bytes) => {
      if (!isOver && isLast(bytes)) {
        isOver = true
        way.swallowed += 1
      }
      if (!isOver) far.write(bytes)
    })
    far.on('data', (bytes) => !isOver && near.write(bytes))
    near.on('close', () => far.destroy())
    far.on('close', () => !isOver && near.destroy())
    for (const socket of [near, far]) socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endAfter(t, async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const way = {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port, user, database },
    swallowed: 0,
  }
  return way
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = pause(ms, 'late', { ref: false })
  const result = await Promise.race([work, late])
  assert.notEqual(result, 'late', `it did not end within ${ms} ms`)
  return result as T
}

suite('connections on which nothing comes any more', () => {
  let primary: PostgresAddress
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    primary = (await startTestCluster({ after: (end: () => Promise<void>) => void ends.push(end) }, { replicas: 0 }))
      .primary
  })
  after(async () => {
    for (const end of ends) await end()
  })

  test('what the doctor does ends where the goodbye is not answered', async (t) => {
    const way = await layWay(t, primary, (bytes) => bytes.subarray(-5).equals(goodbye))
    assert.equal(await within(5_000, setUpStream(way.address, 'any')), null)
    assert.equal(way.swallowed, 1)
    const asked = readServerFacts({ name: 'main', address: way.address, timeoutMs: 2_000, probe: false })
    assert.equal((await within(5_000, asked)).database, 'main')
    assert.equal(way.swallowed, 2)
  })

  test('a tracker ends at once that is stopped while its change stream connects', async (t) => {
    const way = await layWay(t, primary, (bytes) => bytes.includes('replication\0database'))
    const store = openMemoryStore()
    endAfter(t, () => store.close())
    const tracker = startTracker({ database: 'main', address: way.address, store, log: silentLogger })
    await waitFor('the stream to connect', () => way.swallowed === 1)
    await within(2_500, tracker.stop())
    assert.equal(tracker.status().state, 'stopped')
  })
})
