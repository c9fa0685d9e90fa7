/** The balancer's process: listens on the public port and takes its list of clones from the supervisor. */

import { startBalancer, type Balancer, type BalancerOptions } from '../../clones/balancer/balancer.ts'
import { failToStart, readSettings, watchParent } from '../../clones/child.ts'
import { createLogger, type LogLevel } from '../../core/log.ts'

export interface BalancerSettings extends Omit<BalancerOptions, 'log'> {
  readonly logLevel?: LogLevel
  /** How long requests in flight may take when the balancer is told to stop. Default: 10,000. */
  readonly graceMs?: number
}

const { logLevel, graceMs, ...options } = readSettings<BalancerSettings>()
const log = createLogger({ level: logLevel ?? 'info', name: 'balancer' })
let balancer: Balancer | undefined

const parent = watchParent({
  stop: async () => balancer?.stop(graceMs),
  onMessage: (message) => {
    if (message.type === 'upstreams') {
      balancer?.setUpstreams(message.upstreams, message.admission)
      parent.send({ type: 'upstreams-applied', version: message.version })
    }
    if (message.type === 'count') parent.send({ type: 'counted', id: message.id, builds: balancer?.counts() ?? {} })
    if (message.type === 'drain') void drain(message.id, message.withinMs)
  },
})

async function drain(id: string, withinMs: number): Promise<void> {
  const inFlight = (await balancer?.drain(id, withinMs)) ?? 0
  parent.send({ type: 'drained', id, inFlight })
}

try {
  balancer = await startBalancer({ ...options, log })
  parent.send({ type: 'ready', address: balancer.address })
} catch (error) {
  await failToStart(error, log)
}
