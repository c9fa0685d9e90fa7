/** The five pages of the benchmark on Express 5, over whatever session middleware is given. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express'

import { payload, tellPort, work } from '../serve-app.ts'

interface ExpressSession {
  [key: string]: unknown
  regenerate(done: (error?: unknown) => void): void
  destroy(done: (error?: unknown) => void): void
}

const textOf = (request: Request, name: string): string => (request.query[name] as string | undefined) ?? ''
const sessionOf = (request: Request): ExpressSession => (request as unknown as { session: ExpressSession }).session

export function servePages(sessions: RequestHandler): void {
  const app = express()
  app.disable('x-powered-by').disable('etag')
  app.use(sessions)
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
  app.use((error: { statusCode?: number; message?: string }, _: Request, response: Response, _next: NextFunction) => {
    response.status(error.statusCode ?? 500).json({ error: error.message })
  })
  const server = createServer(app)
  server.listen(0, '127.0.0.1', () => tellPort((server.address() as AddressInfo).port))
}
