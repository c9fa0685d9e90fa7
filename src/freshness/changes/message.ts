/**
 * What a tracker publishes: all changes of one database in an interval of positions (FRESHNESS rules 6 to 10, 15, 17).
 */

import { Packr } from 'msgpackr'

import { hashVersion as messageVersion, type TemplateId } from './hash.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'

/** What one commit changed. */
export interface CommitChanges {
  /** The end of the commit. */
  readonly to: Lsn
  /** Oids of the tables in which a row changed, with the ancestors of partitions. */
  readonly tables: readonly number[]
  /** Tables of which no hash tells what changed: TRUNCATE, too many rows, an old value that did not come. */
  readonly wide: readonly number[]
  /** DDL: all that was ever read may be different. */
  readonly everything: boolean
  /** Hashes of rows before and after, under all templates that the message covers: pairs, one behind the other. */
  readonly hashes: Uint32Array
}

/**
 * What a tracker watches: a table from the position on at which it joined the publication, a template from the position
 * on from which its columns are hashed.
 */
export interface Coverage {
  readonly tables: ReadonlyMap<number, TableCoverage>
  readonly templates: ReadonlyMap<TemplateId, Lsn>
}

export interface TableCoverage {
  readonly since: Lsn
  /** `key`: rows can be told apart by the columns of the replica identity alone. */
  readonly tracking: 'full' | 'key'
}

export interface ChangeMessage {
  readonly hashVersion: number
  readonly epoch: Epoch
  /** This run of a tracker: for logs. */
  readonly tracker: string
  /** All changes in (from, to] are in here. Empty intervals are heartbeats. */
  readonly from: Lsn
  readonly to: Lsn
  /** Every commit up to here can be seen by any snapshot taken from now on. At most `to`. */
  readonly visible: Lsn
  readonly commits: readonly CommitChanges[]
  /** Names what was watched throughout the interval, for this tracker. */
  readonly coverageId: string
  /** What that is: in a tracker's first message, after each change, and at least once a second. */
  readonly coverage: Coverage | null
}

const packr = new Packr({ useRecords: false, mapsAsObjects: false, largeBigIntToFloat: false })

export function encodeMessage(message: ChangeMessage): Uint8Array {
  const { hashVersion, epoch, tracker, from, to, visible, commits, coverageId, coverage } = message
  return packr.pack([
    hashVersion,
    epoch,
    tracker,
    from,
    to,
    visible,
    commits.map(encodeCommit),
    coverageId,
    coverage === null
      ? null
      : [[...coverage.tables].map(([oid, { since, tracking }]) => [oid, since, tracking]), [...coverage.templates]],
  ])
}

/** Null where the bytes are no message of this version: the first field is the version in all of them. */
export function decodeMessage(bytes: Uint8Array): ChangeMessage | { readonly hashVersion: number } | null {
  try {
    const [version, ...rest] = packr.unpack(bytes as Buffer) as [number, ...Packed]
    if (typeof version !== 'number') return null
    return hasOtherVersion(version) ? { hashVersion: version } : decodeFields(version, rest)
  } catch {
    return null
  }
}

type PackedCommit = [Lsn, number[], number[], boolean, Uint8Array]
type PackedCoverage = [[number, Lsn, 'full' | 'key'][], [TemplateId, Lsn][]] | null
type Packed = [Epoch, string, Lsn, Lsn, Lsn, PackedCommit[], string, PackedCoverage]

function decodeFields(version: number, fields: Packed): ChangeMessage {
  const [epoch, tracker, from, to, visible, commits, coverageId, coverage] = fields
  return {
    hashVersion: version,
    epoch,
    tracker,
    from,
    to,
    visible,
    commits: commits.map(decodeCommit),
    coverageId,
    coverage: coverage === null ? null : decodeCoverage(coverage),
  }
}

function decodeCoverage([tables, templates]: NonNullable<PackedCoverage>): Coverage {
  return {
    tables: new Map(tables.map(([oid, since, tracking]) => [oid, { since, tracking }])),
    templates: new Map(templates),
  }
}

function encodeCommit({ to, tables, wide, everything, hashes }: CommitChanges): unknown[] {
  return [to, tables, wide, everything, Buffer.from(hashes.buffer, hashes.byteOffset, hashes.byteLength)]
}

function decodeCommit([to, tables, wide, everything, bytes]: PackedCommit): CommitChanges {
  // Copied: a view of 32-bit numbers must begin at a multiple of four.
  const hashes = new Uint32Array(Uint8Array.from(bytes).buffer)
  return { to, tables, wide, everything, hashes }
}

function hasOtherVersion(version: number): boolean {
  return version !== messageVersion
}
