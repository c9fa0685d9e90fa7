/** An app of Express with Fourfold's sessions, whose handlers can be made to wait. */

import { createRequire } from 'node:module'
import type { TestContext } from 'node:test'
import type { Express, NextFunction, Request, Response } from 'express'
import { FourfoldError } from '../../src/core/errors.ts'
import session from '../../src/http/express.ts'
import type { SessionMethods, SessionOptions } from '../../src/http/express.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { Browser, expressMajors, Gate, serve } from './express-app.ts'
import { plantHost, type PlantedHost } from './http-app.ts'
import { plantFaults, type FaultyStore } from './faulty-store.ts'

export const require = createRequire(import.meta.url)
export const secret = 'a secret of at least thirty-two characters'

/** What the sessions here hold. */
type Held = SessionMethods & { user?: string; theme?: string; [name: string]: any }

export const held = (request: Request): Held => request.session as Held

export interface Running {
  readonly browser: Browser
  readonly host: PlantedHost
  readonly store: FaultyStore
  readonly gates: Record<string, Gate>
}

export function addRoutes(app: Express, gates: Record<string, Gate>): void {
  const wait = async (request: Request): Promise<void> => {
    const name = request.headers['x-wait']
    if (typeof name === 'string') await (gates[name] ??= new Gate()).pass()
  }
  app.get('/plain', (_, response) => void response.send('plain'))
  app.get('/user', (request, response) => void response.json({ user: held(request).user ?? null }))
  app.get('/all', (request, response) => void response.json(request.session))
  app.get('/set/:name', async (request, response) => {
    // The session was read when the request came; what is set now is written with the answer.
    await wait(request)
    held(request)[request.params.name] = (request.query['value'] as string | undefined) ?? 'set'
    response.json({ set: true })
  })
  app.get('/read', async (request, response) => {
    await wait(request)
    response.json({ user: held(request).user ?? null })
  })
  app.get('/login', (request, response, next) => {
    request.session.regenerate((error) => {
      if (error) return next(error)
      held(request).user = 'ann'
      response.json({ user: 'ann' })
    })
  })
  app.get('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json({ user: null })))
  })
  app.get('/flash', (request, response) => {
    // As connect-flash does.
    const session = held(request)
    const messages = (session['flash'] ??= {}) as Record<string, string[]>
    response.json({ messages: messages['error'] ?? [] })
  })
  app.get('/save', (request, response, next) => {
    held(request).theme = 'saved'
    request.session.save((error) => (error ? next(error) : response.json({})))
  })
  app.get('/null', (request, response) => {
    ;(request as { session: unknown }).session = null
    response.json({})
  })
  app.get('/stream', (request, response) => {
    response.write('one,')
    setImmediate(() => {
      held(request).theme = 'late'
      response.end('two')
    })
  })
  app.get('/sent', (request, response) => {
    held(request).theme = 'sent'
    response.json({})
    const told: unknown[] = [response.headersSent]
    try {
      response.setHeader('x-late', '1')
    } catch (error) {
      told.push((error as NodeJS.ErrnoException).code)
    }
    app.set('told', told)
  })
  app.use((error: Error, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error)
    const { statusCode = 500, code } = error as Partial<FourfoldError>
    response.status(statusCode).json({ code })
  })
}

export async function run(
  t: TestContext,
  make: () => Express = expressMajors[0]![1],
  options: SessionOptions = {},
): Promise<Running> {
  const central = openMemoryStore()
  t.after(() => central.close())
  const store = plantFaults(central)
  const host = plantHost(store)
  const app = make()
  const gates: Record<string, Gate> = {}
  app.use(session({ ff: host.ff, secret, resave: false, saveUninitialized: false, ...options }))
  addRoutes(app, gates)
  return { browser: new Browser(await serve(t, app)), host, store, gates }
}

/** Starts a request and waits until its handler waits. */
export async function begin(
  running: Running,
  browser: Browser,
  path: string,
  name: string,
): Promise<() => Promise<any>> {
  const gate = (running.gates[name] ??= new Gate())
  const answer = browser.ask(path, { 'x-wait': name })
  await gate.arrived
  return () => {
    gate.open()
    return answer
  }
}
