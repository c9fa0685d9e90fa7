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

/**
 * A position up to which every commit is visible to any snapshot that the primary takes from now on. Only the tracker
 * can tell: a commit reaches the change stream before its rows are visible.
 */
export type VisiblePosition = Position & { readonly [source]: 'visible' }

/**
 * The lower bound of an answer: it shows at least all commits up to here. Fixed before the answer's first read, and made
 * from a {@link VisiblePosition} or a {@link ReplayPosition} only: the watermark, or what the primary's log has reached,
 * may be ahead of what a snapshot shows, and would leave a wrong entry that nothing ever removes.
 */
export type AsOf = Position & { readonly [source]: 'as of' }

/** An answer's lower bound, from what was known before it was read. */
export function asOf(position: VisiblePosition | ReplayPosition): AsOf {
  return position as unknown as AsOf
}

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
