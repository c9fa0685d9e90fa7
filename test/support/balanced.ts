/** A balancer in this process over node:http servers in this process, and raw sockets to talk to it byte by byte. */

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { startBalancer, type Balancer, type BalancerOptions } from '../../src/clones/balancer/balancer.ts'
import type { Upstream } from '../../src/clones/protocol.ts'
import { silentLogger } from '../../src/core/log.ts'

export interface Balanced {
  readonly balancer: Balancer
  readonly port: number
  readonly url: string
  readonly servers: readonly Server[]
  readonly upstreams: readonly Upstream[]
}

/** One server for each listener; all are closed when the test ends. */
export async function balance(
  t: TestContext,
  listeners: readonly RequestListener[],
  options: Partial<BalancerOptions> = {},
): Promise<Balanced> {
  const servers: Server[] = []
  const upstreams: Upstream[] = []
  for (const [index, listener] of listeners.entries()) {
    const server = createServer(listener)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    const { port } = server.address() as AddressInfo
    upstreams.push({ id: `clone-${index + 1}.1`, address: { host: '127.0.0.1', port }, buildId: '' })
  }
  const balancer = await startBalancer({ port: 0, log: silentLogger, ...options })
  balancer.setUpstreams(upstreams)
  t.after(async () => {
    await balancer.stop(100)
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  })
  const { port } = balancer.address
  return { balancer, port, url: `http://127.0.0.1:${port}`, servers, upstreams }
}

/** A connection that collects what comes back as text. */
export interface RawConnection {
  readonly socket: Socket
  received(): string
  /** Resolves with everything that came when the other side closes. */
  readonly closed: Promise<string>
}

export function openRaw(t: TestContext, port: number, bytes = ''): RawConnection {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  if (bytes !== '') socket.write(bytes, 'latin1')
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(text)))
  return { socket, received: () => text, closed }
}
