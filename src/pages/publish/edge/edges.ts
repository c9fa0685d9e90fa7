/** The edges of an app: one purger for each address that purges go to, so that none waits for another. */

import { keysAtOnce as defaultKeysAtOnce, purgeRequest, sendPurge, type EdgeSettings } from './purge-requests.ts'
import { Purger, type PurgerOptions } from './purger.ts'

import type { PublishingEdge } from '../places.ts'

export interface EdgeOptions extends EdgeSettings, Omit<PurgerOptions, 'send' | 'keysAtOnce'> {
  /** The most keys in one request. Default: what this kind of edge takes. */
  readonly keysAtOnce?: number | undefined
  /** Default: 5,000. */
  readonly timeoutMs?: number
}

export function createEdges(options: EdgeOptions): PublishingEdge[] {
  const { kind, urls, keysAtOnce = defaultKeysAtOnce[kind], timeoutMs = 5_000 } = options
  return urls.map((url) => {
    const send = (keys: readonly string[]): Promise<void> =>
      sendPurge(kind, purgeRequest(options, url, keys), timeoutMs)
    return { id: `edge:${nameOf(url)}`, purger: new Purger({ ...options, keysAtOnce, send }) }
  })
}

/** Without its password: it stands in the store. */
function nameOf(address: string): string {
  const { host, pathname } = new URL(address)
  return host + pathname
}
