/**
 * One clone as the balancer sees it: its connections, what is in flight, and whether it has failed lately.
 *
 * Requests in flight hold back a drain. Streams (upgraded connections, event streams) do not: they have no end of their
 * own, and are closed when everything else is answered, so that their clients connect again elsewhere.
 */

import { createBackoff } from '../backoff.ts'
import type { ListenAddress, Upstream } from '../protocol.ts'
import type { OpenStream } from './place.ts'
import { Roster, type Seated } from './roster.ts'
import type { UpstreamClient } from './upstream/client.ts'

/** A request that waits for its answer to begin, and may be taken back until it does. */
export interface Waiting extends Seated {
  giveUp(): void
}

export class UpstreamState {
  readonly id: string
  readonly address: ListenAddress
  readonly client: UpstreamClient
  /** What its requests carry where it is on another host. */
  readonly credential: string | undefined
  buildId: string
  healthy = true
  draining = false
  inFlight = 0
  /** Those of them whose body is streamed and has not come yet. */
  uploads = 0
  readonly waiting: Roster<Waiting> = new Roster()
  readonly streams: Set<OpenStream> = new Set()
  #failures = 0
  #ejectedUntil = 0
  /** Since when it is given its share slowly. */
  #freshSince: number
  readonly #backoff = createBackoff({ firstMs: 250, maxMs: 10_000 })

  /** `beside`: whether others take requests already, so that this one need not take its whole share at once. */
  constructor(upstream: Upstream, client: UpstreamClient, beside: boolean) {
    this.id = upstream.id
    this.address = upstream.address
    this.credential = upstream.credential
    this.buildId = upstream.buildId
    this.healthy = upstream.healthy !== false
    this.client = client
    this.#freshSince = beside ? performance.now() : Number.NEGATIVE_INFINITY
  }

  /** Whether it should be chosen while others are there as well. */
  wellAt(now: number): boolean {
    return this.healthy && now >= this.#ejectedUntil
  }

  /** Which part of its share it is given: less while it is fresh, with cold caches and code that is not compiled yet. */
  shareAt(now: number, slowStartMs: number): number {
    const age = now - this.#freshSince
    return age >= slowStartMs ? 1 : Math.max(leastShare, age / slowStartMs)
  }

  succeed(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    if (this.#ejectedUntil > 0) this.#freshSince = performance.now()
    this.#ejectedUntil = 0
    this.#backoff.reset()
  }

  /** Counts a broken connection; one that was never made counts at once, others when they come in a row. */
  fail(connected: boolean, now: number): void {
    this.#failures += connected ? 1 : failuresToEject
    if (this.#failures >= failuresToEject) this.#ejectedUntil = now + this.#backoff.next()
  }

  /** A clone that turned unhealthy may hang for long: its requests are offered to the others. */
  setHealthy(healthy: boolean, others: boolean): void {
    const turned = this.healthy && !healthy
    this.healthy = healthy
    if (turned && others) for (const request of this.waiting.all()) request.giveUp()
  }

  endStreams(): void {
    for (const stream of this.streams) stream.endStream()
    this.streams.clear()
  }
}

const failuresToEject = 3

/** The share that a fresh clone begins with. */
const leastShare = 0.1
