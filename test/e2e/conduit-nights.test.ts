/** What Conduit does at night: it counts what was new on the day before, and throws old archives away. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sql } from 'kysely'
import { open } from 'fourfold'
import app from '../../examples/conduit/src/app.ts'
import { dailyDigest, exportArticles, sweepDownloads } from '../../examples/conduit/src/jobs/contracts.ts'
import { silentLogger } from '../../src/core/log.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'

import type { FastifyInstance } from 'fastify'

test('a day is counted once it is over, and archives of a week ago are gone', { timeout: 60_000 }, async (t) => {
  const dataDir = await makeDirectory(t)
  const ff = await open(app, { config: { dataDir, databases: { main: { replicas: 0 } } }, env: {}, log: silentLogger })
  endAfter(t, () => ff.close())
  ff.jobs.start()
  const { main } = ff.databases
  const done = async (id: string): Promise<any> => {
    const status = await ff.jobs.wait(id, { timeout: '20s' })
    assert.equal(status?.state, 'done', JSON.stringify(status?.error))
    return status?.output
  }
  await sql`insert into users (id, username, email, password_hash) values (1, 'ann', 'ann@example.com', '')`.execute(
    main,
  )
  // Two days ago, the first and last moment of yesterday, today.
  await sql`
    insert into articles (id, slug, title, description, body, author_id, created_at)
    select n, 'article-' || n, 'Article', '', '', 1, date_trunc('day', now(), 'UTC') + moment
    from unnest(array['-1 day -1 ms', '-1 day', '-1 ms', '0']::interval[]) with ordinality days (moment, n)`.execute(
    main,
  )
  await sql`
    insert into favorites (article_id, user_id, created_at)
    select id, 1, case when id > 1 then now() - interval '1 day' end from articles`.execute(main)
  const { day, ...counts } = await done((await ff.jobs.enqueue(dailyDigest, {})).id)
  assert.deepEqual(counts, { articles: 2, comments: 0, favorites: 3 })
  await done((await ff.jobs.enqueue(dailyDigest, {})).id)
  const server = (await app.definition.server!(ff as never)) as FastifyInstance
  t.after(() => server.close())
  const page = (await server.inject('/digest')).body
  assert.equal(page.match(/<tbody>[^]*<\/tbody>/)?.[0].match(/<tr>/g)?.length, 1, 'counted twice it is one day')
  assert.match(page, new RegExp(`datetime="${day}T`))

  const exported = await done((await ff.jobs.enqueue(exportArticles, { userId: 1 })).id)
  assert.equal(exported.articles, 4)
  await done((await ff.jobs.enqueue(sweepDownloads, {})).id)
  assert.ok(await ff.files.head(exported.file), 'a new one is kept')
  await sql`update downloads set made_at = now() - interval '8 days'`.execute(main)
  await done((await ff.jobs.enqueue(sweepDownloads, {})).id)
  assert.equal(await ff.files.head(exported.file), null)
})
