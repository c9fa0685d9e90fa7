/**
 * The frames inside a replication connection's copy stream: the server's data and keepalives, and the status messages
 * that the receiver sends. See "Streaming Replication Protocol" in PostgreSQL's manual.
 */

import type { Lsn } from '../../position.ts'

const dataTag = 0x77 // w
const keepaliveTag = 0x6b // k
const statusTag = 0x72 // r

/** The tag, where the data starts in the log, where the log ends, the server's clock. */
const dataHeaderBytes = 25

export type Frame =
  | { readonly kind: 'data'; readonly payload: Buffer }
  | { readonly kind: 'keepalive'; readonly end: Lsn; readonly replyWanted: boolean }

export function readFrame(chunk: Buffer): Frame {
  const tag = chunk[0]
  if (tag === dataTag) return { kind: 'data', payload: chunk.subarray(dataHeaderBytes) }
  if (tag !== keepaliveTag) throw new Error(`an unknown frame in the change stream: ${tag}`)
  return { kind: 'keepalive', end: readLsn(chunk, 1), replyWanted: chunk[17] === 1 }
}

export function readLsn(buffer: Buffer, at: number): Lsn {
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4)
}

/**
 * What the receiver has. One position for all three meanings (written, flushed, applied): the server keeps the log from
 * there, and sends a keepalive whenever it has decoded up to the end of the log, because there is more than was confirmed.
 */
export function encodeStatus(position: Lsn, replyWanted: boolean): Buffer {
  const frame = Buffer.alloc(34)
  frame[0] = statusTag
  for (const at of [1, 9, 17]) {
    frame.writeUInt32BE(Math.floor(position / 0x1_0000_0000), at)
    frame.writeUInt32BE(position % 0x1_0000_0000, at + 4)
  }
  frame.writeBigInt64BE(BigInt(Date.now() - postgresEpochMs) * 1000n, 25)
  frame[33] = replyWanted ? 1 : 0
  return frame
}

const postgresEpochMs = Date.UTC(2000, 0, 1)
