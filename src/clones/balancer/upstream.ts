/**
 * One clone as the balancer sees it: a pool of connections, what is in flight, and whether it has failed lately.
 *
 * Requests in flight hold back a drain. Streams (upgraded connections, event streams) do not: they have no end of their
 * own, and are closed when everything else is answered, so that their clients connect again elsewhere.
 */

import { Pool } from 'undici'
import { createBackoff } from '../backoff.ts'
import type { ListenAddress, Upstream } from '../protocol.ts'
import type { BalancerLimits } from './options.ts'

export class UpstreamState {
  readonly id: string
  readonly address: ListenAddress
  readonly pool: Pool
  buildId: string
  healthy = true
  draining = false
  inFlight = 0
  /** Those of them whose body is streamed and has not come yet. */
  uploads = 0
  /** How to take back each request that waits for its answer to begin. */
  readonly waiting: Set<() => void> = new Set()
  /** How to end each stream that is open. */
  readonly streams: Set<() => void> = new Set()
  #failures = 0
  #ejectedUntil = 0
  readonly #backoff = createBackoff({ firstMs: 250, maxMs: 10_000 })

  constructor(upstream: Upstream, limits: BalancerLimits) {
    this.id = upstream.id
    this.address = upstream.address
    this.buildId = upstream.buildId
    this.healthy = upstream.healthy !== false
    this.pool = openPool(upstream.address, limits)
  }

  /** Whether it should be chosen while others are there as well. */
  wellAt(now: number): boolean {
    return this.healthy && now >= this.#ejectedUntil
  }

  succeed(): void {
    if (this.#failures === 0) return
    this.#failures = 0
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
    if (turned && others) for (const giveUp of this.waiting) giveUp()
  }

  endStreams(): void {
    for (const end of this.streams) end()
    this.streams.clear()
  }
}

const failuresToEject = 3

function openPool(address: ListenAddress, limits: BalancerLimits): Pool {
  const origin = 'path' in address ? 'http://clone' : originOf(address.host, address.port)
  return new Pool(origin, {
    allowH2: false,
    pipelining: 1,
    maxHeaderSize: 64 * 1024,
    // A clone says in its Keep-Alive header when it will close; without one its connections are given up early.
    keepAliveTimeout: 4000,
    headersTimeout: limits.requestTimeoutMs,
    // Answers may pause for as long as they like; a clone that hangs is noticed by the supervisor and killed.
    bodyTimeout: 0,
    connect: { timeout: limits.connectTimeoutMs, ...('path' in address ? { socketPath: address.path } : {}) },
    ...('path' in address ? { socketPath: address.path } : {}),
  })
}

function originOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
