/** Migrations around a rollout, on a real server: what runs when, what is refused, and that nobody waits behind a lock. */

import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { isFourfoldError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/log.ts'
import { runMigrations, type RunMigrationsOptions } from '../../src/engines/postgres/migrations.ts'
import { connect, makeDirectory, startTestCluster } from '../support/postgres.ts'

test('migrations around a rollout', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const admin = await connect(t, cluster.primary)
  let count = 0

  /** A new database whose old build has brought `1.sql`, and the folder of the new build. */
  async function prepare(files: Record<string, string>) {
    count += 1
    await admin.query(`create database phases_${count}`)
    const directory = join(await makeDirectory(t), 'migrations')
    await mkdir(directory)
    const address = { ...cluster.primary, database: `phases_${count}` }
    const run = (phase: RunMigrationsOptions['phase'], more: Partial<RunMigrationsOptions> = {}) =>
      runMigrations({ address, directory, log: silentLogger, phase, ...more })
    await writeFile(join(directory, '1.sql'), 'create table a (id int, name text)')
    await run('all')
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
    return { run, directory, client: await connect(t, address), other: await connect(t, address) }
  }
  const isBreaking = (migration: string) => (error: unknown) =>
    isFourfoldError(error, 'FF_ENGINE_MIGRATION_BREAKING') && error.fields.migration === migration

  await t.test('contract migrations wait for their phase', async () => {
    const { run } = await prepare({
      '2.sql': 'alter table a add column title text; update a set title = name',
      '3.contract.sql': 'alter table a drop column name',
    })
    assert.deepEqual(await run('expand'), { applied: ['2'], waiting: ['3.contract'] })
    assert.deepEqual(await run('expand'), { applied: [], waiting: ['3.contract'] })
    assert.deepEqual(await run('contract'), { applied: ['3.contract'], waiting: [] })
  })

  await t.test('what would break the old build is refused before anything runs', async () => {
    const { run, client } = await prepare({
      '2.sql': 'create table b (id int)',
      '3.sql': 'alter table a rename column name to title',
    })
    await assert.rejects(run('expand'), isBreaking('3'))
    await assert.rejects(client.query('select * from b'), { code: '42P01' })
    await client.query('select name from a')
    assert.deepEqual((await run('all')).applied, ['2', '3'])
  })

  await t.test('code is judged by the statements that it sends, and none of it stays', async () => {
    const { run, client } = await prepare({
      '2.ts': `export async function up(db: any): Promise<void> {
        await db.schema.alterTable('a').addColumn('title', 'text').execute()
        await db.schema.alterTable('a').dropColumn('name').execute()
      }`,
    })
    await assert.rejects(run('expand'), isBreaking('2'))
    await assert.rejects(client.query('select title from a'), { code: '42703' })
  })

  await t.test('what is declared runs, and the reason is said', async () => {
    const said: string[] = []
    const { run } = await prepare({
      '2.sql': '-- fourfold: breaking because nobody reads names\nalter table a drop column name',
      '3.ts': `export const breaking = 'nobody reads ids'
        export const up = (db: any) => db.schema.alterTable('a').dropColumn('id').execute()`,
    })
    const { applied } = await run('expand', { say: (text) => said.push(text) })
    assert.deepEqual(applied, ['2', '3'])
    assert.deepEqual(said, [
      '2 is declared to be breaking: nobody reads names',
      '3 is declared to be breaking: nobody reads ids',
    ])
  })

  await t.test('a declaration without a reason is a mistake', async () => {
    for (const text of ['-- fourfold: breaking', '-- fourfold: braking because x', '--fourfold: breaking because ']) {
      const { run } = await prepare({ '2.sql': `${text}\nselect 1` })
      await assert.rejects(run('expand'), /expected "-- fourfold: breaking because REASON"/)
    }
  })

  await t.test('an index is built concurrently, outside of transactions, at a start too', async () => {
    for (const phase of ['expand', 'all'] as const) {
      const { run, client } = await prepare({
        '2.sql': 'create table b (id int)',
        '3.sql': '-- takes long\ncreate index concurrently names on a (name);',
        '4.sql': 'create table c (id int)',
      })
      assert.deepEqual((await run(phase)).applied, ['2', '3', '4'])
      const { rows } = await client.query(`select indisvalid from pg_index where indexrelid = 'names'::regclass`)
      assert.deepEqual(rows, [{ indisvalid: true }])
    }
  })

  await t.test('a migration that would wait for a lock lets the others go on, and tries again', async () => {
    const said: string[] = []
    const { run, client, other } = await prepare({ '2.sql': 'alter table a add column title text' })
    await client.query('begin; select * from a')
    const done = run('expand', { lockTimeoutMs: 100, say: (text) => void said.push(text) })
    // Behind a migration that waits, this one would wait as well.
    await other.query(`set statement_timeout = '5s'`)
    const hasGivenUp = async (): Promise<void> => {
      while (said.length === 0) await other.query('select * from a')
    }
    await hasGivenUp()
    await client.query('commit')
    assert.deepEqual((await done).applied, ['2'])
    assert.match(said[0] ?? '', /2 waits for a lock/)
  })

  await t.test(
    'an older build runs on a database that a newer one has expanded, not on one that it contracted',
    async () => {
      const { run, directory } = await prepare({ '2.sql': 'create table b (id int)', '3.contract.sql': 'drop table b' })
      await run('expand')
      await rm(join(directory, '2.sql'))
      await rm(join(directory, '3.contract.sql'))
      assert.deepEqual((await run('all')).applied, [])
      await writeFile(join(directory, '2.sql'), 'create table b (id int)')
      await writeFile(join(directory, '3.contract.sql'), 'drop table b')
      await run('contract')
      await rm(join(directory, '3.contract.sql'))
      await assert.rejects(run('all'), /contracted by 3\.contract/)
    },
  )
})
