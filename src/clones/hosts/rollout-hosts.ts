/**
 * A rollout over several hosts. The clones of the new build run beside the old ones already, started by whoever runs the
 * hosts; here readers are moved to them, all at once or a share at a time, and back if the new build does worse.
 */

import { balancerGroup, cloneGroup, decodeBalancer, decodeClone, memberGroup, type CloneEntry } from './entries.ts'
import { readAdmission } from './admission-record.ts'
import { moveAdmission, type HostsStore } from './move-admission.ts'
import { shortBuildId } from '../build/build-id.ts'
import { watchBuild, type Tolerance } from '../rollout/watch.ts'
import { FourfoldError } from '../../core/errors.ts'
import type { Admission, AdmittedBuild, BuildCounts } from '../protocol.ts'
import type { Store } from '../../store/store.ts'

export interface HostsRollout {
  /** The build's id, or its beginning. */
  readonly build: string
  /** The shares of readers, 0 to 1, in the order in which they are moved; the last is 1. */
  readonly shares: readonly number[]
  readonly holdMs: number
  readonly tolerance: Tolerance
  /** Balancers that are known to be switched off. */
  readonly without: readonly string[]
  /** Warms a clone and looks whether it answers. */
  readonly check: (clone: KnownCloneEntry, signal: AbortSignal) => Promise<void>
}

type RolloutStore = HostsStore & Pick<Store, 'withdraw'>

/** Resolves when the build alone is admitted. @throws FF_ROLLOUT_REFUSED, FF_ROLLOUT_FAILED */
export async function rollOutHosts(
  store: RolloutStore,
  { build, shares, holdMs, tolerance, without, check }: HostsRollout,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await forgetBalancers(store, without)
  const clones = (await servingClones(store)).filter(({ state }) => state === 'serving')
  const id = resolveBuild(clones, build)
  const under = (await readAdmission(store))?.admission
  if (under?.next !== undefined && under.current.id === id) {
    await moveAdmission(store, goBack)
    return say(`the rollout of ${shortBuildId(under.next.id)} was taken back: all readers are on ${shortBuildId(id)}`)
  }
  const fresh = clones.filter(({ buildId }) => buildId === id)
  say(`checking ${fresh.map((clone) => clone.id).join(', ')}`)
  await Promise.all(fresh.map((clone) => check(clone, signal)))
  const all = shares.length === 1 && holdMs === 0
  if (!all) await moveShares(store, id, { shares, holdMs, tolerance }, say, signal)
  signal.throwIfAborted()
  const { current } = await moveAdmission(store, (from) => ({ current: nextOf(from, id), share: 0 }))
  say(
    `all readers are on build ${shortBuildId(id)} (ordinal ${current.ordinal}): clones of other builds may be stopped`,
  )
}

async function moveShares(
  store: RolloutStore,
  id: string,
  { shares, holdMs, tolerance }: Pick<HostsRollout, 'shares' | 'holdMs' | 'tolerance'>,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const count = (): Promise<BuildCounts> => countRequests(store)
  let shown = false
  try {
    for (const share of shares) {
      const { current } = await moveAdmission(store, (from) => {
        const next = nextOf(from, id)
        // Where an earlier command got further, nobody is taken back.
        return { current: from.current, next, share: Math.max(share, from.next === undefined ? 0 : from.share) }
      })
      shown = true
      say(`${Math.round(share * 100)} % of the readers are on build ${shortBuildId(id)}`)
      const watched = { routes: { count }, old: current.id, fresh: id, holdMs, tolerance, signal }
      const seen = await watchBuild(watched)
      say(`${seen.requests} requests, ${seen.errors} of them failed`)
    }
  } catch (error) {
    if (!shown) throw error
    const { current } = await moveAdmission(store, goBack)
    say(`all readers are on build ${shortBuildId(current.id)} again`)
    throw error
  }
}

/** In the order of builds this is a step forward: nobody is taken to a smaller ordinal. */
function goBack({ current, next }: Admission): Admission {
  return { current: next === undefined ? current : { id: current.id, ordinal: next.ordinal + 1 }, share: 0 }
}

function nextOf({ current, next }: Admission, id: string): AdmittedBuild {
  if (next?.id === id) return next
  if (next !== undefined) {
    throw new FourfoldError('FF_ROLLOUT_REFUSED', `a rollout of build ${shortBuildId(next.id)} is under way`)
  }
  if (current.id === id) throw new FourfoldError('FF_ROLLOUT_REFUSED', `build ${shortBuildId(id)} is admitted already`)
  return { id, ordinal: current.ordinal + 1 }
}

export interface KnownCloneEntry extends CloneEntry {
  readonly id: string
}

/** The clones that are registered. */
export async function servingClones(store: Pick<Store, 'readRegistry'>): Promise<KnownCloneEntry[]> {
  const view = await store.readRegistry(cloneGroup)
  return (view?.entries ?? []).flatMap(({ id, value }) => {
    const entry = decodeClone(value)
    return entry === null ? [] : [{ id, ...entry }]
  })
}

function resolveBuild(clones: readonly KnownCloneEntry[], text: string): string {
  const ids = [...new Set(clones.map(({ buildId }) => buildId))]
  const found = ids.filter((id) => text !== '' && id.startsWith(text))
  if (found.length === 1 && found[0] !== undefined) return found[0]
  const known = ids.length === 0 ? 'none' : ids.map(shortBuildId).join(', ')
  const message = `expected the id, or its beginning, of a build that clones of some host run; got ${JSON.stringify(text)}, and there are: ${known}`
  throw new FourfoldError('FF_ROLLOUT_REFUSED', message)
}

/** What all living balancers have seen of each build. */
async function countRequests(store: Pick<Store, 'readRegistry'>): Promise<BuildCounts> {
  const view = await store.readRegistry(balancerGroup)
  const sum: Record<string, { requests: number; errors: number }> = {}
  for (const { value } of view?.entries ?? []) {
    for (const [id, { requests, errors }] of Object.entries(decodeBalancer(value)?.counts ?? {})) {
      const so = (sum[id] ??= { requests: 0, errors: 0 })
      so.requests += requests
      so.errors += errors
    }
  }
  return sum
}

async function forgetBalancers(store: RolloutStore, ids: readonly string[]): Promise<void> {
  for (const group of [balancerGroup, memberGroup]) {
    const view = await store.readRegistry(group)
    const entries = (view?.entries ?? []).filter(({ id }) => ids.includes(id))
    for (const { id, fence } of entries) await store.withdraw({ group, id, fence })
  }
}
