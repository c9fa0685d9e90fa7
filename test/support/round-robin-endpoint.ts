/**
 * One TCP address with several servers behind it: each new connection goes to the next, as behind a balancer that
 * knows nothing of PostgreSQL. A server that refuses is skipped, once round.
 */

import { createServer, connect, type Socket } from 'node:net'

export interface Endpoint {
  readonly port: number
  close(): Promise<void>
}

/** Listens on loopback, on a port of the system's choice; `paths` are the servers' Unix sockets. */
export async function startRoundRobinEndpoint(paths: readonly string[]): Promise<Endpoint> {
  const open = new Set<Socket>()
  let turn = 0
  const join = (client: Socket, triesLeft: number): void => {
    const server = connect({ path: paths[turn++ % paths.length] ?? '' })
    keep(server)
    let connected = false
    server.once('connect', () => {
      connected = true
      client.pipe(server).pipe(client)
    })
    server.once('close', () => {
      if (connected || triesLeft === 0 || client.destroyed) client.destroy()
      else join(client, triesLeft - 1)
    })
    client.once('close', () => server.destroy())
  }
  const keep = (socket: Socket): void => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
  }
  const listener = createServer((client) => {
    keep(client)
    join(client, paths.length - 1)
  })
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(0, '127.0.0.1', resolve)
  })
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address')
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}
