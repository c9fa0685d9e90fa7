/**
 * The cache against `bentocache` 1.6, `cache-manager` 7.2 and no cache at all, on the same PostgreSQL and the same Redis.
 *
 * Figures of speed are CPU time of this process (user and system) for each look-up, as one clone spends it: database,
 * Redis and tracker run in processes of their own. Contenders take turns within each round.
 *
 * - `fourfold`: one reader at `session`, as in a request that goes on: the token is read once a second. `in Redis` has
 *   `cache.memory` at 0.
 * - `bentocache`: memory (`maxItems: 100,000`), Redis by ioredis, and its Redis bus; `in Redis` without memory and bus.
 *   `by reference`: memory with `serialize: false`, its fastest, which hands the same value to everybody.
 * - `cache-manager`: `wrap` over Keyv in memory (not serialised, as the store that it makes itself) and `@keyv/redis` 5.
 *   It has no bus: entries of other processes stay until their time is over, or are never in memory (`Redis alone`).
 * - Time to live 10 minutes for both; they need one.
 *
 * `--quick` for a few rounds; `--only=speed`, `cold`, `bytes`, `stale` or `tracking` for a part, which writes no results.
 */

import { tmpdir } from 'node:os'

import { measureBytes, measureCold } from './support/cache-cold.ts'
import { startCacheGround } from './support/cache-ground.ts'
import { measureSpeeds } from './support/cache-speed.ts'
import { measureStale } from './support/cache-stale.ts'
import { measureTracking } from './support/cache-tracking.ts'
import { createReport, type Report } from './support/report.ts'

const quick = process.argv.includes('--quick')
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length)

const ground = await startCacheGround()
const report = createReport({ name: 'cache', ...(only === undefined ? {} : { directory: tmpdir() }) })
const parts: Readonly<Record<string, (into: Report) => Promise<void>>> = {
  speed: (into) => measureSpeeds(ground, into, quick),
  cold: (into) => measureCold(ground, into, quick ? 2 : 5),
  bytes: (into) => measureBytes(ground, into, quick ? 3_000 : 20_000),
  stale: (into) => measureStale(ground, into, quick ? 2_000 : 8_000),
  tracking: (into) => measureTracking(ground, into, quick),
}
let met = false
try {
  for (const [name, measure] of Object.entries(parts)) if (only === undefined || only === name) await measure(report)
  met = report.finish()
} finally {
  await ground.stop()
}
process.exitCode = met ? 0 : 1
