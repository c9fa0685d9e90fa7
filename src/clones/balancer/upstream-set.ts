/**
 * The clones a request may go to, and the choice among them: two are drawn at random and the one with less in flight
 * gets the request (the power of two choices), which spreads load nearly as well as knowing everything and never sends a
 * herd to one clone.
 *
 * A clone that is unhealthy or ejected is passed over as long as there is another; if all are, they are all used: the
 * balancer never takes everybody out. A clone that drains gets nothing.
 */

import { FourfoldError } from '../../core/errors.ts'
import type { Upstream } from '../protocol.ts'
import type { BalancerLimits } from './options.ts'
import { UpstreamState } from './upstream.ts'

/** A request's place at a clone. Exactly one of the ends is called, once. */
export interface Lease {
  readonly upstream: UpstreamState
  release(): void
  /** The body that was streamed has come: from now on this is a request like the others. */
  uploaded(): void
  /** From now on this is a stream: it no longer counts, and `end` closes it when the clone drains. */
  becomeStream(end: () => void): void
}

export interface UpstreamSet {
  set(upstreams: readonly Upstream[]): void
  /**
   * A place at a clone, now or when one is free.
   *
   * Bodies that are streamed have places of their own: clients decide how long these last, and must not be able to take
   * the places of all others by sending slowly.
   *
   * @throws FF_BALANCER_NO_UPSTREAM, FF_BALANCER_BUSY; the signal's reason
   */
  acquire(avoid: ReadonlySet<UpstreamState>, signal: AbortSignal, streamed?: boolean): Promise<Lease>
  /** Sends this clone nothing new; resolves with what was left in flight when the time was over, hopefully 0. */
  drain(id: string, withinMs: number): Promise<number>
  states(): UpstreamState[]
  /** Resolves when nothing is in flight anywhere. */
  idle(withinMs: number): Promise<void>
  close(): Promise<void>
}

interface Waiter {
  readonly avoid: ReadonlySet<UpstreamState>
  readonly streamed: boolean
  readonly serve: (lease: Lease) => void
  readonly fail: (error: Error) => void
}

