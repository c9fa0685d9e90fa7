/**
 * The clones a request may go to, and the choice among them: two are drawn at random and the one with less in flight
 * gets the request (the power of two choices), which spreads load nearly as well as knowing everything and never sends a
 * herd to one clone.
 *
 * A clone that is unhealthy or ejected is passed over as long as there is another; if all are, they are all used: the
 * balancer never takes everybody out. A clone that drains, or whose build is not admitted, gets nothing; one that has
 * just come gets its share slowly.
 */

import type { IncomingMessage } from 'node:http'
import { FourfoldError } from '../../core/errors.ts'
import type { Admission, Upstream } from '../protocol.ts'
import { BuildAdmission } from './admission.ts'
import type { BalancerLimits } from './options.ts'
import { Place, type Lease } from './place.ts'
import { addressClient } from './upstream/addressed-client.ts'
import type { OpenClient, UpstreamClient } from './upstream/client.ts'
import { UpstreamState } from './upstream.ts'

/** What a request asks of the clone it goes to. */
export interface Wanted {
  /** Clones that failed this request already: passed over as long as there is another. */
  readonly avoid: ReadonlySet<UpstreamState> | null
  /**
   * Bodies that are streamed have places of their own: clients decide how long these last, and must not be able to take
   * the places of all others by sending slowly.
   */
  readonly streamed: boolean
  /** Whose it is decides which build it goes to while a rollout moves readers. Default: the current build. */
  readonly request?: IncomingMessage
}

export interface UpstreamSet {
  /** Which builds may answer. Changed with {@link UpstreamSet.set} only. */
  readonly admission: BuildAdmission
  /** Without an admission every build may answer. */
  set(upstreams: readonly Upstream[], admission?: Admission): void
  /**
   * A place at a clone, or null if all are full now.
   *
   * @throws FF_BALANCER_NO_UPSTREAM
   */
  acquire(wanted: Wanted): Lease | null
  /**
   * Waits for a place; exactly one of the two is called, later, unless the result is called first, which ends the wait.
   *
   * @throws FF_BALANCER_BUSY if too many wait already
   */
  wait(wanted: Wanted, serve: (lease: Lease) => void, fail: (error: Error) => void): () => void
  /** Sends this clone nothing new; resolves with what was left in flight when the time was over, hopefully 0. */
  drain(id: string, withinMs: number): Promise<number>
  states(): UpstreamState[]
  /** Ends what has no end of its own, at clones that have left the list, too. */
  endStreams(): void
  /** A request that will ask for a place is on its way; the result says that it has, or never will. */
  expect(): () => void
  /** Resolves when nothing is in flight anywhere, on its way, or waiting for a place. */
  idle(withinMs: number): Promise<void>
  close(): Promise<void>
}

interface Waiter {
  readonly wanted: Wanted
  readonly serve: (lease: Lease) => void
  readonly fail: (error: Error) => void
}

export function createUpstreamSet(limits: BalancerLimits, open: OpenClient): UpstreamSet {
  const known = new Map<string, UpstreamState>()
  /** Clones that left the list while they had requests; their connections are closed when these end. */
  const leaving = new Set<UpstreamState>()
  const waiters = new Set<Waiter>()
  let expected = 0
  const quiet = new Set<() => void>()
  const choose = createChoice(limits)
  /** Those that do not drain, so that a choice allocates nothing. */
  let usable: UpstreamState[] = []
  const admission = new BuildAdmission(limits)

  const relist = (): void => {
    usable = [...known.values()].filter((state) => !state.draining && admission.admits(state.buildId))
    if (usable.length === 0 && !admission.changing) for (const waiter of waiters) waiter.fail(noUpstream())
  }

  const checkQuiet = (): void => {
    for (const check of quiet) check()
  }

  const freed = (upstream: UpstreamState): void => {
    if (waiters.size > 0) serveWaiters()
    checkQuiet()
    if (leaving.size > 0 && leaving.has(upstream)) void closeIfIdle(upstream)
  }

  const closeIfIdle = async (upstream: UpstreamState): Promise<void> => {
    if (upstream.inFlight > 0 || upstream.streams.size > 0 || !leaving.delete(upstream)) return
    await upstream.client.close()
  }

  const serveWaiters = (): void => {
    /** The kinds of requests for which there is no room: those behind them need not be looked at. */
    const full = new Set<string>()
    for (const waiter of waiters) {
      const build = admission.buildFor(waiter.wanted.request)
      const kind = `${waiter.wanted.streamed} ${build}`
      if (full.has(kind)) continue
      const upstream = choose(ofBuild(usable, build), waiter.wanted)
      if (upstream === null) {
        full.add(kind)
        continue
      }
      waiters.delete(waiter)
      waiter.serve(new Place(upstream, waiter.wanted.streamed, freed))
    }
  }

  const waitFor = (ready: () => boolean, withinMs: number): Promise<void> =>
    new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        quiet.delete(check)
        resolve()
      }
      const check = (): void => void (ready() && finish())
      const timer = setTimeout(finish, withinMs)
      quiet.add(check)
      check()
    })

  return {
    admission,
    set: (upstreams, admitted) => {
      admission.set(admitted)
      const ids = new Set(upstreams.map((upstream) => upstream.id))
      const beside = usable.length > 0
      for (const upstream of upstreams) {
        const state = known.get(upstream.id)
        if (state === undefined) known.set(upstream.id, new UpstreamState(upstream, openTo(upstream, open), beside))
        else if (upstream.healthy !== false) state.setHealthy(true, false)
      }
      for (const [id, state] of known) {
        if (ids.has(id)) continue
        known.delete(id)
        leaving.add(state)
        void closeIfIdle(state)
      }
      relist()
      const well = someoneWell(usable)
      for (const { id, healthy } of upstreams) if (healthy === false) known.get(id)?.setHealthy(false, well)
      serveWaiters()
    },
    acquire: (wanted) => {
      const upstream = choose(ofBuild(usable, admission.buildFor(wanted.request)), wanted)
      if (upstream !== null) return new Place(upstream, wanted.streamed, freed)
      if (usable.length === 0 && !admission.changing) throw noUpstream()
      return null
    },
    wait: (wanted, serve, fail) => {
      if (waiters.size >= limits.queueLimit) throw busy(limits)
      return enqueue(waiters, { wanted, serve, fail }, limits, checkQuiet)
    },
    drain: async (id, withinMs) => {
      const state = known.get(id)
      if (state === undefined) return 0
      state.draining = true
      relist()
      await waitFor(() => state.inFlight === 0, withinMs)
      state.endStreams()
      return state.inFlight
    },
    states: () => [...known.values()],
    endStreams: () => {
      for (const state of [...known.values(), ...leaving]) state.endStreams()
    },
    expect: () => {
      expected += 1
      return once(() => {
        expected -= 1
        checkQuiet()
      })
    },
    idle: (withinMs) => {
      const working = (): boolean => [...known.values(), ...leaving].some((state) => state.inFlight > 0)
      return waitFor(() => expected === 0 && waiters.size === 0 && !working(), withinMs)
    },
    close: async () => {
      for (const waiter of waiters) waiter.fail(noUpstream())
      const all = [...known.values(), ...leaving]
      for (const state of all) state.endStreams()
      await Promise.all(all.map((state) => state.client.close()))
      known.clear()
      leaving.clear()
      usable = []
    },
  }
}

