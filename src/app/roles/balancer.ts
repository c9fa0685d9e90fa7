/**
 * A host that runs a balancer and nothing else: `fourfold start --role balancer`. It opens no database and runs nothing
 * of the app but what says how it is configured; its clones are those that the store knows.
 */

import { join } from 'node:path'

import { closeAll, readHostName, requireHostSettings, storeOf, superviseHost, takeHost, type Closer } from './host.ts'
import { requireFreePort } from '../free-port.ts'
import { balancerGroup } from '../groups.ts'
import { credentialKeys } from '../../clones/hosts/credential.ts'
import { formatAddress } from '../../clones/protocol.ts'

import type { ResolvedConfig } from '../config.ts'
import type { HostsBalancerSettings } from '../hosts-balancer.ts'
import type { StartOptions } from '../start.ts'
import type { GroupOptions, Supervisor } from '../../clones/supervisor.ts'

export interface BalancerHost {
  readonly url: string
  readonly host: string
  readonly supervisor: Supervisor
  /** May be called twice. */
  stop(): Promise<void>
}

type BalancerHostOptions = Pick<StartOptions, 'config' | 'log' | 'signal'>

/** Its last requests are answered by then; it says that it is gone, for which it has so long. */
const lastWordsMs = 1500

/** Resolves when it listens; requests wait until it knows a clone. @throws FF_CONFIG_INVALID, FF_BALANCER_LISTEN, FF_ENGINE_OWNED */
export async function startBalancerHost(options: BalancerHostOptions): Promise<BalancerHost> {
  const { config, log, signal } = options
  requireHostSettings(config, 'balancer')
  const closers: Closer[] = []
  let stopping: Promise<void> | null = null
  const stop = (): Promise<void> => (stopping ??= closeAll(closers, log))
  try {
    await requireFreePort(config.balancer)
    const systemFile = await takeHost(config.dataDir, log, closers)
    const host = await readHostName(config.dataDir)
    signal?.throwIfAborted()
    const supervisor = superviseHost(log, systemFile)
    closers.push(() => supervisor.stop())
    let { port } = config.balancer
    await supervisor.run(followingGroup(config, host, () => port))
    const address = supervisor.members('balancer')[0]?.address
    if (address === undefined || !('port' in address)) throw new Error('expected the balancer to say where it listens')
    port = address.port
    const url = `${config.balancer.tls.cert === undefined ? 'http' : 'https'}://${formatAddress(address)}`
    const connections = { databases: {}, storeUrl: '' }
    systemFile.publish({ url, connections })
    closers.push(() => systemFile.publish(null))
    signal?.throwIfAborted()
    return { url, host, supervisor, stop }
  } catch (error) {
    await stop()
    throw signal?.aborted === true ? signal.reason : error
  }
}

function followingGroup(config: ResolvedConfig, host: string, port: () => number): GroupOptions {
  const group = balancerGroup(config, port)
  const hosts: HostsBalancerSettings = {
    store: storeOf(config),
    id: `${host}/balancer`,
    host,
    keys: credentialKeys(config.sessions.secrets ?? []),
    memoryPath: join(config.dataDir, 'admission.json'),
  }
  return {
    ...group,
    spec: (index) => {
      const spec = group.spec(index)
      const settings = { ...(spec.settings as object), hosts }
      return { ...spec, settings, graceMs: config.clones.graceMs + lastWordsMs }
    },
  }
}
