/** A system with workers that bake; each render asks an oven first, which counts and may hold it. */

import { createServer } from 'node:http'

import { database, defineApp, definePage } from 'fourfold'
import { withFourfold } from 'fourfold/node'

const cake = definePage({
  path: '/cake/:id',
  params: async ({ main }: any) => await main.selectFrom('cakes').select('id').orderBy('id').execute(),
  render: async ({ main, notFound }: any, { id }) => {
    await fetch(`${process.env['OVEN']}/?cake=${id}&pid=${process.pid}`)
    const row = await main.selectFrom('cakes').selectAll().where('id', '=', Number(id)).executeTakeFirst()
    return row === undefined ? notFound() : `<h1>${row.name}</h1>`
  },
})

export default defineApp({
  databases: { main: database<any>({ migrations: './migrations', replicas: 0 }) },
  clones: 1,
  workers: 2,
  pages: [cake],
  server: async (ff) =>
    createServer(
      withFourfold(ff, async (request, response) => {
        const [id, name] = new URL(request.url ?? '/', 'http://clone').pathname.split('/').slice(2)
        await request.ff.databases['main']!.updateTable('cakes')
          .set({ name: name! })
          .where('id', '=', Number(id))
          .execute()
        response.end('saved')
      }),
    ),
})
