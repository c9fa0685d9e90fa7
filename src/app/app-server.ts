/** Whatever the app's `server` made, listening, with one way to close it. */

import { createServer, Server, type RequestListener } from 'node:http'

import { listenOnLoopback, type CloneListener } from '../clones/child.ts'
import { listenOn, listenOnFirst } from '../clones/hosts/listen.ts'
import { formatAddress } from '../clones/protocol.ts'
import { FourfoldError } from '../core/errors.ts'
import { tellBalancers } from './page-front.ts'

import type { App, AppServer } from './define-app.ts'
import type { Fourfold } from './fourfold.ts'

type Listening = Extract<AppServer, { listen(options: { host: string; port: number }): Promise<string> }>

/** Where to listen for balancers of other hosts. */
export interface ListenPlace {
  readonly host: string
  /** Tried in this order. */
  readonly ports: readonly number[]
  /** Sees the server before it listens. */
  readonly guard: (server: Server) => void
}

/**
 * Makes the app's server and listens: on 127.0.0.1 and a port of the system's choice, unless told otherwise.
 *
 * @throws FF_APP_INVALID, FF_CLONES_LISTEN
 */
export async function listenApp(app: App, ff: Fourfold, place?: ListenPlace): Promise<CloneListener> {
  const listener = await listenMade(app, ff, place)
  const { host, port } = listener.address as { host: string; port: number }
  // Routes that are baked are asked for here.
  ff.pages.servesAt(`http://${formatAddress({ host: anyAddress.has(host) ? '127.0.0.1' : host, port })}`)
  await tellBalancers(ff)
  return listener
}

const anyAddress = new Set(['0.0.0.0', '::'])

async function listenMade(app: App, ff: Fourfold, place: ListenPlace | undefined): Promise<CloneListener> {
  if (app.definition.server === undefined) {
    throw new FourfoldError(
      'FF_APP_INVALID',
      'The app has no server: give defineApp a `server: async (ff) => …` that makes one',
    )
  }
  const made = await app.definition.server(ff as never)
  if (typeof made === 'function') return await listenServer(createServer(made as RequestListener), place)
  if (made instanceof Server) return await listenServer(made, place)
  if (isFastifyLike(made)) return await listenFramework(made, place)
  throw new FourfoldError(
    'FF_APP_INVALID',
    `The app's server() answered ${typeof made}: expected a Fastify instance, a node:http server, or a (request, response) function`,
  )
}

async function listenServer(server: Server, place: ListenPlace | undefined): Promise<CloneListener> {
  if (place === undefined) return await listenOnLoopback(server)
  place.guard(server)
  const port = await listenOnFirst(place, (candidate) => listenOn(server, place.host, candidate))
  return {
    address: { host: place.host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
  }
}

function isFastifyLike(value: AppServer): value is Listening {
  return typeof value === 'object' && value !== null && 'listen' in value && 'close' in value && 'server' in value
}

async function listenFramework(server: Listening, place: ListenPlace | undefined): Promise<CloneListener> {
  const { host, ports, guard } = place ?? { host: '127.0.0.1', ports: [0], guard: null }
  if (guard !== null) guard(requireNodeServer(server.server))
  const listen = async (port: number): Promise<number> => {
    await server.listen({ host, port })
    const address = server.server.address()
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address')
    return address.port
  }
  const port = await listenOnFirst({ host, ports }, listen)
  return {
    address: { host, port },
    close: async () => {
      await server.close()
    },
  }
}

function requireNodeServer(server: unknown): Server {
  if (server instanceof Server) return server
  throw new FourfoldError(
    'FF_APP_INVALID',
    "The app's framework does not serve by node:http: clones are asked by their balancers in HTTP/1.1",
  )
}
