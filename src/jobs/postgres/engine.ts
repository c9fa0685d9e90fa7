/** Jobs in the app's own PostgreSQL. Why this is right: docs/decisions/037-jobs.md. */

import { FourfoldError } from '../../core/errors.ts'
import { sqlState } from '../../engines/postgres/client.ts'
import { CALL_SQL, callStatement } from './calls.ts'
import * as claims from './claims.ts'
import { CALL_CLAIM_FEW_SQL, CALL_CLAIM_SQL, CALL_COMPLETE_SQL } from './functions.ts'
import { claimWithin, type KeyRounds } from './limits.ts'
import { orderJobs } from './order-jobs.ts'
import * as orders from './orders.ts'
import { rotate } from './retention.ts'
import { CREATE_TABLES_SQL, HAS_TABLES_SQL, SCHEMA_LOCK } from './schema.ts'

import type {
  Claim,
  ClaimName,
  Heartbeat,
  JobEngine,
  JobError,
  JobRecord,
  JobsDatabase,
  Recorded,
  RunStatement,
} from '../engine.ts'

type Row = Readonly<Record<string, any>>

export interface PostgresJobsOptions {
  readonly database: JobsDatabase
}

/** The partition that is being filled is looked up so often: a finished job may stand in the one before. */
const segmentMs = 10_000
/** Of so many the inputs may be large. */
const few = 16

