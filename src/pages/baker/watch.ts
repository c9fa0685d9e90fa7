/**
 * What a worker knows of its entries, and which of them a change touches.
 *
 * Invariants:
 * - An entry that is watched, and that a change after its `asOf` touches, is told of in the step in which the filter takes
 *   the change; or, where more than a change may have ended it, by a look at all of them.
 * - Nothing here says that an entry is good: that is decided by the check that every reader makes.
 */

import { Packr } from 'msgpackr'

import { keysOfCommit, keysOfEntry, saltOf } from './dependency-keys.ts'
import { Items, type Item, type Watched } from './items.ts'
import { ReverseIndex } from './reverse-index.ts'

import type { Checks, Clusters } from '../../cache/checks.ts'
import type { MissReason } from '../../cache/entry.ts'
import type { EntryPart } from '../../freshness/changes/recorder.ts'
import type { CommitChanges } from '../../freshness/changes/message.ts'

export interface WatchOptions {
  readonly clusters: Clusters
  readonly checks: Pick<Checks, 'staleness'>
  /** It may be over. */
  readonly touched: (watched: Watched) => void
  /** Any of them may be over. */
  readonly forgotten: () => void
}

/** What was loaded. */
export interface Loaded {
  readonly parts: readonly EntryPart[]
  readonly expiresAtMs: number
}

const packr = new Packr({ useRecords: false, mapsAsObjects: true, largeBigIntToFloat: false })

export class Watch {
  readonly items: Items = new Items()
  readonly index: ReverseIndex = new ReverseIndex()
  readonly #options: WatchOptions
  readonly #salts = new Map<string, number>()
  readonly #unsubscribe: (() => void)[] = []

  constructor(options: WatchOptions) {
    this.#options = options
    for (const [name, { changes }] of options.clusters) {
      const salt = saltOf(name)
      this.#salts.set(name, salt)
      if (changes === null) continue
      const commits = (all: readonly CommitChanges[]): void => this.#take(name, salt, all)
      this.#unsubscribe.push(changes.subscribe({ commits, forgotten: options.forgotten }))
    }
  }

  /** Takes over what is known of an entry, unless newer is known already: false. */
  adopt(watched: Watched, { parts, expiresAtMs }: Loaded): boolean {
    const isOlder = parts.some(({ database, epoch, asOf }) =>
      watched.dates.some((held) => held.database === database && held.epoch === epoch && held.asOf > asOf),
    )
    // It may have been let go of while it was loaded.
    if (isOlder || this.items.at(watched.number) !== watched) return false
    watched.parts = Buffer.from(packr.pack(parts))
    watched.dates = parts.map(({ database, epoch, asOf }) => ({ database, epoch, asOf }))
    watched.expiresAtMs = expiresAtMs
    this.index.set(
      watched.number,
      keysOfEntry(parts, (database) => this.#salts.get(database) ?? 0),
    )
    return true
  }

  remove(item: Item): void {
    if (this.items.at(item.number) !== item) return
    this.index.remove(item.number)
    this.items.remove(item)
  }

  /** Why it is over, as far as this process knows; null where it is good. */
  staleness({ parts, expiresAtMs }: Watched): MissReason | null {
    if (parts === null) return 'absent'
    return this.#options.checks.staleness({ parts: packr.unpack(parts) as EntryPart[], expiresAtMs })
  }

  stop(): void {
    for (const end of this.#unsubscribe.splice(0)) end()
  }

  #take(database: string, salt: number, commits: readonly CommitChanges[]): void {
    const { touched } = this.#options
    for (const commit of commits) {
      const hear = (number: number): void => {
        const watched = this.items.at(number)
        const date = watched?.dates.find((held) => held.database === database)
        if (watched !== undefined && date !== undefined && date.asOf < commit.to) touched(watched)
      }
      for (const key of keysOfCommit(commit, salt)) this.index.visit(key, hear)
    }
  }
}
