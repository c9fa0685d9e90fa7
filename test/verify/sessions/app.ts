/**
 * The app that the harness runs as clones: counters, read and written for the reader and at the level that the request
 * names. Answers tell which server answered.
 */

import Fastify, { type FastifyInstance } from 'fastify'
import { database, defineApp, type Level } from 'fourfold'
import { fourfold } from 'fourfold/fastify'

import { earlyPositions, plant, type Plant } from './breaches.ts'
import { tapAnswers } from './tap.ts'
import {
  parseWritePosition,
  WRITE_POSITION_SQL,
  type WritePositionRow,
} from '../../../src/engines/postgres/positions.ts'

import type pg from 'pg'

interface Parameters {
  readonly key: string
}

const readSql = 'select version from counters where key = $1'
const writeSql = 'update counters set version = version + 1 where key = $1 returning version'

const planted = process.env['VERIFY_PLANT'] as Plant | undefined
if (planted !== undefined && planted.length > 0) plant(planted)
// Each answer is marked with the server that its connection leads to.
tapAnswers([readSql], function (answer) {
  const { host, port } = this
  const server = !host.startsWith('/') ? 'endpoint' : port === 5432 ? 'primary' : `replica-${port - 5433}`
  return Object.assign(answer, { server })
})

const versionOf = (result: pg.QueryResult): number => Number((result.rows[0] as { version: string }).version)

export default defineApp({
  databases: { main: database<Record<string, never>>({}) },
  identify: (request) => String(request.headers['x-reader'] ?? '') || null,
  server: async (ff): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(fourfold, { ff, level: (request) => request.headers['x-level'] as Level | undefined })
    app.get<{ Params: Parameters }>('/read/:key', async (request) => {
      const result = await request.ff.databases['main']!.pool.query(readSql, [request.params.key])
      return { value: versionOf(result), server: (result as { server?: string }).server }
    })
    app.post<{ Params: Parameters }>('/write/:key', async (request) => {
      const result = await request.ff.databases['main']!.pool.query(writeSql, [request.params.key])
      return { value: versionOf(result), server: 'primary' }
    })
    app.post<{ Params: Parameters }>('/transact/:key', async (request) => {
      const client = await request.ff.databases['main']!.pool.connect()
      try {
        await client.query('begin')
        const result = await client.query(writeSql, [request.params.key])
        if (planted === 'inside-transaction') await readTooEarly(client, String(request.headers['x-reader']))
        await client.query('commit')
        client.release()
        return { value: versionOf(result), server: 'primary' }
      } catch (error) {
        client.release(true)
        throw error
      }
    })
    return app
  },
})

async function readTooEarly(client: pg.PoolClient, reader: string): Promise<void> {
  const { rows } = await client.query(WRITE_POSITION_SQL)
  const position = parseWritePosition(rows[0] as WritePositionRow)
  if (position !== null) earlyPositions.set(reader, position)
}
