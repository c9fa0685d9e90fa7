/** Whatever the app's `server` made, listening on loopback, with one way to close it. */

import { createServer, Server, type RequestListener } from 'node:http'

import { listenOnLoopback, type CloneListener } from '../clones/child.ts'
import { FourfoldError } from '../core/errors.ts'

import type { App, AppServer } from './define-app.ts'
import type { Fourfold } from './fourfold.ts'

type Listening = Extract<AppServer, { listen(options: { host: string; port: number }): Promise<string> }>

/** Makes the app's server and listens on 127.0.0.1, on a port of the system's choice. @throws FF_APP_INVALID */
export async function listenApp(app: App, ff: Fourfold): Promise<CloneListener> {
  if (app.definition.server === undefined) {
    throw new FourfoldError(
      'FF_APP_INVALID',
      'The app has no server: give defineApp a `server: async (ff) => …` that makes one',
    )
  }
  const made = await app.definition.server(ff as never)
  if (typeof made === 'function') return await listenOnLoopback(createServer(made as RequestListener))
  if (made instanceof Server) return await listenOnLoopback(made)
  if (isFastifyLike(made)) return await listenFramework(made)
  throw new FourfoldError(
    'FF_APP_INVALID',
    `The app's server() answered ${typeof made}: expected a Fastify instance, a node:http server, or a (request, response) function`,
  )
}

function isFastifyLike(value: AppServer): value is Listening {
  return typeof value === 'object' && value !== null && 'listen' in value && 'close' in value && 'server' in value
}

async function listenFramework(server: Listening): Promise<CloneListener> {
  await server.listen({ host: '127.0.0.1', port: 0 })
  const address = server.server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address')
  return {
    address: { host: address.address, port: address.port },
    close: async () => {
      await server.close()
    },
  }
}
