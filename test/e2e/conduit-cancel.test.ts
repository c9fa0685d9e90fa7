/** Conduit's archives that are cancelled: nothing is left of them, and nothing else is touched. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { open } from 'fourfold'
import app from '../../examples/conduit/src/app.ts'
import { exportArticles } from '../../examples/conduit/src/jobs/contracts.ts'
import { silentLogger } from '../../src/core/log.ts'
import { connect, endAfter, makeDirectory, until } from '../support/postgres.ts'

import type pg from 'pg'

/** What others have begun and not ended. */
const busy = `
  select from pg_stat_activity
  where backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid()`

/** Some 7 MB in the archive, which is written in pieces of 256 KiB. */
const articles = 600

suite('an archive that is cancelled', { timeout: 60_000 }, () => {
  let stop = async (): Promise<void> => {}
  const ground = { after: (end: () => Promise<void>) => void (stop = end) }
  let ff: any
  let outside: pg.Client

  before(async () => {
    const dataDir = await makeDirectory(ground)
    ff = await open(app, { config: { dataDir, databases: { main: { replicas: 0 } } }, env: {}, log: silentLogger })
    endAfter(ground, () => ff.close())
    outside = await connect(ground, ff.clusters.main.address)
    await outside.query(
      `insert into users (id, username, email, password_hash) values (1, 'ann', 'ann@example.com', '')`,
    )
    await outside.query(`
      insert into articles (slug, title, description, body, author_id)
      select 'article-' || n, 'Article', '', (select string_agg(md5(n || '-' || word), ' ') from generate_series(1, 600) word), 1
      from generate_series(1, ${articles}) n`)
  })

  after(() => stop())

  const order = async (): Promise<string> => (await ff.jobs.enqueue(exportArticles, { userId: 1 })).id
  const ended = async (id: string): Promise<any> => (await ff.jobs.wait(id, { timeout: '20s' })).state
  const query = async (text: string): Promise<any[]> => (await outside.query(text)).rows
  const contents = (): Promise<any[]> => query('select content from fourfold.file_contents')
  const kept = (): Promise<any[]> => query('select * from downloads')

  test('before it is begun leaves nothing to do', async () => {
    const id = await order()
    assert.equal(await ff.jobs.cancel(id), true)
    assert.equal(await ended(id), 'cancelled')
    ff.jobs.start()
  })

  test('half-written is gone, and so are its pieces', async () => {
    const id = await order()
    await until('its first piece', async () => (await contents()).length > 0)
    assert.equal(await ff.jobs.cancel(id), true)
    assert.equal(await ended(id), 'cancelled')
    await until('its pieces to be gone', async () => (await contents()).length === 0)
    assert.deepEqual(await kept(), [])
  })

  test('whole, and not yet its author’s, is gone, however long its worker cannot be interrupted', async () => {
    await outside.query('begin')
    await outside.query('lock table downloads in share mode')
    const id = await order()
    await until('its name', async () => (await query('select from fourfold.files')).length > 0)
    assert.equal(await ff.jobs.cancel(id), true)
    assert.equal(await ended(id), 'cancelled')
    await outside.query('rollback')
    await until('its name to be gone', async () => (await query('select from fourfold.files')).length === 0)
    assert.deepEqual(await kept(), [])
  })

  test('leaves the one before, even where it is of the same bytes', async () => {
    const first = await order()
    assert.equal(await ended(first), 'done')
    assert.equal(await ff.jobs.cancel(first), false)
    const [before] = await kept()
    assert.equal(before.articles, articles)
    await outside.query('begin')
    await outside.query('lock table downloads in share mode')
    const id = await order()
    await until('it to be packed', async () => (await ff.jobs.find(id)).message?.startsWith(`${articles} of`))
    await until('it to wait', async () => (await query('select from pg_locks where not granted')).length > 0)
    assert.equal(await ff.jobs.cancel(id), true)
    assert.equal(await ended(id), 'cancelled')
    await outside.query('rollback')
    await until('its worker to be through', async () => (await query(busy)).length === 0)
    assert.deepEqual(await kept(), [before])
    assert.ok(await ff.files.head(before.file))
  })
})
