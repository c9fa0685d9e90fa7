/**
 * From the bytes of pgoutput (protocol version 1) to calls, in the order of the stream. Frames but rows are read by the
 * parser of pg-logical-replication.
 */

import { PgoutputPlugin, type Pgoutput } from 'pg-logical-replication'

import { parseLsn, type Lsn } from '../../position.ts'
import { readLsn } from './frames.ts'
import { rowTable, rowTag, type RowTag } from './rows.ts'

export interface Relation {
  readonly oid: number
  readonly columns: readonly RelationColumn[]
}

export interface RelationColumn {
  readonly name: string
  /** Whether it is part of the replica identity: all are under FULL, none under NOTHING. */
  readonly identity: boolean
  /** Oid of its type. */
  readonly type: number
}

const beginTag = 0x42 // B: the commit's position (8 bytes), its time (8), the transaction's number (4)
const beginXidAt = 17
const commitTag = 0x43 // C: flags (1), the commit's beginning (8), its end (8), its time (8)
const commitEndAt = 10

/** What a stream is made of. What answers a promise is waited for before the next call. */
export interface StreamReceiver {
  /** @param xid the lower 32 bits of the transaction's number */
  begin(xid: number): void
  /** How a relation looks from here on. */
  relation(relation: Relation): Promise<void> | void
  row(tag: RowTag, table: number, message: Buffer): void
  truncate(tables: readonly number[]): void
  /** @param start where the message begins in the log: for those outside of transactions */
  message(prefix: string, content: Buffer, transactional: boolean, start: Lsn): void
  /** @param end the position of the commit: FRESHNESS rule 1 */
  commit(end: Lsn): void
}

export class StreamDecoder {
  readonly #parser = new PgoutputPlugin({ protoVersion: 1, publicationNames: [] })
  readonly #receiver: StreamReceiver

  constructor(receiver: StreamReceiver) {
    this.#receiver = receiver
  }

  decode(message: Buffer): Promise<void> | void {
    const tag = rowTag(message)
    if (tag !== null) return this.#receiver.row(tag, rowTable(message), message)
    // The frames around every row of an ordinary app: the parser makes a BigInt of each time in them.
    if (message[0] === beginTag) return this.#receiver.begin(message.readUInt32BE(beginXidAt))
    if (message[0] === commitTag) return this.#receiver.commit(readLsn(message, commitEndAt))
    return this.#dispatch(this.#parser.parse(message))
  }

  #dispatch(message: Pgoutput.Message): Promise<void> | void {
    const receiver = this.#receiver
    switch (message.tag) {
      case 'relation':
        return receiver.relation(relationOf(message))
      case 'truncate':
        return receiver.truncate(message.relations.map(({ relationOid }) => relationOid >>> 0))
      case 'message':
        return receiver.message(
          message.prefix,
          Buffer.from(message.content),
          message.transactional,
          position(message.messageLsn),
        )
      default:
        // Types and origins say nothing about rows.
        return undefined
    }
  }
}

function position(lsn: string | null): Lsn {
  if (lsn === null) throw new Error('a message without a position in the change stream')
  return parseLsn(lsn)
}

function relationOf({ relationOid, columns }: Pgoutput.MessageRelation): Relation {
  return {
    oid: relationOid >>> 0,
    columns: columns.map(({ name, flags, typeOid }) => ({ name, identity: (flags & 1) === 1, type: typeOid >>> 0 })),
  }
}
