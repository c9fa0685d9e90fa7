/** One bake: what was changed must be visible, then the entry is loaded, or found where somebody else has loaded it. */

import { isFourfoldError } from '../../core/errors.ts'
import { noPages } from '../pages.ts'

import type { Clusters } from '../../cache/checks.ts'
import type { CacheCore } from '../../cache/core.ts'
import type { PageSource } from '../page-source.ts'
import type { Baked } from './bakes.ts'
import type { Holdings } from './holdings.ts'
import type { Item } from './items.ts'
import type { KnownScope } from './known-scope.ts'

export interface BakeParts {
  readonly core: CacheCore
  readonly clusters: Clusters
  readonly scope: KnownScope
  readonly holdings: Holdings
}

/** How long a bake waits until a change can be seen that has been told already. */
const visibleWaitMs = 100
/** What ends by the clock is baked before, by a few of its load's lengths. */
const earlyLoads = 3
const earlyMs = 200
/** What no ttl ends and ends so soon was read before its table's rows could be told apart. */
const coarseMs = 3_000

/**
 * An address that has become one of the app's own is no page any more: what it was is not kept for it.
 *
 * @param anew loads it although it is not over
 */
export async function bakeItem(item: Item, anew: boolean, parts: BakeParts): Promise<Baked> {
  try {
    return await bake(item, anew, parts)
  } catch (error) {
    const { ofRoute = false } = item.source as Partial<PageSource>
    if (ofRoute && isFourfoldError(error) && noPages.has(error.code)) parts.holdings.end(item)
    throw error
  }
}

async function bake(item: Item, anew: boolean, { core, clusters, scope, holdings }: BakeParts): Promise<Baked> {
  const { source, key, id } = item
  await untilVisible(clusters)
  const { entry, from } = anew
    ? await core.lookups.anew(source, key, id, scope)
    : await core.lookups.find(source, key, id, scope, null)
  if (entry === null) return { outcome: 'unkept', coarse: false, endsAtMs: Infinity }
  const nowMs = Date.now()
  const coarse = source.ttlMs === null && entry.expiresAtMs - nowMs < coarseMs
  await holdings.adopt(item, entry, from === 'load')
  const endsInMs = entry.expiresAtMs - nowMs - Math.max(earlyMs, earlyLoads * entry.loadMs)
  // What nobody lists is left to whoever asks for it again.
  const endsAtMs = item.place === null ? Infinity : performance.now() + Math.max(endsInMs, earlyMs)
  return { outcome: from === 'load' ? 'baked' : 'found', coarse, endsAtMs }
}

/** What was changed must be visible first: until then a load cannot be kept. */
async function untilVisible(clusters: Clusters): Promise<void> {
  for (const { changes } of clusters.values()) {
    const epoch = changes?.epoch ?? null
    if (epoch !== null) await changes!.waitFor({ epoch, lsn: changes!.watermark }, visibleWaitMs, 'visible')
  }
}
