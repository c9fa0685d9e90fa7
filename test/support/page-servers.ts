/** One small app with routes that are baked, on each framework, so that pages are tested with all of them. */

import { createServer, type Server } from 'node:http'

import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'

import session from '../../src/http/express.ts'
import { fourfold as fourfoldForFastify } from '../../src/http/fastify.ts'
import { fourfold as fourfoldForHono } from '../../src/http/hono.ts'
import { withFourfold } from '../../src/http/node.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

export type PageAdapter = 'node' | 'fastify' | 'express' | 'hono'
export const pageAdapters: readonly PageAdapter[] = ['node', 'fastify', 'express', 'hono']

/** What a route of the app answers: `POST /write` writes for its reader, the rest reads or is personal. */
async function answerRoute(ff: any, method: string, url: string, sessionOf: () => any): Promise<string> {
  const { pathname, searchParams } = new URL(url, 'http://localhost')
  if (method === 'POST') {
    await ff.databases.main.updateTable('articles').set({ title: 'by me' }).where('slug', '=', 'slug-9').execute()
    return 'written'
  }
  if (pathname === '/legacy/mine') return `mine ${JSON.stringify(sessionOf() ?? null).length > 0}`
  if (pathname === '/legacy/plain') return 'reads nothing'
  if (pathname.startsWith('/legacy/turning-')) {
    const found = await ff.databases.main.selectFrom('articles').select('title').where('slug', '=', 'slug-30').execute()
    return found[0].title === 'mine' ? `mine ${JSON.stringify(sessionOf() ?? null).length > 0}` : "everybody's"
  }
  const slug = searchParams.get('q') ?? pathname.split('/').at(-1)!
  if (!pathname.startsWith('/legacy/') && pathname !== '/search') return 'other'
  const rows = await ff.databases.main.selectFrom('articles').select('title').where('slug', '=', slug).execute()
  const author = await ff.cache.query('select name from users where id = $1', [7])
  return `legacy ${rows[0]?.title} by ${author[0].name}`
}

export async function startPageServer(
  adapter: PageAdapter,
  ff: Fourfold<any>,
): Promise<{ server: Server; base: string }> {
  const server = await make[adapter](ff)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  ff.pages.servesAt(base)
  return { server, base }
}

const make: Record<PageAdapter, (ff: Fourfold<any>) => Promise<Server>> = {
  node: async (ff) =>
    createServer(
      withFourfold(ff, async (request, response) => {
        response.end(await answerRoute(request.ff, request.method, request.url, () => request.session))
      }),
    ),
  fastify: async (ff) => {
    const app = Fastify()
    await app.register(fourfoldForFastify, { ff })
    app.all('*', (request) => answerRoute(request.ff, request.method, request.url, () => request.session))
    await app.ready()
    return app.server
  },
  express: async (ff) => {
    const app = express()
    app.use(
      session({ ff, secret: 'a secret of at least thirty-two characters', resave: false, saveUninitialized: false }),
    )
    app.use(async (request, response) => {
      if (request.method === 'POST') (request.session as unknown as { at: number }).at = Date.now()
      response.type('html')
      response.send(await answerRoute(request.ff, request.method, request.originalUrl, () => request.session))
    })
    return createServer(app)
  },
  hono: async (ff) => {
    const app = new Hono()
    app.use(fourfoldForHono({ ff }))
    app.all('*', async (c) => {
      const { pathname, search } = new URL(c.req.url)
      return c.html(await answerRoute(c.get('ff'), c.req.method, pathname + search, () => c.get('session')))
    })
    return createAdaptorServer({ fetch: app.fetch }) as Server
  },
}
