/**
 * Keeps the balancers' list of upstreams the same as the supervisor's ready clones, tells them which builds may answer,
 * and drains a clone at the balancers before the supervisor lets it stop: the order that makes a rolling restart, and a
 * rollout, lose no request.
 *
 * The list is sent whole, with a version and the admission, after every change: there is no moment in which a balancer
 * knows a part of a change. A balancer that was restarted gets it when it is ready.
 */

import type { Member } from './slot.ts'
import type { Supervisor } from './supervisor.ts'
import type { Admission, BuildCounts, ChildMessage, Upstream } from './protocol.ts'

export interface RoutingOptions {
  readonly supervisor: Supervisor
  /** Default: `'clone'`. */
  readonly cloneKind?: string
  /** Default: `'balancer'`. */
  readonly balancerKind?: string
  /** How long a clone's requests may take to finish before it is stopped all the same. Default: 10,000. */
  readonly drainMs?: number
  /** Which builds may answer at first. Default: any. */
  readonly admission?: Admission
}

export interface Routes {
  readonly admission: Admission | undefined
  /** Changes which builds may answer; resolves when every balancer has taken it on, or when its time for it is over. */
  admit(admission: Admission): Promise<void>
  /** What the balancers have seen of each build. One that was restarted has forgotten. */
  count(): Promise<BuildCounts>
  /** Clones that are there and belong to no admitted build. */
  quarantined(): Member[]
  close(): void
}

const answersWithinMs = 2000

/** Connects the two groups. Call it before the groups run. */
export function routeClones(options: RoutingOptions): Routes {
  const { supervisor, cloneKind = 'clone', balancerKind = 'balancer', drainMs = 10_000 } = options
  let { admission } = options
  let version = 0
  let sent = ''
  let counts = 0

  const publish = (again: boolean): void => {
    const upstreams = supervisor.members(cloneKind).flatMap(describeUpstream)
    const text = JSON.stringify({ upstreams, admission })
    if (text === sent && !again) return
    sent = text
    version += 1
    for (const balancer of serving(supervisor, balancerKind))
      balancer.process.send({ type: 'upstreams', version, upstreams, admission })
  }

  supervisor.beforeStop(cloneKind, async (member) => {
    await Promise.all(serving(supervisor, balancerKind).map((balancer) => drainAt(balancer, member.id, drainMs)))
  })
  const unsubscribe = supervisor.subscribe((event) => {
    if (event.type !== 'state') return
    if (event.member.kind === cloneKind) publish(false)
    else if (event.member.kind === balancerKind && event.member.state === 'ready') publish(true)
  })
  return {
    get admission() {
      return admission
    },
    admit: async (changed) => {
      admission = changed
      const balancers = serving(supervisor, balancerKind)
      const applied = balancers.map((balancer) =>
        answerOf(balancer, answersWithinMs, (message) =>
          message.type === 'upstreams-applied' && message.version >= version ? message : undefined,
        ),
      )
      publish(true)
      await Promise.all(applied)
    },
    count: async () => {
      const answers = serving(supervisor, balancerKind).map((balancer) => {
        const id = (counts += 1)
        const answer = answerOf(balancer, answersWithinMs, (message) =>
          message.type === 'counted' && message.id === id ? message.builds : undefined,
        )
        balancer.process.send({ type: 'count', id })
        return answer
      })
      return addCounts(await Promise.all(answers))
    },
    quarantined: () => supervisor.members(cloneKind).filter((member) => isForeign(member, admission)),
    close: unsubscribe,
  }
}

/**
 * Resolves when the balancers know every clone that is ready now, or when the time is over: the channel keeps its order,
 * so a ping that is answered was behind the list.
 */
export async function routesKnown(
  supervisor: Supervisor,
  balancerKind = 'balancer',
  withinMs: number = answersWithinMs,
): Promise<void> {
  await Promise.all(serving(supervisor, balancerKind).map((balancer) => balancer.process.ping(withinMs)))
}

function describeUpstream({ id, state, address, buildId }: Member): Upstream[] {
  // A clone that is stopping stays in the list: the balancer drains it, and drops it when it is gone.
  if (address === undefined || state === 'starting' || state === 'quarantined' || state === 'exited') return []
  return [{ id, address, buildId: buildId ?? '', healthy: state !== 'unresponsive' }]
}

function isForeign({ state, buildId }: Member, admission: Admission | undefined): boolean {
  if (state === 'quarantined') return true
  if (admission === undefined || (state !== 'ready' && state !== 'unresponsive')) return false
  return buildId !== admission.current.id && buildId !== admission.next?.id
}

function serving(supervisor: Supervisor, kind: string): Member[] {
  return supervisor.members(kind).filter((member) => member.state === 'ready' || member.state === 'unresponsive')
}

/** Resolves when the balancer says that the clone has nothing in flight, when it is gone, or when the time is over. */
async function drainAt(balancer: Member, id: string, withinMs: number): Promise<void> {
  const drained = answerOf(balancer, withinMs + 500, (message) =>
    message.type === 'drained' && message.id === id ? message : undefined,
  )
  balancer.process.send({ type: 'drain', id, withinMs })
  await drained
}

/** What a process answers, or null if it ends first or does not answer in time. */
function answerOf<T>(
  { process }: Member,
  withinMs: number,
  read: (message: ChildMessage) => T | undefined,
): Promise<T | null> {
  return new Promise((resolve) => {
    const finish = (answer: T | null): void => {
      clearTimeout(timer)
      forget()
      resolve(answer)
    }
    const forget = process.listen((message) => {
      const answer = read(message)
      if (answer !== undefined) finish(answer)
    })
    const timer = setTimeout(() => finish(null), withinMs)
    void process.exited.then(() => finish(null))
  })
}

function addCounts(all: readonly (BuildCounts | null)[]): BuildCounts {
  const sum: Record<string, { requests: number; errors: number }> = {}
  for (const [id, { requests, errors }] of all.flatMap((one) => Object.entries(one ?? {}))) {
    const so = (sum[id] ??= { requests: 0, errors: 0 })
    so.requests += requests
    so.errors += errors
  }
  return sum
}
