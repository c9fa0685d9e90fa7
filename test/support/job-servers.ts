/** One small app that takes orders, on each framework: `POST /order?act=…`. */

import { createServer, type Server } from 'node:http'

import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'

import { fourfold as fourfoldForExpress, sendResponse } from '../../src/http/express.ts'
import { fourfold as fourfoldForFastify } from '../../src/http/fastify.ts'
import { fourfold as fourfoldForHono } from '../../src/http/hono.ts'
import { withFourfold } from '../../src/http/node.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'
import type { JobContract } from '../../src/jobs/define-job.ts'
import type { PageAdapter } from './page-servers.ts'

export async function startJobServer(
  adapter: PageAdapter,
  ff: Fourfold<any>,
  job: JobContract,
): Promise<{ server: Server; base: string }> {
  const server = await make[adapter](ff, job)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, base: `http://127.0.0.1:${(server.address() as { port: number }).port}` }
}

function inputOf(url: string): object {
  return Object.fromEntries(new URL(url, 'http://app').searchParams)
}

const make: Record<PageAdapter, (ff: Fourfold<any>, job: JobContract) => Promise<Server>> = {
  node: async (ff, job) =>
    createServer(
      withFourfold(ff, async (request, response) => {
        await sendResponse(response, await request.ff.jobs.accept(job, inputOf(request.url), request))
      }),
    ),
  fastify: async (ff, job) => {
    const app = Fastify()
    await app.register(fourfoldForFastify, { ff })
    app.post('/order', async (request, reply) =>
      reply.send(await request.ff.jobs.accept(job, inputOf(request.url), request)),
    )
    await app.ready()
    return app.server
  },
  express: async (ff, job) => {
    const app = express()
    app.use(fourfoldForExpress({ ff }))
    app.post('/order', async (request: any, response) => {
      await sendResponse(response, await request.ff.jobs.accept(job, inputOf(request.url), request))
    })
    return createServer(app)
  },
  hono: async (ff, job) => {
    const app = new Hono()
    app.use(fourfoldForHono({ ff }))
    app.post('/order', async (c) => (c.get('ff') as Fourfold).jobs.accept(job, inputOf(c.req.url), c.req.raw))
    return createAdaptorServer({ fetch: app.fetch }) as Server
  },
}
