/** A tracker that is stopped before it has begun. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { silentLogger } from '../../src/core/log.ts'
import { startTracker } from '../../src/freshness/tracker/tracker.ts'
import { endAfter } from '../support/postgres.ts'

import type { Store } from '../../src/store/store.ts'

test('a tracker that is stopped while it connects ends', async (t) => {
  const sockets: Socket[] = []
  // Takes what comes, and never answers.
  const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined).resume()))
  endAfter(t, async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const address = { host: '127.0.0.1', port, user: 'nobody', database: 'main' }
  const tracker = startTracker({ database: 'main', address, store: {} as Store, log: silentLogger })
  const [socket] = (await once(server, 'connection')) as [Socket]
  await once(socket, 'data')
  const beganMs = performance.now()
  const over = pause(3_000, 'over', { ref: false })
  assert.equal(await Promise.race([tracker.stop(), over]), undefined, 'the tracker did not end')
  assert.ok(performance.now() - beganMs < 1_000)
  assert.equal(tracker.status().state, 'stopped')
})
