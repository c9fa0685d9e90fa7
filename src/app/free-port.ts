/** A taken port is said at once, and not after the databases were made and filled. */

import { createServer } from 'node:http'

import { listen } from '../clones/balancer/listen.ts'

/** @throws FF_BALANCER_LISTEN if nothing can listen there now */
export async function requireFreePort({ host, port }: { host: string; port: number }): Promise<void> {
  if (port === 0) return
  const server = createServer()
  await listen(server, host, port)
  await new Promise((resolve) => server.close(resolve))
}
