/**
 * One small app on both adapters, with real sessions on a given store and the part of an opened app that the adapters
 * use. What the database layer would do with the reader is written down in `scopes`, and what it would carry over in
 * `carried`.
 */

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { fourfold } from '../../src/http/fastify.ts'
import { fourfold as honoFourfold } from '../../src/http/hono.ts'
import { withFourfold } from '../../src/http/node.ts'
import type { ScopeRequest } from '../../src/http/request-context.ts'
import type { Fourfold } from '../../src/app/fourfold.ts'
import type { IncomingRequest } from '../../src/app/define-app.ts'
import { silentLogger } from '../../src/core/log.ts'
import type { Session } from '../../src/sessions/session.ts'
import { RouteBakes } from '../../src/pages/route-bakes.ts'
import { createSessions, type SessionsOptions } from '../../src/sessions/sessions.ts'
import type { Store } from '../../src/store/store.ts'

export const testSecret = 'a secret of at least thirty-two characters'

export interface PlantedHost {
  readonly ff: Fourfold<any>
  readonly scopes: ScopeRequest[]
  readonly carried: string[]
  /** What the next scopes' writes find: false, the token could not be stored. */
  settled: boolean
  canCarry: boolean
}

/** What a handler of the test app may use: the same in both adapters. */
export interface TestRequest {
  readonly headers: IncomingHttpHeaders
  readonly url: string
  readonly session: Session
  readonly ff: Fourfold<any>
}

export type TestHandler = (request: TestRequest) => Promise<unknown>

export function plantHost(
  store: Store,
  options: Partial<SessionsOptions> & {
    identify?: (request: IncomingRequest) => string | null | Promise<string | null>
  } = {},
): PlantedHost {
  const { identify, ...sessionsOptions } = options
  const host: Omit<PlantedHost, 'ff'> = { scopes: [], carried: [], settled: true, canCarry: true }
  const ff = {
    store,
    sessions: createSessions({ store, secrets: [testSecret], ...sessionsOptions }),
    log: silentLogger,
    config: {
      databases: { main: { maxStalenessMs: 30_000 } },
      sessions: { idleMs: 7 * 86_400_000, absoluteMs: 30 * 86_400_000 },
      store: { deadlineMs: 250 },
      balancer: { trustProxy: [] },
    },
    identify,
    pages: { sources: [], match: () => null, bakes: new RouteBakes() },
    jobs: { covers: () => false },
    as: (scope: ScopeRequest) => {
      host.scopes.push(scope)
      return {
        scope: {
          get settled() {
            return host.settled
          },
        },
      }
    },
    carryTokens: async (from: string, to: string) => {
      if (host.canCarry) host.carried.push(`${from} > ${to}`)
      return host.canCarry
    },
  }
  return Object.assign(host, { ff: ff as unknown as Fourfold<any> })
}

export interface RunningApp {
  readonly url: string
  close(): Promise<void>
}

export type StartApp = (ff: Fourfold<any>, routes: Readonly<Record<string, TestHandler>>) => Promise<RunningApp>

/** Each route by its path; what a handler answers goes out as JSON. */
export const startFastify: StartApp = async (ff, routes) => {
  const app = Fastify()
  await app.register(fourfold, {
    ff,
    level: (request) => (request.headers['x-strict'] === undefined ? undefined : 'strict'),
  })
  for (const [path, handler] of Object.entries(routes)) {
    app.get(path, async (request, reply) => reply.send((await handler(request)) ?? {}))
  }
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { url: addressOf(app.server), close: () => app.close() }
}

export const startNode: StartApp = async (ff, routes) => {
  const listener = withFourfold(
    ff,
    async (request, response) => {
      const answer = (await routes[request.url]?.(request)) ?? {}
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer))
    },
    { level: (request) => (request.headers['x-strict'] === undefined ? undefined : 'strict') },
  )
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: addressOf(server),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export const startHono: StartApp = async (ff, routes) => {
  const app = new Hono()
  app.use(honoFourfold({ ff, level: (c) => (c.req.header('x-strict') === undefined ? undefined : 'strict') }))
  for (const [path, handler] of Object.entries(routes)) {
    app.get(path, async (c) => {
      const headers = Object.fromEntries(c.req.raw.headers)
      const request: TestRequest = {
        headers,
        url: c.req.path,
        get session() {
          return c.get('session')
        },
        get ff() {
          return c.var.ff
        },
      }
      return c.json((await handler(request)) ?? {})
    })
  }
  const server = createAdaptorServer({ fetch: app.fetch }) as Server
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: addressOf(server),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A browser's cookies, without anything else of a browser. */
export class CookieJar {
  readonly cookies: Map<string, string> = new Map()
  last: Response | null = null

  get(url: string, headers: Record<string, string> = {}): Promise<any> {
    return this.send('GET', url, undefined, headers)
  }

  async send(method: string, url: string, body?: string, headers: Record<string, string> = {}): Promise<any> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const all = { ...(cookie === '' ? {} : { cookie }), ...headers }
    const response = await fetch(url, { method, body, headers: all, redirect: 'manual' })
    this.last = response
    for (const line of response.headers.getSetCookie()) this.#take(line)
    const text = await response.text()
    return (response.headers.get('content-type') ?? '').includes('json') ? JSON.parse(text) : text
  }

  #take(line: string): void {
    const [pair = ''] = line.split(';')
    const [name = '', value = ''] = pair.split('=')
    if (line.includes('Max-Age=0')) this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}
