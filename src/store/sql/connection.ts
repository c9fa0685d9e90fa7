/**
 * One connection to the database, pipelined: statements go out as they come, each a transaction of its own, and their
 * answers come in that order. It says nothing of the server at its other end: behind a transaction pooler, each
 * statement may meet another.
 */

import pg from 'pg'

import type { PostgresAddress } from '../../engines/postgres/address.ts'
import { isConnectionLost } from '../../engines/postgres/connection-errors.ts'
import { isUnknownName, type Naming } from '../../engines/postgres/naming.ts'
import { sqlState } from '../../engines/postgres/client.ts'
import type { CallerConnection, DialOptions, Judgement } from '../caller.ts'
import { requestCancel } from './cancel.ts'
import { schemaVersion } from './schema.ts'

export type Row = Record<string, unknown>

export interface SqlConnection extends CallerConnection {
  send(text: string, values: unknown[]): Promise<{ readonly rows: Row[]; readonly rowCount: number }>
}

/** Sent with each connection: one that cannot serve must not count as one. */
const HELLO_SQL = 'select version, pg_is_in_recovery() as standby from fourfold.store_version'

/** Connects and asks whether the store is there. The connection counts only when it has answered. */
export async function dialSql(
  address: PostgresAddress,
  naming: Naming,
  options: DialOptions<SqlConnection>,
): Promise<SqlConnection> {
  const connection = new LiveConnection(address, naming, options)
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(options.signal.reason)
  options.signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([connection.open(), aborted])
    return connection
  } catch (error) {
    connection.hangUp()
    throw error
  } finally {
    options.signal.removeEventListener('abort', abort)
  }
}

class LiveConnection implements SqlConnection {
  received = 0
  private readonly client: pg.Client
  private readonly naming: Naming
  /** What fails each statement that was not answered yet. */
  private readonly underWay = new Set<(reason: Error) => void>()
  private over = false

  constructor(address: PostgresAddress, naming: Naming, { onLost }: DialOptions<SqlConnection>) {
    this.naming = naming
    this.client = new pg.Client({
      ...(address as pg.ClientConfig),
      application_name: address.application_name ?? 'fourfold store',
      keepAlive: true,
      pipeline: true,
    } as pg.ClientConfig)
    const lost = (reason?: unknown): void => {
      if (!this.over) onLost(this, reason ?? new Error('the connection was closed'))
    }
    this.client.on('error', lost)
    this.client.on('end', () => lost())
  }

  async open(): Promise<void> {
    await this.client.connect()
    const { rows } = await this.send(HELLO_SQL, [])
    if (rows[0]?.['standby'] === true) throw new Error('the server is a standby; the store needs the primary')
    if (rows[0]?.['version'] === schemaVersion) return
    throw new Error(
      `the tables of the store are of version ${String(rows[0]?.['version'])}, this build's of ${schemaVersion}`,
    )
  }

  async send(text: string, values: unknown[]): Promise<{ rows: Row[]; rowCount: number }> {
    const { promise: hungUp, reject } = Promise.withResolvers<never>()
    this.underWay.add(reject)
    try {
      const name = this.naming.nameOf(text)
      const query = name === undefined ? { text, values } : { name, text, values }
      const { rows, rowCount } = await Promise.race([this.client.query<Row>(query), hungUp])
      return { rows, rowCount: rowCount ?? 0 }
    } catch (error) {
      if (isUnknownName(error)) this.naming.end()
      throw error
    } finally {
      this.underWay.delete(reject)
      this.received += 1
    }
  }

  /**
   * Cuts it off. A statement that waits for a lock is cancelled first, or the server would keep waiting for nobody: a
   * pooler knows whose statement is meant only while the connection is there.
   */
  hangUp(): void {
    if (this.over) return
    this.over = true
    const { connection, processID, secretKey, host, port } = this.client as unknown as Internals
    const { stream } = connection
    if (this.underWay.size === 0 || processID === null) {
      stream.destroy()
      return
    }
    for (const reject of this.underWay) reject(new Error('the connection was hung up'))
    stream.unref()
    void requestCancel({ host, port, processID, secretKey }).then(() => stream.destroy())
  }
}

/** What pg knows about a client and does not publish in its types. */
interface Internals {
  readonly connection: { readonly stream: { destroy(): void; unref(): void } }
  readonly processID: number | null
  readonly secretKey: number
  readonly host: string
  readonly port: number
}

/** Whether the tables are not there: a new database, or one that was restored from before. */
export function isWithoutTables(error: unknown): boolean {
  const state = sqlState(error)
  return state === '42P01' || state === '3F000'
}

export function judgeSql(error: unknown): Judgement {
  const state = sqlState(error)
  // Among these a server that shuts down: it may have committed before it said so.
  if (state === null || isConnectionLost(error)) return 'broken'
  if (state === '40001' || state === '40P01' || isUnknownName(error)) return 'again'
  if (isWithoutTables(error) || isStandby(error, state)) return 'replaced'
  return state.startsWith('53') || state === '57014' ? 'away' : 'refused'
}

/** One SQLSTATE for everything that a server in recovery cannot do: only the wording tells. */
function isStandby(error: unknown, state: string): boolean {
  if (state === '25006') return true
  return (state === '55000' || state === '0A000') && error instanceof Error && /recovery/.test(error.message)
}
