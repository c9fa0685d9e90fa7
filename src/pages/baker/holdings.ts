/**
 * The entries that a worker looks after, and how it comes by them: from the catalogue, by what it is told, by baking them.
 * Those that nobody lists are bounded: the ones that were asked for least lately go.
 */

import { announcementOf, type Announcement } from '../announcements.ts'
import { dropFromCatalogue, isWanted, writeCatalogue, type CatalogueEntry } from '../catalogue.ts'

import type { Entry } from '../../cache/entry.ts'
import type { Source } from '../../cache/source.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import type { Visited } from '../visits.ts'
import type { Bakes } from './bakes.ts'
import type { Item } from './items.ts'
import type { Watch } from './watch.ts'
import type { Weights } from './weights.ts'

export interface HoldingsOptions {
  readonly watch: Watch
  readonly sources: readonly Source<any>[]
  readonly bakes: Pick<Bakes, 'touch' | 'touchAt' | 'later' | 'forget'>
  /** Hears of what is in the catalogue no more, and may lie somewhere. Null: nothing lies anywhere. */
  readonly dropped: ((item: Item) => void) | null
  readonly weights: Weights
  readonly store: Store
  readonly build: string
  readonly log: Logger
  /** Of one page or object: entries that nobody lists and somebody once asked for, in all workers together. Default: 10,000. */
  readonly maxOnDemand?: number
  /** How long nobody has asked for those that go. Default: a day. */
  readonly longestUnvisitedMs?: number
}

const defaultMaxOnDemand = 10_000
const defaultLongestUnvisitedMs = 24 * 3_600_000
/** What was read before its table's rows could be told apart is read again so soon. */
const coarseMs = 300
const earlyMs = 200

export class Holdings {
  /** Each looks after its share. */
  workers = 1
  readonly #options: HoldingsOptions
  readonly #sources: ReadonlyMap<string, Source<any>>
  /** Those asked for least lately come first. */
  readonly #onDemand = new Map<Source<any>, Set<Item>>()

  constructor(options: HoldingsOptions) {
    this.#options = options
    this.#sources = new Map(options.sources.map((source) => [source.name, source]))
  }

  /** Somebody has put an entry of this worker's into the shared tier. */
  hear(told: Announcement): void {
    const { watch, weights } = this.#options
    const item = watch.items.get(told.id)
    if (!told.found) {
      if (item !== undefined) this.#heardGone(item, told)
      return
    }
    // What this worker baked itself says nothing about readers.
    const isOwn = item !== undefined && isSame(item, told)
    const known = this.take(told)
    if (known === null || isOwn) return
    weights.add(told.id, 1)
    this.#use(known)
  }

  /** Somebody has answered it so often, of late. */
  visited([id, count]: Visited): void {
    const item = this.#options.watch.items.get(id)
    if (item === undefined) return
    this.#options.weights.add(id, count)
    this.#use(item)
  }

  /** Looks after an entry from now on. Null: of no page or object that this app has. */
  take(told: CatalogueEntry): Item | null {
    const { watch, bakes } = this.#options
    const source = this.#sources.get(told.source)
    if (source === undefined || !told.id.startsWith(source.prefix)) return null
    const item = this.itemOf(told.id, source, told.key)
    if (isWanted(told)) {
      if (item.parts === null) bakes.later(item)
      return item
    }
    if (!watch.adopt(item, told)) return item
    item.loadMs = told.loadMs
    item.found = true
    item.left = false
    const { expiresAtMs } = item
    if (source.ttlMs === null && expiresAtMs !== Infinity && item.state === 'idle') {
      const leftMs = expiresAtMs - Date.now() - earlyMs
      bakes.touchAt(item, performance.now() + Math.max(0, Math.min(coarseMs, leftMs)), true)
    } else if (watch.staleness(item) !== null) bakes.touch(item)
    return item
  }

