/** The least of apps whose readers have sessions and write: who signs in is in the database, and in the session afterwards. */

import { database, defineApp, type Fourfold } from 'fourfold'
import { withFourfold } from 'fourfold/node'

import type { RequestListener } from 'node:http'

interface Schemas {
  main: { visitors: { name: string } }
}

export default defineApp({
  databases: { main: database<Schemas['main']>({ migrations: './migrations' }) },
  server: (ff): RequestListener =>
    withFourfold(ff as Fourfold<Schemas>, async (request, response) => {
      if (request.method === 'POST') {
        const [visitor] = await request.ff.databases.main
          .insertInto('visitors')
          .values({ name: 'Ada' })
          .returningAll()
          .execute()
        request.session.set('name', visitor?.name)
      }
      response.end((await request.session.get<string>('name')) ?? 'nobody')
    }),
})
