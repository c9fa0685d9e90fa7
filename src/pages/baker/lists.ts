/** All that is listed, of all pages, as far as it falls to this worker; and what of it is not there yet. */

import { canonicalKey } from '../../cache/keys.ts'
import { List, type ListOptions } from './list.ts'

import type { PageSource } from '../page-source.ts'
import type { PageKey } from '../routes.ts'
import type { Buckets } from './buckets.ts'
import type { Holdings } from './holdings.ts'
import type { Item } from './items.ts'

export interface ListsOptions extends Omit<ListOptions, 'source' | 'listed'> {
  readonly sources: readonly PageSource[]
  readonly holdings: Holdings
  readonly buckets: Buckets
  /** Something is missing. */
  readonly wake: () => void
}

/** So many are taken over in one go: the process has more to do. */
const sliceSize = 1_000

export class Lists {
  readonly #options: ListsOptions
  readonly #lists: readonly List[]
  /** Taken from the end. */
  #missing: Item[] = []

  constructor(options: ListsOptions) {
    this.#options = options
    const { watch, sources } = options
    const listed = (list: List, keys: readonly PageKey[]): Promise<void> => this.#take(list, keys)
    this.#lists = sources
      .filter(({ definition }) => definition.params !== undefined)
      .map((source) => watch.items.number((number) => new List({ ...options, source, listed }, number)) as List)
  }

  /** How many are missing. */
  get missing(): number {
    return this.#missing.length
  }

  read(): void {
    for (const list of this.#lists) list.read()
  }

  /** Reads all of them, or one page's, as they are now; answers what went wrong. */
  async current(path: string | undefined): Promise<string[]> {
    const wanted = this.#lists.filter(({ source }) => path === undefined || source.name === path)
    const errors = await Promise.all(wanted.map((list) => list.current()))
    return errors.flatMap((error, at) =>
      error === null ? [] : [`the params of ${wanted[at]!.source.name}: ${String((error as Error).message ?? error)}`],
    )
  }

  /** The next one that is not there, in the order of its list. */
  next(): Item | null {
    const { items } = this.#options.watch
    for (let item = this.#missing.pop(); item !== undefined; item = this.#missing.pop()) {
      if (isMissing(item) && items.get(item.id) === item) return item
    }
    return null
  }

  async stop(): Promise<void> {
    await Promise.all(this.#lists.map((list) => list.stop()))
  }

  async #take(list: List, keys: readonly PageKey[]): Promise<void> {
    const { source, reading } = list
    const { holdings, buckets, watch, wake } = this.#options
    for (const [place, key] of keys.entries()) {
      if (place % sliceSize === sliceSize - 1) await new Promise((resolve) => setImmediate(resolve))
      const id = source.prefix + canonicalKey(key, source.name)
      if (buckets.owns(id)) holdings.list(id, source, key, place, reading)
    }
    const items = [...(watch.items as Iterable<Item>)]
    for (const item of items) {
      if (item.source === source && item.place !== null && item.listing !== reading) holdings.unlist(item)
    }
    this.#missing = items.filter(isMissing).toSorted((one, other) => other.place! - one.place!)
    wake()
  }
}

function isMissing({ parts, place, state, failures, dueAtMs }: Item): boolean {
  return parts === null && place !== null && state === 'idle' && failures === 0 && dueAtMs === Infinity
}
