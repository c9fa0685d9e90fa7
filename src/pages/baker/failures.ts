/**
 * Bakes that fail are tried again after 1, 2, 4 seconds and so on; what was there before stays where it is. While the
 * database or the store is away no page is to blame: one bake a second finds out whether it is back.
 */

import { isFourfoldError } from '../../core/errors.ts'

import type { Logger } from '../../core/log.ts'
import type { Item } from './items.ts'

export const firstRetryMs = 1_000
const longestRetryMs = 300_000
/** A database that is away is tried again by one bake after so long. */
const awayMs = 1_000
/** More lines than these about pages that fail tell nobody anything. */
const maxToldOf = 20

export class Failures {
  readonly failing: Set<Item> = new Set()
  readonly #log: Logger
  #fromMs = 0
  /** When a bake went well last. */
  #wellAtMs: number = -Infinity

  constructor(log: Logger) {
    this.#log = log
  }

  /** Until then no bake is begun. Monotonic, ms. */
  get fromMs(): number {
    return this.#fromMs
  }

  /** Answers after how many milliseconds it is tried again. */
  add(item: Item, error: unknown, nowMs: number): number {
    const isOwn = !isOutage(error) || this.#wellAtMs > item.failedAtMs
    if (isOwn) item.failures += 1
    const retryMs = isOwn ? Math.min(longestRetryMs, firstRetryMs * 2 ** (item.failures - 1)) : awayMs
    this.#tell(item, error, retryMs, isOwn ? this.failing.size < maxToldOf : nowMs >= this.#fromMs)
    if (isOwn && !item.gone) this.failing.add(item)
    if (!isOwn) this.#fromMs = nowMs + awayMs
    item.failedAtMs = nowMs
    item.error = error instanceof Error ? error.message : String(error)
    return retryMs
  }

  /** Its bake went well. */
  heal(item: Item, nowMs: number): void {
    this.#wellAtMs = nowMs
    item.failures = 0
    item.failedAtMs = Infinity
    item.error = null
    this.failing.delete(item)
  }

  forget(item: Item): void {
    this.failing.delete(item)
  }

  #tell({ id, failures }: Item, error: unknown, retryMs: number, aloud: boolean): void {
    const fields = { error, id, failures, retryMs }
    const text = 'a bake failed: what was baked before stays, and it is tried again'
    if (aloud) this.#log.warn(fields, text)
    else this.#log.debug(fields, text)
  }
}

/** What is nobody's fault, if others fail as well: the database or the store is away. */
function isOutage(error: unknown): boolean {
  return isFourfoldError(error) && error.retryable && !error.code.startsWith('FF_PAGE_')
}
