/** A TCP address before a server, which can be cut off: silently, as by a broken network, or with an end to all connections. */

import { connect, createServer, type AddressInfo, type NetConnectOpts, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  /** `silent`: whatever is sent is lost in both directions, also on connections that are made now. */
  cut(how: 'silent' | 'refused'): void
  /** Connections that were cut silently are ended: what they lost would be missing. */
  restore(): void
}

export async function startProxy(target: NetConnectOpts): Promise<Proxy> {
  const open = new Set<Socket>()
  let state: 'open' | 'silent' | 'refused' = 'open'
  const keep = (socket: Socket): Socket => {
    open.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
    return socket
  }
  const endAll = (): void => {
    for (const socket of open) socket.destroy()
  }
  const server = createServer((client) => {
    keep(client)
    if (state === 'refused') return void client.destroy()
    // What comes now is never read.
    if (state === 'silent') return void client.pause()
    const upstream = keep(connect(target))
    client.once('close', () => upstream.destroy())
    upstream.once('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    cut(how) {
      state = how
      if (how === 'refused') return endAll()
      for (const socket of open) {
        socket.unpipe()
        socket.pause()
      }
    },
    restore() {
      if (state === 'silent') endAll()
      state = 'open'
    },
  }
}
