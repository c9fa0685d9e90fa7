/**
 * Who reads, for one request: what the app's `identify` says, else the session's reader, else the reader that the
 * client names by a signed cookie or, without cookies, by the signed header `Fourfold-Reader`, else nobody until the
 * first write makes one. The key names freshness tokens, and whose a job is: it is no proof of who somebody is. At a logout
 * its browser gets a new one, since whoever comes next may be somebody else.
 *
 * A client's reader may change: at login, at logout, when an app's own token appears. The tokens of the earlier one are
 * carried over to the later one before anything is read or answered (FRESHNESS rule 33). For that, the cookie or
 * header always names the reader of this client's last write outside `identify`.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { FourfoldError } from '../core/errors.ts'
import type { ReaderSource } from '../freshness/reader.ts'
import { cookieName, readCookie, serializeCookie } from '../sessions/cookies.ts'
import { sessionLate } from '../sessions/session-errors.ts'
import { readerCookie, readerHeader, signReader, verifyReader } from '../sessions/presented-reader.ts'
import { newReaderKey } from '../sessions/session-record.ts'
import type { Signer } from '../sessions/signer.ts'
import type { AnswerHeaders } from './request-context.ts'

/** What `identify` answers: a key such as `user:7`, or nothing for somebody unknown. */
export type Identity = string | number | null | undefined

export interface RequestReaderOptions {
  readonly signer: Signer
  readonly headers: IncomingHttpHeaders
  readonly secure: boolean
  readonly session: () => { readonly reader: string | null }
  readonly identify?: () => Identity | Promise<Identity>
  readonly carry: (from: string, to: string) => Promise<boolean>
}

const readerCookieSeconds = 30 * 24 * 3600

interface Known {
  readonly key: string | null
  /** Whether the app named it. */
  readonly identified: boolean
}

export class RequestReader implements ReaderSource {
  readonly #options: RequestReaderOptions
  readonly #presented: { readonly key: string; readonly by: 'header' | 'cookie' } | null
  readonly #sessionReader: string | null
  #made: string | null = null
  #known: Promise<Known> | null = null
  #carried: Promise<boolean> | null = null
  #before: string | null = null
  #tell: string | null = null
  #drop = false
  #settled = true
  #closed = false
  #identity: string | null = null

  constructor(options: RequestReaderOptions) {
    this.#options = options
    this.#presented = readPresented(options)
    this.#sessionReader = options.session().reader
  }

  /** False once a token could not be carried over to this client's new reader. */
  get settled(): boolean {
    return this.#settled
  }

  /** What the app's `identify` answered, empty for nobody; null where it has not answered. */
  get identity(): string | null {
    return this.#identity
  }

  /** @throws FF_STORE_UNAVAILABLE while the tokens of an earlier reader cannot be carried over: read the primary. */
  async current(): Promise<string | null> {
    const { key, identified } = await this.#find()
    const presented = this.#presented
    if (key === null || presented === null || presented.key === key) return key
    this.#carried ??= this.#options.carry(presented.key, key)
    if (!(await this.#carried)) {
      this.#carried = null
      throw new FourfoldError(
        'FF_STORE_UNAVAILABLE',
        "The freshness tokens of this client's earlier reader could not be carried over",
      )
    }
    if (presented.by === 'header') this.#tell = key
    else if (identified) this.#drop = true
    return key
  }

  /** Whether the app named the reader. */
  async isIdentified(): Promise<boolean> {
    return (await this.#find()).identified
  }

  async ensure(): Promise<string> {
    const { key, identified } = await this.#find()
    if (key !== null && (identified || key === this.#presented?.key)) return key
    if (this.#closed) {
      // After the answer nobody new can be told, but a session's reader is known to its client: a stream that writes.
      if (key !== null) return key
      throw sessionLate()
    }
    const made = key ?? this.forNewSession()
    this.#known = Promise.resolve({ key: made, identified: false })
    this.#tell = made
    return made
  }

  /** The reader that a session takes over when it begins: the one this client has, else a new one. */
  forNewSession(): string {
    this.#made ??= this.#presented?.key ?? newReaderKey()
    return this.#made
  }

  /** Remembers who read before a login or logout, as long as it can be told. */
  async beforeHandover(): Promise<void> {
    this.#before ??= await this.#find().then(
      ({ key }) => key,
      () => null,
    )
  }

  /** After a login or logout: what the earlier readers of this client have written, the later one sees. */
  async afterHandover(): Promise<void> {
    const earlier = [this.#before, this.#sessionReader, this.#presented?.key ?? null]
    this.#known = null
    const found = await this.#find().catch((): Known => ({ key: null, identified: false }))
    const next = this.#isLeaving(found) ? this.#anew() : (found.key ?? this.#successorOf(earlier))
    if (next === null) return
    if (!found.identified && next !== this.#presented?.key) this.#tell = next
    const from = new Set(earlier.filter((key) => key !== null && key !== next) as string[])
    const carried = await Promise.all([...from].map((key) => this.#options.carry(key, next).catch(() => false)))
    if (!carried.every(Boolean)) this.#settled = false
  }

  /** Whether a session has ended and nobody else is named: whoever comes next to this browser may be somebody else. */
  #isLeaving({ identified }: Known): boolean {
    return !identified && this.#sessionReader !== null && this.#options.session().reader === null
  }

  #anew(): string {
    const key = newReaderKey()
    this.#made = key
    this.#known = Promise.resolve({ key, identified: false })
    return key
  }

  #successorOf(earlier: readonly (string | null)[]): string | null {
    return earlier.every((key) => key === null) ? null : this.forNewSession()
  }

  /** What the answer must carry. From then on no reader can be told to this client. */
  close(): AnswerHeaders {
    this.#closed = true
    const { signer, secure } = this.#options
    if (this.#tell === null) {
      const cookies = this.#drop ? [serializeCookie(readerCookie, '', { secure, maxAgeSeconds: 0 })] : []
      return { cookies, headers: {} }
    }
    const signed = signReader(signer, this.#tell)
    return {
      cookies: [serializeCookie(readerCookie, signed, { secure, maxAgeSeconds: readerCookieSeconds })],
      headers: { [readerHeader]: signed },
    }
  }

  #find(): Promise<Known> {
    this.#known ??= this.#ask()
    return this.#known
  }

  async #ask(): Promise<Known> {
    const identity = await this.#options.identify?.()
    if (this.#options.identify !== undefined) this.#identity = String(identity ?? '')
    if (identity !== null && identity !== undefined) return { key: String(identity), identified: true }
    const session = this.#options.session().reader
    return { key: session ?? this.#made ?? this.#presented?.key ?? null, identified: false }
  }
}

function readPresented(
  options: RequestReaderOptions,
): { readonly key: string; readonly by: 'header' | 'cookie' } | null {
  const { headers, signer, secure } = options
  const header = headers[readerHeader]
  const cookie = readCookie(headers.cookie, cookieName(readerCookie, secure))
  for (const [by, signed] of [
    ['header', header],
    ['cookie', cookie],
  ] as const) {
    const key = typeof signed === 'string' ? verifyReader(signer, signed) : null
    if (key !== null) return { key, by }
  }
  return null
}
