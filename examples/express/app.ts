/** An Express app as clones: what docs/guides/moving-an-express-app.md ends with. */

import { database, defineApp } from 'fourfold'
import session from 'fourfold/express'
import express, { type Express } from 'express'

interface Schema {
  notes: { id: number; author: string; text: string }
}

declare module 'fourfold/express' {
  interface SessionData {
    user: string
    cart: string[]
  }
  interface Register {
    schemas: { main: Schema }
  }
}

/** The pages of the shop: the same before, on and after the way from express-session to here. */
export function addPages(app: Express): void {
  app.use(express.json())
  app.get('/me', (request, response) => {
    const { user = null, cart = [] } = request.session
    response.json({ user, cart })
  })
  app.post('/login', (request, response, next) => {
    const { user } = request.body as { user: string }
    request.session.regenerate((error: unknown) => {
      if (error) return next(error)
      request.session.user = user
      response.redirect(303, '/me')
    })
  })
  app.post('/cart', (request, response) => {
    const { item } = request.body as { item: string }
    request.session.cart = [...(request.session.cart ?? []), item]
    response.redirect(303, '/me')
  })
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error: unknown) => (error ? next(error) : response.redirect(303, '/me')))
  })
}

/** Pages that read from replicas. */
export function addNotes(app: Express): void {
  app.post('/notes', async (request, response) => {
    const { text } = request.body as { text: string }
    const author = request.session.user ?? 'somebody'
    await request.ff.databases.main
      .insertInto('notes')
      .values({ author, text } as Schema['notes'])
      .execute()
    response.status(201).json({ saved: true })
  })
  app.get('/notes', async (request, response) => {
    response.json(await request.ff.databases.main.selectFrom('notes').selectAll().orderBy('id').execute())
  })
}

export default defineApp({
  databases: { main: database<Schema>({ migrations: './migrations' }) },
  clones: 2,
  server: (ff) => {
    const app = express()
    app.set('trust proxy', 'loopback')
    const secret = process.env['SESSION_SECRET'] ?? 'for development only: set SESSION_SECRET'
    app.use(
      session({ ff, secret, resave: false, saveUninitialized: false, cookie: { secure: 'auto', sameSite: 'lax' } }),
    )
    addPages(app)
    addNotes(app)
    return app
  },
})