export function createUpstreamSet(limits: BalancerLimits): UpstreamSet {
  const known = new Map<string, UpstreamState>()
  /** Clones that left the list while they had requests; their pools are closed when these end. */
  const leaving = new Set<UpstreamState>()
  const waiters = new Set<Waiter>()
  const quiet = new Set<() => void>()

  const lease = (upstream: UpstreamState, streamed: boolean): Lease => {
    upstream.inFlight += 1
    if (streamed) upstream.uploads += 1
    let uploading = streamed
    let released = false
    const uploaded = (): void => {
      if (!uploading) return
      uploading = false
      upstream.uploads -= 1
      serveWaiters()
    }
    const release = (): void => {
      if (released) return
      released = true
      upstream.inFlight -= 1
      uploaded()
      serveWaiters()
      for (const check of quiet) check()
      if (leaving.has(upstream)) void closeIfIdle(upstream)
    }
    let end: (() => void) | undefined
    return {
      upstream,
      uploaded,
      release: () => {
        if (end !== undefined) upstream.streams.delete(end)
        release()
        if (leaving.has(upstream)) void closeIfIdle(upstream)
      },
      becomeStream: (endStream) => {
        end = endStream
        upstream.streams.add(endStream)
        release()
      },
    }
  }

  const closeIfIdle = async (upstream: UpstreamState): Promise<void> => {
    if (upstream.inFlight > 0 || upstream.streams.size > 0 || !leaving.delete(upstream)) return
    await upstream.pool.destroy()
  }

  const serveWaiters = (): void => {
    const full = { streamed: false, other: false }
    for (const waiter of waiters) {
      const kind = waiter.streamed ? 'streamed' : 'other'
      if (full[kind]) continue
      const upstream = choose([...known.values()], waiter, limits.maxInFlight)
      if (upstream === null) full[kind] = true
      if (full.streamed && full.other) return
      if (upstream === null) continue
      waiters.delete(waiter)
      waiter.serve(lease(upstream, waiter.streamed))
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
    set: (upstreams) => {
      const ids = new Set(upstreams.map((upstream) => upstream.id))
      for (const upstream of upstreams) {
        const state = known.get(upstream.id)
        if (state === undefined) known.set(upstream.id, new UpstreamState(upstream, limits))
        else if (upstream.healthy !== false) state.setHealthy(true, false)
      }
      for (const [id, state] of known) {
        if (ids.has(id)) continue
        known.delete(id)
        leaving.add(state)
        void closeIfIdle(state)
      }
      for (const { id, healthy } of upstreams)
        if (healthy === false) known.get(id)?.setHealthy(false, someoneWell(known))
      serveWaiters()
      if (usable(known) === 0) for (const waiter of waiters) waiter.fail(noUpstream())
    },
    acquire: (avoid, signal, streamed = false) => {
      if (usable(known) === 0) return Promise.reject(noUpstream())
      const wanted = { avoid, streamed }
      const upstream = choose([...known.values()], wanted, limits.maxInFlight)
      if (upstream !== null) return Promise.resolve(lease(upstream, streamed))
      if (waiters.size >= limits.queueLimit) return Promise.reject(busy(limits))
      return enqueue(waiters, wanted, signal, limits)
    },
    drain: async (id, withinMs) => {
      const state = known.get(id)
      if (state === undefined) return 0
      state.draining = true
      if (usable(known) === 0) for (const waiter of waiters) waiter.fail(noUpstream())
      await waitFor(() => state.inFlight === 0, withinMs)
      state.endStreams()
      return state.inFlight
    },
    states: () => [...known.values()],
    idle: (withinMs) => waitFor(() => [...known.values(), ...leaving].every((state) => state.inFlight === 0), withinMs),
    close: async () => {
      for (const waiter of waiters) waiter.fail(noUpstream())
      const all = [...known.values(), ...leaving]
      for (const state of all) state.endStreams()
      await Promise.all(all.map((state) => state.pool.destroy()))
      known.clear()
      leaving.clear()
    },
  }
}

/** Of those with room: two at random, and the one with less in flight. Null if all are full. */
function choose(
  all: readonly UpstreamState[],
  { avoid, streamed }: Pick<Waiter, 'avoid' | 'streamed'>,
  maxInFlight: number,
): UpstreamState | null {
  const now = performance.now()
  const open = all.filter((state) => !state.draining)
  const well = open.filter((state) => state.wellAt(now))
  const candidates = well.length > 0 ? well : open
  const others = avoid.size === 0 ? candidates : candidates.filter((state) => !avoid.has(state))
  const free = (others.length > 0 ? others : candidates).filter((state) => taken(state, streamed) < maxInFlight)
  if (free.length <= 1) return free[0] ?? null
  const first = Math.floor(Math.random() * free.length)
  const second = (first + 1 + Math.floor(Math.random() * (free.length - 1))) % free.length
  const [a, b] = [free[first], free[second]]
  return a !== undefined && b !== undefined && b.inFlight < a.inFlight ? b : (a ?? null)
}

function taken({ inFlight, uploads }: UpstreamState, streamed: boolean): number {
  return streamed ? uploads : inFlight - uploads
}

function enqueue(
  waiters: Set<Waiter>,
  wanted: Pick<Waiter, 'avoid' | 'streamed'>,
  signal: AbortSignal,
  limits: BalancerLimits,
): Promise<Lease> {
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer)
      waiters.delete(waiter)
      signal.removeEventListener('abort', abort)
    }
    const waiter: Waiter = {
      ...wanted,
      serve: (lease) => {
        finish()
        resolve(lease)
      },
      fail: (error) => {
        finish()
        reject(error)
      },
    }
    const abort = (): void => waiter.fail(signal.reason as Error)
    const timer = setTimeout(() => waiter.fail(busy(limits)), limits.queueTimeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    waiters.add(waiter)
  })
}

function usable(known: ReadonlyMap<string, UpstreamState>): number {
  let count = 0
  for (const state of known.values()) if (!state.draining) count += 1
  return count
}

function someoneWell(known: ReadonlyMap<string, UpstreamState>): boolean {
  const now = performance.now()
  return known.values().some((state) => !state.draining && state.wellAt(now))
}

function noUpstream(): FourfoldError {
  return new FourfoldError('FF_BALANCER_NO_UPSTREAM', 'no clone can take requests now')
}

function busy({ queueTimeoutMs }: BalancerLimits): FourfoldError {
  return new FourfoldError('FF_BALANCER_BUSY', `all clones are busy; waited up to ${queueTimeoutMs} ms`)
}
