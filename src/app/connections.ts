/**
 * Where an app's databases are: addresses found or servers started, migrated, and ready for traffic. The result is
 * plain JSON; with it an app opens in any process without starting anything.
 */

import { isAbsolute, join } from 'node:path'

import { addressFromUrl, type PostgresAddress, type PostgresTls } from '../engines/postgres/address.ts'
import { prepareDatabase } from '../engines/postgres/prepare.ts'
import { findMissing } from '../engines/postgres/changes/allowed.ts'
import { FourfoldError } from '../core/errors.ts'
import { choosePoolSize } from '../engines/postgres/pool-size.ts'

import { createPreparation } from '../store/sql/preparation.ts'
import { jobsConnections } from './jobs-connections.ts'
import { storeConnections } from './store-address.ts'

import type { EmbeddedCluster } from '../engines/postgres/embedded/cluster.ts'
import type { ResolvedConfig, ResolvedDatabase } from './config.ts'
import type { Logger } from '../core/log.ts'

export interface DatabaseConnections {
  readonly primary: PostgresAddress
  /** The primary past a transaction pooler: for migrations. */
  readonly direct: PostgresAddress
  readonly replicas: readonly { readonly name: string; readonly address: PostgresAddress }[]
  /** Connections per process and server. */
  readonly poolSize: number
  /** Whether its changes are followed. Absent: not. */
  readonly changes?: boolean
}

export interface Connections {
  readonly databases: Readonly<Record<string, DatabaseConnections>>
  readonly storeUrl: string
}

export interface PrepareOptions {
  readonly config: ResolvedConfig
  /** Relative paths of migrations are meant from here. */
  readonly directory: string
  /** How many processes will open pools. */
  readonly processes: number
  /** Which migrations run: `expand` while another build serves. Default: all. */
  readonly phase?: 'all' | 'expand'
  readonly log: Logger
}

export interface PreparedDatabases {
  readonly databases: Readonly<Record<string, DatabaseConnections>>
  /** Migrations that ran now, by database. */
  readonly applied: Readonly<Record<string, readonly string[]>>
  readonly embedded: ReadonlyMap<string, EmbeddedCluster>
  stop(): Promise<void>
}

const connectionsAside = 16
const embeddedPoolSize = 8

/** Starts what is embedded, runs migrations, and says where everything is. Stops what it started if any part fails. */
export async function prepareDatabases(options: PrepareOptions): Promise<PreparedDatabases> {
  const embedded = new Map<string, EmbeddedCluster>()
  const databases: Record<string, DatabaseConnections> = {}
  const applied: Record<string, readonly string[]> = {}
  const stop = async (): Promise<void> => {
    await Promise.all([...embedded.values()].map((cluster) => cluster.stop()))
  }
  try {
    for (const [name, database] of Object.entries(options.config.databases)) {
      const found = await findServers(name, database, options, embedded)
      applied[name] = await prepare(name, database, found.direct, options)
      // Before any clone needs it; what is not allowed is said at the start.
      if (options.config.store.database === name) await createPreparation(found.direct).run()
      const changes = await allowsChanges(name, database, found.direct)
      databases[name] = { ...found, changes, poolSize: await poolSize(name, database, found.direct, options) }
    }
    return { databases, applied, embedded, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Servers = Omit<DatabaseConnections, 'poolSize' | 'changes'>

async function findServers(
  name: string,
  database: ResolvedDatabase,
  { config, processes, log }: PrepareOptions,
  embedded: Map<string, EmbeddedCluster>,
): Promise<Servers> {
  if (database.url !== undefined) return externalServers(name, database)
  // Loaded here only: an install with databases of its own has no embedded servers.
  const { startEmbeddedCluster } = await import('../engines/postgres/embedded/cluster.ts')
  const cluster = await startEmbeddedCluster({
    directory: join(config.dataDir, 'databases', name),
    database: 'app',
    replicas: typeof database.replicas === 'number' ? database.replicas : 1,
    maxConnections:
      processes * (embeddedPoolSize + storeConnections(config, name)) +
      jobsConnections(config, name) +
      connectionsAside,
    log: log.child({ database: name }),
  })
  embedded.set(name, cluster)
  return {
    primary: cluster.primary,
    direct: cluster.primary,
    replicas: cluster.replicas.map((address, index) => ({ name: `replica-${index + 1}`, address })),
  }
}

function externalServers(name: string, database: ResolvedDatabase): Servers {
  const path = `databases.${name}`
  const tls = database.tls as boolean | PostgresTls | undefined
  const primary = addressFromUrl(database.url ?? '', tls, `${path}.url`)
  const replicas = Array.isArray(database.replicas) ? (database.replicas as { url: string; name?: string }[]) : []
  return {
    primary,
    direct: database.directUrl === undefined ? primary : addressFromUrl(database.directUrl, tls, `${path}.directUrl`),
    replicas: replicas.map((replica, index) => ({
      name: replica.name ?? `replica-${index + 1}`,
      address: addressFromUrl(replica.url, tls, `${path}.replicas[${index}].url`),
    })),
  }
}

async function prepare(
  name: string,
  database: ResolvedDatabase,
  address: PostgresAddress,
  { directory, phase, log }: PrepareOptions,
): Promise<readonly string[]> {
  const folder = database.migrations
  const migrations = folder === undefined || isAbsolute(folder) ? folder : join(directory, folder)
  return await prepareDatabase({ name, address, migrations, phase, timeoutMs: database.connectTimeoutMs, log })
}

/** @throws FF_DATABASE_CHANGES where the stream is required and the server does not allow it */
async function allowsChanges(name: string, database: ResolvedDatabase, address: PostgresAddress): Promise<boolean> {
  if (database.changeStream === 'off') return false
  // What is embedded is ours.
  if (database.url === undefined) return true
  const missing = await findMissing(address, database.connectTimeoutMs)
  if (missing === null) return true
  if (database.changeStream === 'auto') return false
  const message = `databases.${name}.changeStream: the server does not allow it: ${missing}. Run fourfold doctor`
  throw new FourfoldError('FF_DATABASE_CHANGES', message, { fields: { database: name } })
}

async function poolSize(
  name: string,
  database: ResolvedDatabase,
  address: PostgresAddress,
  { config, processes }: PrepareOptions,
): Promise<number> {
  return await choosePoolSize({
    name,
    address,
    processes,
    configured: database.poolSize,
    aside: storeConnections(config, name, address),
    besides: jobsConnections(config, name),
    timeoutMs: database.connectTimeoutMs,
  })
}
