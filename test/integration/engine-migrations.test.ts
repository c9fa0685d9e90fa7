import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { isFourfoldError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/log.ts'
import { runMigrations } from '../../src/engines/postgres/migrations.ts'
import { connect, makeDirectory, startTestCluster } from '../support/postgres.ts'

test('migrations', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const admin = await connect(t, cluster.primary)
  let count = 0

  /** A new database and a folder with these files. */
  async function prepare(files: Record<string, string>) {
    count += 1
    await admin.query(`create database migrated_${count}`)
    const directory = join(await makeDirectory(t), 'migrations')
    await mkdir(directory)
    const add = async (more: Record<string, string>): Promise<void> => {
      for (const [name, text] of Object.entries(more)) await writeFile(join(directory, name), text)
    }
    await add(files)
    const address = { ...cluster.primary, database: `migrated_${count}` }
    return {
      add,
      run: () => runMigrations({ address, directory, log: silentLogger }),
      client: await connect(t, address),
    }
  }

  const code = `export async function up(db: any): Promise<void> {
    await db.schema.createTable('b').addColumn('id', 'integer').execute()
  }`

  await t.test('SQL and TypeScript files run once, in the order of their names', async () => {
    const { run, client, add } = await prepare({
      '2-b.ts': code,
      '1-a.sql': 'create table a (id int); insert into a values (1)',
      'notes.md': '',
      '2-b.d.ts': '',
    })
    assert.deepEqual((await run()).applied, ['1-a', '2-b'])
    assert.deepEqual((await run()).applied, [])
    await add({ '3-c.sql': 'insert into a select id from a' })
    assert.deepEqual((await run()).applied, ['3-c'])
    assert.equal((await client.query('select * from a, b right join (select) x on true')).rowCount, 2)
  })

  await t.test('many processes that start together run each migration once', async () => {
    const { run, client } = await prepare({
      '1.sql': 'create table a (id int); select pg_sleep(0.05); insert into a values (1)',
    })
    const all = await Promise.all(Array.from({ length: 6 }, () => run()))
    assert.deepEqual(
      all.flatMap(({ applied }) => applied),
      ['1'],
    )
    assert.equal((await client.query('select * from a')).rowCount, 1)
  })

  await t.test('a failure names the migration, and nothing of the run is applied', async () => {
    const { run, client, add } = await prepare({ '1.sql': 'create table a (id int)', '2.sql': 'create table broken (' })
    await assert.rejects(
      run(),
      (error) => isFourfoldError(error, 'FF_ENGINE_MIGRATION') && error.fields.migration === '2',
    )
    await assert.rejects(client.query('select * from a'), { code: '42P01' })
    await add({ '2.sql': 'create table mended (id int)' })
    assert.deepEqual((await run()).applied, ['1', '2'])
  })

  await t.test('mistakes in the folder are told', async () => {
    const mistakes: [Record<string, string>, RegExp][] = [
      [{ '1.sql': 'begin; create table a (id int); commit' }, /leave them out/],
      [{ '1.sql': '', '1.ts': code }, /two migrations named 1/],
      [{ '1.mjs': 'export const down = 1' }, /exports no function up/],
    ]
    for (const [files, message] of mistakes) {
      const { run } = await prepare(files)
      await assert.rejects(
        run(),
        (error) => isFourfoldError(error, 'FF_ENGINE_MIGRATION') && message.test(error.message),
      )
    }
    const missing = runMigrations({ address: cluster.primary, directory: '/nowhere/migrations', log: silentLogger })
    await assert.rejects(missing, /nowhere/)
  })

  await t.test('a migration that is missing, or came too late, is told', async () => {
    const { run, add } = await prepare({ '2.sql': 'create table a (id int)' })
    await run()
    await add({ '1.sql': 'create table late (id int)' })
    await assert.rejects(run(), (error) => isFourfoldError(error, 'FF_ENGINE_MIGRATION'))
  })
})
