/** Reading a folder of migrations. */

import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

import { FourfoldError } from '../../../core/errors.ts'
import { loadClassifier } from '../classify.ts'

const endings: ReadonlySet<string> = new Set(['.ts', '.mts', '.js', '.mjs', '.sql'])

/** The migrations of a folder by name. Files with other endings are not looked at. @throws FF_ENGINE_MIGRATION */
export async function readMigrations(directory: string): Promise<Record<string, Migration>> {
  const files = await listFiles(directory)
  const migrations: Record<string, Migration> = {}
  for (const file of files) {
    const name = file.slice(0, -extname(file).length)
    if (migrations[name] !== undefined) throw mistake(`${directory} has two migrations named ${name}: remove one`)
    const path = join(directory, file)
    migrations[name] = extname(file) === '.sql' ? await readSql(path) : await importCode(path)
  }
  return migrations
}

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

async function importCode(path: string): Promise<Migration> {
  const loaded = (await import(pathToFileURL(path).href)) as Partial<Migration> & { default?: Partial<Migration> }
  const found = loaded.up === undefined ? loaded.default : loaded
  if (typeof found?.up !== 'function') throw mistake(`${path} exports no function up(db)`)
  return { up: found.up }
}

async function readSql(path: string): Promise<Migration> {
  const text = await readFile(path, 'utf8')
  const classifier = await loadClassifier()
  // COMMIT in the middle would end the transaction that makes the run atomic.
  if (classifier.classify(text).transaction !== 'none') {
    throw mistake(`${path} holds BEGIN, COMMIT or ROLLBACK: leave them out, migrations run in one transaction`)
  }
  return { up: async (db) => void (text.trim() === '' ? undefined : await sql.raw(text).execute(db)) }
}

function mistake(message: string, cause?: unknown): FourfoldError {
  return new FourfoldError('FF_ENGINE_MIGRATION', message, { cause })
}
