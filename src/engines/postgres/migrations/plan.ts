/** Which migrations run, in which transactions: a pure function of the files, of what has run, and of the phase. */

import { FourfoldError } from '../../../core/errors.ts'

import type { LoadedMigration } from './files.ts'

/** `all`: no build serves, so the order is all that counts. */
export type RunPhase = 'all' | 'expand' | 'contract'

export interface MigrationPlan {
  /** What Kysely is shown: what has run, and what is to run now. */
  readonly shown: readonly string[]
  /** What runs, in order; each list in a transaction of its own, or alone and in none. */
  readonly batches: readonly { readonly names: readonly string[]; readonly alone: boolean }[]
  /** What a newer build has run that these files do not know. */
  readonly ahead: readonly string[]
  /** What an expand phase leaves for later. */
  readonly waiting: readonly string[]
}

/** @throws FF_ENGINE_MIGRATION */
export function planMigrations(
  files: readonly LoadedMigration[],
  executed: readonly string[],
  phase: RunPhase,
): MigrationPlan {
  const ahead = findAhead(files, executed)
  requireAllThere(files, executed, ahead)
  const pending = files.filter(({ name }) => !executed.includes(name))
  const now = phase === 'expand' ? pending.filter((one) => one.phase === 'expand') : pending
  if (ahead.length > 0 && now.length > 0) {
    throw refuse(
      `the database has run ${ahead.join(', ')}, which are not here, and ${namesOf(now)} are new: bring both into one folder`,
    )
  }
  if (phase === 'expand') requireContractLast(pending)
  const waiting = pending.filter((one) => !now.includes(one)).map(({ name }) => name)
  return { shown: [...executed, ...now.map(({ name }) => name)], batches: cut(now, phase !== 'all'), ahead, waiting }
}

/** An older build may run on a database that a newer one has expanded; not on one that it has contracted. */
function findAhead(files: readonly LoadedMigration[], executed: readonly string[]): string[] {
  const known = new Set(files.map(({ name }) => name))
  const last = files.at(-1)?.name
  const ahead = executed.filter((name) => !known.has(name) && (last === undefined || name.localeCompare(last) > 0))
  const contracted = ahead.filter((name) => name.endsWith('.contract'))
  if (contracted.length === 0) return ahead
  throw refuse(
    `the database was contracted by ${contracted.join(', ')}, so that no build before that one can run on it: start one that has these files`,
  )
}

/** A migration that was given another name would run again under it. */
function requireAllThere(
  files: readonly LoadedMigration[],
  executed: readonly string[],
  ahead: readonly string[],
): void {
  const known = new Set([...files.map(({ name }) => name), ...ahead])
  const missing = executed.filter((name) => !known.has(name))
  if (missing.length === 0) return
  throw refuse(
    `the database has run ${missing.join(', ')}, which are not here: give files that were renamed their names back, and bring back those that were removed`,
  )
}

/** What comes behind a contract migration may stand on it. */
function requireContractLast(pending: readonly LoadedMigration[]): void {
  const first = pending.findIndex(({ phase }) => phase === 'contract')
  const behind = first < 0 ? undefined : pending.slice(first).find(({ phase }) => phase === 'expand')
  if (behind === undefined) return
  throw refuse(
    `${behind.name} comes after the contract migration ${pending[first]?.name}, which has not run: roll out what comes before first, or give the contract migration a later name`,
  )
}

function cut(migrations: readonly LoadedMigration[], each: boolean): MigrationPlan['batches'] {
  const batches: { names: string[]; alone: boolean }[] = []
  for (const { name, alone } of migrations) {
    const last = batches.at(-1)
    if (last === undefined || each || alone || last.alone) batches.push({ names: [name], alone })
    else last.names.push(name)
  }
  return batches
}

function namesOf(migrations: readonly LoadedMigration[]): string {
  return migrations.map(({ name }) => name).join(', ')
}

function refuse(message: string): FourfoldError {
  return new FourfoldError('FF_ENGINE_MIGRATION', `The migrations do not fit the database: ${message}`)
}
