/** The balancer's process: listens on the public port and takes its list of clones from the supervisor. */

import { startBalancer, type Balancer, type BalancerOptions } from '../../clones/balancer/balancer.ts'
import { failToStart, readSettings, watchParent } from '../../clones/child.ts'
import { followFrom, type HostsBalancerSettings } from '../hosts-balancer.ts'
import { createLogger, type LogLevel } from '../../core/log.ts'

import type { Follower } from '../../clones/hosts/follower.ts'

export interface BalancerSettings extends Omit<BalancerOptions, 'log'> {
  readonly logLevel?: LogLevel
  /** How long requests in flight may take when the balancer is told to stop. Default: 10,000. */
  readonly graceMs?: number
  /** Where it finds the clones of other hosts. Absent: the supervisor names the clones. */
  readonly hosts?: HostsBalancerSettings
}

const { logLevel, graceMs, hosts, ...options } = readSettings<BalancerSettings>()
const log = createLogger({ level: logLevel ?? 'info', name: 'balancer' })
let balancer: Balancer | undefined
let follower: Follower | undefined

const parent = watchParent({
  stop: async () => {
    await balancer?.stop(graceMs)
    // Only now: until its last request is answered, clones must wait for this balancer.
    await follower?.stop()
  },
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
  if (hosts !== undefined) follower = await followFrom(hosts, balancer, log)
  parent.send({ type: 'ready', address: balancer.address })
} catch (error) {
  await failToStart(error, log)
}
