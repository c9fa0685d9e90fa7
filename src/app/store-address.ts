/**
 * Where an app's store is, as one text that travels to its processes: the address of a server, or the name of one of
 * the app's databases, whose address they have already.
 */

import type { Logger } from '../core/log.ts'
import { addressFromUrl, type PostgresAddress } from '../engines/postgres/address.ts'
import { connectStore } from '../store/connect.ts'
import { connectionsPerProcess } from '../store/sql/budget.ts'
import type { Store } from '../store/store.ts'
import type { ResolvedConfig } from './config.ts'
import type { Connections } from './connections.ts'

const databaseScheme = 'database:'

/** Where the store is that Fourfold does not start; undefined where it is to start one. */
export function givenStoreUrl({ store }: Pick<ResolvedConfig, 'store'>): string | undefined {
  return store.database === undefined ? store.url : `${databaseScheme}${store.database}`
}

/** Connects to the store of an app, wherever it is. */
export async function connectAppStore(
  { storeUrl, databases }: Connections,
  options: { readonly deadlineMs: number; readonly log: Logger },
): Promise<Store> {
  const address = storeUrl.startsWith(databaseScheme)
    ? databases[storeUrl.slice(databaseScheme.length)]?.primary
    : undefined
  return connectStore({ url: storeUrl, ...(address === undefined ? {} : { address }), ...options })
}

/** How many connections the store takes of this database's server, in each process. One that is embedded has no address yet, and no other address leads to it. */
export function storeConnections(
  { store }: Pick<ResolvedConfig, 'store'>,
  name: string,
  address?: PostgresAddress,
): number {
  if (store.database !== undefined) return store.database === name ? connectionsPerProcess : 0
  if (address === undefined || store.url === undefined || !store.url.startsWith('postgres')) return 0
  const other = addressFromUrl(store.url, undefined, 'store.url')
  return other.host === address.host && other.port === address.port ? connectionsPerProcess : 0
}

/** Where the tier of the cache is. Unless it is given: the store's own server where it can keep entries. An app that keeps everything in its database has none. */
export function tierUrl({ cache }: Pick<ResolvedConfig, 'cache'>, { storeUrl }: Pick<Connections, 'storeUrl'>): string {
  if (cache.tierUrl !== undefined) return cache.tierUrl
  return /^(?:unix:|rediss?:)/.test(storeUrl) ? storeUrl : 'none'
}
