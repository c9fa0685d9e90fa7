/**
 * Whoever can answer requests in this process, from memory: the pages of an app. A port, so that the balancer knows
 * nothing of what a page is, and who may see which.
 */

import type { Admission, Upstream } from '../protocol.ts'

/**
 * A GET or HEAD without a body whose head two parsers cannot read differently. Of its fields those that may stand once, or
 * whose values can be put together.
 */
export interface PlainRequest {
  /** Path and query in origin form. */
  readonly target: string
  readonly head: boolean
  readonly cookie: string | undefined
  /** `Fourfold-Reader`. */
  readonly reader: string | undefined
  readonly acceptEncoding: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
}

export interface PlainAnswer {
  readonly status: number
  /** Flat: names and values, the length among them. */
  readonly headers: string[]
  readonly body: Buffer | null
  /** Kept by whoever writes it, when it has been written once: the same answer is written again and again. */
  lines?: string | null
}

export interface PageAnswerer {
  /** Names in small letters of fields whose requests are for clones, besides `authorization` and `proxy-authorization`. */
  readonly credentialHeaders: readonly string[]
  /** Told of every change of clones and builds, before a request is served under it. */
  admit(upstreams: readonly Upstream[], admission: Admission | undefined): void
  /** Null: a clone has to answer. Never throws and never rejects. */
  answer(request: PlainRequest): PlainAnswer | null | Promise<PlainAnswer | null>
}