function openTo({ address, credential }: Upstream, open: OpenClient): UpstreamClient {
  return credential === undefined ? open(address) : addressClient(open(address), credential)
}

/** Outside of a rollout there is nothing to sort out, and nothing is allocated. */
function ofBuild(usable: readonly UpstreamState[], build: string | null): readonly UpstreamState[] {
  return build === null ? usable : usable.filter((state) => state.buildId === build)
}

type Choose = (usable: readonly UpstreamState[], wanted: Wanted) => UpstreamState | null

/** Of the best there are, those with room; of these two at random, and the one with less in flight. Null if all are full. */
function createChoice({ maxInFlight, slowStartMs }: BalancerLimits): Choose {
  const free: UpstreamState[] = []
  return (usable, { avoid, streamed }) => {
    const now = performance.now()
    let best = 0
    for (const state of usable) best = Math.max(best, rank(state, avoid, now))
    free.length = 0
    for (const state of usable) {
      if (rank(state, avoid, now) === best && taken(state, streamed) < maxInFlight) free.push(state)
    }
    if (free.length <= 1) return free[0] ?? null
    const first = Math.floor(Math.random() * free.length)
    const second = (first + 1 + Math.floor(Math.random() * (free.length - 1))) % free.length
    const [a, b] = [free[first], free[second]]
    if (a === undefined || b === undefined) return a ?? null
    const [chosen, other] = b.inFlight < a.inFlight ? [b, a] : [a, b]
    const share = chosen.shareAt(now, slowStartMs)
    return share < 1 && Math.random() >= share ? other : chosen
  }
}

/** A well one before one that is not, and of these one that was not tried before one that was. */
function rank(state: UpstreamState, avoid: ReadonlySet<UpstreamState> | null, now: number): number {
  return (state.wellAt(now) ? 2 : 0) + (avoid?.has(state) === true ? 0 : 1)
}

function taken({ inFlight, uploads }: UpstreamState, streamed: boolean): number {
  return streamed ? uploads : inFlight - uploads
}

/** Calls it the first time only. */
function once(work: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}

/** `ended` hears when the wait is over, however it ended, and has come to something. */
function enqueue(
  waiters: Set<Waiter>,
  { wanted, serve, fail }: Waiter,
  limits: BalancerLimits,
  ended: () => void,
): () => void {
  const finish = (): void => {
    clearTimeout(timer)
    if (waiters.delete(waiter)) queueMicrotask(ended)
  }
  const waiter: Waiter = {
    wanted,
    serve: (lease) => {
      finish()
      serve(lease)
    },
    fail: (error) => {
      finish()
      fail(error)
    },
  }
  const timer = setTimeout(() => waiter.fail(busy(limits)), limits.queueTimeoutMs)
  waiters.add(waiter)
  return finish
}

function someoneWell(usable: readonly UpstreamState[]): boolean {
  const now = performance.now()
  return usable.some((state) => state.wellAt(now))
}

function noUpstream(): FourfoldError {
  return new FourfoldError('FF_BALANCER_NO_UPSTREAM', 'no clone can take requests now')
}

function busy({ queueTimeoutMs }: BalancerLimits): FourfoldError {
  return new FourfoldError('FF_BALANCER_BUSY', `all clones are busy; waited up to ${queueTimeoutMs} ms`)
}
