/** Express with the session store that express-session uses where none is named: a map in the process. */

import { createRequire } from 'node:module'
import express, { type Request, type RequestHandler } from 'express'

import { defineApp, type App } from 'fourfold'

/** The package brings no types. */
const session = createRequire(import.meta.url)('express-session') as (options: object) => RequestHandler
type WithSession = Request & { session: { user?: string } }

const app: App = defineApp({
  databases: {},
  server: async () => {
    const server = express()
    server.use(session({ secret: 'a secret of a test', resave: false, saveUninitialized: false }))
    server.post('/login', (request, response) => {
      ;(request as WithSession).session.user = 'ada'
      response.redirect(303, '/me')
    })
    server.get('/me', (request, response) => {
      const { user } = (request as WithSession).session
      if (user === undefined) response.status(401).json({ error: 'nobody is signed in' })
      else response.json({ user })
    })
    return server
  },
})
export default app
