/** What `fourfold bake` asks of the workers that live, through the store. */

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { FourfoldError } from '../core/errors.ts'
import { giveOrder, readProgress, type Order, type OrderProgress } from '../pages/baker/orders.ts'
import { readBakedBuilds, readBakingStatus, type BakingStatus } from '../pages/baker/status.ts'
import { connectStore } from '../store/connect.ts'
import { requireHostSettings, storeOf } from './roles/host.ts'
import { connectAppStore } from './store-address.ts'
import { readSystemNote } from './system-file.ts'

import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'
import type { ResolvedConfig } from './config.ts'

export interface BakeRequest {
  readonly kind: 'over' | 'all' | 'one'
  /** The address, for `one`. */
  readonly path?: string
}

export interface BakeResult extends Pick<OrderProgress, 'baked' | 'failed' | 'errors'> {
  /** What workers say of themselves afterwards. */
  readonly status: BakingStatus
}

export interface OrderBakesOptions {
  readonly config: ResolvedConfig
  readonly request: BakeRequest
  /** @param fraction 0 to 1 */
  readonly onProgress: (fraction: number, what: string) => void
  readonly log: Logger
}

const pollMs = 150
/** Long enough for workers that start again, or whose buckets others take over. */
const withoutWorkersMs = 20_000

/**
 * Orders and waits until it is carried out.
 *
 * @throws FF_PAGE_WORKERS where no worker lives, FF_CONFIG_INVALID where the store cannot be known
 */
export async function orderBakes({ config, request, onProgress, log }: OrderBakesOptions): Promise<BakeResult> {
  const store = await connectRunning(config, log)
  try {
    const builds = await readBakedBuilds(store)
    if (builds.length === 0) throw noWorkers('no worker runs: start the system, with an app that has pages to bake')
    const order: Order = { id: randomBytes(9).toString('base64url'), ...request }
    // In a rollout there are two.
    for (const build of builds) await giveOrder(store, build, order)
    const ended = await Promise.all(builds.map((build) => waitForEnd(store, build, order, onProgress)))
    const status = await readBakingStatus(store, null)
    const sum = (count: (progress: OrderProgress) => number): number =>
      ended.reduce((total, one) => total + count(one), 0)
    return {
      baked: sum(({ baked }) => baked),
      failed: sum(({ failed }) => failed),
      errors: ended.flatMap(({ errors }) => errors),
      status,
    }
  } finally {
    await store.close()
  }
}

async function waitForEnd(
  store: Store,
  build: string,
  order: Order,
  onProgress: OrderBakesOptions['onProgress'],
): Promise<OrderProgress> {
  for (let aliveMs = performance.now(); ; await pause(pollMs)) {
    const progress = await readProgress(store, build, order)
    if (progress === null) throw noWorkers('the store has lost the order: give it again')
    const { done, fraction, baked, failed } = progress
    onProgress(fraction, `${baked} baked${failed === 0 ? '' : `, ${failed} failed`}`)
    if (done) return progress
    const nowMs = performance.now()
    if ((await readBakedBuilds(store)).includes(build)) aliveMs = nowMs
    else if (nowMs - aliveMs > withoutWorkersMs) throw noWorkers('the workers have ended before all was baked')
  }
}

/** The store of the system on this data directory; or of several hosts, which the configuration names. */
async function connectRunning(config: ResolvedConfig, log: Logger): Promise<Store> {
  const { deadlineMs } = config.store
  const note = await readSystemNote(config.dataDir)
  if (note !== null) return await connectAppStore(note.connections, { deadlineMs, log })
  if (config.store.url === undefined && config.store.database === undefined) {
    throw noWorkers(`nothing runs on ${config.dataDir}: start the system first`)
  }
  requireHostSettings(config, 'balancer')
  return await connectStore({ ...storeOf(config), log })
}

function noWorkers(message: string): FourfoldError {
  return new FourfoldError('FF_PAGE_WORKERS', message)
}
