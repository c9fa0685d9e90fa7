/**
 * What a process wants the tracker to watch: tables, and templates of their rows. It says so in the store's watch list,
 * and again after a while, since a store may have lost it.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { tableField, templateField, watchKey, watchTtlMs } from '../tracker/watch-list.ts'
import { templateId, type TemplateId } from './hash.ts'
import { ReadSets } from './read-sets.ts'

import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'

export interface WatchWishesOptions {
  /** The database's name in the app. */
  readonly database: string
  readonly store: Store
  readonly nowMs: () => number
  readonly log: Logger
}

const retryMs = 100
const askAgainMs = 5_000

export class WatchWishes {
  readonly #options: WatchWishesOptions
  /** What was asked for, and when: a store that lost it is asked again. */
  readonly #asked = new Map<string, number>()
  #wanted: string[] = []
  readonly #readSets = new ReadSets()
  /** One string for each template, however many entries carry it. */
  readonly #ids = new Map<string, TemplateId>()
  #asking: Promise<void> | null = null
  #stopped = false

  constructor(options: WatchWishesOptions) {
    this.#options = options
  }

  /** See `ChangeFollower.templateFor`. What is watched already needs no room. */
  templateFor(
    table: number,
    columns: readonly string[],
    reads: readonly string[] | null,
    isWatched: (template: TemplateId) => boolean,
  ): TemplateId | null {
    if (reads !== null) {
      const template = templateId(table, columns, reads)
      const admitted = isWatched(template) || this.#readSets.admits(table, template, this.#options.nowMs())
      if (admitted) return this.#same(template)
    }
    return columns.length === 0 ? null : this.#same(templateId(table, columns))
  }

  add(tables: readonly number[], templates: readonly TemplateId[]): void {
    const nowMs = this.#options.nowMs()
    const names = [...tables.map(tableField), ...templates.map(templateField)]
    const fresh = names.filter((name) => nowMs - (this.#asked.get(name) ?? -Infinity) > askAgainMs)
    if (fresh.length === 0 || this.#stopped) return
    for (const name of fresh) this.#asked.set(name, nowMs)
    this.#wanted.push(...fresh)
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null
    })
  }

  /** Whatever is wanted is asked for again: another tracker may answer. */
  forget(): void {
    this.#asked.clear()
  }

  /** Nothing is asked for any more; resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#asking
  }

  #same(template: TemplateId): TemplateId {
    const known = this.#ids.get(template)
    if (known === undefined) this.#ids.set(template, template)
    return known ?? template
  }

  async #ask(): Promise<void> {
    const { store, database, log } = this.#options
    while (this.#wanted.length > 0 && !this.#stopped) {
      const names = this.#wanted.splice(0)
      const set = Object.fromEntries(names.map((name) => [name, new Uint8Array()]))
      try {
        const record = watchKey(database)
        const done = (await store.update(record, { set, ttlMs: watchTtlMs })) === 'updated'
        if (!done && !(await store.create(record, set, { ttlMs: watchTtlMs }))) this.#wanted.push(...names)
      } catch (error) {
        log.debug({ error, database }, 'what to watch could not be said: trying again')
        this.#wanted.push(...names)
        await pause(retryMs)
      }
    }
  }
}
