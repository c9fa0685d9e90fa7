/**
 * The app's migrations, run by Kysely's Migrator: each once, in the order of their names, however many processes
 * start together. Kysely takes a lock that belongs to the transaction, so that it also holds behind a pooler.
 *
 * At a start no build serves, and everything that is pending runs in one transaction: it is applied as a whole or not at
 * all. Around a rollout (phases `expand` and `contract`) the app goes on meanwhile: each migration has a transaction of
 * its own, gives up when it would have to wait for a lock for long, since everybody else would wait behind it, and in
 * the expand phase is refused if the old build cannot live with it. `CREATE INDEX CONCURRENTLY`, alone in its file, runs
 * outside of transactions.
 *
 * A migration is a `.ts` or `.js` file that exports `up(db)`, or a `.sql` file. Its name is the file's name without
 * the ending, so that source and build know it by the same one.
 */

import { setTimeout as delay } from 'node:timers/promises'

import { Kysely, PostgresDialect, sql } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import pg from 'pg'

import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { PostgresAddress } from './address.ts'
import { ddlPrefix } from './changes/names.ts'
import { loadBreakingJudge, type BreakingJudge } from './migrations/breaking.ts'
import { readMigrations, type LoadedMigration } from './migrations/files.ts'
import { guardPool } from './migrations/guarded-pool.ts'
import { planMigrations, type RunPhase } from './migrations/plan.ts'

export interface RunMigrationsOptions {
  /** The primary, and not through a pooler where there is a choice. */
  readonly address: PostgresAddress
  readonly directory: string
  readonly log: Logger
  /** Default: `'all'`. */
  readonly phase?: RunPhase
  /** Hears what happens, in words for people. */
  readonly say?: (text: string) => void
  /** For each statement, the wait for another process's migrations included. Default: ten minutes. */
  readonly statementTimeoutMs?: number
  /** Around a rollout: how long a statement may wait for a lock that others hold. Default: 2,000. */
  readonly lockTimeoutMs?: number
}

export interface AppliedMigrations {
  /** The names of those that this call ran, in order. */
  readonly applied: readonly string[]
  /** The contract migrations that an expand phase has left for later. */
  readonly waiting: readonly string[]
}

const tenMinutesMs = 600_000
const defaultLockTimeoutMs = 2000
/** With the waits in between, about half a minute of tries for a table that is busy. */
const lockAttempts = 6
const lockNotAvailable = '55P03'

/** Runs what is pending in a phase. @throws FF_ENGINE_MIGRATION, FF_ENGINE_MIGRATION_BREAKING */
export async function runMigrations(options: RunMigrationsOptions): Promise<AppliedMigrations> {
  const judge = await loadBreakingJudge()
  const files = await readMigrations(options.directory, judge)
  const run = new Run(options, files, judge)
  try {
    return await run.all()
  } finally {
    await run.close()
  }
}

class Run {
  readonly #options: RunMigrationsOptions
  readonly #files: readonly LoadedMigration[]
  readonly #judge: BreakingJudge
  readonly #db: Kysely<unknown>
  /** The migration whose statements are being sent. */
  #current: LoadedMigration | null = null

