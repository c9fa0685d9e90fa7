/** What a balancer process follows where the clones are on other hosts. */

import { openAdmissionMemory } from '../clones/hosts/admission-record.ts'
import { followHosts, type FollowedBalancer, type Follower } from '../clones/hosts/follower.ts'
import { connectStore, type ConnectStoreOptions } from '../store/connect.ts'

import type { Logger } from '../core/log.ts'

/** Plain data, handed to the balancer's process. */
export interface HostsBalancerSettings {
  readonly store: Pick<ConnectStoreOptions, 'url' | 'address' | 'deadlineMs'>
  readonly id: string
  readonly host: string
  readonly keys: readonly string[]
  /** The file in which it remembers which build it let in. */
  readonly memoryPath: string
}

export async function followFrom(
  settings: HostsBalancerSettings,
  balancer: FollowedBalancer,
  log: Logger,
): Promise<Follower> {
  const { id, host, keys, memoryPath } = settings
  const store = await connectStore({ ...settings.store, log })
  const follower = followHosts({ store, balancer, id, host, keys, log, memory: openAdmissionMemory(memoryPath) })
  return {
    stop: async () => {
      await follower.stop()
      await store.close()
    },
  }
}
