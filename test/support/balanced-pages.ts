/** An opened app with pages behind a balancer that answers them, all in this process and over real sockets. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { openPageFront, pageFrontSettings, tellBalancers, type OpenPageFront } from '../../src/app/page-front.ts'
import { socketPathFor } from '../../src/app/socket-path.ts'
import { startBalancer, type Balancer } from '../../src/clones/balancer/balancer.ts'
import { silentLogger } from '../../src/core/log.ts'
import { withFourfold, type FourfoldHandler } from '../../src/http/node.ts'

import type { App } from '../../src/app/define-app.ts'
import type { Fourfold } from '../../src/app/fourfold.ts'
import type { Upstream } from '../../src/clones/protocol.ts'

export interface BalancedPages {
  readonly balancer: Balancer
  readonly front: OpenPageFront
  readonly url: string
  readonly port: number
  readonly upstreams: readonly Upstream[]
  stop(): Promise<void>
}

/** @param ff opened with these secrets in its configuration */
export async function balancePages(
  ff: Fourfold<any>,
  definition: object,
  handler: FourfoldHandler<any>,
): Promise<BalancedPages> {
  const server: Server = createServer(withFourfold(ff, handler))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await tellBalancers(ff)
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const upstreams = [{ id: 'clone-1.1', address, buildId: '' }]
  const balancer = await startBalancer({ port: 0, log: silentLogger })
  balancer.setUpstreams(upstreams)
  const { path } = await socketPathFor(ff.config.dataDir, 'store')
  const primary = ff.clusters['main']!.address
  const main = { primary, direct: primary, replicas: [], poolSize: 2, changes: true }
  const connections = { databases: { main }, storeUrl: `unix:${path}` }
  const app = { definition, directory: '/' } as App<any>
  const front = await openPageFront(
    pageFrontSettings(app, ff.config, connections, ff.config.sessions.secrets ?? [])!,
    silentLogger,
  )
  balancer.answerPages(front.answerer)
  const { port } = balancer.address
  return {
    balancer,
    front,
    url: `http://127.0.0.1:${port}`,
    port,
    upstreams,
    stop: async () => {
      await balancer.stop(500)
      await front.close()
      server.closeAllConnections()
      server.close()
    },
  }
}
