/** Makes a database ready for traffic: its epoch, then the app's migrations. Safe to run from several processes at once. */

import pg from 'pg'

import { ensureEpoch } from './epoch.ts'
import { runMigrations } from './migrations.ts'
import { withDeadline } from '../../core/deadline.ts'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'

import type { PostgresAddress } from './address.ts'
import type { Logger } from '../../core/log.ts'

export interface PrepareDatabaseOptions {
  readonly name: string
  readonly address: PostgresAddress
  /** Folder of migrations; absent: none. */
  readonly migrations: string | undefined
  /** Default: all that are pending. */
  readonly phase?: 'all' | 'expand'
  readonly timeoutMs: number
  readonly log: Logger
}

/** Long, since another process may be migrating under the same lock. */
const epochTimeoutMs = 120_000

/**
 * Answers the names of the migrations that ran now.
 *
 * @throws FF_DATABASE_UNAVAILABLE, FF_ENGINE_NOT_PRIMARY, FF_ENGINE_PERMISSION, and what migrations throw
 */
export async function prepareDatabase(options: PrepareDatabaseOptions): Promise<readonly string[]> {
  const { name, address, migrations, phase, timeoutMs, log } = options
  const client = new pg.Client({ ...address, connectionTimeoutMillis: timeoutMs })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await withDeadline(ensureEpoch(client), epochTimeoutMs, `the epoch of database ${name}`)
  } catch (error) {
    if (isFourfoldError(error) && error.code !== 'FF_CORE_DEADLINE') throw error
    throw new FourfoldError('FF_DATABASE_UNAVAILABLE', `Database ${name} cannot be reached: ${String(error)}`, {
      cause: error,
    })
  } finally {
    client.end().catch(() => undefined)
  }
  if (migrations === undefined) return []
  const { applied } = await runMigrations({ address, directory: migrations, phase, log: log.child({ database: name }) })
  return applied
}
