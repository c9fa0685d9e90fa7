/**
 * The ground that every run begins on: the app's databases as its migrations and its seed leave them. PostgreSQL copies
 * a whole database from a template to the byte, so that all runs see the same rows, ids and times, and none sees what
 * another has done.
 */

import { join } from 'node:path'

import { open } from '../../app/open.ts'
import { prepareDatabases, type Connections, type PreparedDatabases } from '../../app/connections.ts'
import { seedOnce } from '../../app/seeding.ts'
import { FourfoldError } from '../../core/errors.ts'

import type { ResolvedConfig } from '../../app/config.ts'
import type { App } from '../../app/define-app.ts'
import type { Logger } from '../../core/log.ts'
import type { PostgresAddress } from '../../engines/postgres/address.ts'

type Databases = Connections['databases']

export interface GroundOptions {
  readonly app: App
  readonly config: ResolvedConfig
  readonly secrets: readonly string[]
  readonly seed: boolean
  /** Runs a store while the databases are filled, and answers its address. */
  readonly withStore: <T>(work: (storeUrl: string) => Promise<T>) => Promise<T>
  readonly log: Logger
}

export interface Ground {
  /** The databases of a new run. */
  lay(run: number): Promise<Databases>
  /** Stops what was started, and deletes it. */
  stop(): Promise<void>
}

/** Where runs write to the user's own servers. @throws FF_CHECK_EXTERNAL with the settings that name servers */
export function requireOwnServers(config: ResolvedConfig): void {
  const named = Object.entries(config.databases).filter(([, database]) => database.url !== undefined)
  const settings = named.map(([name]) => `databases.${name}.url`)
  if (config.store.url !== undefined) settings.push('store.url')
  if (settings.length === 0) return
  throw new FourfoldError(
    'FF_CHECK_EXTERNAL',
    `the check writes what the script says, and ${settings.join(' and ')} ${settings.length === 1 ? 'names a server' : 'name servers'}: ` +
      '--embedded uses embedded servers instead, --external replays on those that are named',
    { fields: { settings } },
  )
}

/** The same configuration on embedded servers, and without replicas, so that nothing is late by chance. */
export function embed(config: ResolvedConfig): ResolvedConfig {
  const databases = Object.entries(config.databases).map(([name, database]) => {
    return [name, { ...database, url: undefined, directUrl: undefined, replicas: 0 }] as const
  })
  return { ...config, databases: Object.fromEntries(databases), store: { ...config.store, url: undefined } }
}

export async function prepareGround(options: GroundOptions): Promise<Ground> {
  const { app, config, log } = options
  const prepared = await prepareDatabases({
    config,
    directory: app.directory,
    processes: config.clones.max + 1,
    log,
  })
  const stop = async (): Promise<void> => {
    await prepared.stop()
    if (prepared.embedded.size === 0) return
    const { resetEmbeddedCluster } = await import('../../engines/postgres/embedded/cluster.ts')
    for (const name of prepared.embedded.keys()) await resetEmbeddedCluster(join(config.dataDir, 'databases', name))
  }
  try {
    if (options.seed && prepared.embedded.size > 0) await seedGround(options, prepared)
  } catch (error) {
    await stop()
    throw error
  }
  return { lay: (run) => layDatabases(prepared, run), stop }
}

async function seedGround(
  { app, config, secrets, withStore, log }: GroundOptions,
  prepared: PreparedDatabases,
): Promise<void> {
  if (app.definition.seed === undefined) return
  await withStore(async (storeUrl) => {
    const connections = { databases: prepared.databases, storeUrl }
    const overrides = { dataDir: config.dataDir, sessions: { secrets: [...secrets] } }
    const ff = await open(app, { connections, config: overrides, log })
    try {
      await seedOnce(app, ff, () => () => undefined)
    } finally {
      await ff.close()
    }
  })
}

async function layDatabases({ databases, embedded }: PreparedDatabases, run: number): Promise<Databases> {
  const laid = Object.entries(databases).map(async ([name, found]) => {
    if (!embedded.has(name)) return [name, found] as const
    const database = `run_${run}`
    await copyDatabase(found.primary, database)
    const primary = { ...found.primary, database }
    return [name, { ...found, primary, direct: primary }] as const
  })
  return Object.fromEntries(await Promise.all(laid))
}

const copyWithinMs = 60_000

/** Nobody may be connected to the template; pools that were just closed let go of it within moments. */
async function copyDatabase(template: PostgresAddress, name: string): Promise<void> {
  const { onConnection } = await import('../../engines/postgres/embedded/connection.ts')
  await onConnection(
    { ...template, database: 'postgres' },
    async (client) => {
      await client.query(endSessionsSql, [template.database])
      await client.query(`create database ${name} template ${template.database} strategy file_copy`)
    },
    { statementMs: copyWithinMs },
  )
}

const endSessionsSql = 'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1'
