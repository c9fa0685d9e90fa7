/** A process that owns an embedded cluster until it is killed. Argument: `{ directory, replicas }` as JSON. Says when it is ready. */

import { createLogger } from '../../src/core/log.ts'
import { startEmbeddedCluster } from '../../src/engines/postgres/embedded/cluster.ts'

const options = JSON.parse(process.argv[2] ?? '') as { directory: string; replicas: number }
const cluster = await startEmbeddedCluster({
  ...options,
  database: 'main',
  log: createLogger({ name: 'owner', level: 'warn', output: 2 }),
})
process.send?.({ type: 'ready', primary: cluster.primary, processes: cluster.processes() })
