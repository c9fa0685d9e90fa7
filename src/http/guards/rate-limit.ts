/**
 * Rate limits that all clones share, in the central store. Each key has a budget of `limit` requests that fills up evenly
 * over `window` (GCRA): a burst of `limit` is granted, then one each `window / limit`. Compared with counting windows
 * there is no moment at which everything is granted anew, and a refused request costs nothing.
 *
 * Headers: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), and `Retry-After` when refused.
 */

import { createHash } from 'node:crypto'
import { createTrust, type Trust } from '../../clones/balancer/trust.ts'
import { parseDuration } from '../../core/duration.ts'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Spending, Store } from '../../store/store.ts'
import type { RawRequest } from '../secure.ts'
import { clientAddress } from './client-address.ts'

/** What a limit needs of the running app. */
export interface LimitHost {
  readonly store: Pick<Store, 'spend'>
  readonly log: Logger
  readonly config: { readonly balancer: { readonly trustProxy: readonly string[] } }
}

export interface RateLimitOptions<Request> {
  /** The opened app. */
  readonly ff: LimitHost
  /** What is limited: limits of one name share their budgets. Shown to clients. */
  readonly name: string
  /** How many requests a key has in a window. */
  readonly limit: number
  /** `'1m'`, or milliseconds. */
  readonly window: string | number
  /** Whose budget a request spends of; null: nobody's, it is not limited. Default: the client's address. */
  readonly key?: (request: Request) => string | null | Promise<string | null>
  /** What happens while the store is away. Default: `allow`, with a line in the log. */
  readonly whenStoreIsAway?: 'allow' | 'refuse'
}

export interface LimitCounts {
  granted: number
  refused: number
  /** Granted unseen, because the store was away. */
  unchecked: number
}

/** What a request's answer must say. */
export type LimitHeaders = Readonly<Record<string, string>>

export interface RateLimit<Request> {
  readonly counts: Readonly<LimitCounts>
  /**
   * Spends of a request's budget.
   *
   * @param tell is given the headers that the answer must carry, also when it is refused
   * @throws FF_HTTP_RATE_LIMITED, or the store's error if it is away and must not be
   */
  check(request: Request, raw: RawRequest, tell: (headers: LimitHeaders) => void): Promise<void>
}

const warnEveryMs = 10_000

/** @throws FF_CORE_DURATION, TypeError for a name or limit that makes no sense */
export function createRateLimit<Request>(options: RateLimitOptions<Request>): RateLimit<Request> {
  return new StoredRateLimit(options)
}

class StoredRateLimit<Request> implements RateLimit<Request> {
  readonly counts: LimitCounts = { granted: 0, refused: 0, unchecked: 0 }
  readonly #options: RateLimitOptions<Request>
  readonly #costMs: number
  readonly #policy: string
  readonly #trust: Trust
  #warnedAt = Number.NEGATIVE_INFINITY

  constructor(options: RateLimitOptions<Request>) {
    const { name, limit, window, ff } = options
    const windowMs = parseDuration(window, 'window')
    if (!/^[\w.:/-]{1,64}$/.test(name))
      throw new TypeError(`name: expected 1 to 64 of A-Z a-z 0-9 _ . : / -, got ${name}`)
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > windowMs)
      throw new TypeError(`limit: expected a whole number from 1 to one a millisecond, got ${limit}`)
    this.#options = options
    this.#costMs = Math.ceil(windowMs / limit)
    this.#policy = `"${name}";q=${limit};w=${Math.ceil(windowMs / 1000)}`
    this.#trust = createTrust(ff.config.balancer.trustProxy)
  }

  async check(request: Request, raw: RawRequest, tell: (headers: LimitHeaders) => void): Promise<void> {
    const { key } = this.#options
    const named = key === undefined ? clientAddress(raw, this.#trust) : await key(request)
    if (named === null) return
    const spending = await this.#spend(named)
    if (spending === null) return
    const { granted, leftMs } = spending
    tell(this.#headers(spending))
    this.counts[granted ? 'granted' : 'refused'] += 1
    if (!granted) throw this.#refusal(leftMs)
  }

  get #capacityMs(): number {
    return this.#costMs * this.#options.limit
  }

  /** Null: the store is away, and that is no reason to refuse. */
  async #spend(key: string): Promise<Spending | null> {
    const { ff, name, whenStoreIsAway } = this.#options
    const hashed = createHash('sha256').update(key).digest('base64url')
    try {
      return await ff.store.spend(`rate:${name}:${hashed}`, this.#costMs, this.#capacityMs)
    } catch (error) {
      if (whenStoreIsAway === 'refuse' || !isFourfoldError(error)) throw error
      this.counts.unchecked += 1
      this.#warn(error)
      return null
    }
  }

  #warn(error: unknown): void {
    const now = performance.now()
    if (now - this.#warnedAt < warnEveryMs) return
    this.#warnedAt = now
    const { ff, name } = this.#options
    ff.log.warn({ error, name, unchecked: this.counts.unchecked }, 'a rate limit cannot be checked: all is let through')
  }

  #headers({ granted, leftMs }: Spending): LimitHeaders {
    const left = Math.floor(leftMs / this.#costMs)
    const fullInSeconds = Math.ceil((this.#capacityMs - leftMs) / 1000)
    return {
      'ratelimit-policy': this.#policy,
      ratelimit: `"${this.#options.name}";r=${left};t=${fullInSeconds}`,
      ...(granted ? {} : { 'retry-after': String(this.#retryAfter(leftMs)) }),
    }
  }

  #retryAfter(leftMs: number): number {
    return Math.max(1, Math.ceil((this.#costMs - leftMs) / 1000))
  }

  #refusal(leftMs: number): FourfoldError {
    const { name } = this.#options
    const retryAfterSeconds = this.#retryAfter(leftMs)
    return new FourfoldError(
      'FF_HTTP_RATE_LIMITED',
      `Too many requests (${name}): try again in ${retryAfterSeconds} s`,
      {
        fields: { name, retryAfterSeconds },
      },
    )
  }
}
