/**
 * Filling the database: on command, and once by itself when an app starts on an empty database.
 *
 * That the first seed is done is marked in the database after it succeeded. A first seed that was cut short has no
 * mark: the tables may hold a part of it, so it is not run again by itself, and a line says what to do.
 */

import type { App, SeedOptions } from './define-app.ts'
import type { Fourfold } from './fourfold.ts'

export type SeedProgress = SeedOptions['progress']

/** Runs the app's seed with what the command line says. */
export async function runSeed(app: App, ff: Fourfold, options: SeedOptions): Promise<void> {
  await app.definition.seed?.(ff as never, options)
}

/**
 * Runs the app's seed if this database has never begun one. `begin` is called only then and answers where progress goes.
 * Answers whether it ran.
 */
export async function seedOnce(app: App, ff: Fourfold, begin: () => SeedProgress | undefined): Promise<boolean> {
  const [name] = Object.keys(ff.clusters)
  const pool = name === undefined ? undefined : ff.databases[name]?.pool
  if (pool === undefined) return false
  await createMark(pool)
  const { rows } = await pool.query<{ state: string }>(readMarkSql)
  if (rows[0]?.state === 'done') return false
  if (rows[0]?.state === 'begun') {
    ff.log.warn({}, 'the first seed did not finish: the database may hold a part of it. "fourfold reset" starts over')
    return false
  }
  const { rowCount } = await pool.query(beginMarkSql)
  // Another system on the same database was quicker.
  if (rowCount === 0) return false
  await runSeed(app, ff, { first: true, arguments: {}, progress: begin() ?? (() => undefined) })
  await pool.query(doneMarkSql)
  return true
}

/** IF NOT EXISTS does not spare two that create at the same moment: the slower one is told so, and all is well. */
async function createMark(pool: { query(sql: string): Promise<unknown> }): Promise<void> {
  await pool.query(createMarkSql).catch((error: unknown) => {
    const { code } = error as { code?: string }
    if (code !== '23505' && code !== '42P07' && code !== '42710') throw error
  })
}

const createMarkSql = `
create table if not exists fourfold.seed (one boolean primary key default true check (one), state text not null)`
const readMarkSql = 'select state from fourfold.seed'
const beginMarkSql = `insert into fourfold.seed (state) values ('begun') on conflict do nothing`
const doneMarkSql = `update fourfold.seed set state = 'done'`
