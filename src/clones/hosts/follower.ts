/**
 * The balancer's part in a system of several hosts: follows the registry and the admission record, probes the clones,
 * tells its balancer what to do, and says in its own entry what it has done.
 *
 * A turn: ask the store (one round trip, a few bytes when nothing has changed), then act on what is known, whether or
 * not the store has answered. The balancer registers itself before it asks for the first time, so whoever changes
 * something and looks for balancers afterwards either finds this one, or this one has seen the change.
 */

import { setTimeout as delay } from 'node:timers/promises'

import { AdmissionFollower } from './admission-follower.ts'
import { readAdmission, type AdmissionMemory } from './admission-record.ts'
import { credentialFor } from './credential.ts'
import {
  balancerGroup,
  cloneGroup,
  decodeClone,
  encodeEntry,
  memberGroup,
  memberTtlMs,
  registrationTtlMs,
  renewMs,
} from './entries.ts'
import { createProbes, type Probes } from './probes.ts'
import { keepRegistration, type KeptRegistration } from './registration.ts'
import { Roster } from './roster.ts'
import type { Admission, BuildCounts, Upstream } from '../protocol.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'

export interface FollowedBalancer {
  setUpstreams(upstreams: readonly Upstream[], admission: Admission): void
  drain(id: string, withinMs: number): Promise<number>
  counts(): BuildCounts
}

export interface FollowerOptions {
  readonly store: Store
  readonly balancer: FollowedBalancer
  /** Unique, and the same after a restart of this balancer. */
  readonly id: string
  readonly host: string
  readonly keys: readonly string[]
  readonly memory: AdmissionMemory
  readonly log: Logger
  /** Default: 5,000. */
  readonly ttlMs?: number
}

export interface Follower {
  /** Ends, and says so, if the store can be reached. */
  stop(): Promise<void>
}

const turnMs = 200
/** While a rollout moves readers, everybody waits for the slowest to notice. */
const rolloutTurnMs = 50

export function followHosts(options: FollowerOptions): Follower {
  const follower = new HostsFollower(options)
  const running = follower.run()
  return {
    stop: async () => {
      follower.end()
      await running
      await follower.withdraw()
    },
  }
}

class HostsFollower {
  readonly #options: FollowerOptions
  readonly #roster: Roster
  readonly #admission: AdmissionFollower
  readonly #probes: Probes
  readonly #entry: KeptRegistration
  readonly #member: KeptRegistration
  readonly #ending = new AbortController()
  /** Those that are being drained, and whether nothing is in flight at them any more. */
  readonly #drains = new Map<string, boolean>()
  #seen: string | undefined
  #away = false
  #applied = ''
  /** The version of the admission that the balancer was told of: what is acknowledged. */
  #appliedVersion = 0

  constructor(options: FollowerOptions) {
    const { store, id, log, keys, memory, ttlMs = registrationTtlMs } = options
    this.#options = options
    this.#roster = new Roster({ ttlMs })
    this.#admission = new AdmissionFollower({ store, memory, log })
    this.#probes = createProbes({
      keys,
      onOutcome: (clone, outcome) => {
        this.#roster.probed(clone, outcome, performance.now())
        this.#act()
      },
    })
    const value = (): Uint8Array => this.#describe()
    const shared = { store, id, log, renewMs: (ttlMs * renewMs) / registrationTtlMs }
    this.#entry = keepRegistration({ ...shared, group: balancerGroup, ttlMs, value })
    const member = (): Uint8Array => Buffer.from(JSON.stringify({ host: options.host }))
    this.#member = keepRegistration({ ...shared, group: memberGroup, ttlMs: memberTtlMs, value: member })
  }

  async run(): Promise<void> {
    // What it knew before it was restarted counts until the store says more.
    this.#act()
    await this.#join()
    this.#entry.keep()
    this.#member.keep()
    while (!this.#ending.signal.aborted) {
      await this.#ask()
      this.#act()
      const turn = this.#admission.admission.next === undefined && this.#admission.admission.halt !== true
      await delay(turn ? turnMs : rolloutTurnMs, undefined, { signal: this.#ending.signal }).catch(() => undefined)
    }
  }

  end(): void {
    this.#ending.abort()
    this.#probes.stop()
  }

  async withdraw(): Promise<void> {
    await Promise.all([this.#entry.stop(), this.#member.stop()])
  }

  async #join(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const known = await Promise.all([this.#entry.write(), this.#member.write()])
      if (!known.includes(false)) return
      await delay(turnMs)
    }
  }

  async #ask(): Promise<void> {
    const { store, log } = this.#options
    try {
      const [view, record] = await Promise.all([store.readRegistry(cloneGroup, this.#seen), readAdmission(store)])
      if (view !== null) {
        this.#seen = view.version
        this.#roster.list(
          view.entries.flatMap(({ id, value }) => {
            const entry = decodeClone(value)
            return entry === null ? [] : [{ id, entry }]
          }),
          performance.now(),
        )
      }
      await this.#admission.see(record, this.#roster.builds())
      if (this.#away) log.info({}, 'the store is back: following the clones of all hosts again')
      this.#away = false
    } catch (error) {
      if (!this.#away) log.warn({ error }, 'the store is away: going on with the clones that are known and answer')
      this.#away = true
      this.#admission.lost()
    }
  }

  /** Brings the balancer to what is known. Cheap where nothing has changed. */
  #act(): void {
    const { balancer, keys } = this.#options
    if (this.#ending.signal.aborted) return
    const now = performance.now()
    // What streams from a clone that is gone has no end of its own.
    for (const id of this.#roster.forget(now)) void balancer.drain(id, 0)
    const upstreams = this.#roster.upstreams(now)
    const { admission, version } = this.#admission
    const text = JSON.stringify([upstreams, version, admission])
    if (text !== this.#applied) {
      this.#applied = text
      this.#appliedVersion = version
      const addressed = upstreams.map((upstream) => ({ ...upstream, credential: credentialFor(keys, upstream.id) }))
      balancer.setUpstreams(addressed, admission)
      this.#probes.follow(upstreams)
      void this.#entry.write()
    }
    const draining = this.#roster.draining()
    for (const { id, graceMs } of draining) if (!this.#drains.has(id)) void this.#drain(id, graceMs)
    const ids = new Set(draining.map(({ id }) => id))
    for (const id of this.#drains.keys()) if (!ids.has(id)) this.#drains.delete(id)
  }

  async #drain(id: string, graceMs: number): Promise<void> {
    this.#drains.set(id, false)
    const left = await this.#options.balancer.drain(id, graceMs)
    if (!this.#drains.has(id)) return
    if (left > 0) this.#options.log.warn({ clone: id, inFlight: left }, 'a clone leaves with requests in flight')
    this.#drains.set(id, true)
    void this.#entry.write()
  }

  #describe(): Uint8Array {
    const { host, balancer } = this.#options
    const drained = [...this.#drains].flatMap(([id, done]) => (done ? [id] : []))
    return encodeEntry({ host, drained, admission: this.#appliedVersion, counts: balancer.counts() })
  }
}
