/** Who takes part, by name. A process of its own finds its contender here too. */

import { bullPostgresQueue, bullRedisQueue } from './jobs-bullmq.ts'
import { fourfoldQueue } from './jobs-fourfold.ts'
import { graphileQueue } from './jobs-graphile.ts'
import { pgBossQueue } from './jobs-pg-boss.ts'

import type { Queue } from './jobs-queue.ts'

export const ours = 'fourfold'
export const unbatched = 'graphile-worker'
export const batched = 'graphile-worker, batched'
export const pgBoss = 'pg-boss'
export const onRedis = 'bullmq, Redis'
export const onPostgres = 'bullmq, PostgreSQL'

export const queues: Readonly<Record<string, Queue>> = {
  [ours]: fourfoldQueue,
  [unbatched]: graphileQueue('unbatched'),
  [batched]: graphileQueue('batched'),
  [pgBoss]: pgBossQueue,
  [onRedis]: bullRedisQueue,
  [onPostgres]: bullPostgresQueue,
}

export const sqlPeers: readonly string[] = Object.keys(queues).filter((name) => name !== ours && name !== onRedis)
