/** Two replicas behind one address: what one server does is not held against, nor hidden by, the other. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { database, defineApp, open, type Connections, type Fourfold } from 'fourfold'

import { prepareDatabases, type PreparedDatabases } from '../../src/app/connections.ts'
import { resolveConfig } from '../../src/app/config.ts'
import { silentLogger } from '../../src/core/log.ts'
import { startStoreServer, type StoreServer } from '../../src/store/memory/server.ts'
import { freeze } from '../support/freeze.ts'
import { newDirectory } from '../support/postgres.ts'
import { startRoundRobinEndpoint, type Endpoint } from '../support/round-robin-endpoint.ts'
import { waitFor } from '../support/wait-for.ts'
import { childProcesses } from '../verify/sessions/processes.ts'

import type pg from 'pg'
import type { Cluster } from '../../src/database/cluster.ts'

const app = defineApp({ databases: { main: database<{ notes: { id: number } }>({ replicas: 2 }) } })

suite('two replicas behind one address', () => {
  let directory: string
  let prepared: PreparedDatabases
  let storeServer: StoreServer
  let endpoint: Endpoint
  let ff: Fourfold<{ main: { notes: { id: number } } }>
  let cluster: Cluster
  let pool: pg.Pool

  before(async () => {
    directory = await newDirectory('ff-balanced-')
    const config = resolveConfig(app.definition, {}, { dataDir: directory })
    prepared = await prepareDatabases({ config, directory, processes: 3, log: silentLogger })
    const socketPath = join(directory, 'store.sock')
    storeServer = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
    const main = prepared.databases['main'] ?? assert.fail('expected the database main')
    const sockets = main.replicas.map(({ address }) => `${address.host}/.s.PGSQL.${address.port}`)
    endpoint = await startRoundRobinEndpoint(sockets)
    const address = { ...main.primary, host: '127.0.0.1', port: endpoint.port }
    const connections: Connections = {
      databases: { main: { ...main, poolSize: 8, replicas: [{ name: 'balanced', address }] } },
      storeUrl: `unix:${socketPath}`,
    }
    ff = await open(app, { connections, config: { dataDir: directory }, log: silentLogger })
    cluster = ff.clusters['main'] ?? assert.fail('expected the cluster main')
    pool = ff.as({ reader: 'reader', level: 'session' }).databases.main.pool
    await pool.query('create table notes (id serial primary key)')
  })

  after(async () => {
    await ff?.close()
    await endpoint?.close()
    await storeServer?.stop()
    await prepared?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  /** Reads until a replica has answered this often. */
  const warm = async (reads: number): Promise<void> => {
    const from = cluster.counts.replicaReads
    await waitFor('reads on replicas', async () => {
      await Promise.all(Array.from({ length: 16 }, () => pool.query('select count(*) from notes')))
      return cluster.counts.replicaReads - from >= reads
    })
  }
  const standbys = (): number[] =>
    (prepared.embedded.get('main')?.processes() ?? []).filter(({ role }) => role === 'replica').map(({ pid }) => pid)

  test('reads on the one that hangs are answered by the primary, soon', async () => {
    await warm(64)
    const [postmaster] = standbys()
    assert.ok(postmaster !== undefined)
    const hung = [postmaster, ...childProcesses(postmaster).map(({ pid }) => pid)]
    const thaw = freeze(hung)
    let slowest = 0
    try {
      const end = performance.now() + 6_000
      const read = async (): Promise<void> => {
        while (performance.now() < end) {
          const began = performance.now()
          await pool.query('select count(*) from notes')
          slowest = Math.max(slowest, performance.now() - began)
        }
      }
      await Promise.all(Array.from({ length: 8 }, read))
    } finally {
      thaw()
    }
    assert.ok(slowest < 5_000, `the slowest read took ${slowest} ms`)
    await warm(64)
  })

  test('a slow read is left alone', async () => {
    await warm(64)
    const before = { ...cluster.counts }
    await Promise.all(Array.from({ length: 4 }, () => pool.query('select pg_sleep(4)')))
    assert.equal(cluster.counts.replicaReads, before.replicaReads + 4)
    assert.equal(cluster.counts.replicaFaults, before.replicaFaults)
  })
})
