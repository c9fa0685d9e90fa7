/**
 * The app that the harness runs with `fourfold start`: counters in two databases, read and written for the reader and
 * at the level that the request names. `main` is a cluster of somebody else's, given by addresses in the environment;
 * `own` is the embedded one. Answers tell which server answered, in that server's own words.
 */

import assert from 'node:assert/strict'

import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { database, defineApp, type Fourfold, type Level } from 'fourfold'
import { fourfold } from 'fourfold/fastify'

import { listenForBreaches, readTooEarly } from './breaches.ts'

import type pg from 'pg'

interface Parameters {
  readonly database: string
  readonly key: string
}

type Schema = Record<string, never>

const readSql = 'select version, standby, port, via from answered_counters where key = $1'
const writeSql = 'update counters set version = version + 1 where key = $1 returning version'
const settings = { migrations: './migrations', replicas: 2, maxStaleness: '2s', poolSize: 8 } as const

listenForBreaches()

export default defineApp({
  databases: { main: database<Schema>(settings), own: database<Schema>(settings) },
  identify: (request) => String(request.headers['x-reader'] ?? '') || null,
  server: async (ff): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(fourfold, { ff, level: (request) => request.headers['x-level'] as Level | undefined })
    app.get<{ Params: Parameters }>('/read/:database/:key', async (request) => {
      const { database: name, key } = request.params
      const { rows } = await poolOf(request, name).query(readSql, [key])
      return { value: Number(rows[0].version), server: `${name}.${serverOf(rows[0] as Answered)}` }
    })
    app.post<{ Params: Parameters }>('/write/:database/:key', async (request) => {
      const { database: name, key } = request.params
      const { rows } = await poolOf(request, name).query(writeSql, [key])
      return { value: Number(rows[0].version), server: `${name}.primary` }
    })
    app.post<{ Params: Parameters }>('/transact/:database/:key', async (request) => {
      const { database: name, key } = request.params
      const client = await poolOf(request, name).connect()
      try {
        const value = await writeInTransaction(client, key, String(request.headers['x-reader']))
        client.release()
        return { value, server: `${name}.primary` }
      } catch (error) {
        client.release(true)
        throw error
      }
    })
    return app
  },
})

function poolOf(request: FastifyRequest, name: string): pg.Pool {
  const { databases } = request.ff as unknown as Fourfold
  return (databases[name] ?? assert.fail(`there is no database ${name}`)).pool
}

async function writeInTransaction(client: pg.PoolClient, key: string, reader: string): Promise<number> {
  await client.query('begin')
  const { rows } = await client.query(writeSql, [key])
  await readTooEarly(client, reader)
  await client.query('commit')
  return Number(rows[0].version)
}

interface Answered {
  readonly standby: string
  readonly port: string
  readonly via: string | null
}

/** `primary`, `replica-1`, or `endpoint.replica-1` where the connection came through the endpoint. */
function serverOf({ standby, port, via }: Answered): string {
  const server = standby === 'on' ? `replica-${Number(port) - 5432}` : 'primary'
  return via ? `${via}.${server}` : server
}
