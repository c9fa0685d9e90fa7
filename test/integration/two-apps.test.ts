/** Two apps in one process: nothing of one is seen in the other, and one lives on when the other is closed. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { database, defineApp, open, type App, type Fourfold } from 'fourfold'

import { silentLogger } from '../../src/core/log.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'

const shop = defineApp({ databases: { main: database({ replicas: 1 }) } })
const blog = defineApp({ databases: { main: database({ replicas: 0, level: 'strict' }), archive: database() } })

async function openIn(t: TestContext, app: App<any>, dataDir: string): Promise<Fourfold<any>> {
  const ff = await open(app, { config: { dataDir }, log: silentLogger, env: {} })
  endAfter(t, () => ff.close())
  return ff
}

async function writeWord(ff: Fourfold<any>, word: string): Promise<void> {
  const { pool } = ff.databases['main']!
  await pool.query('create table words (word text)')
  await pool.query('insert into words values ($1)', [word])
}

/** What a reader named in both apps finds at its own level, after its own write. */
async function readWords(ff: Fourfold<any>): Promise<string[]> {
  const { rows } = await ff.databases['main']!.pool.query<{ word: string }>('select word from words')
  return rows.map(({ word }) => word)
}

test('two apps opened in one process have nothing in common', async (t) => {
  const directory = await makeDirectory(t)
  const apps = [openIn(t, shop, join(directory, 'shop')), openIn(t, blog, join(directory, 'blog'))] as const
  const [first, second] = await Promise.all(apps)
  const reader = { reader: 'user:1', level: 'session' } as const
  await Promise.all([first.as(reader, (ff) => writeWord(ff, 'shop')), second.as(reader, (ff) => writeWord(ff, 'blog'))])
  assert.deepEqual(await first.as(reader, readWords), ['shop'])
  assert.deepEqual(await second.as(reader, readWords), ['blog'])
  assert.deepEqual([Object.keys(first.clusters), Object.keys(second.clusters)], [['main'], ['main', 'archive']])

  await first.store.create('key', { of: Buffer.from('shop') }, { ttlMs: 60_000 })
  assert.equal(await second.store.read('key'), null)
  assert.notEqual(await first.store.incarnation(), await second.store.incarnation())

  await first.close()
  assert.deepEqual(await second.as(reader, readWords), ['blog'])
  assert.equal(await second.store.ping(), undefined)
})

test('a second opening of the same data says who has it, and does not harm the first', async (t) => {
  const dataDir = await makeDirectory(t)
  const first = await openIn(t, shop, dataDir)
  await assert.rejects(openIn(t, shop, dataDir), { code: 'FF_ENGINE_OWNED', message: new RegExp(String(process.pid)) })
  await writeWord(first, 'still here')
  assert.deepEqual(await readWords(first), ['still here'])
})
