/**
 * Files in the app's own database, in chunks: nothing to install, backed up and replicated with the rest.
 *
 * - A chunk is one statement and one transaction: no connection and no snapshot is held for a slow sender. Naming is one
 *   statement too, and what makes the file appear.
 * - Reads ask whoever is fresh enough for their reader; what is not there is asked of the primary before it counts as
 *   missing, so that a late replica hides no file that somebody else has put.
 * - The tables are made when the first file is put.
 */

import { randomUUID } from 'node:crypto'
import { FourfoldError } from '../../core/errors.ts'
import { sqlState } from '../../engines/postgres/client.ts'
import type { FileDriver, FileFacts, FoundFile, Stage } from '../driver.ts'
import type { ByteRange } from '../files.ts'
import * as statements from './statements.ts'

/** One statement of its own, as `pg.Pool.query`. Deadlines are those of the database. */
export type RunStatement = (
  text: string,
  values: unknown[],
) => Promise<{ readonly rows: readonly Record<string, unknown>[] }>

export interface SqlDriverOptions {
  /** Runs a statement for the reader: on a replica where that is fresh enough, and writes in the reader's name. */
  readonly run: RunStatement
  /** Runs a statement on the primary, in nobody's name. Default: as `run`. */
  readonly runOnPrimary?: RunStatement
  /** Shared by the drivers of one process and database, so that the tables are looked for once. */
  readonly tables?: SqlTables
  /** The size of chunks that are written. Default: 256 KiB. */
  readonly pieceBytes?: number
}

/** Whether the tables are known to be there. */
export interface SqlTables {
  ready: Promise<void> | null
}

/** Since the last piece came, or the file was removed. */
const leftoverAgeMs = 3_600_000

export function createSqlDriver(options: SqlDriverOptions): FileDriver {
  const { run, runOnPrimary = run, tables = { ready: null }, pieceBytes = 256 * 1024 } = options

  const ensureTables = (): Promise<void> =>
    (tables.ready ??= createTables(runOnPrimary).catch((error: unknown) => {
      tables.ready = null
      throw error
    }))

  /** Nothing took place where the tables are missing: the database was restored from before them. */
  const withTables: StageOptions['withTables'] = async (work) => {
    const known = ensureTables()
    await known
    try {
      return await work()
    } catch (error) {
      if (sqlState(error) !== '42P01') throw error
      if (tables.ready === known) tables.ready = null
      await ensureTables()
      return await work()
    }
  }

  /** The first row, of the primary where the reader's server has none. */
  async function readRow(text: string, values: unknown[]): Promise<Record<string, unknown> | null> {
    try {
      const near = await run(text, values)
      const { rows } = near.rows.length > 0 || run === runOnPrimary ? near : await runOnPrimary(text, values)
      return rows[0] ?? null
    } catch (error) {
      return missingTables(error, null)
    }
  }

  async function* read(
    content: unknown,
    chunkBytes: number,
    { start, end }: ByteRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end && !signal.aborted;) {
      const number = Math.floor(at / chunkBytes)
      const skip = at - number * chunkBytes
      const length = Math.min(chunkBytes - skip, end - at)
      const row =
        length === chunkBytes
          ? await readRow(statements.READ_SQL, [content, number])
          : await readRow(statements.READ_PART_SQL, [content, number, skip, length])
      const bytes = row?.['bytes']
      // Whoever counts the bytes says what is wrong.
      if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0) return
      yield bytes
      at += bytes.byteLength
    }
  }

  return {
    pieceBytes,
    leftoverAgeMs,
    stage: () => createStage({ run, runOnPrimary, withTables, pieceBytes }),
    find: async (name) => {
      const row = await readRow(statements.FIND_SQL, [name])
      if (row === null) return null
      const { content, size, type, chunk_bytes: chunkBytes } = row
      const found: FoundFile = {
        name,
        size: Number(size),
        type: String(type),
        read: (range, signal) => read(content, Number(chunkBytes), range, signal),
      }
      return found
    },
    remove: async (name) => {
      const { rows } = await run(statements.REMOVE_SQL, [name]).catch((error: unknown) =>
        missingTables(error, { rows: [] }),
      )
      return rows.length > 0
    },
    sweep: (olderThanMs, signal) => sweep(runOnPrimary, olderThanMs, signal),
    // The connections are the database's.
    close: async () => undefined,
  }
}

