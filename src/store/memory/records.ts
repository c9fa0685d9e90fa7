/**
 * The log's records: length, checksum of the body, checksum of these two, body (msgpack of a list of effects). One
 * record is one group commit.
 *
 * A process that is killed while it writes leaves a prefix of what it was writing: a record that ends with the file
 * is torn, and nobody was told of it. Anything else that does not add up is damage: the disc's doing, not ours.
 */

import { readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Effect } from './effects.ts'
import { pack, unpack } from './frames.ts'

const headerBytes = 12
const windowBytes = 1024 * 1024

/** A group commit as one record. */
export function encodeRecord(effects: readonly Effect[]): Buffer {
  const body = pack(effects)
  const record = Buffer.allocUnsafe(headerBytes + body.length)
  record.writeUInt32BE(body.length, 0)
  record.writeUInt32BE(crc32(body), 4)
  record.writeUInt32BE(crc32(record.subarray(0, 8)), 8)
  body.copy(record, headerBytes)
  return record
}

export interface LogEnd {
  /** Up to here the log is whole. */
  readonly offset: number
  readonly state: 'whole' | 'torn' | 'damaged'
}

/** Reads a log from its start, handing out its effects, until its end or the first record that is not whole. */
export function readRecords(file: number, take: (effects: readonly Effect[]) => void): LogEnd {
  const window = createWindow(file)
  for (;;) {
    const header = window.peek(headerBytes)
    if (header.length === 0) return { offset: window.offset, state: 'whole' }
    if (header.length < headerBytes) return { offset: window.offset, state: 'torn' }
    if (crc32(header.subarray(0, 8)) !== header.readUInt32BE(8)) return { offset: window.offset, state: 'damaged' }
    const size = headerBytes + header.readUInt32BE(0)
    const checksum = header.readUInt32BE(4)
    const record = window.peek(size)
    if (record.length < size) return { offset: window.offset, state: 'torn' }
    const body = record.subarray(headerBytes)
    if (crc32(body) !== checksum) return { offset: window.offset, state: 'damaged' }
    take(unpack(body) as readonly Effect[])
    window.skip(size)
  }
}

interface Window {
  readonly offset: number
  /** The next bytes, fewer only at the end of the file. */
  peek(bytes: number): Buffer
  skip(bytes: number): void
}

function createWindow(file: number): Window {
  let held: Buffer = Buffer.alloc(0)
  let offset = 0
  return {
    get offset() {
      return offset
    },
    peek(bytes) {
      while (held.length < bytes) {
        const more = Buffer.allocUnsafe(Math.max(windowBytes, bytes - held.length))
        const count = readSync(file, more, 0, more.length, offset + held.length)
        if (count === 0) break
        held = Buffer.concat([held, more.subarray(0, count)])
      }
      return held.subarray(0, bytes)
    },
    skip(bytes) {
      held = held.subarray(bytes)
      offset += bytes
    },
  }
}
