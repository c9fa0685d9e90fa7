/**
 * How long finished jobs are kept: eight partitions are filled in turn, and one is emptied before it is filled anew. So
 * nothing is deleted row by row, nothing has to be vacuumed, and the space is given back.
 */

import {
  LOCK_SEGMENT_SQL,
  NEXT_SEGMENT_SQL,
  SEGMENT_BYTES_SQL,
  SWEEP_FAILED_SQL,
  SWEEP_REQUESTS_SQL,
} from './orders.ts'
import { segments } from './schema.ts'
import { sqlState } from '../../engines/postgres/client.ts'

import type { JobsDatabase, RunStatement } from '../engine.ts'

export interface Keep {
  readonly keepMs: number
  readonly keepBytes: number
  readonly failedForMs: number
}

// Emptying waits for whoever reads the partition, and everybody else behind it: not for long.
const LOCK_TIMEOUT_SQL = `set local lock_timeout = '200ms'`

/** Empties what is older than it may be, or too much. Meant to be called now and then, by any number of processes. */
export async function rotate(database: JobsDatabase, keep: Keep): Promise<void> {
  await database.run(SWEEP_FAILED_SQL, [keep.failedForMs])
  await database.run(SWEEP_REQUESTS_SQL, [])
  try {
    await database.transaction((run) => rotateWithin(run, keep))
  } catch (error) {
    // Somebody reads it: next time.
    if (sqlState(error) !== '55P03') throw error
  }
}

async function rotateWithin(run: RunStatement, { keepMs, keepBytes }: Keep): Promise<void> {
  await run(LOCK_TIMEOUT_SQL, [])
  const { rows } = await run(LOCK_SEGMENT_SQL, [])
  const row = rows[0]
  if (row === undefined) return
  const bytes = await bytesOf(run)
  const current = Number(row['current'])
  const total = [...bytes.values()].reduce((sum, one) => sum + one, 0)
  // All but the one that is being emptied are kept for so long.
  const isOld = (row['age_ms'] as number) >= keepMs / (segments - 1)
  const isFull = (bytes.get(current) ?? 0) >= keepBytes / segments
  if (isOld || isFull) await turn(run, (current + 1) % segments)
  else if (total > keepBytes) await empty(run, (current + 1) % segments)
}

/** Emptied first: from its first row on it holds nothing older. */
async function turn(run: RunStatement, next: number): Promise<void> {
  await empty(run, next)
  await run(NEXT_SEGMENT_SQL, [next])
}

async function empty(run: RunStatement, segment: number): Promise<void> {
  await run(`truncate fourfold.finished_jobs_${segment}`, [])
}

async function bytesOf(run: RunStatement): Promise<ReadonlyMap<number, number>> {
  const { rows } = await run(SEGMENT_BYTES_SQL, [])
  return new Map(rows.map(({ name, bytes }) => [Number(/\d+$/.exec(name as string)![0]), bytes as number]))
}
