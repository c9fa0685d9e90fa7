/**
 * Freshness tokens in the central store (FRESHNESS rules 31 to 33), for one process and one database.
 *
 * Invariants:
 * - A write's promise resolves only after {@link TokenStore.raise} did, so no response, job or signal can tell of a
 *   write before the token that protects its reader has moved.
 * - A token that could not be stored stays in `pending` and is retried until it is, and the raise answers `unsettled`:
 *   this process then reads the primary for that reader, and the HTTP layer pins the browser.
 * - A reader needs the greater of their token and the floor of the store's incarnation: a store that lost its newest
 *   entries can neither make a reader look as if they had never written, nor pass an older token as their newest.
 * - A token of several epochs, of another epoch or with a mark means "primary". It is healed by compare-and-replace
 *   with a position read on the primary after the token was seen.
 */

import { randomBytes } from 'node:crypto'

import type { Epoch, Position, WritePosition } from '../engines/position.ts'
import type { Logger } from '../core/log.ts'
import type { Store, StoredToken } from '../store/store.ts'

/** What a read must wait for. `primary`: no replica can be trusted for this reader now. */
export type Requirement =
  | { readonly kind: 'position'; readonly position: Position }
  | { readonly kind: 'primary'; readonly why: 'store' | 'mixture' | 'floor'; readonly seen: StoredToken | null }

export interface TokenStoreOptions {
  readonly store: Store
  /** The database's name in the app: tokens are per database. */
  readonly database: string
  /** Reads the primary's position, for floors. Rejects when the primary does not answer. */
  readonly readPosition: () => Promise<WritePosition>
  /** The epoch of the newest position this process knows of, or null before the first. */
  readonly currentEpoch: () => Epoch | null
  readonly ttlMs: number
  readonly log: Logger
}

/**
 * Stands in a token, as an epoch, for a write whose position could not be read: its reader uses the primary. Each write
 * has a mark of its own: with marks alike, healing one write's token would wipe out the mark of a write that came since.
 */
function markOfUnknownWrite(): Epoch {
  return `${markPrefix}${randomBytes(9).toString('base64url')}`
}

const markPrefix = '?'

const retryEveryMs = 100
const maxPendingReaders = 100_000

