/** What commands about all hosts do: they need the store and nothing that runs on their own host. */

import { requireHostSettings, storeOf } from './host.ts'
import { checkClone } from '../check-clone.ts'
import { readAdmission, type VersionedAdmission } from '../../clones/hosts/admission-record.ts'
import { credentialFor, credentialHeader, credentialKeys } from '../../clones/hosts/credential.ts'
import { balancerGroup, decodeBalancer, memberGroup, type BalancerEntry } from '../../clones/hosts/entries.ts'
import {
  rollOutHosts,
  servingClones,
  type HostsRollout,
  type KnownCloneEntry,
} from '../../clones/hosts/rollout-hosts.ts'
import { connectStore } from '../../store/connect.ts'

import type { ResolvedConfig } from '../config.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'

/** Admits a build on all hosts. @throws FF_CONFIG_INVALID, FF_ROLLOUT_REFUSED, FF_ROLLOUT_FAILED */
export async function admitBuild(
  config: ResolvedConfig,
  log: Logger,
  rollout: Omit<HostsRollout, 'check'>,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const keys = credentialKeys(config.sessions.secrets ?? [])
  const check: HostsRollout['check'] = (clone, calledOff) =>
    checkClone(clone, config.rollout, calledOff, { [credentialHeader]: credentialFor(keys, clone.id) })
  await withStore(config, log, (store) => rollOutHosts(store, { ...rollout, check }, say, signal))
}

export interface HostsOverview {
  readonly admission: VersionedAdmission | null
  readonly clones: readonly KnownCloneEntry[]
  /** `entry` is null for one that was not stopped in order and is not heard of. */
  readonly balancers: readonly { readonly id: string; readonly entry: BalancerEntry | null }[]
}

/** What the store knows of all hosts. @throws FF_CONFIG_INVALID, FF_STORE_UNAVAILABLE */
export async function describeHosts(config: ResolvedConfig, log: Logger): Promise<HostsOverview> {
  return await withStore(config, log, async (store) => {
    const [record, clones, living, members] = await Promise.all([
      readAdmission(store),
      servingClones(store),
      store.readRegistry(balancerGroup),
      store.readRegistry(memberGroup),
    ])
    const entries = new Map(living?.entries.map(({ id, value }) => [id, decodeBalancer(value)] as const))
    const ids = new Set([...entries.keys(), ...(members?.entries ?? []).map(({ id }) => id)])
    const balancers = [...ids].toSorted().map((id) => ({ id, entry: entries.get(id) ?? null }))
    const admission = record === null ? null : { version: record.version, admission: record.admission }
    return { admission, clones: clones.toSorted((a, b) => (a.id < b.id ? -1 : 1)), balancers }
  })
}

/** A person waits, and no request. */
const commandDeadlineMs = 5000

async function withStore<T>(config: ResolvedConfig, log: Logger, work: (store: Store) => Promise<T>): Promise<T> {
  requireHostSettings(config, 'balancer')
  const store = await connectStore({ ...storeOf(config), deadlineMs: commandDeadlineMs, log })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
