/**
 * The sql driver: the store on a PostgreSQL primary, for teams that run nothing else. Every call is one statement and
 * one transaction; why that is enough is argued in docs/decisions/021-store-sql.md.
 */

import { setTimeout as sleep } from 'node:timers/promises'

import { withDeadline } from '../../core/deadline.ts'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { silentLogger, type Logger } from '../../core/log.ts'
import { addressFromUrl, type PostgresAddress } from '../../engines/postgres/address.ts'
import { Naming } from '../../engines/postgres/naming.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'
import {
  bytesOf,
  checkBudget,
  checkCount,
  checkKey,
  checkLsn,
  checkTtl,
  checkWait,
  expectationPairs,
  fieldPairs,
} from '../arguments.ts'
import { Caller, type CallOptions } from '../caller.ts'
import { readWhenNew } from '../following.ts'
import { closedError } from '../link.ts'
import type {
  Lease,
  RecordUpdate,
  Registration,
  RegistryView,
  Spending,
  Store,
  StoredToken,
  StoreFields,
  StreamPage,
  StreamReadOptions,
  UpdateResult,
} from '../store.ts'
import { connectionsPerProcess } from './budget.ts'
import { dialSql, isWithoutTables, judgeSql, type Row, type SqlConnection } from './connection.ts'
import { decodeFields, decodeParts, encodeFields, encodeName, encodeParts, endOfPrefix } from './fields.ts'
import { IncarnationWatch } from './incarnation.ts'
import { createPreparation, type Preparation } from './preparation.ts'
import * as statements from './statements.ts'
import { startSweeper } from './sweeper.ts'

export interface SqlStoreOptions {
  /** A `postgres://` URL, or an address as the engine takes it. */
  readonly address: string | PostgresAddress
  readonly deadlineMs: number
  readonly log?: Logger
}

/** A store on a PostgreSQL primary. It connects and reconnects by itself, and makes its tables where they are missing. */
export function createSqlStore(options: SqlStoreOptions): Store {
  return new SqlStore(options)
}

const twice = { repeatable: true }
const never = { repeatable: false }
/** Between two questions of a read that waits: a LISTEN would be one connection more, and is lost behind a pooler. */
const firstPollMs = 20
const pollStepMs = 10
const longestPollMs = 100

class SqlStore implements Store {
  readonly driver = 'sql'
  private readonly caller: Caller<SqlConnection>
  private readonly preparation: Preparation
  private readonly incarnations: IncarnationWatch
  private readonly endSweeper: () => void
  private readonly closing = new AbortController()
  private readonly deadlineMs: number
  private readonly log: Logger

  constructor({ address: given, deadlineMs, log = silentLogger }: SqlStoreOptions) {
    const address = typeof given === 'string' ? addressFromUrl(given, undefined, 'store.url') : given
    const naming = new Naming()
    this.deadlineMs = deadlineMs
    this.log = log
    this.incarnations = new IncarnationWatch(log)
    this.preparation = createPreparation(address)
    this.caller = new Caller<SqlConnection>({
      address: `postgres://${address.host}:${address.port}/${address.database}`,
      deadlineMs,
      log,
      connections: connectionsPerProcess,
      judge: (error) => {
        if (isWithoutTables(error)) this.prepare()
        return judgeSql(error)
      },
      dial: (options) =>
        dialSql(address, naming, options).catch((error: unknown) => {
          if (isWithoutTables(error)) this.prepare()
          throw error
        }),
    })
    this.endSweeper = startSweeper((sql, values) => this.ask(sql, values, never))
  }

  incarnation(): string | Promise<string> {
    if (this.caller.closed) return Promise.reject(closedError())
    return this.incarnations.current ?? this.askIncarnation()
  }

  async read(key: string): Promise<StoreFields | null> {
    const [row] = await this.rows(statements.READ_RECORD_SQL, [keyBytes(key)], twice)
    return row === undefined ? null : decodeFields(row['fields'] as Record<string, string>)
  }

  async create(key: string, fields: StoreFields, options: { readonly ttlMs: number }): Promise<boolean> {
    checkTtl(options.ttlMs)
    const values = [keyBytes(key), encodeFields(fieldPairs(fields)), options.ttlMs]
    return (await this.ask(statements.CREATE_RECORD_SQL, values, never)).rowCount === 1
  }

