/** Express apps on free ports, and browsers that hold cookies and can be kept waiting in the middle of a request. */

import { createRequire } from 'node:module'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { TestContext } from 'node:test'
import type { Express } from 'express'
import { addressOf, CookieJar } from './http-app.ts'

const require = createRequire(import.meta.url)

/** The two majors that are in use. */
export const expressMajors: readonly [string, () => Express][] = [
  ['Express 5', require('express') as () => Express],
  ['Express 4', require('express-4') as () => Express],
]

export async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return addressOf(server)
}

/** A browser on one site. */
export class Browser extends CookieJar {
  readonly url: string

  constructor(url: string) {
    super()
    this.url = url
  }

  ask(path: string, headers: Record<string, string> = {}): Promise<any> {
    return this.get(`${this.url}${path}`, headers)
  }

  /** Sends JSON, and follows a redirect as a browser does. */
  async post(path: string, body: object): Promise<any> {
    const answer = await this.send('POST', `${this.url}${path}`, JSON.stringify(body), {
      'content-type': 'application/json',
    })
    const next = this.last?.headers.get('location') ?? null
    return next === null ? answer : this.ask(next)
  }

  /** Another tab, or an attacker who has seen the cookie: the same cookies, from now on its own. */
  copy(): Browser {
    const other = new Browser(this.url)
    for (const [name, value] of this.cookies) other.cookies.set(name, value)
    return other
  }

  get status(): number {
    return this.last?.status ?? 0
  }

  get newCookies(): string[] {
    return this.last?.headers.getSetCookie() ?? []
  }
}

/** A place where handlers wait until the test lets them go on. */
export class Gate {
  readonly #arrived = Promise.withResolvers<void>()
  readonly #open = Promise.withResolvers<void>()

  /** For the handler. */
  async pass(): Promise<void> {
    this.#arrived.resolve()
    await this.#open.promise
  }

  /** For the test: a handler waits. */
  get arrived(): Promise<void> {
    return this.#arrived.promise
  }

  open(): void {
    this.#open.resolve()
  }
}
