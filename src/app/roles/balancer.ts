/**
 * A host that runs a balancer and nothing else: `fourfold start --role balancer`. It runs nothing of the app but what says
 * how it is configured; its clones are those that the store knows. Where the app has pages, it asks the databases for their
 * positions and nothing else.
 */

import { join } from 'node:path'

import { closeAll, readHostName, requireHostSettings, storeOf, superviseHost, takeHost, type Closer } from './host.ts'
import { requireFreePort } from '../free-port.ts'
import { balancerGroup } from '../groups.ts'
import { pageFrontSettings, type PageFrontSettings } from '../page-front.ts'
import { givenStoreUrl } from '../store-address.ts'
import { credentialKeys } from '../../clones/hosts/credential.ts'
import { formatAddress } from '../../clones/protocol.ts'
import { addressFromUrl, type PostgresTls } from '../../engines/postgres/address.ts'

import type { ResolvedConfig } from '../config.ts'
import type { DatabaseConnections } from '../connections.ts'
import type { App } from '../define-app.ts'
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

type BalancerHostOptions = Pick<StartOptions, 'config' | 'log' | 'signal'> & Partial<Pick<StartOptions, 'app'>>

/** Its last requests are answered by then; it says that it is gone, for which it has so long. */
const lastWordsMs = 1500

/** Resolves when it listens; requests wait until it knows a clone. @throws FF_CONFIG_INVALID, FF_BALANCER_LISTEN, FF_ENGINE_OWNED */
export async function startBalancerHost(options: BalancerHostOptions): Promise<BalancerHost> {
  const { app, config, log, signal } = options
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
    await supervisor.run(followingGroup(config, host, () => port, pagesOf(app, config)))
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

/** Pages are answered here where the databases' addresses are known, by settings: nothing of the databases is prepared. */
function pagesOf(app: App | undefined, config: ResolvedConfig): PageFrontSettings | null {
  const databases = Object.entries(config.databases)
  if (app === undefined || databases.some(([, { url }]) => url === undefined)) return null
  const found = databases.map(([name, { url = '', tls, changeStream }]): [string, DatabaseConnections] => {
    const primary = addressFromUrl(url, tls as boolean | PostgresTls | undefined, `databases.${name}`)
    // Where the server does not allow it, no tracker says anything, and clones answer.
    return [name, { primary, direct: primary, replicas: [], poolSize: 1, changes: changeStream !== 'off' }]
  })
  const connections = { databases: Object.fromEntries(found), storeUrl: givenStoreUrl(config) ?? '' }
  return pageFrontSettings(app, config, connections, config.sessions.secrets ?? [])
}

function followingGroup(
  config: ResolvedConfig,
  host: string,
  port: () => number,
  pages: PageFrontSettings | null,
): GroupOptions {
  const group = balancerGroup(config, port, pages)
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
