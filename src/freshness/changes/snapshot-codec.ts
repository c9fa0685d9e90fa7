/**
 * A snapshot of a filter as bytes: a head, and the slots in pieces, each of which names its snapshot. Only a head with
 * exactly its pieces is a snapshot; anything cut off, damaged, mixed or of another version is none.
 *
 * A slot travels as its age at the watermark in 32 bits, so that a piece of slots that were never raised is empty, and one
 * of young slots has little in its upper bytes, which stand by themselves for the compression. Whatever does not fit
 * counts as newer than it is, never as older.
 */

import { constants, crc32, zstdCompress, zstdDecompress } from 'node:zlib'
import { promisify } from 'node:util'

import { Packr } from 'msgpackr'

import { hashVersion, type TemplateId } from './hash.ts'
import { slotsPerPiece, type KnownChanges } from './snapshot.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'

/** How to know a piece: its checksum. Null: none of its slots was ever raised, and there are no bytes. */
export type PieceMark = number | null

export interface SnapshotHead extends KnownChanges {
  /** Of this one snapshot. */
  readonly id: string
  readonly epoch: Epoch
  readonly marks: readonly PieceMark[]
}

const formatVersion = 1
const prefixBytes = 20
const idBytes = 16
const oldestAge = 2 ** 32 - 2

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
const zstd = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const packr = new Packr({ useRecords: false, mapsAsObjects: false, copyBuffers: true })

type TableFields = readonly [number, Lsn, Lsn, Lsn]
type HeadFields = readonly [
  ...[format: number, hashVersion: number, id: string, epoch: Epoch, floor: Lsn, watermark: Lsn, slots: number],
  ...[tables: readonly TableFields[], templates: readonly (readonly [TemplateId, Lsn])[], marks: readonly PieceMark[]],
]

export function encodeHead({ id, epoch, floor, watermark, slots, tables, templates, marks }: SnapshotHead): Uint8Array {
  const tableFields = [...tables].map(([oid, { since, any, wide }]): TableFields => [oid, since, any, wide])
  const fields = [formatVersion, hashVersion, id, epoch, floor, watermark, slots, tableFields, [...templates], marks]
  const packed = packr.pack(fields)
  const bytes = Buffer.allocUnsafe(4 + packed.length)
  bytes.writeUInt32LE(crc32(packed), 0)
  packed.copy(bytes, 4)
  return bytes
}

/** Null where the bytes are no head of this version and of these hashes. */
export function decodeHead(given: Uint8Array): SnapshotHead | null {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
  if (bytes.length < 4 || bytes.readUInt32LE(0) !== crc32(bytes.subarray(4))) return null
  try {
    const fields = packr.unpack(bytes.subarray(4)) as HeadFields
    const [format, version, id, epoch, floor, watermark, slots, tables, templates, marks] = fields
    if (format !== formatVersion || version !== hashVersion) return null
    const known = tables.map(([oid, since, any, wide]) => [oid, { since, any, wide }] as const)
    return { id, epoch, floor, watermark, slots, tables: new Map(known), templates: new Map(templates), marks }
  } catch {
    return null
  }
}

/** The bytes of one piece, or null where none of its slots was ever raised above the floor. */
export async function encodePiece(
  id: string,
  at: number,
  positions: Float64Array,
  { floor, watermark }: Pick<KnownChanges, 'floor' | 'watermark'>,
): Promise<Uint8Array | null> {
  const raw = writeAges(positions, floor, watermark)
  return raw === null ? null : Buffer.concat([prefixOf(id, at), await compress(raw, zstd)])
}

export function markOf(piece: Uint8Array | null): PieceMark {
  return piece === null ? null : crc32(piece)
}

/** Null where these are not the bytes that the head speaks of. */
export async function decodePiece(
  { id, watermark, slots, marks }: SnapshotHead,
  at: number,
  piece: Uint8Array,
): Promise<Float64Array | null> {
  if (piece.length < prefixBytes || crc32(piece) !== marks[at]) return null
  if (!prefixOf(id, at).equals(piece.subarray(0, prefixBytes))) return null
  const length = Math.min(slotsPerPiece, slots)
  const raw = await decompress(piece.subarray(prefixBytes), { maxOutputLength: 4 * slotsPerPiece }).catch(() => null)
  return raw?.length === 4 * length ? readAges(raw, watermark) : null
}

function prefixOf(id: string, at: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes)
  prefix.write(id, 0, idBytes, 'latin1')
  prefix.writeUInt32LE(at, idBytes)
  return prefix
}

/** Nobody is told that something below the floor has not changed: what stands there need not travel. */
function anyAbove(positions: Float64Array, floor: Lsn): boolean {
  for (let at = 0; at < positions.length; at += 1) if (positions[at]! > floor) return true
  return false
}

/** Four planes of bytes, the lowest first: 0 for a slot that was never raised, else its age plus 1. */
function writeAges(positions: Float64Array, floor: Lsn, watermark: Lsn): Buffer | null {
  if (!anyAbove(positions, floor)) return null
  const count = positions.length
  const raw = Buffer.alloc(4 * count)
  for (let at = 0; at < count; at += 1) {
    const position = positions[at]!
    if (position <= floor) continue
    // Above the watermark it rose after the snapshot was taken: whoever joins hears of that from the stream.
    const age = 1 + Math.min(Math.max(watermark - position, 0), oldestAge)
    raw[at] = age
    raw[at + count] = age >>> 8
    raw[at + 2 * count] = age >>> 16
    raw[at + 3 * count] = age >>> 24
  }
  return raw
}

function readAges(raw: Buffer, watermark: Lsn): Float64Array {
  const count = raw.length / 4
  const positions = new Float64Array(count)
  for (let at = 0; at < count; at += 1) {
    const upper = (raw[at + 2 * count]! << 16) | (raw[at + 3 * count]! << 24)
    const age = (raw[at]! | (raw[at + count]! << 8) | upper) >>> 0
    if (age > 0) positions[at] = watermark - age + 1
  }
  return positions
}
