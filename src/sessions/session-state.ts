/**
 * What a request knows of its session: the id the client named, what the store said about it, and which cookie the
 * answer owes the client. The record is read when first asked for, and once.
 */

import { sessionGone } from './session-errors.ts'
import type { SessionRecord, SessionTicket } from './session-record.ts'
import type { SessionChanges, SessionStore } from './session-store.ts'

/** `unseen`: the client named one, and nobody has looked. `moved`: another id has its data now. */
type Status = 'unseen' | 'none' | 'alive' | 'moved'

export class SessionState {
  readonly #store: SessionStore
  #ticket: SessionTicket | null
  #status: Status
  #record: Promise<SessionRecord | null> | null = null
  #seen: SessionRecord | null = null
  #cookie: 'keep' | 'set' | 'clear' = 'keep'

  constructor(store: SessionStore, ticket: SessionTicket | null, resign: boolean) {
    this.#store = store
    this.#ticket = ticket
    this.#status = ticket === null ? 'none' : 'unseen'
    if (resign && ticket !== null) this.#cookie = 'set'
  }

  get status(): Status {
    return this.#status
  }

  /** The id that may be written to, or null. */
  get ticket(): SessionTicket | null {
    return this.#status === 'unseen' || this.#status === 'alive' ? this.#ticket : null
  }

  get cookie(): 'keep' | 'set' | 'clear' {
    return this.#cookie
  }

  load(): Promise<SessionRecord | null> {
    const { ticket } = this
    if (ticket === null) return Promise.resolve(null)
    this.#record ??= this.#read(ticket)
    return this.#record
  }

  /** Waits for a read that is under way, and answers its error, or null. */
  async loadFailure(): Promise<unknown> {
    return this.#record?.then(
      () => null,
      (error: unknown) => error,
    )
  }

  /** Reads again after another request was faster. @throws FF_SESSION_GONE when the session was alive and is no more. */
  async reload(attempt: number): Promise<void> {
    const wasAlive = this.#status === 'alive'
    await pause(attempt)
    this.#record = null
    if ((await this.load()) === null && wasAlive) throw sessionGone()
  }

  /** The session goes on under this id, with this data. */
  adopt(ticket: SessionTicket, data: SessionChanges): void {
    const kept = [...data].filter((entry): entry is [string, Uint8Array] => entry[1] !== null)
    this.#ticket = ticket
    this.#status = 'alive'
    this.#cookie = 'set'
    const { reader, created } = ticket
    this.#seen = {
      touched: this.#store.now(),
      created,
      reader,
      copied: false,
      write: null,
      identified: null,
      data: new Map(kept),
    }
    this.#record = Promise.resolve(this.#seen)
  }

  /** These changes are stored: what is read from now on shows them. */
  async remember(changes: SessionChanges): Promise<void> {
    await this.loadFailure()
    if (this.#seen === null) return
    this.#seen.touched = this.#store.now()
    for (const [key, value] of changes) {
      if (value === null) this.#seen.data.delete(key)
      else this.#seen.data.set(key, value)
    }
  }

  /** There is no such session any more; the next write begins another one. */
  forget(): void {
    this.#become('none')
  }

  /** Ends the session in the store, under whatever id it lives now, and takes the cookie away. */
  async end(): Promise<void> {
    if (this.#ticket === null) return
    if (this.#status !== 'none') await this.#store.end(this.#ticket)
    this.#cookie = 'clear'
    this.#become('none')
  }

  /** Failing to put the idle limit off is no reason to fail a request: the next one tries again. */
  async touch(): Promise<void> {
    const { ticket } = this
    if (ticket === null || this.#seen === null) return
    await this.#store.touch(ticket, this.#seen).catch(() => undefined)
  }

  /** Failing to note it only costs a balancer its answers. */
  async noteIdentified(reader: string): Promise<void> {
    const { ticket } = this
    if (ticket === null || this.#seen === null || this.#seen.write === null) return
    if (this.#seen.identified !== reader)
      await this.#store.noteIdentified(ticket, this.#seen, reader).catch(() => undefined)
  }

  async #read(ticket: SessionTicket): Promise<SessionRecord | null> {
    const found = await this.#store.read(ticket)
    if (found === null || found === 'moved') {
      this.#become(found ?? 'none')
      return null
    }
    this.#status = 'alive'
    this.#seen = found
    return found
  }

  #become(status: 'none' | 'moved'): void {
    this.#status = status
    this.#seen = null
    this.#record = null
  }
}

/** Random, and longer the more often others were faster. */
function pause(attempt: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, Math.random() * Math.min(50, 2 * attempt))
  return promise
}
