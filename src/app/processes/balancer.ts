/**
 * The balancer's process: listens on the public port, takes its list of clones from the supervisor, and answers pages by
 * itself once it has what that takes.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { startBalancer, type Balancer, type BalancerOptions } from '../../clones/balancer/balancer.ts'
import { failToStart, readSettings, watchParent } from '../../clones/child.ts'
import { createLogger, type LogLevel } from '../../core/log.ts'

import type { Follower } from '../../clones/hosts/follower.ts'
import type { HostsBalancerSettings } from '../hosts-balancer.ts'
import type { OpenPageFront, PageFrontSettings } from '../page-front.ts'

export interface BalancerSettings extends Omit<BalancerOptions, 'log'> {
  readonly logLevel?: LogLevel
  /** How long requests in flight may take when the balancer is told to stop. Default: 10,000. */
  readonly graceMs?: number
  /** Where it finds the clones of other hosts. Absent: the supervisor names the clones. */
  readonly hosts?: HostsBalancerSettings
  /** What answering pages takes. Absent: clones answer them. */
  readonly pages?: PageFrontSettings
}

const { logLevel, graceMs, hosts, pages, ...options } = readSettings<BalancerSettings>()
const log = createLogger({ level: logLevel ?? 'info', name: 'balancer' })
const stopping = new AbortController()
let balancer: Balancer | undefined
let follower: Follower | undefined
let opened: Promise<OpenPageFront | null> | undefined

const parent = watchParent({
  stop: async () => {
    stopping.abort()
    await balancer?.stop(graceMs)
    // Only now: until its last request is answered, clones must wait for this balancer.
    await follower?.stop()
    await (await opened)?.close()
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

const retryMs = 1_000

/** Requests do not wait for it, and fail for nothing of it: until it is there, clones answer. */
async function answerPages(settings: PageFrontSettings, by: Balancer): Promise<OpenPageFront | null> {
  // Loaded here only: most of what a balancer would load is for pages, and not every app has any.
  const { openPageFront } = await import('../page-front.ts')
  while (!stopping.signal.aborted) {
    try {
      const front = await openPageFront(settings, log)
      by.answerPages(front.answerer)
      return front
    } catch (error) {
      log.warn({ error }, 'pages cannot be answered by the balancer yet: clones answer them')
      await pause(retryMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  return null
}

/** Loaded here only, as pages are: on one host, the supervisor names the clones. */
async function followHosts(settings: HostsBalancerSettings, by: Balancer): Promise<Follower> {
  const { followFrom } = await import('../hosts-balancer.ts')
  return await followFrom(settings, by, log)
}

try {
  balancer = await startBalancer({ ...options, log })
  if (hosts !== undefined) follower = await followHosts(hosts, balancer)
  if (pages !== undefined) opened = answerPages(pages, balancer)
  parent.send({ type: 'ready', address: balancer.address })
} catch (error) {
  await failToStart(error, log)
}
