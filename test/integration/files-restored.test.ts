/** Files in a database that was restored, under running clones, from before it had any. */

import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import pg from 'pg'

import { createFiles } from '../../src/files/create-files.ts'
import { createSqlDriver } from '../../src/files/sql/sql-driver.ts'
import { endAfter, startTestCluster } from '../support/postgres.ts'

test('the tables are made again where they went, and no clone has to be started anew', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const pool = new pg.Pool({ ...(cluster.primary as pg.PoolConfig), max: 4 })
  pool.on('error', () => undefined)
  endAfter(t, () => pool.end())
  const driver = createSqlDriver({ run: (text, values) => pool.query(text, values), pieceBytes: 1000 })
  const files = createFiles({ driver })
  for (const size of [10, 2500]) {
    const bytes = Buffer.alloc(size, 'x')
    await files.put(bytes)
    await pool.query('drop table fourfold.files, fourfold.file_chunks, fourfold.file_contents')
    const stored = await Promise.all([files.put(bytes), files.put(bytes)])
    assert.equal(stored[0].name, stored[1].name)
    assert.deepEqual(await buffer((await files.get(stored[0].name))!.stream), bytes)
    await pool.query('drop schema fourfold cascade')
    assert.equal(await files.head(stored[0].name), null)
    await files.put(bytes)
  }
})
