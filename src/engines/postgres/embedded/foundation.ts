/** What a cluster's servers stand on: the place, the binaries, the settings, and data directories fit to be started. */

import type { Logger } from '../../../core/log.ts'
import type { PostgresAddress } from '../address.ts'
import { findAccount } from './account.ts'
import { type Binaries, prepareBinaries } from './binaries.ts'
import { socketAddress } from './connection.ts'
import * as data from './data.ts'
import { clearLeftovers } from './leftovers.ts'
import { listData, makePlace } from './place.ts'
import { createServer, type Server } from './server.ts'
import {
  type ClusterSettings,
  portOf,
  primaryName,
  replicaName,
  serverArguments,
  standbyArguments,
} from './settings.ts'

export interface EmbeddedClusterOptions {
  /** Everything is kept here. Made where there is none. */
  readonly directory: string
  /** How many standbys; they may become more or fewer from one start to the next. */
  readonly replicas: number
  /** The database that is made, if it is not there. */
  readonly database: string
  readonly log: Logger
  /** Of each server, at least: a directory keeps the largest it ever had. Default 100. */
  readonly maxConnections?: number
  /** Default `logical`. */
  readonly walLevel?: 'replica' | 'logical'
  /** More of PostgreSQL's settings, for every server: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether a standby that can never catch up again (promoted, its log gone) is made anew by itself. Default true. */
  readonly healStandbys?: boolean
  /** How long a standby may be awake without receiving before it is made anew. Default 10,000. */
  readonly standbyPatienceMs?: number
}

export interface Foundation extends data.DataSource {
  readonly binaries: Binaries
  readonly settings: ClusterSettings
  readonly options: EmbeddedClusterOptions
  /** On the database that every cluster has. */
  readonly upkeep: PostgresAddress
}

/** Everything before the first server runs. */
export async function layFoundation(options: EmbeddedClusterOptions): Promise<Foundation> {
  const account = await findAccount()
  const place = await makePlace(options.directory, account)
  const binaries = await prepareBinaries(place.root, account)
  const settings: ClusterSettings = {
    maxConnections: await data.keepLargest(options.maxConnections ?? 100, { place, account }),
    walLevel: options.walLevel ?? 'logical',
    settings: options.settings ?? {},
  }
  const base: Foundation = {
    account,
    place,
    binaries,
    settings,
    options,
    upkeep: socketAddress(place.sockets, portOf(primaryName), 'postgres'),
  }
  await data.clearUnfinished(base)
  const existing = await listData(place)
  await Promise.all(existing.map((name) => clearLeftovers(place.data(name), place.socket(name))))
  if (!existing.includes(primaryName)) await makeFirstData(base, existing)
  return base
}

/** An empty cluster is copied for its standbys before anything runs, which is the fastest way there is. */
async function makeFirstData(base: Foundation, existing: readonly string[]): Promise<void> {
  await Promise.all(existing.map((name) => data.removeData(name, base)))
  await data.initialisePrimary(base.binaries.initdb, base.settings, base)
  const copies = Array.from({ length: base.options.replicas }, (_, index) => data.copyAtRest(replicaName(index), base))
  await Promise.all(copies)
}

/** A server of the cluster, not yet started. */
export function defineServer(name: string, base: Foundation): Server {
  const { place, settings, account, binaries } = base
  const standby = name === primaryName ? [] : standbyArguments(name, place.sockets)
  return createServer({
    name,
    log: base.options.log,
    launch: {
      postgres: binaries.postgres,
      arguments: [...serverArguments(place.data(name), place.sockets, portOf(name), settings), ...standby],
      data: place.data(name),
      socket: place.socket(name),
      log: place.log(name),
      account,
    },
    repair: name === primaryName ? undefined : () => makeStandby(name, base),
  })
}

/** Copies the running primary for a standby that is stopped. */
export async function makeStandby(name: string, base: Foundation): Promise<void> {
  await clearLeftovers(base.place.data(name), base.place.socket(name))
  await data.ensureSlot(name, base.upkeep, true)
  await data.copyOnline(name, base.upkeep, base)
}
