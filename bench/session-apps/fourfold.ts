/** Fourfold's sessions on Fastify, over the store that the argument names. */

import type { AddressInfo } from 'node:net'

import Fastify from 'fastify'
import { defineApp, isFourfoldError, open } from 'fourfold'
import { fourfold } from 'fourfold/fastify'

import { cookieName, payload, secret, tellPort, work } from './serve-app.ts'

interface Query {
  readonly key?: string
  readonly ms?: string
}

// The others wait for their Redis for ever; on a machine that is busy with more than this, so must ours be able to.
const store = { deadline: '10s' }
const sessions = { secrets: [secret], cookie: cookieName }
const app = defineApp({ databases: {}, logLevel: 'error', store, sessions })
const ff = await open(app, { connections: { databases: {}, storeUrl: process.argv[2] ?? '' }, env: {} })
const server = Fastify()
await server.register(fourfold, { ff })

server.setErrorHandler((error, _request, reply) => {
  reply.code(isFourfoldError(error, 'FF_SESSION_GONE') ? 409 : 500).send({ error: String(error) })
})
server.get('/login', async ({ session }) => {
  await session.regenerate()
  session.set('user', 7)
  session.set('cart', payload)
  return { user: 7 }
})
server.get('/read', async ({ session }) => ({ user: (await session.get('user')) ?? null }))
server.get<{ Querystring: Query }>('/write', async ({ session, query }) => {
  const user = (await session.get('user')) ?? null
  await work(query.ms)
  if (user !== null) session.set(query.key ?? 'key', 1)
  return { user }
})
server.get('/logout', async ({ session }) => {
  await session.destroy()
  return {}
})
server.get<{ Querystring: Query }>('/keys', async ({ session, query }) => {
  const keys = (query.key ?? '').split(',')
  const values = await Promise.all(keys.map((key) => session.get(key)))
  return { keys: keys.filter((_, index) => values[index] === 1) }
})

await server.listen({ port: 0, host: '127.0.0.1' })
tellPort((server.server.address() as AddressInfo).port)
