/** The embedded store ends, whatever its clients do. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { silentLogger } from '../../src/core/log.ts'
import { connectStore } from '../../src/store/connect.ts'
import { frame } from '../../src/store/memory/frames.ts'
import { machineMs } from '../../src/store/memory/operations.ts'
import { startStoreServer } from '../../src/store/memory/server.ts'
import { waitFor } from '../support/wait-for.ts'

test('a client that stands still with answers that it has not taken holds up no end of the store', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ff-store-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const socketPath = join(directory, 's.sock')
  const server = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
  const store = await connectStore({ url: `unix:${socketPath}`, deadlineMs: 5_000 })
  await store.create('large', { bytes: Buffer.alloc(1_000_000) }, { ttlMs: 60_000 })
  const still = connect(socketPath)
  t.after(() => still.destroy())
  // Begins to read, and takes nothing.
  still.on('error', () => undefined).on('readable', () => undefined)
  const reads = Array.from({ length: 8 }, () => ['read', 'large'])
  still.write(frame([1, machineMs() + 60_000, reads]))
  await waitFor('the first of the answers', () => still.readableLength > 10_000)
  await store.close()
  const stopped = server.stop().then(() => 'stopped')
  assert.equal(await Promise.race([stopped, pause(5_000, 'waiting', { ref: false })]), 'stopped')
})
