/** Where the store's socket is, and whom it is not entrusted to. */

import assert from 'node:assert/strict'
import { chmod, chown, mkdir, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { socketPathFor } from '../../src/app/socket-path.ts'
import { makeDirectory } from '../support/postgres.ts'

test('a socket is in the data directory, or in a private one where that path is too long', async (t) => {
  const data = await makeDirectory(t)
  assert.deepEqual(await socketPathFor(data, 'store'), { path: join(data, 'store.sock'), directory: null })
  const { path, directory } = await socketPathFor(join(data, 'long'.repeat(30)), 'store')
  assert.ok(directory !== null && path.startsWith(directory) && path.length < 100)
  t.after(() => rm(directory, { recursive: true, force: true }))
  await chmod(directory, 0o777)
  assert.deepEqual(await socketPathFor(join(data, 'long'.repeat(30)), 'store'), { path, directory })
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
})

test('a directory that somebody else made first is refused', async (t) => {
  const data = join(await makeDirectory(t), 'long'.repeat(30))
  const { directory } = await socketPathFor(data, 'store')
  assert.ok(directory !== null)
  t.after(() => rm(directory, { recursive: true, force: true }))
  const refused = { code: 'FF_STORE_ADDRESS', message: /belongs to somebody else/ }
  await rm(directory, { recursive: true })
  await symlink(dirname(data), directory)
  await assert.rejects(socketPathFor(data, 'store'), refused)
  if (process.getuid?.() !== 0) return
  await rm(directory)
  await mkdir(directory)
  await chown(directory, 65_534, 65_534)
  await assert.rejects(socketPathFor(data, 'store'), refused)
})