interface StageOptions {
  readonly run: RunStatement
  readonly runOnPrimary: RunStatement
  /** Does it once the tables are there. */
  readonly withTables: <T>(work: () => Promise<T>) => Promise<T>
  readonly pieceBytes: number
}

function createStage({ run, runOnPrimary, withTables, pieceBytes }: StageOptions): Stage {
  const content = randomUUID()
  let chunks = 0
  let staged = false

  const name = async ({ name: fileName, size, type }: FileFacts, last: Uint8Array): Promise<void> => {
    const values = [content, fileName, size, type, chunks === 0 ? pieceBytes : chunks, last]
    const { rows } = await run(chunks === 0 ? statements.STORE_SQL : statements.FINISH_SQL, values)
    if (rows.length === 0) throw swept()
    // The same bytes were there already: those stay, and these go.
    if (rows[0]?.['own'] !== true) await runOnPrimary(statements.DISCARD_SQL, [content]).catch(() => undefined)
  }

  const write = async (piece: Uint8Array): Promise<void> => {
    staged = true
    if (chunks === 0) await runOnPrimary(statements.BEGIN_SQL, [content, pieceBytes, piece])
    else {
      const { rows } = await runOnPrimary(statements.CONTINUE_SQL, [content, chunks, piece])
      if (rows.length === 0) throw swept()
    }
    chunks += 1
  }

  return {
    write: (piece) => withTables(() => write(piece)),
    finish: async (facts, last) => {
      await withTables(async () => {
        staged = true
        await name(facts, last)
      })
      staged = false
    },
    discard: async () => {
      if (!staged) return
      await runOnPrimary(statements.DISCARD_SQL, [content]).catch((error: unknown) => {
        // A name leads to it: it was finished after all, only its answer did not come in time.
        if (sqlState(error) !== '23503') throw error
      })
    },
  }
}

async function createTables(run: RunStatement): Promise<void> {
  try {
    const { rows } = await run(statements.HAS_TABLES_SQL, [])
    if (rows[0]?.['present'] === true) return
    // One statement, and so one transaction: who comes second waits, and finds what the first one made.
    await run(
      `do $$ begin perform pg_advisory_xact_lock(${statements.SCHEMA_LOCK}); ${statements.CREATE_TABLES_SQL} end $$`,
      [],
    )
  } catch (error) {
    if (sqlState(error) !== '42501') throw error
    const message =
      'The database user may not make the tables of files: grant it CREATE on the database, or run once as the owner: ' +
      `${statements.CREATE_TABLES_SQL.replaceAll(/\s+/g, ' ')} then GRANT USAGE ON SCHEMA fourfold and SELECT, INSERT, UPDATE, DELETE on its tables`
    throw new FourfoldError('FF_ENGINE_PERMISSION', message, { cause: error })
  }
}

async function sweep(run: RunStatement, olderThanMs: number, signal: AbortSignal): Promise<number> {
  let gone = 0
  for (let seen: number = statements.sweepBatch; seen === statements.sweepBatch && !signal.aborted;) {
    const { rows } = await run(statements.SWEEP_SQL, [olderThanMs]).catch((error: unknown) => {
      // One of them got its name after the sweep had looked, and the foreign key has kept it: now it is seen.
      if (sqlState(error) === '23503') return { rows: [{ seen, gone: 0 }] }
      return missingTables(error, { rows: [] })
    })
    seen = Number(rows[0]?.['seen'] ?? 0)
    gone += Number(rows[0]?.['gone'] ?? 0)
  }
  return gone
}

/** Nobody has put a file yet. */
function missingTables<T>(error: unknown, instead: T): T {
  if (sqlState(error) === '42P01') return instead
  throw error
}

function swept(): FourfoldError {
  return new FourfoldError(
    'FF_FILES_SWEPT',
    'The upload took so long between two pieces that they were swept: put the file again',
  )
}
