/** Every way to keep something in a clone's memory that the tests of the golden rule know, each at its own address. */

import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'

import { defineApp, type App } from 'fourfold'
import { withFourfold, type FourfoldRequest } from 'fourfold/node'

const sessions = new Map<string, string>()
const pages = new Map<string, string>()
const attempts = new Map<string, number>()

const routes: Record<string, (request: FourfoldRequest, response: ServerResponse) => void | Promise<void>> = {
  // A session store in memory, as most frameworks begin with.
  'POST /login': (_request, response) => {
    const id = randomUUID()
    sessions.set(id, 'ada')
    response.setHeader('set-cookie', `sid=${id}; Path=/; HttpOnly; SameSite=Lax`)
    redirect(response, '/account')
  },
  'GET /account': (request, response) => {
    const name = sessions.get(/sid=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '')
    if (name === undefined) redirect(response, '/login')
    else answerPage(response, `<h1>Hello ${name}</h1>`)
  },
  // A cache that only the clone that changes the page empties.
  'GET /page': async (request, response) => {
    const page = pages.get('page') ?? `<p>${(await request.session.get<string>('text')) ?? 'new'}</p>`
    pages.set('page', page)
    answerPage(response, page)
  },
  'POST /page': async (request, response) => {
    request.session.set('text', 'changed')
    pages.clear()
    redirect(response, '/page')
  },
  // A limit that each clone counts for itself.
  'GET /limited': (_request, response) => {
    const count = (attempts.get('all') ?? 0) + 1
    attempts.set('all', count)
    response.setHeader('x-ratelimit-remaining', String(Math.max(0, 2 - count)))
    response.statusCode = count > 2 ? 429 : 200
    answerPage(response, '<p>limited</p>')
  },
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(303, { location }).end()
}

function answerPage(response: ServerResponse, html: string): void {
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(`<!doctype html>\n<title>Forgetful</title>\n${html}\n`)
}

const app: App = defineApp({
  databases: {},
  server: async (ff) =>
    withFourfold(ff, async (request, response) => {
      const route = routes[`${request.method} ${request.url}`]
      if (route === undefined) response.writeHead(404).end()
      else await route(request, response)
    }),
})
export default app