export function createPostgresJobs({ database }: PostgresJobsOptions): JobEngine {
  const { run } = database
  const segment = createSegment(run)
  const rounds: KeyRounds = new Map()
  let own: string | null = null

  const recorded = async (
    text: string,
    worker: string,
    given: readonly ClaimName[],
    more: readonly unknown[] = [],
  ): Promise<readonly Recorded[]> => {
    const { rows } = await run(text, [worker, ids(given), tokens(given), ...more])
    return answerTo(given, rows)
  }

  /** As above; what is not the worker's any more may have been finished by an earlier try whose answer was lost. */
  const finished: typeof recorded = async (text, worker, given, more) => {
    const first = await recorded(text, worker, given, more)
    const missing = given.filter((_, at) => 'lost' in first[at]!)
    if (missing.length === 0) return first
    const before = await recorded(claims.FINISHED_BEFORE_SQL, worker, missing)
    const known = new Map(before.map((one) => [one.id, one]))
    return first.map((one) => ('lost' in one ? known.get(one.id)! : one))
  }

  return {
    prepare: () => prepare(run),
    isHere: async (within) => {
      if ((await within(orders.PRESENT_SQL, [])).rows[0]?.['present'] !== true) return false
      own ??= ((await run(orders.IDENTITY_SQL, [])).rows[0]?.['identity'] as string | undefined) ?? null
      return (await within(orders.IDENTITY_SQL, [])).rows[0]?.['identity'] === own
    },
    order: (within, jobs, call) => orderJobs(within, jobs, call === undefined ? undefined : callStatement(call)),
    call: async (message) => void (await run(CALL_SQL, [message])),
    beginRequest: async (within, { owner, key, fingerprint }) => {
      const { rows: locks } = await within(orders.TRY_REQUEST_SQL, [`${owner} ${key}`])
      if (locks[0]?.['taken'] !== true) return { kind: 'busy' }
      const { rows } = await within(orders.BEGIN_REQUEST_SQL, [owner, key])
      const known = rows[0]!
      if (known['is_new'] === true) return { kind: 'new' }
      return known['fingerprint'] === fingerprint ? { kind: 'known', id: known['job'] as string } : { kind: 'other' }
    },
    endRequest: async (within, { owner, key, fingerprint }, job) =>
      void (await within(orders.END_REQUEST_SQL, [owner, key, fingerprint, job])),
    visible: async (wanted) => column(await run(orders.VISIBLE_SQL, [wanted]), 'id'),

    register: async (name, leaseMs) => (await run(claims.REGISTER_SQL, [name, leaseMs])).rows[0]!['id'] as string,
    beat: async (worker, leaseMs, held) => heartbeat(await run(claims.BEAT_SQL, [worker, leaseMs, held])),
    withdraw: async (worker) => void (await run(claims.WITHDRAW_SQL, [worker])),
    recover: async () => {
      await run(claims.DELETE_DEAD_WORKERS_SQL, [])
      return (await run(claims.RECOVER_SQL, [])).rows.length
    },

    claim: async (worker, names, most) => {
      const { rows } =
        names.length === 1 && most <= few
          ? await run(CALL_CLAIM_FEW_SQL, [worker, names[0], most])
          : await run(CALL_CLAIM_SQL, [worker, names, most])
      return { claims: toClaims(rows), more: rows.length === most || rows[0]?.['more'] === true }
    },
    claimLimited: (worker, limits, most) =>
      database.transaction(async (within) => {
        const { rows, againMs } = await claimWithin(within, worker, limits, most, rounds)
        return { claims: toClaims(rows), againMs }
      }),
    waitingAmong: async (names) => column(await run(orders.WAITING_AMONG_SQL, [names]), 'name'),
    due: async () => {
      const moved = (await run(claims.DUE_SQL, [])).rows.length
      const ms = (await run(claims.NEXT_DUE_SQL, [])).rows[0]?.['ms'] as number | null
      return { moved, nextMs: ms === null ? null : Math.max(0, ms) }
    },

    complete: async (worker, completed) => {
      const outputs = completed.map(({ output }) => output)
      const messages = completed.map(({ message }) => textOf(message))
      return await finished(CALL_COMPLETE_SQL, worker, completed, [outputs, messages, await segment()])
    },
    fail: async (worker, failed) => {
      const errors = failed.map(({ error }) => storable(error))
      const retries = failed.map(({ retryMs }) => retryMs)
      const answers = await recorded(claims.FAIL_SQL, worker, failed, [errors, retries])
      const left = failed.filter((_, at) => 'lost' in answers[at]!)
      if (left.length === 0) return answers
      // Theirs still, where somebody has cancelled it meanwhile.
      const cancelled = await recorded(claims.END_CANCELLED_SQL, worker, left, [await segment()])
      const known = new Map(cancelled.map((one) => [one.id, one]))
      return answers.map((one) => ('lost' in one ? known.get(one.id)! : one))
    },
    endCancelled: async (worker, given) => await finished(claims.END_CANCELLED_SQL, worker, given, [await segment()]),
    handBack: (worker, given) => recorded(claims.HAND_BACK_SQL, worker, given),
    progress: (worker, told) => {
      const fractions = told.map(({ progress }) => progress)
      const messages = told.map(({ message }) => textOf(message))
      return recorded(claims.PROGRESS_SQL, worker, told, [fractions, messages])
    },

    find: async (wanted) => (await run(orders.FIND_SQL, [wanted])).rows.map(toRecord),
    failed: async (name, most) => (await run(orders.FAILED_SQL, [name, most])).rows.map(toRecord),
    cancel: async (id) => {
      for (;;) {
        const waiting = (await run(claims.CANCEL_WAITING_SQL, [id, await segment()])).rows[0]
        if (waiting !== undefined) return { version: waiting['version'] as number, asked: false }
        const running = (await run(claims.CANCEL_RUNNING_SQL, [id])).rows[0]
        if (running !== undefined) return { version: running['version'] as number, asked: true }
        // Between both it may have been given back, or have failed: then it waits, and once more.
        if ((await run(claims.STANDS_SQL, [id])).rows.length === 0) return null
      }
    },
    retry: async (of) =>
      column(await run(orders.RETRY_SQL, ['id' in of ? of.id : null, 'name' in of ? of.name : null]), 'id'),
    setPaused: async (name, paused) => void (await run(orders.PAUSE_SQL, [name, paused])),
    paused: async () => column(await run(orders.PAUSED_SQL, []), 'name'),
    counts: async () =>
      (await run(orders.COUNTS_SQL, [])).rows.map(({ oldest_ms: oldestMs, ...row }) => ({ ...(row as any), oldestMs })),

    tick: (name, atMs, job) =>
      database.transaction(async (within) => {
        const { rows } = await within(orders.TICK_SQL, [name, atMs])
        return rows.length === 0 ? null : (await orderJobs(within, [job]))[0]!
      }),
    lastTick: async (name) => {
      const ask = async (): Promise<Row | undefined> => (await run(orders.LAST_TICK_SQL, [name])).rows[0]
      // None where another began the record at that moment.
      const { at_ms: atMs, now_ms: nowMs } = (await ask()) ?? (await ask())!
      return { atMs, nowMs }
    },
    rotate: (keepMs, keepBytes, failedForMs) => rotate(database, { keepMs, keepBytes, failedForMs }),
  }
}

