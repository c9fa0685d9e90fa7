/**
 * The app's migrations, run by Kysely's Migrator: each once, in the order of their names, however many processes
 * start together. Kysely takes a lock that belongs to the transaction, so that it also holds behind a pooler, and
 * everything that is pending runs in that one transaction: it is applied as a whole or not at all.
 *
 * A migration is a `.ts` or `.js` file that exports `up(db)`, or a `.sql` file. Its name is the file's name without
 * the ending, so that source and build know it by the same one.
 */

import { Kysely, PostgresDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'

import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { PostgresAddress } from './address.ts'
import { readMigrations } from './migrations/files.ts'

export interface RunMigrationsOptions {
  /** The primary, and not through a pooler where there is a choice. */
  readonly address: PostgresAddress
  readonly directory: string
  readonly log: Logger
  /** For each statement, the wait for another process's migrations included. Default ten minutes. */
  readonly statementTimeoutMs?: number
}

export interface AppliedMigrations {
  /** The names of those that this call ran, in order. */
  readonly applied: readonly string[]
}

const tenMinutesMs = 600_000

/** Runs what is pending. @throws FF_ENGINE_MIGRATION */
export async function runMigrations(options: RunMigrationsOptions): Promise<AppliedMigrations> {
  const migrations = await readMigrations(options.directory)
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: createPool(options) }) })
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
    const { error, results = [] } = await migrator.migrateToLatest()
    if (error !== undefined)
      throw describe(error, results.find((one) => one.status === 'Error')?.migrationName, options)
    const applied = results.map((one) => one.migrationName)
    if (applied.length > 0) options.log.info({ migrations: applied }, 'migrations applied')
    return { applied }
  } finally {
    await db.destroy()
  }
}

function createPool({ address, statementTimeoutMs = tenMinutesMs }: RunMigrationsOptions): pg.Pool {
  const pool = new pg.Pool({
    ...(address as pg.PoolConfig),
    // One connection for the transaction; Kysely looks at tables on it as well.
    max: 1,
    connectionTimeoutMillis: 10_000,
    statement_timeout: statementTimeoutMs,
    application_name: 'fourfold-migrations',
  })
  pool.on('error', () => undefined)
  return pool
}

function describe(error: unknown, name: string | undefined, { directory }: RunMigrationsOptions): FourfoldError {
  if (isFourfoldError(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  const message =
    name === undefined
      ? `The migrations in ${directory} cannot be run: ${reason}`
      : `The migration ${name} failed, and nothing of this run was applied: ${reason}`
  return new FourfoldError('FF_ENGINE_MIGRATION', message, { cause: error, fields: { directory, migration: name } })
}
