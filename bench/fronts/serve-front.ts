/** What the fronts of the balancer benchmark have in common: told the backends' ports, they tell their own. */

import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Makes the front for the ports in this process's arguments, listens, and ends with the process that began it. */
export async function serveFront(create: (ports: readonly number[]) => Promise<Server>): Promise<void> {
  const server = await create(process.argv.slice(2).map(Number))
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.once('disconnect', () => process.exit())
  process.send?.({ port: (server.address() as AddressInfo).port })
}
