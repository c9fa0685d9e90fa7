/**
 * What the log holds: effects, not operations. Each says how a key looks from now on, with absolute times, so that
 * replaying needs no clock and no decision, and replaying an effect twice changes nothing.
 */

import type { Pair } from './operations.ts'

export type Effect =
  /** The log's name (its incarnation), and the version of this format. */
  | readonly ['incarnation', string, number]
  /** A server opened the log: which boot of the machine it ran on. */
  | readonly ['opened', string]
  /** A server closed the log and everything before this is on the disc. Only ever the last of a log. */
  | readonly ['closed']
  /** A whole record: key, end of life, fields. */
  | readonly ['record', string, number, readonly Pair<Uint8Array>[]]
  /** Some fields of a record: key, end of life, fields to write, fields to take away. Means nothing where there is no record. */
  | readonly ['fields', string, number, readonly Pair<Uint8Array>[], readonly string[]]
  | readonly ['gone', string]
  /** A whole token: key, end of life, parts. */
  | readonly ['token', string, number, readonly Pair<number>[]]
  /** A lease: key, holder, fence, end of life. */
  | readonly ['lease', string, string, number, number]
  | readonly ['released', string]
  /** A whole entry of the registry: group, id, fence, revision, end of life, value. */
  | readonly ['registered', string, string, number, number, number, Uint8Array]
  | readonly ['withdrawn', string, string]
  /** A whole stream: name, number of the newest entry, end of life, the entries kept. */
  | readonly ['stream', string, number, number, readonly (readonly [number, Uint8Array])[]]
  /** An entry behind the others: stream, number, value, how many are kept, end of life. Means nothing where there is no stream. */
  | readonly ['appended', string, number, Uint8Array, number, number]
  /** A budget: key, when it is full again. */
  | readonly ['spent', string, number]
  /** The greatest fence ever given, for when the leases themselves are gone. */
  | readonly ['fence', number]

/** 1: without registry and streams. This build reads it, and writes 2 from then on. */
export const readableVersions: readonly number[] = [1, 2]
export const formatVersion = 2