  constructor(options: RunMigrationsOptions, files: readonly LoadedMigration[], judge: BreakingJudge) {
    this.#options = options
    this.#files = files
    this.#judge = judge
    const pool = guardPool(createPool(options), (text) => this.#check(text))
    this.#db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  }

  async all(): Promise<AppliedMigrations> {
    const { phase = 'all', log } = this.#options
    const executed = await this.#executed()
    const { shown, batches, ahead, waiting } = planMigrations(this.#files, executed, phase)
    if (ahead.length > 0) log.warn({ migrations: ahead }, 'the database was migrated by a newer build')
    // What can be told before anything runs is.
    if (phase === 'expand') await this.#checkTexts(batches.flatMap(({ names }) => names))
    const applied: string[] = []
    for (const { names, alone } of batches) applied.push(...(await this.#batch(names, alone, shown)))
    if (batches.length === 0) await this.#batch([], false, shown)
    if (applied.length > 0) log.info({ migrations: applied }, 'migrations applied')
    return { applied, waiting }
  }

  async close(): Promise<void> {
    await this.#db.destroy()
  }

  /** Runs some migrations, again where a lock could not be had. Without names, only looks whether all fits. */
  async #batch(names: readonly string[], alone: boolean, shown: readonly string[]): Promise<string[]> {
    const target = names.at(-1)
    for (let attempt = 1; ; attempt += 1) {
      const migrator = this.#migrator(shown, alone)
      const { error, results = [] } = await (target === undefined
        ? migrator.migrateToLatest()
        : migrator.migrateTo(target))
      if (error === undefined) return results.map((one) => one.migrationName)
      const name = results.find((one) => one.status === 'Error')?.migrationName
      if ((error as { code?: unknown }).code !== lockNotAvailable || attempt === lockAttempts) {
        throw describe(error, name, this.#options)
      }
      this.#options.say?.(`${name} waits for a lock that others hold; it lets them go on and tries again`)
      await delay(attempt * 1000 * (0.5 + Math.random()))
    }
  }

  #migrator(shown: readonly string[], alone: boolean): Migrator {
    const migrations: Record<string, Migration> = {}
    for (const name of shown) migrations[name] = this.#migration(this.#files.find((one) => one.name === name))
    return new Migrator({
      db: this.#db,
      provider: { getMigrations: async () => migrations },
      disableTransactions: alone,
    })
  }

  #migration(loaded: LoadedMigration | undefined): Migration {
    return {
      up: async (db) => {
        this.#current = loaded ?? null
        try {
          await loaded?.up(db)
        } finally {
          this.#current = null
        }
        await sql.raw(ANNOUNCE_MIGRATION_SQL).execute(db)
      },
      // Kysely would go back if another process were further.
      down: () => Promise.reject(new Error('another process runs migrations of a newer build')),
    }
  }

  #check(text: string): void {
    const { phase = 'all' } = this.#options
    if (phase !== 'expand' || this.#current === null || this.#current.breaking !== null) return
    const reason = this.#judge.judge(text)
    if (reason !== null) throw breaking(this.#current, reason)
  }

  async #checkTexts(names: readonly string[]): Promise<void> {
    const judge = await loadBreakingJudge()
    for (const migration of this.#files) {
      if (!names.includes(migration.name)) continue
      if (migration.breaking !== null)
        this.#options.say?.(`${migration.name} is declared to be breaking: ${migration.breaking}`)
      if (migration.sql === null || migration.breaking !== null) continue
      const reason = judged(() => judge.judge(migration.sql ?? ''))
      if (reason !== null) throw breaking(migration, reason)
    }
  }

  /** The names of what has run; none where nothing ever did. */
  async #executed(): Promise<string[]> {
    try {
      const there = await sql<{ is: boolean }>`select to_regclass('kysely_migration') is not null as is`.execute(
        this.#db,
      )
      if (there.rows[0]?.is !== true) return []
      const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(this.#db)
      return rows.map(({ name }) => name)
    } catch (error) {
      throw describe(error, undefined, this.#options)
    }
  }
}

/**
 * Says in the change stream, in the migration's own place, that tables may be others now: where the database user may not
 * make event triggers, this is how the tracker learns of it. A message in the log, which nobody has to read.
 */
const ANNOUNCE_MIGRATION_SQL = `do $$ begin
  perform pg_logical_emit_message(true, '${ddlPrefix}', 'MIGRATION');
exception when insufficient_privilege then null;
end $$`

function createPool(options: RunMigrationsOptions): pg.Pool {
  const { address, phase = 'all', statementTimeoutMs = tenMinutesMs, lockTimeoutMs = defaultLockTimeoutMs } = options
  const pool = new pg.Pool({
    ...(address as pg.PoolConfig),
    // One connection for the transaction; Kysely looks at tables on it as well.
    max: 1,
    connectionTimeoutMillis: 10_000,
    statement_timeout: statementTimeoutMs,
    ...(phase === 'all' ? {} : { lock_timeout: lockTimeoutMs }),
    application_name: 'fourfold-migrations',
  })
  pool.on('error', () => undefined)
  return pool
}

/** What the grammar does not read, the server refuses with a better message. */
function judged(judge: () => string | null): string | null {
  try {
    return judge()
  } catch {
    return null
  }
}

function breaking({ name }: LoadedMigration, reason: string): FourfoldError {
  const message =
    `The migration ${name} would break the build that still serves: ${reason}. Split it (add first, take away in a ` +
    `file NAME.contract.sql, which runs when that build is gone), or declare it: -- fourfold: breaking because …`
  return new FourfoldError('FF_ENGINE_MIGRATION_BREAKING', message, { fields: { migration: name, reason } })
}

function describe(error: unknown, name: string | undefined, { directory, phase }: RunMigrationsOptions): FourfoldError {
  if (isFourfoldError(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  const outcome = phase === undefined || phase === 'all' ? 'nothing of this run was applied' : 'it was not applied'
  const message =
    name === undefined
      ? `The migrations in ${directory} cannot be run: ${reason}`
      : `The migration ${name} failed, and ${outcome}: ${reason}`
  return new FourfoldError('FF_ENGINE_MIGRATION', message, { cause: error, fields: { directory, migration: name } })
}
