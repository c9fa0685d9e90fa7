/**
 * An entry of the registry that is kept alive: renewed well before it expires, written anew when its value changes, and
 * registered again when the store says that it is gone. A store that is away is tried again until it answers, and
 * whoever waits for a change to be written may stop waiting.
 */

import { setTimeout as delay } from 'node:timers/promises'

import type { Logger } from '../../core/log.ts'
import type { Registration, Store } from '../../store/store.ts'

export interface KeptRegistrationOptions {
  readonly store: Pick<Store, 'register' | 'renewRegistration' | 'withdraw'>
  readonly group: string
  readonly id: string
  /** What stands in the entry; asked for at each write. */
  readonly value: () => Uint8Array
  readonly ttlMs: number
  readonly renewMs: number
  readonly log: Logger
}

export interface KeptRegistration {
  /** When the write was sent that the store has confirmed last, by the monotonic clock. */
  readonly confirmedAt: number
  /** Writes now, a new value too; resolves with whether the store has it. */
  write(): Promise<boolean>
  /** Goes on renewing until it is stopped. */
  keep(): void
  /** Takes the entry away, if the store can be reached. */
  stop(): Promise<void>
}

/** A store that came back should not wait for its processes any longer than this. */
const retryMs = 250
/** A store that is away for less is not worth a line: a process that starts has hardly had the time to connect. */
const quietMs = 1500

export function keepRegistration(options: KeptRegistrationOptions): KeptRegistration {
  const { store, group, id, ttlMs, log } = options
  let held: Registration | null = null
  let written = ''
  let confirmedAt = performance.now()
  let failingSince: number | null = null
  let said = false
  let queue: Promise<unknown> = Promise.resolve()
  const stopping = new AbortController()

  const writeOnce = async (): Promise<boolean> => {
    const value = options.value()
    const text = Buffer.from(value).toString('base64')
    const sentAt = performance.now()
    try {
      if (held !== null && !(await store.renewRegistration(held, ttlMs, text === written ? undefined : value)))
        held = null
      held ??= await store.register(group, id, value, ttlMs)
    } catch (error) {
      failingSince ??= sentAt
      if (!said && performance.now() - failingSince >= quietMs) {
        log.warn({ error, group, id }, 'the store is away: what it knows of this process is not renewed')
        said = true
      }
      return false
    }
    if (said) log.info({ group, id }, 'the store knows this process again')
    said = false
    failingSince = null
    written = text
    confirmedAt = sentAt
    return true
  }

  const write = (): Promise<boolean> => {
    const turn = queue.then(() => (stopping.signal.aborted ? false : writeOnce()))
    queue = turn
    return turn
  }

  const loop = async (): Promise<void> => {
    for (let known = true; !stopping.signal.aborted; known = await write()) {
      await delay(known ? options.renewMs : retryMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  return {
    get confirmedAt() {
      return confirmedAt
    },
    write,
    keep: () => void loop(),
    stop: async () => {
      stopping.abort()
      await queue
      if (held !== null) await store.withdraw(held).catch(() => undefined)
      held = null
    },
  }
}
