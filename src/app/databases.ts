/** The databases of an opened app: routing, what is known of their changes, and the recording of what fills read. */

import { ChangeFollower } from '../freshness/changes/follower.ts'
import { Cluster } from '../database/cluster.ts'
import { RecordedReads } from '../database/recorded-reads.ts'
import { loadClassifier } from '../engines/postgres/classify.ts'
import { loadReadAnalyser } from '../engines/postgres/reads/plan.ts'

import type { ResolvedConfig, ResolvedDatabase } from './config.ts'
import type { Connections } from './connections.ts'
import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'

export interface OpenDatabasesOptions {
  readonly config: ResolvedConfig
  readonly connections: Connections
  readonly store: Store
  readonly log: Logger
  /** Filled with what closes them again. */
  readonly closers: (() => Promise<unknown> | void)[]
}

export interface OpenedDatabases {
  readonly clusters: Readonly<Record<string, Cluster>>
  readonly reads: ReadonlyMap<string, RecordedReads>
}

export async function openDatabases(options: OpenDatabasesOptions): Promise<OpenedDatabases> {
  const [clusters, analyser] = await Promise.all([openClusters(options), loadReadAnalyser()])
  const reads = new Map(
    Object.entries(clusters).map(([name, cluster]) => [name, new RecordedReads(cluster, analyser, options.log)]),
  )
  return { clusters, reads }
}

/** The databases alone, for a process that wants to know how far their changes have come. */
export async function openClusters(options: OpenDatabasesOptions): Promise<Readonly<Record<string, Cluster>>> {
  const { config, connections, store, log, closers } = options
  const classifier = await loadClassifier()
  const clusters: Record<string, Cluster> = {}
  for (const [name, { primary, replicas, poolSize, changes: followed }] of Object.entries(connections.databases)) {
    const { level, replicaWaitMs, maxStalenessMs, statementTimeoutMs, connectTimeoutMs, onPrimaryDown } = settingsOf(
      config,
      name,
    )
    const rules = { level, replicaWaitMs, maxStalenessMs, statementTimeoutMs, connectTimeoutMs, onPrimaryDown }
    const changes = followed === true ? new ChangeFollower({ database: name, store, log }) : null
    const cluster = new Cluster({ name, primary, replicas, poolSize, classifier, store, log, changes, ...rules })
    clusters[name] = cluster
    closers.push(async () => {
      await changes?.stop()
      await cluster.close()
    })
    changes?.start()
    await cluster.start()
  }
  return clusters
}

/** What the configuration says of a database that is known to it. */
export function settingsOf(config: ResolvedConfig, name: string): ResolvedDatabase {
  const settings = config.databases[name]
  if (settings === undefined) throw new Error(`expected the configuration to know the database ${name}`)
  return settings
}