async function prepare(run: RunStatement): Promise<void> {
  try {
    const { rows } = await run(HAS_TABLES_SQL, [])
    if (rows[0]?.['present'] === true) return
    // One statement, and so one transaction: who comes second waits, and finds what the first one made.
    await run(`do $$ begin perform pg_advisory_xact_lock(${SCHEMA_LOCK}); ${CREATE_TABLES_SQL} end $$`, [])
  } catch (error) {
    if (sqlState(error) !== '42501') throw error
    const message =
      'The database user may not make the tables of jobs: grant it CREATE on the database, or run once as the owner: ' +
      `${CREATE_TABLES_SQL.replaceAll(/\s+/g, ' ')} then GRANT USAGE ON SCHEMA fourfold and SELECT, INSERT, UPDATE, DELETE, TRUNCATE on its tables`
    throw new FourfoldError('FF_ENGINE_PERMISSION', message, { cause: error })
  }
}

function createSegment(run: RunStatement): () => Promise<number> {
  let known: { readonly segment: number; readonly atMs: number } | null = null
  return async () => {
    const nowMs = performance.now()
    if (known === null || nowMs - known.atMs > segmentMs) {
      known = { segment: Number((await run(orders.SEGMENT_SQL, [])).rows[0]!['current']), atMs: nowMs }
    }
    return known.segment
  }
}

/** As jsonb takes it: without what is no text. */
function storable(error: JobError): string {
  return JSON.stringify(error, (_key, value: unknown) =>
    typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '') : value,
  )
}

/** What a text of the database's may hold. */
function textOf(message: string | null | undefined): string | null {
  return message?.replaceAll('\0', '') ?? null
}

function ids(given: readonly ClaimName[]): string[] {
  return given.map(({ id }) => id)
}

function tokens(given: readonly ClaimName[]): number[] {
  return given.map(({ token }) => token)
}

function answerTo(given: readonly ClaimName[], rows: readonly Row[]): Recorded[] {
  const versions = new Map(rows.map(({ id, version }) => [id as string, version as number]))
  return given.map(({ id }) => {
    const version = versions.get(id)
    return version === undefined ? { id, lost: true } : { id, version }
  })
}

function column({ rows }: { readonly rows: readonly Row[] }, name: string): string[] {
  return rows.map((row) => row[name] as string)
}

function heartbeat({ rows }: { readonly rows: readonly Row[] }): Heartbeat {
  const { alive, handed_back: handedBack, cancelled } = rows[0]!
  const claimed = (cancelled ?? []) as readonly (readonly [id: string, token: number])[]
  return { alive, handedBack, cancelled: claimed.map(([id, token]) => ({ id, token })) }
}

/** The smallest ranks first: UPDATE … RETURNING promises no order. */
function toClaims(rows: readonly Row[]): Claim[] {
  return rows
    .toSorted(
      (one, other) => (one['rank'] as number) - (other['rank'] as number) || Number(one['id']) - Number(other['id']),
    )
    .map(({ rank: _rank, more: _more, ...claim }) => claim) as unknown as Claim[]
}

function toRecord(row: Row): JobRecord {
  const { ordered_ms: orderedMs, run_ms: runMs, finished_ms: finishedMs, errors, ...same } = row
  return {
    ...(same as any),
    errors: (errors ?? []) as readonly JobError[],
    orderedAtMs: Number(orderedMs),
    notBeforeMs: Number(runMs),
    finishedAtMs: finishedMs === null ? null : Number(finishedMs),
  }
}