  async update(key: string, change: RecordUpdate): Promise<UpdateResult> {
    if (change.ttlMs !== undefined) checkTtl(change.ttlMs)
    const expected: [string, Buffer][] = []
    const absent: string[] = []
    for (const [name, value] of expectationPairs(change.expect)) {
      if (value === null) absent.push(encodeName(name))
      else expected.push([name, value])
    }
    const set = encodeFields(fieldPairs(change.set))
    const remove = (change.remove ?? []).map(encodeName)
    const values = [keyBytes(key), remove, set, change.ttlMs ?? null, encodeFields(expected), absent]
    for (;;) {
      const [row] = await this.rows(statements.UPDATE_RECORD_SQL, values, never)
      if (row?.['result'] !== 'again') return row?.['result'] as UpdateResult
    }
  }

  async delete(key: string): Promise<boolean> {
    const [row] = await this.rows(statements.DELETE_RECORD_SQL, [keyBytes(key)], never)
    return row?.['alive'] === true
  }

  async list(prefix: string, options: { readonly limit?: number } = {}): Promise<readonly string[]> {
    const start = keyBytes(prefix)
    const values = [start, endOfPrefix(start), options.limit ?? 1000]
    const rows = await this.rows(statements.LIST_RECORDS_SQL, values, twice)
    return rows.map((row) => (row['key'] as Buffer).toString())
  }

  async raiseToken(key: string, epoch: Epoch, lsn: Lsn, ttlMs: number): Promise<void> {
    checkLsn(lsn)
    checkTtl(ttlMs)
    await this.ask(statements.RAISE_TOKEN_SQL, [keyBytes(key), encodeName(epoch), lsn, ttlMs], twice)
  }

  async readToken(key: string): Promise<StoredToken | null> {
    const [row] = await this.rows(statements.READ_TOKEN_SQL, [keyBytes(key)], twice)
    const parts = row?.['parts'] as Record<string, number> | null
    if (typeof row?.['epoch'] === 'string') this.incarnations.learn(row['epoch'])
    // A recovery took it: whoever reads on makes the next one first.
    else await this.askIncarnation()
    return parts === null ? null : { parts: decodeParts(parts) }
  }

  async replaceToken(
    key: string,
    seen: StoredToken,
    next: { readonly epoch: Epoch; readonly lsn: Lsn },
    ttlMs: number,
  ): Promise<boolean> {
    checkLsn(next.lsn)
    checkTtl(ttlMs)
    const parts = encodeParts(Object.fromEntries([[next.epoch, next.lsn]]))
    const values = [keyBytes(key), encodeParts(seen.parts), parts, ttlMs]
    return (await this.ask(statements.REPLACE_TOKEN_SQL, values, never)).rowCount === 1
  }

  async acquireLease(key: string, holder: string, ttlMs: number): Promise<Lease | null> {
    checkTtl(ttlMs)
    const [row] = await this.rows(statements.ACQUIRE_LEASE_SQL, [keyBytes(key), keyBytes(holder), ttlMs], twice)
    return row === undefined ? null : { key, holder, fence: Number(row['fence']) }
  }

  async renewLease(lease: Lease, ttlMs: number): Promise<boolean> {
    checkTtl(ttlMs)
    const values = [keyBytes(lease.key), keyBytes(lease.holder), lease.fence, ttlMs]
    return (await this.ask(statements.RENEW_LEASE_SQL, values, twice)).rowCount === 1
  }

  async releaseLease(lease: Lease): Promise<void> {
    await this.ask(statements.RELEASE_LEASE_SQL, [keyBytes(lease.key), keyBytes(lease.holder), lease.fence], never)
  }

  async register(group: string, id: string, value: Uint8Array, ttlMs: number): Promise<Registration> {
    checkTtl(ttlMs)
    const values = [keyBytes(group), keyBytes(id), bytesOf('the value', value), ttlMs]
    const [row] = await this.rows(statements.REGISTER_SQL, values, twice)
    return { group, id, fence: Number(row?.['fence']) }
  }

  async renewRegistration({ group, id, fence }: Registration, ttlMs: number, value?: Uint8Array): Promise<boolean> {
    checkTtl(ttlMs)
    const bytes = value === undefined ? null : bytesOf('the value', value)
    const values = [keyBytes(group), keyBytes(id), fence, ttlMs, bytes]
    return (await this.ask(statements.RENEW_REGISTRATION_SQL, values, twice)).rowCount === 1
  }

