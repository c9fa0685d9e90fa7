/** Where a clone listens that balancers of other hosts reach: an address of this host, and a port out of a range. */

import type { Server } from 'node:http'

import { FourfoldError } from '../../core/errors.ts'

export interface PortRange {
  readonly first: number
  readonly last: number
}

/** `20000-20099`, or null for what is no range of ports. */
export function readPorts(text: string): PortRange | null {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text)
  if (match === null) return null
  const [first, last] = [Number(match[1]), Number(match[2])]
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : null
}

/** The ports in the order in which they are tried: another one in each process, so that they do not queue up. */
export function portsToTry(range: PortRange | null, start: number = Math.random()): number[] {
  if (range === null) return [0]
  const count = range.last - range.first + 1
  const offset = Math.floor(start * count)
  return Array.from({ length: count }, (_value, index) => range.first + ((offset + index) % count))
}

/** Tries one port after the other; resolves with the one that was free. @throws FF_CLONES_LISTEN */
export async function listenOnFirst(
  { host, ports }: { readonly host: string; readonly ports: readonly number[] },
  listen: (port: number) => Promise<number>,
): Promise<number> {
  for (const port of ports) {
    try {
      return await listen(port)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRINUSE') continue
      const hint =
        code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? 'this machine has no such address. Set clones.host to one of its own, and clones.advertise where balancers know another'
          : String(error)
      throw new FourfoldError('FF_CLONES_LISTEN', `a clone cannot listen on ${host}:${port}: ${hint}`, { cause: error })
    }
  }
  const [first, last] = [Math.min(...ports), Math.max(...ports)]
  throw new FourfoldError(
    'FF_CLONES_LISTEN',
    `all ports from ${first} to ${last} are taken on ${host}: widen clones.ports`,
  )
}

/** Makes a server listen; rejects with what the system says. */
export function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject)
      const address = server.address()
      if (address === null || typeof address === 'string') return reject(new Error('expected a TCP address'))
      resolve(address.port)
    })
  })
}