export class TokenStore {
  readonly #options: TokenStoreOptions
  readonly #pending = new Map<string, Map<Epoch, number>>()
  #floorNow: { readonly incarnation: string; readonly position: Position } | null = null
  readonly #floorLoads = new Map<string, Promise<Position | null>>()
  #retry: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: TokenStoreOptions) {
    this.#options = options
  }

  /** What this reader's reads must wait for. Never rejects: a store that does not answer means the primary. */
  async require(reader: string | null): Promise<Requirement> {
    if (reader !== null && this.#pending.has(reader)) return primary('store')
    const { store, currentEpoch, log, database } = this.#options
    try {
      const token = reader === null ? null : await store.readToken(this.#key(reader))
      const epoch = currentEpoch()
      if (epoch === null) return primary('floor')
      const lsn = token === null ? 0 : onlyPart(token, epoch)
      if (lsn === null) return primary('mixture', token)
      // Asked after the token was read: an answer that came from an older incarnation is then held to the newer floor.
      const asked = store.incarnation()
      const floor = this.#floor(typeof asked === 'string' ? asked : await asked, epoch)
      return held(floor instanceof Promise ? await floor : floor, lsn)
    } catch (error) {
      log.debug({ error, database }, 'token not read: reading the primary')
      return primary('store')
    }
  }

  /**
   * Moves a reader's token to a write's position. Answers whether the store has taken it; if not, it goes on trying
   * in the background. A null position is a write whose position did not come.
   */
  async raise(reader: string, position: Position | null): Promise<boolean> {
    const { epoch, lsn } = position ?? { epoch: markOfUnknownWrite(), lsn: 0 }
    try {
      await this.#options.store.raiseToken(this.#key(reader), epoch, lsn, this.#options.ttlMs)
      return true
    } catch (error) {
      this.#options.log.warn(
        { error, database: this.#options.database },
        'token not stored: retrying, reader unsettled',
      )
      this.#keepPending(reader, epoch, lsn)
      return false
    }
  }

  /** Replaces a token that cannot be used by a position that was read on the primary after the token was seen. */
  async heal(reader: string, seen: StoredToken, position: Position): Promise<void> {
    try {
      await this.#options.store.replaceToken(this.#key(reader), seen, position, this.#options.ttlMs)
    } catch {
      // The token stays as it is, which only costs a read on the primary.
    }
  }

  /** Login, logout and changes of id carry the greater of both tokens over (rule 33). */
  async carry(from: string, to: string): Promise<boolean> {
    if (from === to) return true
    try {
      const token = await this.#options.store.readToken(this.#key(from))
      const parts = [...Object.entries(token?.parts ?? {}), ...(this.#pending.get(from) ?? [])]
      const taken = await Promise.all(parts.map(([epoch, lsn]) => this.raise(to, { epoch, lsn })))
      return taken.every(Boolean)
    } catch {
      return this.raise(to, null)
    }
  }

  /** Whether a token of this reader waits for the store to take it: until then it is the primary that is read. */
  isPending(reader: string): boolean {
    return this.#pending.has(reader)
  }

  /** How many readers wait for the store to take their token. */
  get pendingReaders(): number {
    return this.#pending.size
  }

  /** Tries once more to store what is pending: a process that ends is the last to know of it. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    await this.#flushPending()
    const readers = this.#pending.size
    if (readers > 0) this.#options.log.error({ readers }, 'tokens could not be stored before the end')
  }

  #key(reader: string): string {
    return `token:${this.#options.database}:${reader}`
  }

  /** The primary's position when this incarnation was first seen under this epoch, by any process: the first to ask writes it. */
  #floor(incarnation: string, epoch: Epoch): Position | Promise<Position | null> {
    const known = this.#floorNow
    if (known?.incarnation === incarnation && known.position.epoch === epoch) return known.position
    const id = `floor:${this.#options.database}:${incarnation}:${epoch}`
    const running = this.#floorLoads.get(id)
    if (running !== undefined) return running
    const load = this.#loadFloor(id, epoch).then((position) => {
      if (position !== null) this.#floorNow = { incarnation, position }
      return position
    })
    this.#floorLoads.set(id, load)
    load.catch(() => undefined).finally(() => this.#floorLoads.delete(id))
    return load
  }

  async #loadFloor(id: string, epoch: Epoch): Promise<Position | null> {
    const { store, readPosition } = this.#options
    let record = await store.read(id)
    if (record === null) {
      const position = await readPosition()
      if (position.epoch !== epoch) return null
      await store.create(id, { lsn: Buffer.from(String(position.lsn)) }, { ttlMs: 365 * 24 * 3_600_000 })
      record = await store.read(id)
    }
    const lsn = record?.['lsn']
    if (lsn === undefined) return null
    return { epoch, lsn: Number(Buffer.from(lsn).toString()) }
  }

  #keepPending(reader: string, epoch: Epoch, lsn: number): void {
    if (this.#pending.size >= maxPendingReaders && !this.#pending.has(reader)) {
      this.#options.log.error({ readers: this.#pending.size }, 'too many unsettled readers: one token is given up')
      return
    }
    const parts = this.#pending.get(reader) ?? new Map<Epoch, number>()
    parts.set(epoch, Math.max(parts.get(epoch) ?? 0, lsn))
    this.#pending.set(reader, parts)
    this.#scheduleRetry()
  }

  #scheduleRetry(): void {
    if (this.#retry !== null || this.#closed || this.#pending.size === 0) return
    this.#retry = setTimeout(() => {
      void this.#flushPending().finally(() => {
        this.#retry = null
        this.#scheduleRetry()
      })
    }, retryEveryMs)
  }

  async #flushPending(): Promise<void> {
    for (const [reader, parts] of this.#pending) {
      const sent = [...parts]
      try {
        await Promise.all(
          sent.map(([epoch, lsn]) =>
            this.#options.store.raiseToken(this.#key(reader), epoch, lsn, this.#options.ttlMs),
          ),
        )
      } catch {
        return
      }
      for (const [epoch, lsn] of sent) if (parts.get(epoch) === lsn) parts.delete(epoch)
      if (parts.size === 0) this.#pending.delete(reader)
    }
  }
}

/** The greater of a floor and of a token's position in the floor's epoch. */
function held(floor: Position | null, lsn: number): Requirement {
  if (floor === null) return primary('floor')
  return { kind: 'position', position: lsn > floor.lsn ? { epoch: floor.epoch, lsn } : floor }
}

function primary(why: 'store' | 'mixture' | 'floor', seen: StoredToken | null = null): Requirement {
  return { kind: 'primary', why, seen }
}

/** The position of a token that speaks of this epoch alone; null for any other. */
function onlyPart(token: StoredToken, epoch: Epoch): number | null {
  const parts = Object.entries(token.parts)
  const [only] = parts
  return parts.length === 1 && only?.[0] === epoch ? only[1] : null
}
