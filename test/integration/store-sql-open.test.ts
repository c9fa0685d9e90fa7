/** An app opened in one process with its store in its own database. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { database, defineApp } from '../../src/app/define-app.ts'
import { open } from '../../src/app/open.ts'
import { silentLogger } from '../../src/core/log.ts'
import { connectionsPerProcess } from '../../src/store/sql/budget.ts'
import { endAfter, makeDirectory, until } from '../support/postgres.ts'

test('open() keeps sessions and tokens in the database that the app names, and closes its connections', async (t) => {
  const dataDir = await makeDirectory(t)
  const app = defineApp({ databases: { main: database({ replicas: 1 }) }, store: { database: 'main' }, dataDir })
  const ff = await open(app, { env: {}, log: silentLogger })
  endAfter(t, () => ff.close())
  assert.equal(ff.store.driver, 'sql')
  await until('the store answers', () => ff.store.ping().then(() => true))

  const { pool } = ff.databases.main
  await pool.query('create table notes (text text)')
  const ada = ff.as({ reader: 'user:ada', level: 'session' }).databases.main.pool
  await ada.query(`insert into notes values ('mine')`)
  const { rows: tokens } = await pool.query(`select convert_from(key, 'UTF8') as key from fourfold.store_tokens`)
  assert.deepEqual(tokens, [{ key: 'token:main:user:ada' }])
  assert.equal((await ada.query('select text from notes')).rows.length, 1)

  const session = ff.sessions.open(null)
  session.set('user', 7)
  await session.save()
  const { rows: records } = await pool.query(
    `select 1 from fourfold.store_records where starts_with(convert_from(key, 'UTF8'), 'session:')`,
  )
  assert.equal(records.length, 1)

  const connections = async (): Promise<number> =>
    (await pool.query(`select 1 from pg_stat_activity where application_name = 'fourfold store'`)).rows.length
  assert.equal(await connections(), connectionsPerProcess)
  await ff.store.close()
  await until('they are gone', async () => (await connections()) === 0)
})
