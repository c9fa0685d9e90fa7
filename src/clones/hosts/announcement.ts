/**
 * One clone in the store's registry, as the clone itself keeps it: here I am, this is my build; send me nothing new, I
 * am leaving; gone.
 *
 * An incarnation is named by an id of its own, and requests are meant for incarnations. A clone that stood still for so
 * long that it may have been taken for dead does not go on as the one it was: it becomes another incarnation in the same
 * instant, before it reads another request, so that what was sent to the old one is refused. What becomes of the new one
 * is decided by the balancers, which look at its build as at everybody's.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

import {
  balancerGroup,
  cloneGroup,
  decodeBalancer,
  encodeEntry,
  registrationTtlMs,
  renewMs,
  type CloneEntry,
} from './entries.ts'
import { watchPauses, type PauseWatch } from './pauses.ts'
import { keepRegistration, type KeptRegistration } from './registration.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'

export interface AnnouncementOptions extends Omit<CloneEntry, 'state'> {
  readonly store: Pick<Store, 'register' | 'renewRegistration' | 'withdraw' | 'readRegistry'>
  /** The clone's name on its host: `clone-2`. */
  readonly name: string
  readonly log: Logger
  /** Default: 5,000. */
  readonly ttlMs?: number
}

export interface Announcement {
  /** The incarnation that requests must be meant for; null once it has left. */
  readonly id: string | null
  readonly pauses: PauseWatch
  /** Registers and goes on renewing; resolves when the store knows it, or after a moment without the store. */
  begin(): Promise<void>
  /**
   * Says that it is leaving; resolves with whether every living balancer has nothing left for it. From then on every
   * request is refused.
   */
  leave(): Promise<boolean>
  stop(): Promise<void>
}

/** A pause that no balancer gives a clone up for (see {@link import('./probes.ts')}) is none. */
const leastPauseMs = 1000
/** A start does not wait for a store that is away: balancers may be told later. */
const beginWithinMs = 2000
/** Leaving is said for so long; a store that is away for longer cannot tell the balancers. */
const sayWithinMs = 2000
const askMs = 100

export function announceClone(options: AnnouncementOptions): Announcement {
  return new CloneAnnouncement(options)
}

class CloneAnnouncement implements Announcement {
  readonly pauses: PauseWatch
  readonly #options: AnnouncementOptions
  readonly #ttlMs: number
  #state: CloneEntry['state'] = 'serving'
  #id: string
  #kept: KeptRegistration
  #gone = false

  constructor(options: AnnouncementOptions) {
    this.#options = options
    this.#ttlMs = options.ttlMs ?? registrationTtlMs
    this.#id = this.#newId()
    this.#kept = this.#register()
    this.pauses = watchPauses({
      leastMs: Math.min(leastPauseMs, this.#ttlMs / 4),
      onPause: (gapMs) => this.#paused(gapMs),
    })
  }

  get id(): string | null {
    return this.#gone ? null : this.#id
  }

  async begin(): Promise<void> {
    this.#kept.keep()
    await this.#writeWithin(beginWithinMs)
  }

  async leave(): Promise<boolean> {
    this.#state = 'draining'
    const until = performance.now() + this.#options.graceMs
    const said = await this.#writeWithin(Math.min(sayWithinMs, this.#options.graceMs))
    const drained = said && (await this.#drained(until))
    this.#gone = true
    return drained
  }

  async stop(): Promise<void> {
    this.#gone = true
    this.pauses.stop()
    await this.#kept.stop()
  }

  /** Every balancer that lives has said so. One that dies meanwhile expires and is waited for no longer. */
  async #drained(until: number): Promise<boolean> {
    const { store } = this.#options
    while (performance.now() < until) {
      const view = await store.readRegistry(balancerGroup).catch(() => null)
      const waiting = view?.entries.some(({ value }) => decodeBalancer(value)?.drained.includes(this.#id) === false)
      if (waiting === false) return true
      await delay(askMs)
    }
    return false
  }

  #paused(gapMs: number): void {
    const { log } = this.#options
    log.warn({ pausedMs: Math.round(gapMs), id: this.#id }, `this clone stood still for ${Math.round(gapMs)} ms`)
    // A shorter pause cannot have made the registration expire: a store that is away has, and then nobody was told.
    const mayBeLost = gapMs >= this.#ttlMs - this.#ttlMs * renewShare
    if (!mayBeLost || performance.now() - this.#kept.confirmedAt < this.#ttlMs || this.#gone) return
    const old = this.#kept
    this.#id = this.#newId()
    this.#kept = this.#register()
    void old.stop()
    this.#kept.keep()
    void this.#kept.write()
    log.warn({ id: this.#id }, 'it may have been taken for dead: it goes on as another')
  }

  #register(): KeptRegistration {
    const { store, log, address, buildId, host, graceMs } = this.#options
    return keepRegistration({
      store,
      log,
      group: cloneGroup,
      id: this.#id,
      ttlMs: this.#ttlMs,
      renewMs: this.#ttlMs * renewShare,
      value: () => encodeEntry({ address, buildId, host, graceMs, state: this.#state }),
    })
  }

  async #writeWithin(withinMs: number): Promise<boolean> {
    const until = performance.now() + withinMs
    for (;;) {
      if (await this.#kept.write()) return true
      if (performance.now() >= until) return false
      await delay(askMs)
    }
  }

  #newId(): string {
    return `${this.#options.host}/${this.#options.name}.${randomBytes(4).toString('hex')}`
  }
}

/** Several renewals may fail before an entry expires. */
const renewShare = renewMs / registrationTtlMs
