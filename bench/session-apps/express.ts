/** express-session over connect-redis on Express 5, with the options that its documentation recommends. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'

import { RedisStore } from 'connect-redis'
import express, { type Request, type RequestHandler } from 'express'
import { createClient } from 'redis'

import { cookieName, payload, secret, tellPort, work } from './serve-app.ts'

interface ExpressSession {
  [key: string]: unknown
  regenerate(done: (error?: unknown) => void): void
  destroy(done: (error?: unknown) => void): void
}

// It brings no types, and theirs would stand beside ours on one name.
const session = createRequire(import.meta.url)('express-session') as (options: object) => RequestHandler

const client = createClient({ url: process.argv[2] ?? '' })
await client.connect()
const app = express()
app.disable('x-powered-by').disable('etag')
app.use(
  session({ secret, name: cookieName, store: new RedisStore({ client }), resave: false, saveUninitialized: false }),
)
const textOf = (request: Request, name: string): string => (request.query[name] as string | undefined) ?? ''
const sessionOf = (request: Request): ExpressSession => (request as unknown as { session: ExpressSession }).session

app.get('/login', (request, response, next) => {
  sessionOf(request).regenerate((error) => {
    if (error) return next(error)
    Object.assign(sessionOf(request), { user: 7, cart: payload })
    response.json({ user: 7 })
  })
})
app.get('/read', (request, response) => void response.json({ user: sessionOf(request)['user'] ?? null }))
app.get('/write', async (request, response) => {
  const user = sessionOf(request)['user'] ?? null
  await work(textOf(request, 'ms'))
  if (user !== null) sessionOf(request)[textOf(request, 'key')] = 1
  response.json({ user })
})
app.get('/logout', (request, response, next) => {
  sessionOf(request).destroy((error) => (error ? next(error) : response.json({})))
})
app.get('/keys', (request, response) => {
  const keys = textOf(request, 'key').split(',')
  response.json({ keys: keys.filter((key) => sessionOf(request)[key] === 1) })
})

const server = createServer(app)
server.listen(0, '127.0.0.1', () => tellPort((server.address() as AddressInfo).port))
