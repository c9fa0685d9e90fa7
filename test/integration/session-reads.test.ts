/** Reads at each level while a replica is 200 ms behind: the smallest whole path from write to token to replica. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { database, defineApp, open, type Connections, type Fourfold } from 'fourfold'

import { prepareDatabases, type PreparedDatabases } from '../../src/app/connections.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { silentLogger } from '../../src/core/log.ts'
import { startStoreServer, type StoreServer } from '../../src/store/memory/server.ts'
import { newDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

interface Schema {
  notes: { id: number; author: string; text: string }
}

const app = defineApp({ databases: { main: database<Schema>({ replicas: 2 }) } })
const delayMs = 200
const rounds = 20

suite('reads beside a replica that is 200 ms behind', () => {
  let directory: string
  let prepared: PreparedDatabases
  let storeServer: StoreServer
  let connections: Connections

  /** One clone's view of the servers: an instance of its own, as another process would have. */
  const openClone = async (): Promise<Fourfold<{ main: Schema }>> => {
    return await open(app, { connections, config: { dataDir: directory }, log: silentLogger })
  }

  before(async () => {
    directory = await newDirectory('ff-reads-')
    const config = resolveConfig(app.definition, {}, { dataDir: directory })
    prepared = await prepareDatabases({ config, directory, processes: 4, log: silentLogger })
    const socketPath = join(directory, 'store.sock')
    storeServer = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
    connections = { databases: prepared.databases, storeUrl: `unix:${socketPath}` }
    await using ff = await openClone()
    const { schema } = ff.databases.main
    await schema
      .createTable('notes')
      .addColumn('id', 'serial', (column) => column.primaryKey())
      .addColumn('author', 'text')
      .addColumn('text', 'text')
      .execute()
    await prepared.embedded.get('main')?.setReplicaDelay(0, delayMs)
    await prepared.embedded.get('main')?.setReplicaDelay(1, delayMs)
  })

  after(async () => {
    await storeServer?.stop()
    await prepared?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  /** Writes through one clone and reads at once through another; answers how many reads missed the write. */
  const countStale = async (level: 'session' | 'eventual' | 'strict', transaction: boolean): Promise<number> => {
    await using writer = await openClone()
    await using reader = await openClone()
    let stale = 0
    for (let round = 0; round < rounds; round += 1) {
      const author = `${level}-${transaction}-${round}`
      const { main } = writer.as({ reader: `user:${author}`, level }).databases
      const note = { author, text: 'hello' }
      if (transaction)
        await main.transaction().execute((trx) =>
          trx
            .insertInto('notes')
            .values(note as never)
            .execute(),
        )
      else
        await main
          .insertInto('notes')
          .values(note as never)
          .execute()
      const mine = reader.as({ reader: `user:${author}`, level }).databases.main
      const found = await mine.selectFrom('notes').select('id').where('author', '=', author).executeTakeFirst()
      if (found === undefined) stale += 1
    }
    return stale
  }

  test('a reader at session sees their own write through another clone', async () => {
    assert.equal(await countStale('session', false), 0)
  })

  test('a reader at session sees their own transaction through another clone', async () => {
    assert.equal(await countStale('session', true), 0)
  })

  test('a reader at strict sees every write', async () => {
    assert.equal(await countStale('strict', false), 0)
  })

  test('without tokens the same reads are stale: the check above can fail', async () => {
    assert.ok((await countStale('eventual', false)) > 0)
  })

  test('a reader whose write has been replayed is served by a replica', async () => {
    await using ff = await openClone()
    const mine = ff.as({ reader: 'user:patient' }).databases.main
    await mine
      .insertInto('notes')
      .values({ author: 'patient', text: 'x' } as never)
      .execute()
    const { counts } = ff.clusters['main'] ?? assert.fail('expected the cluster main')
    await waitFor('a replica read', async () => {
      const found = await mine.selectFrom('notes').select('id').where('author', '=', 'patient').executeTakeFirst()
      assert.ok(found, 'the write was not seen')
      return counts.replicaReads > 0
    })
  })

  test('a reader at session reads on while the store is down, from the primary', async () => {
    await using ff = await openClone()
    const mine = ff.as({ reader: 'user:lost' }).databases.main
    await storeServer.stop()
    try {
      await mine
        .insertInto('notes')
        .values({ author: 'lost', text: 'x' } as never)
        .execute()
      const found = await mine.selectFrom('notes').select('id').where('author', '=', 'lost').executeTakeFirst()
      assert.ok(found)
    } finally {
      const socketPath = join(directory, 'store.sock')
      storeServer = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
    }
  })

  test('a write that fails moves no token and is not retried', async () => {
    await using ff = await openClone()
    const mine = ff.as({ reader: 'user:wrong' }).databases.main
    await assert.rejects(
      mine
        .insertInto('notes')
        .values({ id: 1, author: 'wrong' } as never)
        .execute()
        .then(() =>
          mine
            .insertInto('notes')
            .values({ id: 1, author: 'wrong' } as never)
            .execute(),
        ),
      { code: '23505' },
    )
    assert.equal(
      await ff.store
        .readToken('token:main:user:wrong')
        .then((token) => token === null || Object.keys(token.parts).length),
      true,
    )
  })

  test('a transaction that wrote nothing moves no token', async () => {
    await using ff = await openClone()
    const mine = ff.as({ reader: 'user:idle' }).databases.main
    await mine.transaction().execute(async (trx) => {
      await trx.updateTable('notes').set({ text: 'never' }).where('id', '=', -1).execute()
    })
    assert.equal(await ff.store.readToken('token:main:user:idle'), null)
  })
})
