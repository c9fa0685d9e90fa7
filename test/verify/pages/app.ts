/**
 * The app that the harness runs with `fourfold start`: pages that show rows, one, a few or all of them, and requests that
 * change rows. Nothing in here says what a change makes stale.
 */

import Fastify, { type FastifyInstance } from 'fastify'
import { database, define, defineApp } from 'fourfold'
import { fourfold } from 'fourfold/fastify'

import { itemsHtml, type ShownRow } from './shown.ts'

interface Schema {
  counters: { key: string; grp: number; version: string; stamp: string }
}

const { defineObject, definePage } = define<{ main: Schema }>()

const counter = defineObject<string, ShownRow>({
  name: 'counter',
  load: async ({ main }, key) =>
    (await main.selectFrom('counters').select(['key', 'version', 'stamp']).where('key', '=', key).executeTakeFirst()) ??
    null,
})

const one = definePage({
  path: '/c/:key',
  render: async ({ use, notFound }, { key }) => {
    const row = await use(counter, key)
    return row === null ? notFound() : itemsHtml([row])
  },
  params: async ({ main }) => await main.selectFrom('counters').select('key').execute(),
})

const group = definePage({
  path: '/g/:group',
  render: async ({ main }, params) =>
    itemsHtml(
      await main
        .selectFrom('counters')
        .select(['key', 'version', 'stamp'])
        .where('grp', '=', Number(params.group))
        .orderBy('key')
        .execute(),
    ),
  params: Array.from({ length: 6 }, (_, at) => ({ group: String(at) })),
})

const all = definePage({
  path: '/all',
  render: async ({ main }) =>
    itemsHtml(await main.selectFrom('counters').select(['key', 'version', 'stamp']).orderBy('key').execute()),
  params: [{}],
})

export default defineApp({
  databases: { main: database<Schema>({ migrations: './migrations', maxStaleness: '2s', poolSize: 6 }) },
  objects: [counter],
  pages: [one, group, all],
  server: async (ff): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(fourfold, { ff })
    app.post<{ Body: { key: string; stamp: string } }>('/write', async (request) => {
      request.session.set('visitor', true)
      const { key, stamp } = request.body
      const { main } = request.ff.databases as unknown as (typeof ff)['databases']
      const row = await main
        .updateTable('counters')
        .set((eb) => ({ version: eb('version', '+', '1'), stamp }))
        .where('key', '=', key)
        .returning(['key', 'version', 'stamp'])
        .executeTakeFirstOrThrow()
      return row
    })
    return app
  },
})
