/**
 * The central store: what the clones share and none of them owns. Sessions, freshness tokens, leases and the
 * registry of processes live here. Drivers stand in folders beside this file; each passes the contract suite in
 * `src/testing`.
 *
 * Semantics that hold for every driver:
 * - Every operation is atomic: two clients never see half of one, and the operations on one key are in one order.
 * - An operation that resolved survives SIGKILL of any Fourfold process, the store's own included.
 * - Every operation has a deadline (250 ms unless configured). When it passes, the promise rejects with
 *   `FF_STORE_DEADLINE`; whether the operation took place is then unknown. A refused connection rejects with
 *   `FF_STORE_UNAVAILABLE`. Nothing is queued for a store that is away.
 * - Operations started in one tick travel together, so `Promise.all` of several costs one round trip. Reads that wait
 *   travel alone.
 * - Keys are any text. Values are bytes. Times to live are whole milliseconds; an expired record does not exist.
 * - `close` may be called twice; calls after it reject with `FF_CORE_CLOSED`.
 */

import type { Epoch, Lsn } from '../engines/position.ts'

/** A record's fields. The record exists as long as it has not been deleted and has not expired, also with no field. */
export type StoreFields = Readonly<Record<string, Uint8Array>>

export interface RecordUpdate {
  /** Fields to write; others stay as they are. */
  readonly set?: StoreFields
  /** Fields to take away. */
  readonly remove?: readonly string[]
  /** Compare and set: every field named here must hold these bytes, or be absent where null. */
  readonly expect?: Readonly<Record<string, Uint8Array | null>>
  /** A new time to live, counted from now. Absent: the old one goes on. */
  readonly ttlMs?: number
}

/** `missing`: no such record, nothing was written. `conflict`: `expect` did not hold, nothing was written. */
export type UpdateResult = 'updated' | 'missing' | 'conflict'

/**
 * A reader's freshness token for one database: for each epoch the greatest position that the reader was told of.
 * More than one part is a mixture, and means: read the primary.
 */
export interface StoredToken {
  readonly parts: Readonly<Record<Epoch, Lsn>>
}

export interface Lease {
  readonly key: string
  readonly holder: string
  /** Rises with every new holder of this key, for ever: whoever is handed a greater fence has superseded a smaller. */
  readonly fence: number
}

/**
 * An entry of the registry, as the process holds it that made it. Its fence is another with every `register` of this
 * id and rises for ever: of two processes that take themselves for the same one, the greater fence is the later.
 */
export interface Registration {
  readonly group: string
  readonly id: string
  readonly fence: number
}

export interface RegistryEntry {
  readonly id: string
  readonly fence: number
  readonly value: Uint8Array
}

export interface RegistryView {
  /** Names exactly these entries with these fences and values; opaque. Another after every change and every expiry. */
  readonly version: string
  /** In no order. */
  readonly entries: readonly RegistryEntry[]
}

export interface StreamEntry {
  /** One more than the entry before it; only the first of a stream, or of one that was lost or has expired, is anything greater. */
  readonly number: number
  readonly value: Uint8Array
}

export interface StreamPage {
  /** In order, without a hole among them. */
  readonly entries: readonly StreamEntry[]
  /** The number of the newest entry ever, also where it was not asked for; 0 where there is no stream. */
  readonly last: number
  /** Whether entries are missing between `after` and what is here: trimmed away, or lost with the store's memory. */
  readonly gap: boolean
}

export interface StreamReadOptions {
  /** At most so many entries. Default: 1,000. */
  readonly limit?: number
  /** How long to wait for the first of them, in milliseconds, at most 30,000. Default: 0. */
  readonly waitMs?: number
}

/** What came of spending. */
export interface Spending {
  readonly granted: boolean
  /** What the budget holds afterwards, in milliseconds. */
  readonly leftMs: number
}

export interface Store {
  readonly driver: 'memory' | 'redis' | 'sql'

  /**
   * Names the store's memory. It changes when the newest operations may have been lost (a Redis that restarted or
   * failed over, an embedded store whose log is gone): tokens from before count as incomplete (FRESHNESS rule 32).
   * At once where the driver knows it from the connection's hello: every read at `session` asks. Ask after a token's
   * answer has come, not before: a store that restarted in between would otherwise pass as the one that had no token.
   */
  incarnation(): string | Promise<string>

