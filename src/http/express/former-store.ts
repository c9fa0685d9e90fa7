/**
 * The store that an app comes from, for as long as it moves. A session that Fourfold does not know is taken over from
 * there, and every change is copied back there, so that the app can go back and nobody has to log in again.
 *
 * Invariants:
 * - Fourfold's store is the truth: a session that it holds, or whose end it holds, is not asked for elsewhere.
 * - A session that ended is not taken over again: its end stays on record as long as the session could have lived,
 *   also where it ends when the former store is not there any more; and where it is, it is told before the logout
 *   resolves.
 * - The last copy is of the last change: whoever copies looks again afterwards whether the record is still the same.
 */

import { withDeadline } from '../../core/deadline.ts'
import type { Logger } from '../../core/log.ts'
import { newReaderKey, type SessionTicket } from '../../sessions/session-record.ts'
import type { SessionStore } from '../../sessions/session-store.ts'
import type { AnyStore } from './options.ts'
import { dataOf, valuesOf } from './session-values.ts'
import type { Done, StoredSession } from './store.ts'

export interface FormerStoreOptions {
  readonly former: AnyStore
  readonly sessions: SessionStore
  readonly log: Logger
  readonly deadlineMs: number
}

const maxCopies = 10

export class FormerStore {
  readonly #options: FormerStoreOptions

  constructor(options: FormerStoreOptions) {
    this.#options = options
  }

  /** Takes a session over. Answers whether the central store may know it now. */
  async adopt(id: string): Promise<boolean> {
    const { sessions } = this.#options
    const data = await this.#ask<StoredSession | null | undefined>((done) => this.#options.former.get(id, done))
    if (!data) return false
    const { expires } = data.cookie ?? {}
    const leftMs = expires ? new Date(expires).getTime() - sessions.now() : undefined
    if (leftMs !== undefined && !(leftMs > 0)) return false
    const ticket = { id, reader: newReaderKey(), created: sessions.now(), idleMs: leftMs }
    // Not made: another request has taken it over, or ended it. Either way the record says what is true.
    await sessions.create(ticket, valuesOf(data), { copied: true })
    return true
  }

  /** Copies what the central store holds now. A copy that fails is missed only by an app that goes back. */
  async copy(id: string): Promise<void> {
    try {
      await this.#copy(id)
    } catch (error) {
      this.#options.log.warn({ error }, 'a session could not be copied to the store that the app comes from')
    }
  }

  async end(ticket: SessionTicket): Promise<void> {
    await this.#options.sessions.bury(ticket)
    await this.#destroy(ticket.id)
  }

  async forget(id: string): Promise<void> {
    await this.#destroy(id)
  }

  async tryToForget(id: string): Promise<void> {
    await this.#destroy(id).catch((error: unknown) => {
      this.#options.log.warn({ error }, 'the copy of a session that is over could not be deleted')
    })
  }

  async #copy(id: string): Promise<void> {
    const { sessions, former } = this.#options
    const ticket = { id, reader: '', created: 0 }
    let record = await sessions.read(ticket)
    for (let attempt = 0; attempt < maxCopies; attempt++) {
      const copied = record
      if (copied === null || copied === 'moved') return this.#destroy(id)
      if (!copied.copied && (await sessions.markCopied(ticket)) !== 'updated') return this.#destroy(id)
      await this.#ask((done) => former.set(id, dataOf(copied.data), done))
      record = await sessions.read(ticket)
      if (record !== null && record !== 'moved' && sameWrite(record.write, copied.write)) return
    }
  }

  #destroy(id: string): Promise<void> {
    return this.#ask((done) => this.#options.former.destroy(id, done))
  }

  #ask<T = void>(work: (done: (error?: any, value?: T) => void) => void): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      const done: (error?: any, value?: T) => void = (error, value) =>
        error && (error as NodeJS.ErrnoException).code !== 'ENOENT' ? reject(error as Error) : resolve(value as T)
      work(done satisfies Done)
    })
    return withDeadline(answer, this.#options.deadlineMs, 'the session store that the app comes from')
  }
}

function sameWrite(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a !== null && b !== null && Buffer.compare(a, b) === 0
}
