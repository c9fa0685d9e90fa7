/** A small app with pages, for tests that run it as a system of processes. */

import { createServer } from 'node:http'

import { database, defineApp } from '../../src/app/define-app.ts'
import { withFourfold } from '../../src/http/node.ts'
import { definePage } from '../../src/pages/define-page.ts'

const filler = '<p>text</p>'.repeat(200)

export const notePage = definePage({
  path: '/note/:id',
  render: async ({ main, notFound }: any, { id }) => {
    const row = await main.selectFrom('notes').selectAll().where('id', '=', Number(id)).executeTakeFirst()
    return row === undefined ? notFound() : `<h1>${row.text}</h1>${filler}`
  },
})

export default defineApp({
  databases: { main: database<any>({ replicas: 0 }) },
  pages: [notePage],
  server: (ff) =>
    createServer(
      withFourfold(ff, async (request: any, response) => {
        const { pathname, searchParams } = new URL(request.url, 'http://app')
        const { main } = request.ff.databases
        if (pathname === '/write') {
          const [id, text] = [Number(searchParams.get('id')), searchParams.get('text') ?? '']
          await main.updateTable('notes').set({ text }).where('id', '=', id).execute()
        }
        response.end('done')
      }),
    ),
})