  async withdraw({ group, id, fence }: Registration): Promise<void> {
    await this.ask(statements.WITHDRAW_SQL, [keyBytes(group), keyBytes(id), fence], never)
  }

  async readRegistry(group: string, seen = ''): Promise<RegistryView | null> {
    const rows = await this.rows(statements.READ_REGISTRY_SQL, [keyBytes(group), seen], twice)
    const version = String(rows[0]?.['version'])
    if (version === seen) return null
    const entries = rows.filter((row) => row['id'] !== null)
    return { version, entries: entries.map(entryOf) }
  }

  async appendToStream(
    stream: string,
    value: Uint8Array,
    options: { readonly maxEntries: number; readonly ttlMs: number },
  ): Promise<number> {
    checkCount(options.maxEntries, 1)
    checkTtl(options.ttlMs)
    const values = [keyBytes(stream), options.maxEntries, options.ttlMs, bytesOf('the value', value)]
    const [row] = await this.rows(statements.APPEND_SQL, values, never)
    return Number(row?.['number'])
  }

  async readStream(stream: string, after: number, options: StreamReadOptions = {}): Promise<StreamPage> {
    const { limit = 1000, waitMs = 0 } = options
    checkCount(after)
    checkCount(limit)
    checkWait(waitMs)
    const read = (): Promise<StreamPage> => this.readPage(stream, after, limit)
    return readWhenNew(read, after, waitMs, (leftMs, turn) =>
      this.pause(Math.min(leftMs, firstPollMs + turn * pollStepMs, longestPollMs)),
    )
  }

  private async readPage(stream: string, after: number, limit: number): Promise<StreamPage> {
    const rows = await this.rows(statements.READ_STREAM_SQL, [keyBytes(stream), after, limit], twice)
    const [oldest, last] = [Number(rows[0]?.['oldest'] ?? 0), Number(rows[0]?.['last'] ?? 0)]
    const entries = rows.filter((row) => row['number'] !== null)
    return {
      entries: entries.map((row) => ({ number: Number(row['number']), value: row['value'] as Buffer })),
      last,
      gap: after > 0 && (after < oldest - 1 || after > last),
    }
  }

  async spend(key: string, costMs: number, capacityMs: number): Promise<Spending> {
    checkBudget(costMs, capacityMs)
    const [row] = await this.rows(statements.SPEND_SQL, [keyBytes(key), costMs, capacityMs], never)
    return { granted: row?.['granted'] === true, leftMs: Math.max(0, Math.floor(Number(row?.['left']))) }
  }

  async ping(): Promise<void> {
    await this.askIncarnation()
  }

  close(): Promise<void> {
    this.endSweeper()
    this.closing.abort()
    return this.caller.close().then(() => this.preparation.close())
  }

  private async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, this.closing).catch(() => undefined)
    if (this.closing.signal.aborted) throw closedError()
  }

  private async askIncarnation(): Promise<string> {
    const [row] = await this.rows(statements.READ_EPOCH_SQL, [], twice)
    if (typeof row?.['epoch'] === 'string') this.incarnations.learn(row['epoch'])
    else await this.makeEpoch().then(() => this.askIncarnation())
    return this.incarnations.current!
  }

  /** It goes on in the background when the deadline has passed. */
  private async makeEpoch(): Promise<void> {
    try {
      await withDeadline(this.preparation.run(), this.deadlineMs, 'the next epoch of the database')
    } catch (cause) {
      if (!isFourfoldError(cause, 'FF_CORE_DEADLINE')) throw cause
      throw new FourfoldError('FF_STORE_DEADLINE', `the database of the store recovers: ${cause.message}`, { cause })
    }
  }

  private prepare(): void {
    this.preparation.run().catch((error: unknown) => {
      if (!this.caller.closed) this.log.error({ error }, 'the tables of the store could not be made')
    })
  }

  private async rows(text: string, values: unknown[], options: CallOptions): Promise<readonly Row[]> {
    return (await this.ask(text, values, options)).rows
  }

  private ask(text: string, values: unknown[], options: CallOptions): ReturnType<SqlConnection['send']> {
    return this.caller.call((connection) => connection.send(text, values), options)
  }
}

function entryOf(row: Row): { id: string; fence: number; value: Uint8Array } {
  return { id: (row['id'] as Buffer).toString(), fence: Number(row['fence']), value: row['value'] as Buffer }
}

function keyBytes(key: string): Buffer {
  checkKey(key)
  return Buffer.from(key)
}
