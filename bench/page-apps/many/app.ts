/** Many small pages: one for each row. What is measured is what their number costs, and how soon a change shows. */

import Fastify, { type FastifyInstance } from 'fastify'
import { database, define, defineApp } from 'fourfold'
import { fourfold } from 'fourfold/fastify'

const { definePage } = define<{ main: { notes: { id: number; text: string } } }>()

const filler = '<p>What a page has besides, the same on all of them.</p>\n'.repeat(60)

const note = definePage({
  path: '/note/:id',
  render: async ({ main, notFound }, { id }) => {
    const row = await main.selectFrom('notes').selectAll().where('id', '=', Number(id)).executeTakeFirst()
    if (row === undefined) return notFound()
    return `<!doctype html><html lang="en"><title>${row.id}</title><p data-text="${row.text}">${row.text}</p>${filler}</html>`
  },
  params: async ({ main }) => {
    const rows = await main.selectFrom('notes').select('id').orderBy('id').execute()
    return rows.map(({ id }) => ({ id: String(id) }))
  },
})

export default defineApp({
  databases: { main: database<{ notes: { id: number; text: string } }>({ migrations: './migrations', replicas: 0 }) },
  pages: [note],
  server: async (ff): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(fourfold, { ff })
    return app
  },
})
