/**
 * The workers of a build that live, as the store's registry knows them, and which buckets are this one's.
 *
 * A view without this worker itself is passed over: the store has lost its memory, or this worker was paused for longer than
 * its entry lives; it registers again, and goes on with what it knows until then.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { Packr } from 'msgpackr'

import { ownedBuckets } from './ownership.ts'

import type { Logger } from '../../core/log.ts'
import type { Registration, Store } from '../../store/store.ts'
import type { BakerStatus } from './status.ts'

export const bakerGroup = 'bakers'

export interface MembersOptions {
  readonly store: Store
  /** Names this worker. */
  readonly self: string
  readonly build: string
  /** What it writes into its entry. */
  readonly status: () => BakerStatus
  /** Called when other buckets are this worker's than before. */
  readonly changed: (owned: Uint8Array, members: number) => void
  readonly log: Logger
}

const ttlMs = 5_000
const everyMs = 500

const packr = new Packr({ useRecords: false })

export class Members {
  readonly #options: MembersOptions
  readonly #end = new AbortController()
  #registration: Registration | null = null
  #written = ''
  #seen: string | undefined
  #known = ''
  #loop: Promise<void> | null = null

  constructor(options: MembersOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await this.#loop
    if (this.#registration !== null) await this.#options.store.withdraw(this.#registration).catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      try {
        await this.#renew()
        await this.#look()
      } catch (error) {
        this.#options.log.debug({ error }, 'the workers are not known: trying again')
      }
      await pause(everyMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #renew(): Promise<void> {
    const { store, self, build, status } = this.#options
    const value = Buffer.from(packr.pack([build, status()]))
    const text = value.toString('base64')
    const held = this.#registration
    const renewed =
      held !== null && (await store.renewRegistration(held, ttlMs, text === this.#written ? undefined : value))
    if (!renewed) this.#registration = await store.register(bakerGroup, self, value, ttlMs)
    this.#written = text
  }

  async #look(): Promise<void> {
    const { store, self, build, changed } = this.#options
    const view = await store.readRegistry(bakerGroup, this.#seen)
    if (view === null) return
    this.#seen = view.version
    const members = view.entries.filter(({ value }) => decodeBaker(value)?.build === build).map(({ id }) => id)
    if (!members.includes(self)) return
    const known = members.toSorted().join(' ')
    if (known === this.#known) return
    this.#known = known
    changed(ownedBuckets(self, members), members.length)
  }
}

/** Null for what another version wrote. */
export function decodeBaker(value: Uint8Array): { readonly build: string; readonly status: BakerStatus } | null {
  try {
    const [build, status] = packr.unpack(value as Buffer) as [string, BakerStatus]
    return typeof build === 'string' ? { build, status } : null
  } catch {
    return null
  }
}