  /** All fields of a record, or null where there is none. */
  read(key: string): Promise<StoreFields | null>
  /** Makes a record, only if there is none. Answers whether it was made. */
  create(key: string, fields: StoreFields, options: { readonly ttlMs: number }): Promise<boolean>
  /** Changes a record, only if it exists: a record that was deleted is never revived. */
  update(key: string, change: RecordUpdate): Promise<UpdateResult>
  /** Deletes a record. Answers whether there was one. */
  delete(key: string): Promise<boolean>
  /** The keys of living records that start with `prefix`, at most `limit` (default 1,000), in no order. For the registry, not for hot paths. */
  list(prefix: string, options?: { readonly limit?: number }): Promise<readonly string[]>

  /** Raises the token's part of this epoch to at least `lsn` and gives the token a new time to live. Never lowers. */
  raiseToken(key: string, epoch: Epoch, lsn: Lsn, ttlMs: number): Promise<void>
  /** The token, or null where there is none. */
  readToken(key: string): Promise<StoredToken | null>
  /**
   * Replaces a token by one with the single part `next`, only if it is still exactly `seen`. Answers whether it did.
   * For healing a token of an old epoch or a mixture after a read on the primary.
   */
  replaceToken(
    key: string,
    seen: StoredToken,
    next: { readonly epoch: Epoch; readonly lsn: Lsn },
    ttlMs: number,
  ): Promise<boolean>

  /** Takes a lease if nobody holds it (or the holder's has expired), or if `holder` holds it already (same fence, new time). Null: someone else has it. */
  acquireLease(key: string, holder: string, ttlMs: number): Promise<Lease | null>
  /** Lengthens a lease that is still held with this fence. False: it is lost. */
  renewLease(lease: Lease, ttlMs: number): Promise<boolean>
  /** Gives a lease back if it is still held with this fence. */
  releaseLease(lease: Lease): Promise<void>

  /**
   * Puts an entry in a group of the registry, in place of any other of this id, for `ttlMs`: a lease with something
   * written on it. Nobody is asked whether the other still lives: it learns of it when it renews.
   */
  register(group: string, id: string, value: Uint8Array, ttlMs: number): Promise<Registration>
  /**
   * Lengthens an entry that is still there with this fence, and writes `value` where one is given. False: it expired,
   * was withdrawn or replaced, and nothing was written. A process that was paused for longer than its time to live so
   * learns that others have done without it, and must register anew.
   */
  renewRegistration(registration: Registration, ttlMs: number, value?: Uint8Array): Promise<boolean>
  /** Takes an entry away if it is still there with this fence. */
  withdraw(registration: Registration): Promise<void>
  /**
   * The living entries of a group, or null when they are exactly those of the version that was `seen`: following a
   * group by asking a few times a second costs a few bytes each time. A store that lost its memory shows an empty
   * group until the processes have registered again, so a follower that finds another incarnation should go on with
   * what it knows for as long as a registration lives.
   */
  readRegistry(group: string, seen?: string): Promise<RegistryView | null>

  /**
   * Adds an entry behind all others of a stream and answers its number. The stream keeps its newest `maxEntries`, as
   * long as something is added at least every `ttlMs`. Whoever can read an entry can read all before it that were kept.
   */
  appendToStream(
    stream: string,
    value: Uint8Array,
    options: { readonly maxEntries: number; readonly ttlMs: number },
  ): Promise<number>
  /**
   * The entries behind number `after`, oldest first, at most `limit` (default 1,000). 0 asks from the oldest that is
   * kept, and is never a gap. Who wants only what comes next begins with `last`.
   *
   * With `waitMs` (0 to 30,000; default 0), and while there is neither an entry behind `after` nor a gap, the answer is
   * held back: until there is, and for at most so long; then it is an empty page. A stream that expires meanwhile may
   * be noticed only at the end. Such a read has a deadline of its own, `waitMs` longer than that of others, holds none
   * of them up, and may be made again over a connection that broke. `close` ends it at once with `FF_CORE_CLOSED`.
   */
  readStream(stream: string, after: number, options?: StreamReadOptions): Promise<StreamPage>

  /**
   * Spends `costMs` of a budget that holds at most `capacityMs` and fills up again by a millisecond each millisecond of
   * the store's clock, if so much is left: all or nothing. A budget that nobody spent of is full. For rates: five in a
   * minute is a capacity of 60,000 and a cost of 12,000. A cost of 0 only looks.
   */
  spend(key: string, costMs: number, capacityMs: number): Promise<Spending>

  /** Resolves when the store answers; rejects with the driver's error otherwise. */
  ping(): Promise<void>
  close(): Promise<void>
}
