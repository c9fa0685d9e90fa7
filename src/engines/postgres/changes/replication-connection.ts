/**
 * A connection to the server's walsender, in the replication protocol.
 *
 * Nothing is ever acknowledged because it was received: only {@link ReplicationConnection.acknowledge} moves the slot.
 */

import pg from 'pg'

import { withDeadline } from '../../../core/deadline.ts'
import type { PostgresAddress } from '../address.ts'
import { cutConnection } from '../client-state.ts'
import { CURRENT_EPOCH_SQL } from '../epoch.ts'
import type { Epoch, Lsn } from '../../position.ts'
import { exactSettings } from './exact-types.ts'
import { encodeStatus } from './frames.ts'
import { trackerApplicationName } from './names.ts'

export interface ReplicationOptions {
  readonly address: PostgresAddress
  readonly deadlineMs: number
  /** The server gives the connection up when it has heard nothing for so long. */
  readonly serverPatienceMs: number
  /** Ends the opening, however long it would still take. */
  readonly signal?: AbortSignal
}

interface CopyConnection extends NodeJS.EventEmitter {
  readonly stream: { pause(): void; resume(): void }
  sendCopyFromChunk(chunk: Buffer): void
}

export class ReplicationConnection {
  readonly #client: pg.Client
  readonly #connection: CopyConnection
  readonly #deadlineMs: number
  /** Resolves with the reason when the connection is over. */
  readonly ended: Promise<Error>
  /** The server's process: who holds the slot. */
  readonly pid: number
  /** Of this very process's server, so of everything that comes from it. */
  readonly epoch: Epoch | null
  #position: Lsn = 0

  private constructor(client: pg.Client, ended: Promise<Error>, facts: Facts, deadlineMs: number) {
    this.#client = client
    this.#connection = (client as unknown as { connection: CopyConnection }).connection
    this.#deadlineMs = deadlineMs
    this.ended = ended
    this.pid = facts.pid
    this.epoch = facts.epoch
  }

  static async open(options: ReplicationOptions): Promise<ReplicationConnection> {
    const { address, deadlineMs, serverPatienceMs, signal } = options
    const client = new pg.Client({
      ...(address as pg.ClientConfig),
      application_name: trackerApplicationName,
      connectionTimeoutMillis: deadlineMs,
      keepAlive: true,
      replication: 'database',
    } as pg.ClientConfig)
    const ended = new Promise<Error>((resolve) => {
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the server closed the replication connection')))
    })
    const cut = (): void => cutConnection(client)
    signal?.addEventListener('abort', cut)
    try {
      signal?.throwIfAborted()
      const begin = async (): Promise<Facts> => {
        await client.connect()
        return await readFacts(client, serverPatienceMs)
      }
      const facts = await withDeadline(begin(), deadlineMs, 'the replication connection')
      return new ReplicationConnection(client, ended, facts, deadlineMs)
    } catch (error) {
      cut()
      throw error
    } finally {
      signal?.removeEventListener('abort', cut)
    }
  }

  /**
   * Takes the slot and streams from its position; `receive` gets every frame, in bytes that are used again afterwards.
   * @throws PostgreSQL's 55006 while another process holds the slot
   */
  async start(slot: string, publication: string, receive: (frame: Buffer) => void): Promise<void> {
    const begun = new Promise<void>((resolve) => this.#connection.once('replicationStart', resolve))
    this.#connection.on('copyData', ({ chunk }: { chunk: Buffer }) => receive(chunk))
    const failed = new Promise<never>((_resolve, reject) => {
      // Answers when the stream ends, or fails.
      this.#client
        .query(START_SQL(slot, publication))
        .then(() => reject(new Error('the server ended the change stream')), reject)
    })
    failed.catch(() => this.close())
    await withDeadline(Promise.race([begun, failed]), this.#deadlineMs, 'the change stream to begin')
  }

  /** Tells the server that everything up to here is done with. Also says that this side is alive. */
  acknowledge(position: Lsn, replyWanted = false): void {
    this.#position = Math.max(this.#position, position)
    this.#connection.sendCopyFromChunk(encodeStatus(this.#position, replyWanted))
  }

  pause(): void {
    this.#connection.stream.pause()
  }

  resume(): void {
    this.#connection.stream.resume()
  }

  close(): void {
    cutConnection(this.#client)
  }
}

interface Facts {
  readonly pid: number
  readonly epoch: Epoch | null
}

/** Only the simple protocol works here, so no parameters. */
async function readFacts(client: pg.Client, serverPatienceMs: number): Promise<Facts> {
  await client.query(`set wal_sender_timeout = ${Math.round(serverPatienceMs)}`)
  // The names of functions below must mean PostgreSQL's own, and no log of slow statements is wanted for a stream.
  await client.query(`set search_path = pg_catalog`)
  await client.query(exactSettings.join('; '))
  const { rows } = await client.query(`select pg_backend_pid() as pid, (${CURRENT_EPOCH_SQL}) as epoch`)
  return rows[0] as Facts
}

// 0/0: from the slot's own position. Messages: DDL, touched names and heartbeats come as such.
const START_SQL = (slot: string, publication: string): string =>
  `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '"${publication}"', messages 'true')`
