/**
 * Routes of the app that are baked without a rewrite. A process asks itself for the address, over its own server, as
 * nobody; the request carries a key to the load that asked, so that what the route reads through its `ff` is recorded by
 * that load (FRESHNESS rule 26: by what it is handed, and not by where it runs).
 *
 * A key is 128 random bits, of this process, and gone when its load is over: nobody else can make one.
 */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { buffer } from 'node:stream/consumers'

import { FourfoldError } from '../core/errors.ts'

import type { LoadOptions } from '../cache/source.ts'

/** The header that carries the key. The balancer lets none of this name through. */
export const bakeHeader = 'x-fourfold-bake'

/** One load that asks a route. */
export interface RouteBake {
  readonly url: string
  readonly load: LoadOptions
  /** Why what the route answered is not everybody's; null as far as is known. */
  personal: FourfoldError | null
}

/** How long a route may take. */
const deadlineMs = 30_000

export class RouteBakes {
  readonly #running = new Map<string, RouteBake>()
  #origin: string | null = null

  /** Where this process serves the app: `http://127.0.0.1:40123`. */
  servesAt(origin: string): void {
    this.#origin = new URL(origin).origin
  }

  /** The load that a request belongs to; null for those of clients. */
  of(headers: Readonly<Record<string, string | string[] | undefined>>): RouteBake | null {
    const key = headers[bakeHeader]
    return typeof key === 'string' ? (this.#running.get(key) ?? null) : null
  }

  /**
   * @param name under which readers know the app: `https://www.example.com`
   * @throws FF_PAGE_ROUTE, FF_PAGE_PERSONAL, FF_PAGE_ANSWER
   */
  async ask(url: string, load: LoadOptions, name?: string): Promise<Response> {
    const key = randomBytes(16).toString('base64url')
    const bake: RouteBake = { url, load, personal: null }
    this.#running.set(key, bake)
    try {
      const response = await this.#ask(url, { [bakeHeader]: key, ...nameFields(name) })
      if (bake.personal !== null) throw bake.personal
      return response
    } catch (error) {
      if (bake.personal !== null) throw bake.personal
      if (error instanceof FourfoldError) throw error
      throw failed(url, (error as Error).message, error)
    } finally {
      this.#running.delete(key)
    }
  }

  async #ask(url: string, fields: Readonly<Record<string, string>>): Promise<Response> {
    if (this.#origin === null) {
      const why = 'this process does not serve the app: run it by fourfold start, or say ff.pages.servesAt(origin)'
      throw failed(url, why)
    }
    const address = addressOf(this.#origin, url)
    const response = await send(address, { 'accept-encoding': 'identity', accept: 'text/html,*/*;q=0.8', ...fields })
    // All of it, while what it reads is still recorded.
    const body = await buffer(response)
    const { statusCode: status = 500 } = response
    const headers = headersOf(response)
    if (status >= 500) throw failed(url, `the route answered ${status}`)
    if (body.includes(address.host) || headers.get('location')?.includes(address.host) === true) {
      throw namesInside(url, address.host)
    }
    return new Response(withoutBody.has(status) ? null : body, { status, headers })
  }
}

/** Not by `fetch`, which says the host of the address, whatever it is told. */
async function send(address: URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const { request } = address.protocol === 'https:' ? https : http
  const asked = request(address, { headers, signal: AbortSignal.timeout(deadlineMs) })
  // Whoever reads the body hears of what comes after its head.
  asked.on('error', () => undefined).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return response
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at]!, rawHeaders[at + 1]!)
  return headers
}

/** As a proxy in front would say it. */
function nameFields(name: string | undefined): Record<string, string> {
  if (name === undefined) return {}
  const { host, protocol } = new URL(name)
  return { host, 'x-forwarded-host': host, 'x-forwarded-proto': protocol.slice(0, -1) }
}

function namesInside(url: string, host: string): FourfoldError {
  const message =
    `The page ${url} names ${host}, where it was asked for and where no reader comes. ` +
    "Let the route's links be relative, or say the `origin` of its readers in bakeRoutes"
  return new FourfoldError('FF_PAGE_ANSWER', message, { fields: { url, host } })
}

/** @throws for what is put together from parameters, and is another address once somebody reads it: `/legacy/../admin` */
function addressOf(origin: string, url: string): URL {
  const address = new URL(origin + url)
  const [path = ''] = url.split('?', 1)
  if (decodeURI(address.pathname) !== decodeURI(path)) throw failed(url, `it leads to ${address.pathname}`)
  return address
}

const withoutBody = new Set([204, 205, 304])

/** For whatever a route has no business with while it is baked; the bake fails of it, whatever the route makes of the error. */
export function refusePersonal(bake: RouteBake, name: string): FourfoldError {
  const message =
    `The route ${bake.url} asked for \`${name}\` while it was baked: a page is the same for everybody. ` +
    'Take the route out of bakeRoutes, or let the page fetch what is personal'
  const error = new FourfoldError('FF_PAGE_PERSONAL', message, { fields: { url: bake.url, name } })
  bake.personal ??= error
  return error
}

function failed(url: string, why: string, cause?: unknown): FourfoldError {
  return new FourfoldError('FF_PAGE_ROUTE', `The route ${url} could not be baked: ${why}`, { cause, fields: { url } })
}
