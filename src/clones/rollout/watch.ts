/**
 * Looks on while a new build answers a share of the readers, and objects when it does worse than the build before it:
 * more of its requests fail, or one of its clones ends or stops answering.
 */

import { setTimeout as delay } from 'node:timers/promises'

import { FourfoldError } from '../../core/errors.ts'
import { shortBuildId } from '../build/build-id.ts'
import type { BuildCounts } from '../protocol.ts'
import type { Routes } from '../routing.ts'
import type { Supervisor } from '../supervisor.ts'

export interface Tolerance {
  /** How much larger the share of failed requests may be than the old build's in the same time, 0 to 1. */
  readonly maxErrorRate: number
  /** With fewer requests than this a share says nothing. */
  readonly leastRequests: number
}

export interface Seen {
  readonly requests: number
  readonly errors: number
}

/** What each build did between two counts. A balancer that was restarted in between has counted from nothing again. */
export function between(before: BuildCounts, after: BuildCounts, id: string): Seen {
  const [from, to] = [before[id] ?? { requests: 0, errors: 0 }, after[id] ?? { requests: 0, errors: 0 }]
  if (to.requests < from.requests) return to
  return { requests: to.requests - from.requests, errors: to.errors - from.errors }
}

/** Why the new build must not go on, or null. */
export function objection(old: Seen, fresh: Seen, { maxErrorRate, leastRequests }: Tolerance): string | null {
  if (fresh.requests < leastRequests) return null
  const rate = (seen: Seen): number => (seen.requests === 0 ? 0 : seen.errors / seen.requests)
  if (rate(fresh) <= rate(old) + maxErrorRate) return null
  const percent = (value: number): string => `${(value * 100).toFixed(1)} %`
  return `${fresh.errors} of its ${fresh.requests} requests failed (${percent(rate(fresh))}; the build before it: ${percent(rate(old))}, ${percent(maxErrorRate)} more are allowed)`
}

export interface WatchOptions {
  readonly routes: Pick<Routes, 'count'>
  readonly old: string
  readonly fresh: string
  readonly holdMs: number
  readonly tolerance: Tolerance
  readonly signal: AbortSignal
}

/** Resolves with what the new build did when the time is over. @throws FF_ROLLOUT_FAILED as soon as it does badly; the signal's reason */
export async function watchBuild(options: WatchOptions): Promise<Seen> {
  const { routes, old, fresh, holdMs, tolerance, signal } = options
  const end = performance.now() + holdMs
  const before = await routes.count()
  for (;;) {
    const leftMs = end - performance.now()
    if (leftMs > 0) await delay(Math.min(pollMs, leftMs), undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
    const after = await routes.count()
    const seen = between(before, after, fresh)
    const reason = objection(between(before, after, old), seen, tolerance)
    if (reason !== null) throw failed(fresh, reason)
    if (performance.now() >= end) return seen
  }
}

const pollMs = 250

/**
 * Aborts `controller` when a clone of the second generation ends or hangs; one that was told to stop, because there are
 * to be fewer, may end. Call the result to stop looking.
 */
export function guardStaged(
  supervisor: Supervisor,
  kind: string,
  fresh: string,
  controller: AbortController,
): () => void {
  const told = new Set<string>()
  return supervisor.subscribe((event) => {
    if (event.type !== 'state' || event.member.kind !== kind || event.member.buildId !== fresh) return
    const { id, state } = event.member
    if (state === 'stopping') told.add(id)
    if (told.has(id)) return
    if (state === 'exited' || state === 'unresponsive') {
      controller.abort(failed(fresh, state === 'exited' ? `${id} ended` : `${id} does not answer any more`))
    }
  })
}

function failed(build: string, reason: string): FourfoldError {
  const message = `build ${shortBuildId(build)} was taken back: ${reason}`
  return new FourfoldError('FF_ROLLOUT_FAILED', message, { fields: { build } })
}
