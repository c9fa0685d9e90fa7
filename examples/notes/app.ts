import { database, defineApp } from 'fourfold'
import { fourfold } from 'fourfold/fastify'
import Fastify from 'fastify'

interface Schema {
  notes: { id: string; text: string }
}

export default defineApp({
  databases: { main: database<Schema>({ migrations: './migrations' }) }, // no url: embedded, primary and replica
  clones: 3,
  server: async (ff) => {
    const server = Fastify()
    await server.register(fourfold, { ff })
    server.post<{ Body: Schema['notes'] }>('/notes', async (request) => {
      await request.ff.databases.main.insertInto('notes').values(request.body).execute()
      return { saved: true }
    })
    server.get('/notes', async (request) => request.ff.databases.main.selectFrom('notes').selectAll().execute())
    return server
  },
})

declare module 'fourfold/fastify' {
  interface Register {
    schemas: { main: Schema }
  }
}
