/**
 * What was published of each page, as the store remembers it: which bake, and at which place it has arrived. It outlives
 * the process that published, so that the next one can tell what was left undone.
 *
 * Invariants: the version of a page never goes back, except that another build's counts as before any of this build; and
 * a place is marked only by the bake whose version stands there. What was taken away as nobody looks after it keeps its
 * version: whoever is late with that bake must not put it back.
 */

import { createHash } from 'node:crypto'

import { compareVersions, decodeVersion, encodeVersion, type PageVersion } from './version.ts'

import type { Store, StoreFields } from '../../store/store.ts'

/** What the tag of a place begins with where nothing lies. */
export const nothing = '!'

export interface LedgerRecord {
  readonly url: string
  readonly version: PageVersion
  /** By place: the content that is there, see {@link nothing}. Absent: nobody knows. */
  readonly tags: ReadonlyMap<string, string>
  /** It was taken away as nobody looks after it, and only a newer bake brings it back. */
  readonly gone: boolean
  /** As it is in the store. */
  readonly versionBytes: Uint8Array
}

/** A page that has not changed for so long is published once more. */
const ttlMs = 30 * 24 * 3_600_000
const prefix = 'pages:published:'

export class Ledger {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async read(url: string): Promise<LedgerRecord | null> {
    const fields = await this.#store.read(keyOf(url))
    const record = fields && decode(fields)
    // What another version of Fourfold wrote says nothing here, and would stand in the way.
    if (fields !== null && record === null) await this.#store.delete(keyOf(url))
    return record
  }

  /** Whether a bake may take the place of what was published. */
  accepts(record: LedgerRecord | null, version: PageVersion): boolean {
    if (record === null || record.version.build !== version.build) return true
    return compareVersions(version, record.version) >= (record.gone ? 1 : 0)
  }

  /**
   * Writes down that a bake is about to be published at some places. Answers whether it may: false where another one was
   * written down since the record was read.
   *
   * @param gone it is taken away, and stays away until there is a newer one
   */
  async begin(
    url: string,
    record: LedgerRecord | null,
    version: PageVersion,
    places: readonly string[],
    gone: boolean,
  ): Promise<boolean> {
    const key = keyOf(url)
    const sign = gone && { gone: Buffer.from('1') }
    const set = { url: Buffer.from(url), version: Buffer.from(encodeVersion(version)), ...sign }
    if (record === null && (await this.#store.create(key, set, { ttlMs }))) return true
    const expect = { version: record?.versionBytes ?? null }
    const remove = [...places.map(fieldOf), ...(gone ? [] : ['gone'])]
    return (await this.#store.update(key, { set, remove, expect, ttlMs })) === 'updated'
  }

  /** Writes down that a bake has arrived. False: another one was begun meanwhile. */
  async arrived(url: string, version: PageVersion, tag: string, places: readonly string[]): Promise<boolean> {
    const set = Object.fromEntries(places.map((place) => [fieldOf(place), Buffer.from(tag)]))
    const expect = { version: Buffer.from(encodeVersion(version)) }
    return (await this.#store.update(keyOf(url), { set, expect })) === 'updated'
  }

  /** Writes down that nobody knows what is at these places. */
  async forget(url: string, places: readonly string[]): Promise<void> {
    await this.#store.update(keyOf(url), { remove: places.map(fieldOf) })
  }

  /** What was ever published, in no order. */
  async *records(limit: number): AsyncGenerator<LedgerRecord> {
    for (const key of await this.#store.list(prefix, { limit })) {
      const fields = await this.#store.read(key)
      const record = fields && decode(fields)
      if (record !== null) yield record
    }
  }
}

function decode(fields: StoreFields): LedgerRecord | null {
  const { url, version: versionBytes } = fields
  const version = versionBytes && decodeVersion(Buffer.from(versionBytes).toString())
  if (!url || !version) return null
  const tags = new Map<string, string>()
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith('at:')) tags.set(name.slice(3), Buffer.from(value).toString())
  }
  return { url: Buffer.from(url).toString(), version, tags, gone: fields['gone'] !== undefined, versionBytes }
}

function fieldOf(place: string): string {
  return `at:${place}`
}

/** Addresses may be long. */
function keyOf(url: string): string {
  return prefix + createHash('sha256').update(url).digest('base64url').slice(0, 22)
}
