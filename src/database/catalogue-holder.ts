/**
 * What tables and columns there are, as of a position: without it a statement's text says nothing about what it reads.
 *
 * Invariant (as for any entry): a catalogue may be used as long as its `asOf`, a visible position from before it was
 * read, is not older than the newest commit that changed definitions. A message of such a commit can arrive before the
 * catalogues show it: what is read then is too old, and is not kept.
 */

import { withDeadline } from '../core/deadline.ts'
import { loadCatalogue, type Catalogue } from '../engines/postgres/reads/catalogue.ts'

import type { Logger } from '../core/log.ts'
import type { QueryClient } from '../engines/postgres/client.ts'
import type { Epoch, Lsn } from '../engines/position.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'

interface Held {
  readonly catalogue: Catalogue
  readonly epoch: Epoch
  readonly asOf: Lsn
}

const loadTimeoutMs = 10_000
const retryAfterMs = 1_000

export class CatalogueHolder {
  readonly #changes: ChangeFollower
  readonly #client: QueryClient
  readonly #log: Logger
  #held: Held | null = null
  #loading: Promise<void> | null = null
  #failedAtMs = -Infinity

  constructor(changes: ChangeFollower, client: QueryClient, log: Logger) {
    this.#changes = changes
    this.#client = client
    this.#log = log
  }

  /** The catalogue if it is valid now; at the follower's watermark, that is. */
  get current(): Catalogue | null {
    const held = this.#held
    if (held === null || held.epoch !== this.#changes.epoch || held.asOf < this.#changes.definitionsAt) return null
    return held.catalogue
  }

  /** For people: a table's name when the catalogue was last read. */
  nameOf(oid: number): string | null {
    const relation = this.#held?.catalogue.relationByOid(oid) ?? null
    return relation && `${relation.schema}.${relation.name}`
  }

  /** Loads it where it is missing or out of date. Never rejects: nothing is kept while there is none. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null
    })
    return this.#loading
  }

  async #load(): Promise<void> {
    const visible = this.#changes.visible
    if (visible === null || visible.lsn < this.#changes.definitionsAt) return
    if (performance.now() - this.#failedAtMs < retryAfterMs) return
    try {
      const catalogue = await withDeadline(loadCatalogue(this.#client), loadTimeoutMs, 'the catalogues of a database')
      this.#held = { catalogue, epoch: visible.epoch, asOf: visible.lsn }
    } catch (error) {
      this.#failedAtMs = performance.now()
      this.#log.warn({ error }, 'the catalogues could not be read: nothing is cached for now')
    }
  }
}
