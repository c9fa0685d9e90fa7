/**
 * Entries as bytes, for the tier that all clones share. In front stands what decides whether an entry may be used; the
 * value behind it is only decoded when it may.
 *
 *     0  'F4'        magic
 *     2  version     of this format: any change of it, of `tagged.ts`, or of what a head holds
 *     3  flags       1: the value is compressed, 2: it is tagged
 *     4  checksum    CRC-32 of all other bytes
 *     8  head length
 *    12  head        MessagePack
 *        value       MessagePack, compressed with zstd where that makes it smaller
 *
 * What is cut off, damaged, of another version or under another name is a miss: never an error, never another value.
 */

import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

import { Packr } from 'msgpackr'

import { hashVersion, type TemplateId } from '../freshness/changes/hash.ts'
import { hasFromCache, type ClassRegistry } from './classes.ts'
import { inspect } from './inspect.ts'
import { fromTagged, toTagged } from './tagged.ts'

import type { EntryPart } from '../freshness/changes/recorder.ts'

/** What stands in front of a value. */
export interface EnvelopeHead {
  /** What the entry is stored under. */
  readonly id: string
  readonly parts: readonly EntryPart[]
  /** Wall clock, ms. */
  readonly filledAtMs: number
  /** Wall clock, ms; Infinity where it has no time to live. */
  readonly expiresAtMs: number
  /** How long the load took, in ms. */
  readonly loadMs: number
}

export interface Envelope {
  readonly head: EnvelopeHead
  /** The value, in an object of its own since it may be null; null where it cannot be made of these bytes. */
  decode(): { readonly value: unknown } | null
}

export interface EnvelopeOptions {
  readonly classes: ClassRegistry
  /** Values from so many bytes on are compressed. Default: 4,096. Infinity: never. */
  readonly compressAbove?: number
}

const magic = 0x4634
const version = 1
const compressedFlag = 1
const taggedFlag = 2
const prefixBytes = 12
/** More cannot come of a value that a tier takes; what claims to be larger is damaged. */
const maxValueBytes = 256 * 1024 * 1024
/** Level 1: at 10 KiB it takes 62 us and leaves 40 %, level 3 takes 100 us and leaves 41 %, deflate 106 us and 42 %. */
const zstd = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

export class EnvelopeCodec {
  private readonly classes: ClassRegistry
  private readonly compressAbove: number
  /** Without state between values: names of fields are written once a value, and stand in it. */
  private readonly packr: Packr = new Packr({
    useRecords: true,
    mapsAsObjects: false,
    copyBuffers: true,
    int64AsType: 'number',
  })

  constructor({ classes, compressAbove = 4096 }: EnvelopeOptions) {
    this.classes = classes
    this.compressAbove = compressAbove
  }

  /** @throws FF_CACHE_VALUE with the path of what cannot be cached, beginning with `label` */
  encode(head: EnvelopeHead, value: unknown, label?: string): Uint8Array {
    const { plain, shared, classes } = inspect(value, this.classes, label)
    const packedHead = headPackr.pack(headFields(head, [...classes]))
    // Copied: the packer goes on to use its buffer.
    const raw = this.packr.pack(plain ? value : toTagged(value, shared, this.classes))
    const compressed = raw.length >= this.compressAbove ? zstdCompressSync(raw, zstd) : raw
    const body = compressed.length < raw.length ? compressed : raw
    const bytes = Buffer.allocUnsafe(prefixBytes + packedHead.length + body.length)
    bytes.writeUInt16BE(magic, 0)
    bytes[2] = version
    bytes[3] = (body === raw ? 0 : compressedFlag) | (plain ? 0 : taggedFlag)
    bytes.writeUInt32BE(packedHead.length, 8)
    packedHead.copy(bytes, prefixBytes)
    body.copy(bytes, prefixBytes + packedHead.length)
    bytes.writeUInt32BE(checksumOf(bytes), 4)
    return bytes
  }

  /** Null: a miss. */
  open(given: Uint8Array, id: string): Envelope | null {
    try {
      return this.openChecked(Buffer.from(given.buffer, given.byteOffset, given.byteLength), id)
    } catch {
      return null
    }
  }