  /** Takes over what a bake of this worker found or loaded. */
  async adopt(item: Item, entry: Entry, loaded: boolean): Promise<void> {
    const { watch, store, build, log } = this.#options
    const told = announcementOf({ source: item.source, key: item.key, id: item.id, entry })
    const isNew = item.parts === null
    item.loadMs = entry.loadMs
    item.found = told.found
    watch.adopt(item, entry)
    if (!told.found) {
      if (item.place === null) this.forget(item)
      return
    }
    // Whoever loaded it may have died before it was written down.
    if (isNew && !loaded) {
      await writeCatalogue(store, build, told).catch((error: unknown) => log.debug({ error }, 'not catalogued'))
    }
  }

  /** The item of an id; where there was none, one that nobody lists. */
  itemOf(id: string, source: Source<any>, key: unknown): Item {
    const { items } = this.#options.watch
    const known = items.get(id)
    if (known !== undefined) return known
    const item = items.add(id, source, key, performance.now())
    const onDemand = this.#onDemandOf(source)
    onDemand.add(item)
    const { maxOnDemand = defaultMaxOnDemand } = this.#options
    if (onDemand.size * this.workers > maxOnDemand) this.#drop([onDemand.values().next().value!])
    return item
  }

  /** It is listed: baked ahead whether or not anybody asks. */
  list(id: string, source: Source<any>, key: unknown, place: number, listing: number): void {
    const { items } = this.#options.watch
    const item = items.get(id) ?? items.add(id, source, key, performance.now())
    this.#onDemand.get(source)?.delete(item)
    item.place = place
    item.listing = listing
  }

  /** It is listed no more: gone, or like any that was once asked for. */
  unlist(item: Item): void {
    item.place = null
    if (item.parts === null || !item.found) this.forget(item)
    else this.#onDemandOf(item.source).add(item)
  }

  forget(item: Item): void {
    const { watch, bakes } = this.#options
    bakes.forget(item)
    watch.remove(item)
    this.#onDemand.get(item.source)?.delete(item)
  }

  /**
   * Lets those of them go that nobody lists and nobody has asked for in a day; and, where they lie somewhere, those that
   * have ended by the clock: nobody would ask for them.
   */
  dropUnused(items: readonly Item[]): void {
    const { longestUnvisitedMs = defaultLongestUnvisitedMs } = this.#options
    const oldestMs = performance.now() - longestUnvisitedMs
    const endedMs = this.#options.dropped === null ? -Infinity : Date.now()
    const isUnused = ({ source, visitedAtMs, expiresAtMs, state }: Item): boolean =>
      visitedAtMs < oldestMs || (source.ttlMs !== null && expiresAtMs <= endedMs && state === 'idle')
    const unused = items.filter((item) => item.place === null && isUnused(item))
    if (unused.length > 0) this.#drop(unused)
  }

  /** What it was is not to be handed out any more. What is listed may become one again. */
  end(item: Item): void {
    if (item.place === null) this.forget(item)
    this.#uncatalogue([item])
  }

  #use(item: Item): void {
    item.visitedAtMs = performance.now()
    const onDemand = this.#onDemand.get(item.source)
    if (onDemand?.delete(item) === true) onDemand.add(item)
  }

  #heardGone(item: Item, told: Announcement): void {
    item.found = false
    if (item.place === null) this.forget(item)
    else this.#options.watch.adopt(item, told)
  }

  #drop(items: readonly Item[]): void {
    for (const item of items) this.forget(item)
    this.#uncatalogue(items)
  }

  #uncatalogue(items: readonly Item[]): void {
    const { store, build, dropped, log } = this.#options
    const ids = items.map(({ id }) => id)
    dropFromCatalogue(store, build, ids).then(
      () => items.forEach((item) => dropped?.(item)),
      (error: unknown) => log.debug({ error }, 'entries stay in the catalogue'),
    )
  }

  #onDemandOf(source: Source<any>): Set<Item> {
    let onDemand = this.#onDemand.get(source)
    if (onDemand === undefined) this.#onDemand.set(source, (onDemand = new Set()))
    return onDemand
  }
}

function isSame({ dates }: Item, { parts }: Announcement): boolean {
  return dates.some((held) =>
    parts.some(({ database, epoch, asOf }) => held.database === database && held.epoch === epoch && held.asOf === asOf),
  )
}
