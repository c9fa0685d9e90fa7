/**
 * What a balancer makes of the registry and of its own probes: which clones of other hosts there are, and how well.
 * A state machine without clocks and sockets; `follower.ts` feeds it.
 *
 * The registry says who is to be known and who is leaving. Whether a clone lives, the balancer sees for itself: one that
 * it reaches is never given up because the store was away, restarted empty or could not be reached from there.
 *
 * - listed, serving: used; unhealthy while its probes are unanswered.
 * - listed, draining: gets nothing new, and stays until it is no longer listed.
 * - no longer listed after it was draining: gone.
 * - no longer listed without a word: as before for as long as a registration lives, in which it registers again if it
 *   can; then unhealthy, used only where nobody else is left, as long as it answers; gone when it says that it is
 *   another incarnation, refuses connections, or is silent for long.
 */

import type { Upstream } from '../protocol.ts'
import type { CloneEntry } from './entries.ts'

/** `foreign`: somebody answered who is not this incarnation. */
export type ProbeOutcome = 'alive' | 'silent' | 'refused' | 'foreign'

interface KnownClone {
  entry: CloneEntry
  /** Null: it is listed. */
  unlistedAt: number | null
  /** Null: its last probe was answered, or it was not asked yet. */
  failingSince: number | null
  /** It does not exist any more, as far as the network can tell. */
  absent: boolean
}

export interface RosterOptions {
  /** How long a registration lives. */
  readonly ttlMs: number
  /** One that is not listed and silent for so long is forgotten. Default: 10,000. */
  readonly forgetMs?: number
}

export interface Listed {
  readonly id: string
  readonly entry: CloneEntry
}

export class Roster {
  readonly #known = new Map<string, KnownClone>()
  readonly #ttlMs: number
  readonly #forgetMs: number

  constructor({ ttlMs, forgetMs = 10_000 }: RosterOptions) {
    this.#ttlMs = ttlMs
    this.#forgetMs = forgetMs
  }

  /** The store has answered with the entries that there are. Not called while it is away. */
  list(listed: readonly Listed[], now: number): void {
    const ids = new Set(listed.map(({ id }) => id))
    for (const { id, entry } of listed) {
      const clone = this.#known.get(id)
      if (clone === undefined) this.#known.set(id, { entry, unlistedAt: null, failingSince: null, absent: false })
      // Whoever was asked to leave does not come back under this id.
      else if (clone.entry.state !== 'draining') Object.assign(clone, { entry, unlistedAt: null })
      else clone.unlistedAt = null
    }
    for (const [id, clone] of this.#known) if (!ids.has(id)) clone.unlistedAt ??= now
  }

  probed(id: string, outcome: ProbeOutcome, now: number): void {
    const clone = this.#known.get(id)
    if (clone === undefined) return
    clone.absent = outcome === 'foreign' || outcome === 'refused'
    clone.failingSince = outcome === 'alive' ? null : (clone.failingSince ??= now)
  }

  /** Forgets who is gone, and answers with their ids. */
  forget(now: number): string[] {
    const gone = [...this.#known].filter(([, clone]) => this.#isGone(clone, now)).map(([id]) => id)
    for (const id of gone) this.#known.delete(id)
    return gone
  }

  upstreams(now: number): Upstream[] {
    return [...this.#known].map(([id, { entry, unlistedAt, failingSince }]) => ({
      id,
      address: entry.address,
      buildId: entry.buildId,
      healthy: failingSince === null && (unlistedAt === null || now - unlistedAt < this.#ttlMs),
    }))
  }

  /** Those that are to get nothing new, with how long what they have may take. */
  draining(): { id: string; graceMs: number }[] {
    return [...this.#known].flatMap(([id, { entry }]) =>
      entry.state === 'draining' ? [{ id, graceMs: entry.graceMs }] : [],
    )
  }

  /** The builds of the clones that are listed and serve. */
  builds(): Set<string> {
    const serving = [...this.#known.values()].filter(
      (clone) => clone.unlistedAt === null && clone.entry.state === 'serving',
    )
    return new Set(serving.map(({ entry }) => entry.buildId))
  }

  #isGone({ entry, unlistedAt, failingSince, absent }: KnownClone, now: number): boolean {
    if (unlistedAt === null) return false
    if (entry.state === 'draining' || absent) return true
    return failingSince !== null && now - failingSince >= this.#forgetMs
  }
}
