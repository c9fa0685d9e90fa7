import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'

import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { findMissing } from '../../src/engines/postgres/changes/allowed.ts'
import { connect, makeDirectory, startTestCluster } from '../support/postgres.ts'

interface Answer {
  readonly code: number
  readonly output: string
}

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname

function urlOf({ host, port, user, database }: PostgresAddress, as = user): string {
  return `postgres://${as}@/${database}?host=${encodeURIComponent(host)}&port=${port}`
}

async function makeApp(t: TestContext): Promise<string> {
  const directory = await makeDirectory(t)
  const file = join(directory, 'app.ts')
  const entry = new URL('../../src/app/define-app.ts', import.meta.url).pathname
  await writeFile(
    file,
    `import { defineApp, database } from ${JSON.stringify(entry)}\nexport default defineApp({ databases: { main: database({}) }, server: async () => { throw new Error('not here') } })\n`,
  )
  return file
}

async function run(file: string, url: string, ...args: string[]): Promise<Answer> {
  const all = ['-C', 'fourfold:source', main, 'doctor', file, ...args]
  const env = { ...process.env, DATABASE_URL: url }
  return await promisify(execFile)(process.execPath, all, { env, timeout: 30_000 }).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      output: error.stdout + error.stderr,
    }),
  )
}

interface Found {
  readonly id: string
  readonly level: string
  readonly what: string
  readonly fix?: string
}

function find(answer: Answer, id: string): Found {
  const { databases } = JSON.parse(answer.output) as { databases: { findings: Found[] }[] }
  const found = databases[0]?.findings.find((finding) => finding.id === id)
  assert.ok(found !== undefined, `no finding ${id} in ${answer.output}`)
  return found
}

test('the doctor', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const admin = await connect(t, cluster.primary)
  const app = await makeApp(t)

  await t.test('finds nothing amiss with a server that allows everything, and leaves nothing behind', async () => {
    const answer = await run(app, urlOf(cluster.primary))
    assert.equal(answer.code, 0, answer.output)
    assert.match(answer.output, /ok {4}wal_level is logical/)
    const { rows } = await admin.query('select count(*)::int as n from pg_event_trigger')
    assert.equal(rows[0].n, 0)
    assert.equal(await findMissing(cluster.primary, 5000), null)
  })

  await t.test('names each missing right, and its fixes work', async () => {
    await admin.query('create role app login')
    await admin.query('create database owned')
    const owned = { ...cluster.primary, database: 'owned' }
    const inside = await connect(t, owned)
    await inside.query('create table foreign_table (id int); grant select on foreign_table to app')
    const url = urlOf(owned, 'app')
    const before = await run(app, url, '--json')
    assert.equal(before.code, 1)
    for (const id of ['replication', 'create', 'event-triggers']) {
      assert.equal(find(before, id).level, 'fail', id)
    }
    assert.equal(find(before, 'ownership').level, 'warn')
    assert.match((await findMissing({ ...owned, user: 'app' }, 5000)) ?? '', /replication connection.*publication/s)
    const fixes = ['replication', 'create'].map((id) => (find(before, id).fix ?? '').split('. ')[0] ?? '')
    assert.deepEqual(fixes, ['ALTER ROLE app REPLICATION', 'GRANT CREATE ON DATABASE owned TO app'])
    for (const fix of fixes) await inside.query(fix)
    await inside.query((find(before, 'ownership').fix ?? '').split(',')[0] ?? '')
    const after = await run(app, url, '--json')
    assert.deepEqual(
      [find(after, 'replication').level, find(after, 'create').level, find(after, 'ownership').level],
      ['ok', 'ok', 'ok'],
    )
    assert.equal(find(after, 'event-triggers').level, 'fail')
    assert.equal((await run(app, url, '--setup')).code, 1)
    const setUp = await run(app, url, '--setup', '--as', urlOf(owned))
    assert.equal(setUp.code, 0, setUp.output)
    const { rows } = await inside.query(`select count(*)::int as n from pg_event_trigger where evtenabled = 'A'`)
    assert.equal(rows[0].n, 3)
    await inside.query('create table later (id int)')
  })

  await t.test('warns of a log without bound and of a slot that nobody reads, and takes all of it away', async () => {
    await admin.query('create database forsaken')
    const left = { ...cluster.primary, database: 'forsaken' }
    const inside = await connect(t, left)
    const url = urlOf(left)
    assert.equal((await run(app, url, '--setup')).code, 0)
    const { rows } = await inside.query('select oid from pg_database where datname = current_database()')
    await inside.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [`fourfold_main_${rows[0].oid}`])
    await inside.query('create table watched (id int primary key); alter table watched replica identity full')
    await inside.query('alter publication fourfold add table watched')
    await admin.query(`alter system set max_slot_wal_keep_size = -1`)
    const answer = await run(app, url, '--json')
    assert.equal(find(answer, 'slot').level, 'warn')
    const removed = await run(app, url, '--remove-stream')
    assert.equal(removed.code, 0, removed.output)
    assert.match(removed.output, /ALTER TABLE watched REPLICA IDENTITY DEFAULT/)
    const { rows: rest } = await inside.query(
      `select (select count(*) from pg_event_trigger) + (select count(*) from pg_publication)
        + (select count(*) from pg_replication_slots where database = 'forsaken') as n`,
    )
    assert.equal(Number(rest[0].n), 0)
  })

  await t.test('says that a server does not answer, and does not show its password', async () => {
    const answer = await run(app, 'postgres://app:hidden@127.0.0.1:1/none')
    assert.equal(answer.code, 1)
    assert.match(answer.output, /fail {2}the server does not answer/)
    assert.doesNotMatch(answer.output, /hidden/)
  })
})

test('a server at wal_level = replica, or that would wait for the tracker, is told how to change', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0, walLevel: 'replica' })
  const admin = await connect(t, cluster.primary)
  await admin.query(`alter system set synchronous_standby_names = '*'`)
  await admin.query('select pg_reload_conf()')
  const answer = await run(await makeApp(t), urlOf(cluster.primary), '--json')
  assert.equal(answer.code, 1)
  assert.match(find(answer, 'wal_level').fix ?? '', /ALTER SYSTEM SET wal_level = 'logical'/)
  assert.equal(find(answer, 'synchronous_standby_names').level, 'fail')
})
