/** @fastify/http-proxy over its own undici pools, its upstream chosen for each request. */

import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

import { serveFront } from './serve-front.ts'

await serveFront(async (ports) => {
  const app = Fastify()
  let turn = 0
  await app.register(httpProxy, {
    upstream: '',
    undici: { connections: 64 },
    replyOptions: { getUpstream: () => `http://127.0.0.1:${ports[turn++ % ports.length]}` },
  })
  await app.ready()
  return app.server
})
