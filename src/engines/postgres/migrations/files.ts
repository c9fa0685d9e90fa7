/**
 * Reading a folder of migrations. A file's name says its phase: `0003_x.contract.sql` runs when the build before is gone,
 * every other one before the new build starts. What the build before cannot live with must be declared: by a line
 * `-- fourfold: breaking because …` in SQL, by `export const breaking = '…'` in code.
 */

import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { BreakingJudge } from './breaking.ts'

import { FourfoldError } from '../../../core/errors.ts'
import { loadClassifier } from '../classify.ts'

const endings: ReadonlySet<string> = new Set(['.ts', '.mts', '.js', '.mjs', '.sql'])

export type MigrationPhase = 'expand' | 'contract'

export interface LoadedMigration {
  readonly name: string
  readonly phase: MigrationPhase
  readonly up: Migration['up']
  /** Why it may break the build before, as its author declared; null: it is not declared. */
  readonly breaking: string | null
  /** The text of a `.sql` file. */
  readonly sql: string | null
  /** It cannot run in a transaction. */
  readonly alone: boolean
}

/** The migrations of a folder, in the order of their names. Files with other endings are not looked at. @throws FF_ENGINE_MIGRATION */
export async function readMigrations(directory: string, judge: BreakingJudge): Promise<LoadedMigration[]> {
  const migrations = new Map<string, LoadedMigration>()
  for (const file of await listFiles(directory)) {
    const name = file.slice(0, -extname(file).length)
    if (migrations.has(name)) throw mistake(`${directory} has two migrations named ${name}: remove one`)
    const path = join(directory, file)
    const phase = name.endsWith('.contract') ? 'contract' : 'expand'
    const loaded = extname(file) === '.sql' ? await readSql(path, judge) : await importCode(path)
    migrations.set(name, { name, phase, ...loaded })
  }
  // As Kysely orders them.
  return [...migrations.values()].toSorted((a, b) => a.name.localeCompare(b.name))
}

type Loaded = Omit<LoadedMigration, 'name' | 'phase'>

async function listFiles(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory)
    return names.filter((name) => endings.has(extname(name)) && !/\.d\.m?ts$/.test(name)).toSorted()
  } catch (cause) {
    throw mistake(
      `The migrations folder ${directory} cannot be read: make it, or correct databases.<name>.migrations`,
      cause,
    )
  }
}

async function importCode(path: string): Promise<Loaded> {
  type Exports = Partial<Migration> & { readonly breaking?: unknown }
  const loaded = (await import(pathToFileURL(path).href)) as Exports & { default?: Exports }
  const found = loaded.up === undefined ? loaded.default : loaded
  if (typeof found?.up !== 'function') throw mistake(`${path} exports no function up(db)`)
  const { breaking = null } = found
  if (breaking !== null && (typeof breaking !== 'string' || breaking.trim() === ''))
    throw mistake(`${path} exports breaking without a reason: write breaking = 'why the old build may break'`)
  return { up: found.up, breaking: breaking as string | null, sql: null, alone: false }
}

async function readSql(path: string, judge: BreakingJudge): Promise<Loaded> {
  const text = await readFile(path, 'utf8')
  const classifier = await loadClassifier()
  // COMMIT in the middle would end the transaction that makes the run atomic.
  if (classifier.classify(text).transaction !== 'none') {
    throw mistake(`${path} holds BEGIN, COMMIT or ROLLBACK: leave them out, migrations run in one transaction`)
  }
  return {
    up: async (db) => void (text.trim() === '' ? undefined : await sql.raw(text).execute(db)),
    breaking: readDeclaration(path, text),
    sql: text,
    alone: parses(() => judge.runsAlone(text)),
  }
}

function readDeclaration(path: string, text: string): string | null {
  const line = /^--\s*fourfold:(.*)$/m.exec(text)
  if (line === null) return null
  const reason = /^\s*breaking because\s+(\S.*)$/.exec(line[1] ?? '')?.[1]
  if (reason === undefined) throw mistake(`${path}: expected "-- fourfold: breaking because REASON", got "${line[0]}"`)
  return reason.trim()
}

/** What the grammar does not read, the server refuses with a better message. */
function parses(look: () => boolean): boolean {
  try {
    return look()
  } catch {
    return false
  }
}

function mistake(message: string, cause?: unknown): FourfoldError {
  return new FourfoldError('FF_ENGINE_MIGRATION', message, { cause })
}
