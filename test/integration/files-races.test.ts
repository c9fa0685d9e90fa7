/**
 * Uploads, removals and sweeps of a few files side by side, with nothing counting as young: whatever the order, a file
 * that is there is whole, one that was acknowledged and not removed since is there, and in the end nothing is left over.
 */

import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import pg from 'pg'

import { isFourfoldError } from '../../src/core/errors.ts'
import { createFiles } from '../../src/files/create-files.ts'
import type { Files } from '../../src/files/files.ts'
import { createSqlDriver } from '../../src/files/sql/sql-driver.ts'
import { FINISH_SQL } from '../../src/files/sql/statements.ts'
import { connect, endAfter, startTestCluster, until } from '../support/postgres.ts'

const rounds = 40
const clients = 6
const contents = [900, 1000, 1001, 5500].map((size) => randomBytes(size))

test('uploads, removals and sweeps side by side lose nothing and leave nothing', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const pool = new pg.Pool({ ...(cluster.primary as pg.PoolConfig), max: clients })
  pool.on('error', () => undefined)
  endAfter(t, () => pool.end())
  const files = createFiles({
    driver: createSqlDriver({ run: (text, values) => pool.query(text, values), pieceBytes: 1000 }),
  })
  let swept = 0
  for (let round = 0; round < rounds; round += 1) {
    const removed = new Set<string>()
    const acknowledged = new Set<string>()
    const act = async (): Promise<void> => {
      const bytes = contents[randomInt(contents.length)] ?? Buffer.alloc(0)
      const dice = randomInt(10)
      if (dice < 6) {
        const name = await put(files, bytes)
        if (name === null) swept += 1
        else acknowledged.add(name)
      } else if (dice < 8) {
        const name = nameOf(bytes)
        removed.add(name)
        await files.remove(name)
      } else await files.sweep(0)
    }
    await Promise.all(
      Array.from({ length: clients }, async () => {
        for (let step = 0; step < 5; step += 1) await act()
      }),
    )
    for (const bytes of contents) {
      const name = nameOf(bytes)
      const opened = await files.get(name)
      if (opened !== null) assert.ok((await buffer(opened.stream)).equals(bytes), 'a file that is there is whole')
      else if (acknowledged.has(name)) assert.ok(removed.has(name), 'an acknowledged file was lost')
    }
  }
  for (const bytes of contents) await files.put(bytes)
  await files.sweep(0)
  const { rows } = await pool.query(
    'select count(*)::int as contents, (select count(*)::int from fourfold.files) as files from fourfold.file_contents',
  )
  assert.deepEqual(rows[0], { contents: contents.length, files: contents.length })
  const { rows: chunks } = await pool.query('select count(*)::int as chunks from fourfold.file_chunks')
  assert.equal(chunks[0].chunks, 1 + 1 + 2 + 6)
  t.diagnostic(`${swept} uploads were swept under way`)
})

/** Null: the upload was swept, as it may be where nothing counts as young. */
async function put(files: Files, bytes: Buffer): Promise<string | null> {
  try {
    return (await files.put([bytes.subarray(0, 300), bytes.subarray(300)])).name
  } catch (error) {
    if (isFourfoldError(error, 'FF_FILES_SWEPT')) return null
    throw error
  }
}

function nameOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('a sweep that began while a file was being named leaves it', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const [naming, gate, looker] = await Promise.all([0, 1, 2].map(() => connect(t, cluster.primary)))
  const pool = new pg.Pool({ ...(cluster.primary as pg.PoolConfig), max: 2 })
  pool.on('error', () => undefined)
  endAfter(t, () => pool.end())
  // Between what it sees and what it locks, the sweep is made to wait.
  const slowly = (text: string): string =>
    text.replace('where touched_at <', 'where pg_advisory_lock_shared(7) is not null and touched_at <')
  const driver = createSqlDriver({ run: (text, values) => pool.query(slowly(text), values), pieceBytes: 1000 })
  const bytes = randomBytes(1500)
  await driver.stage().write(bytes.subarray(0, 1000), new AbortController().signal)
  const { rows } = await looker!.query('select content from fourfold.file_contents')
  await naming!.query('begin')
  const facts = [rows[0]!['content'], nameOf(bytes), 1500, 'application/octet-stream', 1, bytes.subarray(1000)]
  await naming!.query(FINISH_SQL, facts)
  await gate!.query('select pg_advisory_lock(7)')
  const files = createFiles({ driver })
  const sweeping = files.sweep(0)
  sweeping.catch(() => undefined)
  await until('the sweep to wait', async () => {
    const waiting = await looker!.query(`select 1 from pg_stat_activity where wait_event = 'advisory'`)
    return waiting.rows.length > 0
  })
  await naming!.query('commit')
  await gate!.query('select pg_advisory_unlock(7)')
  assert.equal(await sweeping, 0)
  assert.deepEqual(await buffer((await files.get(nameOf(bytes)))!.stream), bytes)
})
