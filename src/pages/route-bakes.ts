/**
 * Routes of the app that are baked without a rewrite. A process asks itself for the address, over its own server, as
 * nobody; the request carries a key to the load that asked, so that what the route reads through its `ff` is recorded by
 * that load (FRESHNESS rule 26: by what it is handed, and not by where it runs).
 *
 * A key is 128 random bits, of this process, and gone when its load is over: nobody else can make one.
 */

import { randomBytes } from 'node:crypto'

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

  /** @throws FF_PAGE_ROUTE, FF_PAGE_PERSONAL */
  async ask(url: string, load: LoadOptions): Promise<Response> {
    if (this.#origin === null) {
      throw failed(
        url,
        'this process does not serve the app: run it by fourfold start, or say ff.pages.servesAt(origin)',
      )
    }
    const key = randomBytes(16).toString('base64url')
    const bake: RouteBake = { url, load, personal: null }
    this.#running.set(key, bake)
    try {
      const response = await fetch(addressOf(this.#origin, url), {
        headers: { [bakeHeader]: key, 'accept-encoding': 'identity', accept: 'text/html,*/*;q=0.8' },
        redirect: 'manual',
        signal: AbortSignal.timeout(deadlineMs),
      })
      // All of it, while what it reads is still recorded.
      const body = await response.arrayBuffer()
      if (bake.personal !== null) throw bake.personal
      const { status, headers } = response
      if (status >= 500) throw failed(url, `the route answered ${status}`)
      return new Response(withoutBody.has(status) ? null : body, { status, headers })
    } catch (error) {
      if (bake.personal !== null) throw bake.personal
      if (error instanceof FourfoldError) throw error
      throw failed(url, (error as Error).message, error)
    } finally {
      this.#running.delete(key)
    }
  }
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
