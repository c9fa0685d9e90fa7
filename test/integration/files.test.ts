/** Files of an opened app: two clones of it beside a replica that is late, and clones that die in the middle of an upload. */

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'

import { database, defineApp, open, type Connections, type Fourfold } from 'fourfold'

import { prepareDatabases, type PreparedDatabases } from '../../src/app/connections.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { silentLogger } from '../../src/core/log.ts'
import { startStoreServer, type StoreServer } from '../../src/store/memory/server.ts'
import { newDirectory } from '../support/postgres.ts'
import { killUploader, startUploader } from '../support/start-uploader.ts'
import { waitFor } from '../support/wait-for.ts'

const app = defineApp({ databases: { main: database<Record<string, never>>({ replicas: 2 }) } })
const replicaDelayMs = 1_000

suite('files of an app beside replicas that are late', () => {
  let directory: string
  let prepared: PreparedDatabases
  let storeServer: StoreServer
  let connections: Connections

  const openClone = (): Promise<Fourfold<any>> =>
    open(app, { connections, config: { dataDir: directory }, log: silentLogger })

  before(async () => {
    directory = await newDirectory('ff-files-')
    const config = resolveConfig(app.definition, {}, { dataDir: directory })
    prepared = await prepareDatabases({ config, directory, processes: 4, log: silentLogger })
    const socketPath = join(directory, 'store.sock')
    storeServer = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
    connections = { databases: prepared.databases, storeUrl: `unix:${socketPath}` }
    await prepared.embedded.get('main')?.setReplicaDelay(0, replicaDelayMs)
    await prepared.embedded.get('main')?.setReplicaDelay(1, replicaDelayMs)
  })

  after(async () => {
    await storeServer?.stop()
    await prepared?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const readAll = async (ff: Fourfold<any>, name: string): Promise<Buffer | null> => {
    const opened = await ff.files.get(name)
    return opened === null ? null : await buffer(opened.stream)
  }

  test('many clones may put the first file at once', async () => {
    const clones = await Promise.all([openClone(), openClone(), openClone()])
    const bytes = randomBytes(300_000)
    const put = await Promise.all(clones.flatMap((ff) => [ff.files.put(bytes), ff.files.put(bytes)]))
    assert.equal(new Set(put.map(({ name }) => name)).size, 1)
    await Promise.all(clones.map((ff) => ff.close()))
  })

  test('a file put on one clone is there on every other at once, at every level and for every reader', async () => {
    await using one = await openClone()
    await using two = await openClone()
    for (const level of ['eventual', 'session', 'strict'] as const) {
      for (const size of [1000, 700_000]) {
        const bytes = randomBytes(size)
        const { name } = await one.as({ reader: 'user:1' }).files.put(bytes)
        for (const reader of ['user:1', 'user:2', null]) {
          const found = await readAll(two.as({ reader, level }), name)
          assert.ok(found?.equals(bytes), `${level}, ${String(reader)}, ${size} bytes`)
        }
      }
    }
  })

  /** Reads until a replica alone has answered: it has the file. */
  const untilOnReplicas = async (ff: Fourfold<any>, name: string, bytes: Buffer): Promise<void> => {
    const reader = ff.as({ reader: 'user:5', level: 'eventual' })
    const { counts } = ff.clusters['main'] ?? assert.fail('expected a database')
    await waitFor('a replica to have the file', async () => {
      const { replicaReads, primaryReads } = counts
      assert.ok((await readAll(reader, name))?.equals(bytes))
      return counts.primaryReads === primaryReads && counts.replicaReads - replicaReads >= 2
    })
  }

  test('files that replicas have are read there', async () => {
    await using ff = await openClone()
    const bytes = randomBytes(600_000)
    const { name } = await ff.files.put(bytes)
    await untilOnReplicas(ff, name, bytes)
  })

  test('who removed a file does not see it again, though replicas may have it still', async () => {
    await using one = await openClone()
    await using two = await openClone()
    const bytes = randomBytes(1000)
    const { name } = await one.as({ reader: 'user:3' }).files.put(bytes)
    await untilOnReplicas(one, name, bytes)
    assert.equal(await two.as({ reader: 'user:3' }).files.remove(name), true)
    assert.equal(await one.as({ reader: 'user:3', level: 'session' }).files.head(name), null)
    assert.equal(await one.as({ reader: 'user:4', level: 'strict' }).files.head(name), null)
  })

  test('a clone killed in the middle of an upload leaves nothing to be seen, and its leftovers are swept', async () => {
    await using ff = await openClone()
    const { pool } = ff.databases['main'] as { pool: { query(text: string): Promise<{ rows: any[] }> } }
    const count = async (): Promise<any> =>
      (
        await pool.query(
          'select count(*)::int as contents, (select count(*)::int from fourfold.files) as files from fourfold.file_contents',
        )
      ).rows[0]
    await ff.files.sweep(0)
    const earlier = await count()
    const settings = { connections, directory, pieces: 6 }
    const clone = await startUploader(settings)
    const { name } = clone.report
    assert.deepEqual(await count(), { contents: earlier.contents + 1, files: earlier.files })
    await killUploader(clone)
    assert.equal(await ff.files.head(name), null)
    assert.equal(await ff.files.sweep(), 0, 'young leftovers may be somebody’s at work')
    assert.equal(await ff.files.sweep(0), 1)
    assert.deepEqual(await count(), earlier)
  })

  test('a file that was acknowledged outlives the clone that took it, which cannot write to its disc', async () => {
    await using ff = await openClone()
    const clone = await startUploader({ connections, directory, pieces: 6, finish: true })
    const { name, stored } = clone.report
    await killUploader(clone)
    assert.equal(stored?.name, name)
    const found = await readAll(ff, name)
    assert.equal(
      createHash('sha256')
        .update(found ?? '')
        .digest('hex'),
      name,
    )
  })
})
