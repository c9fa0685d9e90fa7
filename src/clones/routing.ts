/**
 * Keeps the balancer's list of upstreams the same as the supervisor's ready clones, and drains a clone at the balancer
 * before the supervisor lets it stop: the order that makes a rolling restart lose no request.
 *
 * The list is sent whole, with a version, after every change; a balancer that was restarted gets it when it is ready.
 */

import type { Member } from './slot.ts'
import type { Supervisor } from './supervisor.ts'
import type { ChildMessage, Upstream } from './protocol.ts'

export interface RoutingOptions {
  readonly supervisor: Supervisor
  /** Default: `'clone'`. */
  readonly cloneKind?: string
  /** Default: `'balancer'`. */
  readonly balancerKind?: string
  /** How long a clone's requests may take to finish before it is stopped all the same. Default: 10,000. */
  readonly drainMs?: number
}

/** Connects the two groups. Call it before the groups run; the result stops the connection. */
export function routeClones(options: RoutingOptions): () => void {
  const { supervisor, cloneKind = 'clone', balancerKind = 'balancer', drainMs = 10_000 } = options
  let version = 0
  let sent = ''

  const publish = (again: boolean): void => {
    const upstreams = supervisor.members(cloneKind).flatMap(describeUpstream)
    const text = JSON.stringify(upstreams)
    if (text === sent && !again) return
    sent = text
    version += 1
    for (const balancer of serving(supervisor, balancerKind))
      balancer.process.send({ type: 'upstreams', version, upstreams })
  }

  supervisor.beforeStop(cloneKind, async (member) => {
    await Promise.all(serving(supervisor, balancerKind).map((balancer) => drainAt(balancer, member.id, drainMs)))
  })
  return supervisor.subscribe((event) => {
    if (event.type !== 'state') return
    if (event.member.kind === cloneKind) publish(false)
    else if (event.member.kind === balancerKind && event.member.state === 'ready') publish(true)
  })
}

/**
 * Resolves when the balancers know every clone that is ready now, or when the time is over: the channel keeps its order,
 * so a ping that is answered was behind the list.
 */
export async function routesKnown(supervisor: Supervisor, balancerKind = 'balancer', withinMs = 2000): Promise<void> {
  await Promise.all(serving(supervisor, balancerKind).map((balancer) => balancer.process.ping(withinMs)))
}

function describeUpstream({ id, state, address, buildId }: Member): Upstream[] {
  // A clone that is stopping stays in the list: the balancer drains it, and drops it when it is gone.
  if (address === undefined || state === 'starting' || state === 'exited') return []
  return [{ id, address, buildId: buildId ?? '', healthy: state !== 'unresponsive' }]
}

function serving(supervisor: Supervisor, kind: string): Member[] {
  return supervisor.members(kind).filter((member) => member.state === 'ready' || member.state === 'unresponsive')
}

/** Resolves when the balancer says that the clone has nothing in flight, when it is gone, or when the time is over. */
function drainAt(balancer: Member, id: string, withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer)
      forget()
      resolve()
    }
    const forget = balancer.process.listen((message: ChildMessage) => {
      if (message.type === 'drained' && message.id === id) finish()
    })
    const timer = setTimeout(finish, withinMs + 500)
    void balancer.process.exited.then(finish)
    if (!balancer.process.send({ type: 'drain', id, withinMs })) finish()
  })
}
