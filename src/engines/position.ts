/**
 * Positions in a database's commit order, as FRESHNESS rules 1, 4 and 18 define them.
 *
 * A position is the end of a commit, a number of bytes in the write-ahead log. It means something only together
 * with its epoch: after a crash, a failover or a restore the same number can stand for other contents. Numbers are
 * exact up to 2^53 bytes (8 PiB) of log, far beyond what one cluster writes in its life.
 */

/** Opaque: epochs compare for equality only. */
export type Epoch = string

/** Bytes in the write-ahead log. */
export type Lsn = number

export interface Position {
  readonly epoch: Epoch
  readonly lsn: Lsn
}

declare const source: unique symbol

/** The insert position of the primary, read after a commit: what a write token is made of. */
export type WritePosition = Position & { readonly [source]: 'write' }

/** What a replica had replayed, read on the connection that will do the reading. Void when that connection is lost. */
export type ReplayPosition = Position & { readonly [source]: 'replay' }

/** The textual form of PostgreSQL's pg_lsn ("16/B374D848") as a number. */
export function parseLsn(text: string): Lsn {
  const slash = text.indexOf('/')
  return Number.parseInt(text.slice(0, slash), 16) * 0x1_0000_0000 + Number.parseInt(text.slice(slash + 1), 16)
}

/** The reverse of {@link parseLsn}. */
export function formatLsn(lsn: Lsn): string {
  const high = Math.floor(lsn / 0x1_0000_0000)
  return `${high.toString(16).toUpperCase()}/${(lsn % 0x1_0000_0000).toString(16).toUpperCase()}`
}
