/** Fourfold's balancer, with the limits it has by default. */

import { startBalancer } from '../../src/clones/balancer/balancer.ts'
import { silentLogger } from '../../src/core/log.ts'

const balancer = await startBalancer({ port: 0, log: silentLogger })
balancer.setUpstreams(
  process.argv.slice(2).map((port) => ({
    id: `clone-${port}`,
    address: { host: '127.0.0.1', port: Number(port) },
    buildId: 'bench',
  })),
)
process.once('disconnect', () => process.exit())
process.send?.({ port: balancer.address.port })