  private openChecked(bytes: Buffer, id: string): Envelope | null {
    if (bytes.length < prefixBytes || bytes.readUInt16BE(0) !== magic || bytes[2] !== version) return null
    if (bytes.readUInt32BE(4) !== checksumOf(bytes)) return null
    const bodyAt = prefixBytes + bytes.readUInt32BE(8)
    const fields = headPackr.unpack(bytes.subarray(prefixBytes, bodyAt)) as HeadFields
    if (fields[0] !== id || fields[1] !== hashVersion) return null
    const classes = fields[6].map((name) => this.classes.find(name))
    if (!classes.every((type) => type !== undefined)) return null
    const decode = (): { value: unknown } | null => this.decode(bytes, bodyAt)
    const head = headOf(fields)
    if (!classes.some(hasFromCache)) return { head, decode }
    // What a class makes of its fields may fail: that, too, must be known before anybody counts on the entry.
    const decoded = decode()
    return decoded === null ? null : { head, decode: () => decoded }
  }

  private decode(bytes: Buffer, bodyAt: number): { value: unknown } | null {
    try {
      const flags = bytes[3]!
      const body = bytes.subarray(bodyAt)
      const raw = (flags & compressedFlag) === 0 ? body : zstdDecompressSync(body, { maxOutputLength: maxValueBytes })
      const unpacked = this.packr.unpack(raw) as unknown
      return { value: (flags & taggedFlag) === 0 ? unpacked : fromTagged(unpacked, this.classes) }
    } catch {
      return null
    }
  }
}

/** Of everything but itself. */
function checksumOf(bytes: Buffer): number {
  return crc32(bytes.subarray(8), crc32(bytes.subarray(0, 4)))
}

/** Its bytes are read at once, and need no memory of their own. */
const headPackr = new Packr({ useRecords: false, copyBuffers: false })

type RowFields = readonly [TemplateId, number, Uint8Array]
type PartFields = readonly [string, string, number, boolean, Uint8Array, readonly RowFields[], Uint8Array]
type HeadFields = readonly [string, number, number, number | null, number, readonly PartFields[], readonly string[]]

function headFields(head: EnvelopeHead, classes: readonly string[]): HeadFields {
  const { id, filledAtMs, expiresAtMs, loadMs, parts } = head
  return [
    id,
    hashVersion,
    filledAtMs,
    expiresAtMs === Infinity ? null : expiresAtMs,
    loadMs,
    parts.map(partFields),
    classes,
  ]
}

function partFields({ database, epoch, asOf, replica, dependencies }: EntryPart): PartFields {
  const { tables, rows, names } = dependencies
  const packedRows = rows.map(({ template, table, hashes }): RowFields => [template, table, pack32(hashes)])
  return [database, epoch, asOf, replica, pack32(tables), packedRows, pack32(names)]
}

function headOf([id, , filledAtMs, expiresAtMs, loadMs, parts]: HeadFields): EnvelopeHead {
  return { id, filledAtMs, expiresAtMs: expiresAtMs ?? Infinity, loadMs, parts: parts.map(partOf) }
}

function partOf([database, epoch, asOf, replica, tables, rows, names]: PartFields): EntryPart {
  const unpackedRows = rows.map(([template, table, hashes]) => ({ template, table, hashes: unpack32(hashes) }))
  return {
    database,
    epoch,
    asOf,
    replica,
    dependencies: { tables: unpack32(tables), rows: unpackedRows, names: unpack32(names) },
  }
}

/** Oids and hashes are unsigned numbers of 32 bits. */
function pack32(numbers: readonly number[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(4 * numbers.length)
  for (let at = 0; at < numbers.length; at += 1) bytes.writeUInt32LE(numbers[at]!, 4 * at)
  return bytes
}

function unpack32(bytes: Uint8Array): number[] {
  const numbers: number[] = []
  for (let at = 0; at + 3 < bytes.length; at += 4) {
    numbers.push((bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0)
  }
  return numbers
}
