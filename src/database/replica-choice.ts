/** Which replica may answer a read, and on which of its connections: the rules are in `cluster.ts`. */

import type { ClusterCounts } from './cluster-options.ts'
import type { PositionMonitor } from './position-monitor.ts'
import type { Replica } from './replica.ts'
import type { ReplayPosition } from '../engines/position.ts'
import type { Eligible, ReplicaConnection } from '../engines/postgres/replica-connections.ts'
import type { Requirement } from '../freshness/token-store.ts'

/** What a read needs of a replica: a position, nothing beyond its age, or no replica at all. */
export type Needed = Requirement | 'any' | 'primary'

export interface ReplicaChoiceParts {
  readonly replicas: readonly Replica[]
  readonly monitor: PositionMonitor
  readonly counts: Pick<ClusterCounts, 'replicaTooOld' | 'servedWhilePrimaryDown'>
  readonly onPrimaryDown: 'serve' | 'refuse'
  /** Somebody waits for a replica. */
  readonly onWait: () => void
}

export class ReplicaChoice {
  readonly #parts: ReplicaChoiceParts

  constructor(parts: ReplicaChoiceParts) {
    this.#parts = parts
  }

  /** The replica to ask, or null: the primary must answer. */
  candidate(needed: Needed): Replica | null {
    if (needed === 'any') return this.#choose(0)
    return needed === 'primary' || needed.kind === 'primary' ? null : this.#choose(needed.position.lsn)
  }

  /** Brings the replica's connection that meets the need, or null. Whoever gets one is in flight until it is given back. */
  acquire(replica: Replica, needed: Needed, then: (connection: ReplicaConnection | null) => void): void {
    const position = typeof needed === 'object' && needed.kind === 'position' ? needed.position : null
    const eligible: Eligible = (replay) => {
      if (replay.epoch !== this.#parts.monitor.epoch) return false
      if (position !== null && (position.epoch !== replay.epoch || replay.lsn < position.lsn)) return false
      return this.#youngEnough(replay)
    }
    replica.inFlight += 1
    replica.acquire(eligible, this.#parts.onWait, (connection) => {
      if (connection === null) {
        replica.inFlight -= 1
        this.#parts.counts.replicaTooOld += 1
      }
      then(connection)
    })
  }

  /** Of the replicas that are up: one that has been seen far enough, else the one seen furthest; the least busy of equals. */
  #choose(lsn: number): Replica | null {
    let best: Replica | null = null
    let bestRank = Infinity
    for (const replica of this.#parts.replicas) {
      if (!replica.up) continue
      const rank = this.#parts.replicas.length === 1 ? 0 : rankOf(replica, lsn)
      if (best !== null && rank >= bestRank) continue
      best = replica
      bestRank = rank
    }
    return best
  }

  #youngEnough(replay: ReplayPosition): boolean {
    const least = this.#parts.monitor.youngEnough()
    if (least !== null) return replay.lsn >= least
    if (!this.#parts.monitor.primaryDown || this.#parts.onPrimaryDown === 'refuse') return false
    this.#parts.counts.servedWhilePrimaryDown += 1
    return true
  }
}

/** Who has been seen far enough comes before who has not; of equals the less busy, and by chance among those. */
function rankOf(replica: Replica, lsn: number): number {
  const reached = (replica.newest?.lsn ?? 0) >= lsn
  return (reached ? 0 : 1_000_000) + replica.inFlight + Math.random()
}
