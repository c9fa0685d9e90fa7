/** What one database is to its cluster, and what the cluster counts. */

import type { Logger } from '../core/log.ts'
import type { PostgresAddress } from '../engines/postgres/address.ts'
import type { Classifier } from '../engines/postgres/classify.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { Level } from '../freshness/level.ts'
import type { Store } from '../store/store.ts'

export interface ClusterOptions {
  readonly name: string
  readonly primary: PostgresAddress
  readonly replicas: readonly { readonly name: string; readonly address: PostgresAddress }[]
  readonly classifier: Classifier
  readonly store: Store
  readonly poolSize: number
  readonly replicaWaitMs: number
  readonly maxStalenessMs: number
  readonly statementTimeoutMs: number
  readonly connectTimeoutMs: number
  /** The level of reads whose scope names none. */
  readonly level: Level
  readonly onPrimaryDown: 'serve' | 'refuse'
  readonly log: Logger
  readonly nowMs?: () => number
  /** What this process knows of the database's changes. Absent: nothing is cached. */
  readonly changes?: ChangeFollower | null
}

/** Counts since the process began. */
export interface ClusterCounts {
  replicaReads: number
  primaryReads: number
  /** Commits that wrote. */
  primaryWrites: number
  /** Reads that waited for a replica in vain and went to the primary. */
  replicaTooOld: number
  /** Reads that failed on a replica and were answered by the primary. */
  replicaFaults: number
  /** Reads answered by a replica whose age is unknown, because the primary is down. */
  servedWhilePrimaryDown: number
}
