/**
 * Who reads, by what a client presents, for a process without the app's code. It answers as the http layer's request
 * reader does, or not at all: then only a clone can tell (docs/decisions/034-pages-in-the-balancer.md).
 */

import { systemClock, type Clock } from '../core/clock.ts'
import { createCookieNames, type CookieNames } from './client-cookies.ts'
import { verifyReader } from './presented-reader.ts'
import { metaFields, parseTicket, recordKey, type SessionTicket } from './session-record.ts'
import { dueForTouch } from './session-store.ts'
import { createSigner, type Signer } from './signer.ts'

import type { Store } from '../store/store.ts'

export interface ClientReadersOptions {
  readonly store: Pick<Store, 'read'>
  readonly secrets: readonly string[]
  readonly cookieName: string
  readonly idleMs: number
  readonly absoluteMs: number
  /** Cookies that say nothing about who the reader is: names, or the beginning of names with a `*` behind it. */
  readonly ignoreCookies: readonly string[]
  readonly clock?: Clock
}

export interface Presented {
  readonly cookie: string | undefined
  /** The header by which clients without cookies name their reader. */
  readonly reader: string | undefined
}

/** What a Cookie header says, as far as it does not depend on when it is read. */
interface Read {
  /** Why only a clone can tell: a pin, two of one name, something that was not signed here. */
  readonly unclear: boolean
  /** Whether there are cookies that are not ours. */
  readonly foreign: boolean
  readonly ticket: SessionTicket | null
  readonly presented: string | null
}

const maxRemembered = 5_000
const longestRemembered = 2_048
const noCookies: Read = { unclear: false, foreign: false, ticket: null, presented: null }

export class ClientReaders {
  readonly #options: ClientReadersOptions
  readonly #signer: Signer
  readonly #clock: Clock
  readonly #names: CookieNames
  /** By the header: signatures are dear. */
  readonly #read = new Map<string, Read>()
  /** Whom sessions belonged to when their records were read last, by their ids. */
  readonly #before = new Map<string, string>()

  /** @throws FF_SESSION_SECRETS_MISSING, FF_SESSION_SECRETS_WEAK */
  constructor(options: ClientReadersOptions) {
    this.#options = options
    this.#signer = createSigner(options.secrets)
    this.#clock = options.clock ?? systemClock
    this.#names = createCookieNames(options.cookieName, options.ignoreCookies)
  }

  /**
   * The reader's key, null for nobody, or undefined: only a clone can tell. Never rejects.
   *
   * @param identifies whether the app names readers by itself: what its `identify` said stands in the session's record
   */
  find(
    { cookie, reader }: Presented,
    identifies: boolean,
  ): string | null | undefined | Promise<string | null | undefined> {
    const { unclear, foreign, ticket, presented } = cookie === undefined ? noCookies : this.#readCookies(cookie)
    if (unclear || (identifies && foreign)) return undefined
    const told = reader === undefined ? presented : verifyReader(this.#signer, reader)
    // A header that means nothing, or another reader than the cookie's.
    if (reader !== undefined && (told === null || (presented !== null && presented !== told))) return undefined
    if (ticket === null) return told
    if (this.#clock.now() >= ticket.created + this.#options.absoluteMs) return undefined
    if (!identifies) return agreeing(ticket.reader, told)
    return this.#identified(ticket).then(
      (key) => (key === undefined ? undefined : agreeing(key, told)),
      () => undefined,
    )
  }

  /** Who it was last time, at once: what has to be asked for that reader can be asked beside {@link find}. */
  guess({ cookie }: Presented): string | undefined {
    const ticket = cookie === undefined ? null : this.#readCookies(cookie).ticket
    return ticket === null ? undefined : this.#before.get(ticket.id)
  }

  /** What the app's `identify` answered for what is in this session now. */
  async #identified(ticket: SessionTicket): Promise<string | undefined> {
    const fields = await this.#options.store.read(recordKey(ticket.id))
    const identified = fields?.[metaFields.identified]
    if (fields === null || identified === undefined || fields[metaFields.moved] !== undefined) return undefined
    // A clone puts the idle limit off.
    if (dueForTouch(fields[metaFields.touched], this.#clock.now(), this.#options.idleMs)) return undefined
    const key = identified.length === 0 ? ticket.reader : Buffer.from(identified).toString()
    if (this.#before.size >= maxRemembered) this.#before.clear()
    this.#before.set(ticket.id, key)
    return key
  }

  #readCookies(header: string): Read {
    const known = this.#read.get(header)
    if (known !== undefined) return known
    const read = this.#judge(header)
    if (header.length <= longestRemembered) {
      if (this.#read.size >= maxRemembered) this.#read.clear()
      this.#read.set(header, read)
    }
    return read
  }

  #judge(header: string): Read {
    const { session, reader, pinned, twice, foreign } = this.#names.read(header)
    const unclear: Read = { ...noCookies, unclear: true }
    if (pinned || twice) return unclear
    const verified = session === null ? null : this.#signer.verify('session', session)
    const ticket = verified === null ? null : parseTicket(verified.value)
    const presented = reader === null ? null : verifyReader(this.#signer, reader)
    // A clone signs it anew where its secret is an old one.
    if (session !== null && (ticket === null || verified?.current !== true)) return unclear
    if (reader !== null && presented === null) return unclear
    return { unclear: false, foreign, ticket, presented }
  }
}

/** Tokens of an earlier reader have to be carried over first, by a clone. */
function agreeing(key: string, presented: string | null): string | undefined {
  return presented === null || presented === key ? key : undefined
}
