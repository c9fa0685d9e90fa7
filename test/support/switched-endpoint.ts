/** One TCP address whose connections lead to one server, and from a moment on to another: what a failover tool moves. */

import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'

import type { PostgresAddress } from '../../src/engines/postgres/address.ts'
import { endAfter, type Cleanup } from './postgres.ts'

export interface SwitchedEndpoint {
  readonly address: PostgresAddress
  /** Cuts what is connected; what connects from now on reaches this server. */
  switchTo(server: PostgresAddress): void
}

export async function startSwitchedEndpoint(t: Cleanup, server: PostgresAddress): Promise<SwitchedEndpoint> {
  const open = new Set<Socket>()
  let target = server
  const keep = (socket: Socket): Socket => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
    return socket
  }
  const cut = (): void => {
    for (const socket of open) socket.destroy()
  }
  const listener = createServer((client) => {
    const upstream = keep(connect(join(target.host, `.s.PGSQL.${target.port}`)))
    keep(client).once('close', () => upstream.destroy())
    upstream.once('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  endAfter(t, async () => {
    listener.close()
    cut()
  })
  return {
    address: { ...server, host: '127.0.0.1', port: (listener.address() as AddressInfo).port },
    switchTo: (next) => {
      target = next
      cut()
    },
  }
}
