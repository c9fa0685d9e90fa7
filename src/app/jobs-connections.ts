/** Connections of workers' own to the database that keeps the jobs, beside those that handlers use and may use up. */

import type { ResolvedConfig } from './config.ts'

/** Of each worker: for claims, heartbeats and what is said of jobs. */
export const poolOfWorker: number = 3

/** Of each worker: the pool, and one that listens. */
const connectionsOfWorker = poolOfWorker + 1

/** Of each thread, to each database: its pool, and one aside for positions. */
export const connectionsOfThread: number = 3

/** In all, to one database. */
export function jobsConnections({ queue, databases, workers }: ResolvedConfig, name: string): number {
  const keeps = (queue.database ?? Object.keys(databases)[0]) === name
  const ofThreads = workers.threads * connectionsOfThread
  return (workers.count ?? 1) * ((keeps ? connectionsOfWorker : 0) + ofThreads)
}
