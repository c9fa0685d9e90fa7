/** The same small app with guards on each framework: GET /token, POST /change, POST /login behind a limit. */

import { createServer, type RequestListener, type Server } from 'node:http'
import formbody from '@fastify/formbody'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import type { Fourfold } from '../../src/app/fourfold.ts'
import * as forExpress from '../../src/http/express.ts'
import * as forFastify from '../../src/http/fastify.ts'
import * as forHono from '../../src/http/hono.ts'
import * as forNode from '../../src/http/node.ts'
import { testSecret } from './http-app.ts'

export interface GuardedOptions {
  readonly ff: Fourfold<any>
  readonly csrf?: forNode.CsrfOptions
  /** Requests to /login in ten minutes. Default: 3. */
  readonly limit?: number
  readonly whenStoreIsAway?: 'allow' | 'refuse'
  readonly key?: (request: any) => string | null
}

export type StartGuarded = (options: GuardedOptions) => Promise<Server>

function limitOf({ ff, limit = 3, whenStoreIsAway, key }: GuardedOptions): forNode.RateLimitOptions<any> {
  return { ff, name: 'login', limit, window: '10m', whenStoreIsAway, key }
}

const onFastify: StartGuarded = async (options) => {
  const app = Fastify()
  await app.register(formbody)
  await app.register(forFastify.fourfold, { ff: options.ff })
  await app.register(forFastify.csrf, options.csrf ?? {})
  app.get('/token', async (request) => request.csrfToken())
  app.post('/change', async () => 'changed')
  app.post('/login', { onRequest: forFastify.rateLimit(limitOf(options)) }, async () => 'tried')
  await app.ready()
  return app.server
}

const onExpress: StartGuarded = async (options) => {
  const app = express()
  app.use(express.urlencoded())
  app.use(forExpress.default({ ff: options.ff, secret: testSecret, resave: false, saveUninitialized: false }))
  app.use(forExpress.csrf(options.csrf))
  app.get('/token', async (request, response) => void response.send(await request.csrfToken()))
  app.post('/change', (_, response) => void response.send('changed'))
  app.post('/login', forExpress.rateLimit(limitOf(options)), (_, response) => void response.send('tried'))
  app.use((error: any, _: express.Request, response: express.Response, _next: express.NextFunction) => {
    response.status(error.statusCode ?? 500).json({ code: error.code })
  })
  return createServer(app)
}

const onHono: StartGuarded = async (options) => {
  const app = new Hono()
  app.use(forHono.fourfold({ ff: options.ff }), forHono.csrf(options.csrf))
  app.get('/token', async (c) => c.text(await c.get('csrfToken')()))
  app.post('/change', (c) => c.text('changed'))
  app.post('/login', forHono.rateLimit(limitOf(options)), (c) => c.text('tried'))
  return createServer(getRequestListener(app.fetch) as RequestListener)
}

const onNode: StartGuarded = async (options) => {
  const guard = forNode.csrf(options.csrf)
  const limit = forNode.rateLimit(limitOf(options))
  const handler: forNode.FourfoldHandler<any> = async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    await guard.check(request, Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())))
    if (request.url === '/login') await limit.check(request, response)
    const answers: Record<string, string> = { '/change': 'changed', '/login': 'tried' }
    response.end(answers[request.url] ?? (await guard.token(request)))
  }
  return createServer(forNode.withFourfold(options.ff, handler))
}

export const guardedApps: readonly [string, StartGuarded][] = [
  ['Fastify', onFastify],
  ['Express', onExpress],
  ['Hono', onHono],
  ['node:http', onNode],
]
