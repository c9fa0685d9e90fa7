/** @fastify/session over connect-redis, with the option that its documentation recommends. */

import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'

import { RedisStore } from 'connect-redis'
import Fastify, { type FastifyPluginCallback, type FastifyRequest } from 'fastify'
import { createClient } from 'redis'

import { cookieName, payload, secret, tellPort, work } from './serve-app.ts'

interface FastifySession {
  get(key: string): unknown
  set(key: string, value: unknown): void
  regenerate(): Promise<void>
  destroy(): Promise<void>
}
interface Query {
  readonly key?: string
  readonly ms?: string
}

// Its types declare `request.session` for every Fastify app of a program, as ours do.
const require = createRequire(import.meta.url)
const cookie = require('@fastify/cookie') as FastifyPluginCallback
const session = require('@fastify/session') as FastifyPluginCallback<Record<string, unknown>>

const client = createClient({ url: process.argv[2] ?? '' })
await client.connect()
const server = Fastify()
await server.register(cookie)
await server.register(session, {
  secret,
  cookieName,
  cookie: { secure: false },
  store: new RedisStore({ client, prefix: 'fastify:' }),
  saveUninitialized: false,
})
const sessionOf = (request: FastifyRequest): FastifySession => request.session as unknown as FastifySession

server.get('/login', async (request) => {
  await sessionOf(request).regenerate()
  sessionOf(request).set('user', 7)
  sessionOf(request).set('cart', payload)
  return { user: 7 }
})
server.get('/read', async (request) => ({ user: sessionOf(request).get('user') ?? null }))
server.get<{ Querystring: Query }>('/write', async (request) => {
  const user = sessionOf(request).get('user') ?? null
  await work(request.query.ms)
  if (user !== null) sessionOf(request).set(request.query.key ?? 'key', 1)
  return { user }
})
server.get('/logout', async (request) => {
  await sessionOf(request).destroy()
  return {}
})
server.get<{ Querystring: Query }>('/keys', async (request) => {
  const keys = (request.query.key ?? '').split(',')
  return { keys: keys.filter((key) => sessionOf(request).get(key) === 1) }
})

await server.listen({ port: 0, host: '127.0.0.1' })
tellPort((server.server.address() as AddressInfo).port)
